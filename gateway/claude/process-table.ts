// The processes of this machine, as far as ending them needs it: parents, start times and, on Linux, the marker variable that the
// CLI and whatever it started carry in their environment. It ends processes by id and start time together, so a reused id is safe.
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { markerVariable } from "./command.ts";

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Opaque; equal for the same process only. */
  readonly startedAt: string;
}

/** All processes that can be seen now. */
export function listProcesses(): ProcessEntry[] {
  return process.platform === "linux" ? listFromProc() : listFromPs();
}

function listFromProc(): ProcessEntry[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    const stat = readIfThere(`/proc/${name}/stat`);
    // The command's name is in parentheses and may hold anything: fields are counted from behind it (proc_pid_stat(5)).
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    if (fields.length < 20 || fields[0] === "Z") return [];
    return [{ pid: Number(name), parent: Number(fields[1]), startedAt: fields[19]! }];
  });
}

function listFromPs(): ProcessEntry[] {
  const table = execFileSync("ps", ["-A", "-o", "pid=,ppid=,lstart="], { encoding: "utf8" });
  return table.split("\n").flatMap((line) => {
    const match = /^\s*(\d+)\s+(\d+)\s+(.+)$/.exec(line);
    return match ? [{ pid: Number(match[1]), parent: Number(match[2]), startedAt: match[3]! }] : [];
  });
}

/** A process and all that descend from it, as they are now. */
export function familyOf(pid: number, table: readonly ProcessEntry[] = listProcesses()): ProcessEntry[] {
  const family = table.filter((entry) => entry.pid === pid);
  for (let i = 0; i < family.length; i++)
    family.push(...table.filter((entry) => entry.parent === family[i]!.pid && !family.includes(entry)));
  return family;
}

/**
 * The program of a box, of which `pid` is bubblewrap: the child of its child, the first that was started in there. Undefined if it is not there
 * yet, or any more.
 */
export function boxedProgram(pid: number): number | undefined {
  const [init] = childrenOf(pid);
  return init === undefined ? undefined : childrenOf(init).find((child) => innerPid(child) === "2");
}

function childrenOf(pid: number): number[] {
  const text = readIfThere(`/proc/${pid}/task/${pid}/children`);
  return text.split(" ").filter(Boolean).map(Number);
}

/** Its id in its own namespace (proc_pid_status(5)). A name may have U+2028, where a `^` for each line would find one, too. */
function innerPid(pid: number): string | undefined {
  const lines = readIfThere(`/proc/${pid}/status`).split("\n");
  return lines
    .find((line) => line.startsWith("NSpid:"))
    ?.split("\t")
    .at(-1);
}

/** Processes that carry one of these markers; none where the platform does not show environments. */
export function markedWith(markers: ReadonlySet<string>): ProcessEntry[] {
  if (process.platform !== "linux") return [];
  return listFromProc().filter(({ pid }) =>
    readIfThere(`/proc/${pid}/environ`)
      .split("\0")
      .some((pair) => pair.startsWith(`${markerVariable}=`) && markers.has(pair.slice(markerVariable.length + 1))),
  );
}

/** The start time of a process; undefined if there is none with this id. */
export function startTimeOf(pid: number): string | undefined {
  return listProcesses().find((entry) => entry.pid === pid)?.startedAt;
}

/** Ends all these for good, and what they start meanwhile: what `find` gives is killed until it gives nothing, for `rounds` at most. */
export async function killAll(find: () => ProcessEntry[], rounds = 40): Promise<number> {
  const killed = new Set<number>();
  for (let round = 0; round < rounds; round++) {
    const found = (await withDescriptors(find)).filter(({ pid }) => pid !== process.pid);
    if (found.length === 0) break;
    for (const { pid } of found) {
      signalIfThere(pid, "SIGKILL");
      killed.add(pid);
    }
    await wait(25);
  }
  return killed.size;
}

/** Those of the entries that still run. */
export function stillThere(entries: readonly ProcessEntry[]): ProcessEntry[] {
  const table = new Map(listProcesses().map((entry) => [entry.pid, entry.startedAt]));
  return entries.filter(({ pid, startedAt }) => table.get(pid) === startedAt);
}

export function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself meanwhile, which is what was wanted.
  }
}

/** Does what needs a file descriptor, as soon as there is one: what cannot be looked for now must not be left. */
export async function withDescriptors<Result>(action: () => Result): Promise<Result> {
  for (;;)
    try {
      return action();
    } catch (error) {
      if (!isWithoutDescriptors(error)) throw error;
      await wait(100);
    }
}

export function isWithoutDescriptors(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "EMFILE" || code === "ENFILE";
}

function readIfThere(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (isWithoutDescriptors(error)) throw error;
    // The process has ended since it was listed, or belongs to another user.
    return "";
  }
}
