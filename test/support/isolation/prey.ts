// The two victims on the grounds, each a prey.py (see there): the neighbour is a tool of another user's session, the bystander a program of the operator.
import { spawn, spawnSync } from "node:child_process";
import { randomBytes, randomInt } from "node:crypto";
import { existsSync, readdirSync, readFileSync, writeFileSync, type Dirent } from "node:fs";
import { join } from "node:path";
import { signalIfThere } from "../../../gateway/claude/process-table.ts";
import { until } from "../wait.ts";
import { preySettings, type Owner, type PreySecret, type Secrets } from "./secrets.ts";

/** The children of a prey: one for each try that harms one. */
export const childRoles = [
  "kill",
  "kill-all",
  "stop",
  "group",
  "thread",
  "pidfd",
  "limits",
  "oom",
  "priority",
] as const;

export type ChildRole = (typeof childRoles)[number];

export interface Prey {
  readonly settings: PreySettings;
  /** Part of every name that it has on the machine, and one of its arguments. */
  readonly mark: string;
  /** Of its System V memory and queue. */
  readonly key: number;
  /** Where it works, on the machine. */
  readonly folder: string;
  /** On the machine. */
  readonly pid: number;
  /** A child's pid on the machine. */
  child(role: ChildRole): number;
  /** What that child has in its command line. */
  childMark(role: ChildRole): string;
  /** Tells it to end and to remove what it has made. */
  stop(): Promise<void>;
}

export interface PreySettings {
  readonly mark: string;
  readonly key: number;
  readonly children: readonly string[];
  readonly secrets: Record<PreySecret, string>;
}

const preyFile = new URL("prey.py", import.meta.url).pathname;
const preySource = readFileSync(preyFile, "utf8");

export function makePreySettings(secrets: Secrets, owner: Owner): PreySettings {
  const number = randomInt(100_000, 999_999);
  return {
    mark: `prey-${randomBytes(5).toString("hex")}`,
    key: randomInt(1, 0x7fffffff),
    children: childRoles.map((_, index) => `${number}${index + 10}`),
    secrets: preySettings(secrets, owner),
  };
}

/** Starts the bystander in a folder; it ends with what was opened. */
export function startBystander(
  settings: PreySettings,
  folder: string,
  uid: number | undefined,
  opened: AsyncDisposableStack,
): Promise<Prey> {
  writeFileSync(join(folder, "prey.py"), preySource);
  writeFileSync(join(folder, "settings.json"), JSON.stringify(settings));
  const child = spawn("python3", ["prey.py", "settings.json"], {
    cwd: folder,
    stdio: ["ignore", "ignore", "inherit"],
    ...(uid === undefined ? {} : { uid, gid: uid }),
  });
  opened.defer(() => void child.kill("SIGKILL"));
  return findPrey(settings, () => folder, child.pid);
}

/** The command that makes a session's tool the neighbour. */
export function neighbourCommand(settings: PreySettings): string {
  return [
    "cat > prey.py <<'END'",
    preySource,
    "END",
    "cat > settings.json <<'END'",
    JSON.stringify(settings),
    "END",
    "exec python3 prey.py settings.json",
  ].join("\n");
}

/** Resolves when it is up; `look` finds its folder on the machine. */
export async function findPrey(settings: PreySettings, look: () => string | undefined, known?: number): Promise<Prey> {
  const { mark, key, children } = settings;
  const folder = await until(
    `the prey ${mark}`,
    () => {
      const found = look();
      return found !== undefined && existsSync(join(found, `ready-${mark}`)) && found;
    },
    30_000,
  );
  const mine = known ?? (await pidOf(mark));
  const childMark = (role: ChildRole) => `600.${children[childRoles.indexOf(role)]}`;
  const pids = new Map<ChildRole, number>();
  for (const role of childRoles) pids.set(role, await pidOf(childMark(role)));
  return {
    settings,
    mark,
    key,
    folder,
    pid: mine,
    child: (role) => pids.get(role)!,
    childMark,
    async stop() {
      writeFileSync(join(folder, `stop-${mark}`), "");
      await until(`the prey ${mark} to end`, () => !isAlive(mine)).catch(() => signalIfThere(mine, "SIGKILL"));
      // One that was killed has left everything.
      if (existsSync(join(folder, "settings.json")))
        spawnSync("python3", [preyFile, join(folder, "settings.json"), "remove"]);
    },
  };
}

/** The folder below another one that has a file of this name. Links are not followed, and what vanishes meanwhile is ignored. */
export function folderWith(name: string, below: string): string | undefined {
  const entries = entriesOf(below);
  if (entries.some((entry) => entry.name === name)) return below;
  for (const entry of entries) {
    const found = entry.isDirectory() ? folderWith(name, join(below, entry.name)) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // It has just gone.
    return [];
  }
}

/** A process's state as one letter (`T` is stopped); undefined once it is gone, or a zombie. */
export function stateOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const state = stat.slice(stat.lastIndexOf(")") + 2, stat.lastIndexOf(")") + 3);
    return state === "Z" || state === "X" ? undefined : state;
  } catch {
    // It is gone.
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  return stateOf(pid) !== undefined;
}

/** A program that was just started has no arguments yet. A shell that has the mark in its script is not the one. */
function pidOf(mark: string): Promise<number> {
  const isShell = (pid: number) => argsOf(String(pid))[0]?.endsWith("sh") ?? false;
  return until(`the process of ${mark}`, () => pidsWith(mark).find((pid) => !isShell(pid)));
}

function argsOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
  } catch {
    // It has just gone.
    return [];
  }
}

/** The pids of all processes that have this among their arguments. */
export function pidsWith(mark: string): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && argsOf(name).includes(mark))
    .map(Number);
}
