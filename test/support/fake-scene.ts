// The fake CLI behind the real driver, and what must be gone after each of its processes. Scripts: fake-cli.js beside this file.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { randomUUID } from "node:crypto";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { z } from "zod";
import { startDriver, type Driver, type DriverOptions } from "../../gateway/claude/driver.ts";
import { familyOf, listProcesses, markedWith } from "../../gateway/claude/process-table.ts";
import type { agentConfig } from "../../gateway/protocol/agents.ts";
import { terminalEventTypes } from "../../gateway/protocol/codes.ts";
import type { TurnEvent } from "../../gateway/protocol/events.ts";
import { fakeCliParts, testBox } from "./box.ts";
import { drivenBy, readAgent, type Driven } from "./real-cli.ts";
import { until } from "./wait.ts";

export interface FakeScene {
  readonly runFolder: string;
  /** An executable file that plays this script. */
  play(script: string): string;
  /** Starts a process of the fake CLI, or of any `binary`. */
  drive(binary: string, options?: FakeOptions): Promise<FakeDriven>;
  /** Ends the process; rejects where anything of it stays. */
  leaveNothing(driven: FakeDriven): Promise<void>;
  close(): Promise<void>;
}

export type FakeOptions = Partial<Omit<DriverOptions, "agent">> & { agent?: Partial<z.input<typeof agentConfig>> };

export interface FakeDriven extends Driven {
  /** What the process and all it starts carry. */
  readonly marker: string;
  /** The process namespace of its box; undefined without one, or if it was gone too soon to be seen. */
  readonly space?: string | undefined;
  /** The signs of tampering that it gave. */
  readonly tampering: string[];
}

const hostileFolder = new URL("../fixtures/hostile/", import.meta.url);

/** The hostile scripts by name. */
export function hostileScripts(): Map<string, string> {
  const names = readdirSync(hostileFolder).map((file) => file.replace(/\.txt$/, ""));
  return new Map(names.map((name) => [name, readFileSync(new URL(`${name}.txt`, hostileFolder), "utf8")]));
}

/** `isBoxed`: its processes are in boxes, as those of a gateway. */
export function openFakeScene({ isBoxed = false }: { isBoxed?: boolean } = {}): FakeScene {
  const folder = mkdtempSync(join(tmpdir(), "sluice-fake-"));
  const [home, runFolder, workspace] = ["home", "run", "workspace"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  for (const path of [home, runFolder, workspace]) mkdirSync(path);
  // Scripts are run by whom sessions run as.
  const scriptFolder = join(folder, "scripts");
  mkdirSync(scriptFolder, { mode: 0o755 });
  const environment = { PATH: process.env["PATH"], HOME: home };
  const boxOf = (binary: string, session: string) =>
    testBox({
      sessionFolder: join(folder, "sessions", session),
      cli: { path: binary, isUnreadable: false },
      read: fakeCliParts,
      environment,
    });
  const drivers: Driver[] = [];
  const bugs: unknown[] = [];
  const fdsBefore = countFds();
  return {
    runFolder,
    play(script) {
      const path = join(scriptFolder, randomUUID());
      writeFileSync(`${path}.txt`, script);
      const fake = new URL("fake-cli.js", import.meta.url).pathname;
      writeFileSync(path, `#!/bin/sh\nexec '${process.execPath}' '${fake}' '${path}.txt'\n`);
      chmodSync(path, 0o755);
      return path;
    },
    async drive(binary, { agent, ...options } = {}) {
      const events: TurnEvent[] = [];
      const tampering: string[] = [];
      const before = new Set(readdirSync(runFolder));
      const session = randomUUID();
      const driver = await startDriver({
        binary,
        session,
        workspace,
        runFolder,
        environment,
        box: isBoxed ? await boxOf(binary, session) : undefined,
        onEvents: (batch) => events.push(...batch),
        onTampering: (sign) => tampering.push(sign),
        onBug: (error) => bugs.push(error),
        ...options,
        agent: readAgent(agent),
      });
      drivers.push(driver);
      const marker = readdirSync(runFolder).find((name) => !before.has(name)) ?? "";
      const space = isBoxed ? await boxOfProcess(driver) : undefined;
      return { ...drivenBy(driver, events), marker, space, tampering };
    },
    async leaveNothing({ driver, marker, space }) {
      await driver.end();
      // The kernel has sent them all their end by then, which takes it a moment.
      if (space !== undefined) await until("an empty box", () => processesIn(space).length === 0, 2000);
      const left = markedWith(new Set([marker]));
      if (left.length > 0) throw new Error(`processes are left: ${left.map(({ pid }) => pid).join(", ")}`);
      const folders = readdirSync(runFolder);
      if (folders.length > 0) throw new Error(`private folders are left: ${folders.join(", ")}`);
      await until(`${fdsBefore} file descriptors`, () => countFds() <= fdsBefore, 2000);
    },
    async close() {
      await Promise.all(drivers.map((driver) => driver.end()));
      rmSync(folder, { recursive: true, force: true });
      if (bugs.length > 0) throw new AggregateError(bugs, "drivers have met bugs");
    },
  };
}

/** Waits for the box to be there; undefined if the process is gone first. */
async function boxOfProcess({ pid, exited }: Driver): Promise<string | undefined> {
  let isGone = false;
  void exited.then(() => (isGone = true));
  const own = spaceOf(process.pid);
  return until("the box", () => {
    const spaces = familyOf(pid).map((entry) => spaceOf(entry.pid));
    return isGone ? "gone" : spaces.find((space) => space !== undefined && space !== own);
  }).then((found) => (found === "gone" ? undefined : found));
}

/** Those that run: the box's first process is reaped by the machine's own, whenever that likes. */
function processesIn(space: string): string[] {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name) && spaceOf(Number(name)) === space);
  const running = new Set(listProcesses().map(({ pid }) => String(pid)));
  return pids.filter((pid) => running.has(pid));
}

function spaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    // It has just ended.
    return undefined;
  }
}

function countFds(): number {
  return readdirSync("/proc/self/fd").length;
}

/** The terminal events of a turn. */
export function endingsOf(turn: string, events: readonly TurnEvent[]): TurnEvent[] {
  return events.filter((event) => event.turn === turn && terminalEventTypes.some((type) => type === event.type));
}
