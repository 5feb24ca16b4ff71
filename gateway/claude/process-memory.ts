// How much memory processes take, with all that descends from them.
import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";

interface Row {
  readonly pid: number;
  readonly parent: number;
  /** Resident, in bytes. What processes share counts for each of them. */
  readonly bytes: number;
}

/**
 * Bytes by pid; a process that has ended is not there. Reads without blocking anything: it is done all the time, while others stream. What has
 * left a process's family (a daemon that its tool began) is not counted.
 */
export async function measureMemory(pids: readonly number[]): Promise<Map<number, number>> {
  const rows = process.platform === "linux" ? await readProc() : await readPs();
  const children = Map.groupBy(rows, ({ parent }) => parent);
  const own = new Map(rows.map((row) => [row.pid, row]));
  const bytesOf = (row: Row): number =>
    (children.get(row.pid) ?? []).reduce((sum, child) => sum + bytesOf(child), row.bytes);
  return new Map(
    pids.flatMap((pid) => {
      const row = own.get(pid);
      return row ? [[pid, bytesOf(row)] as const] : [];
    }),
  );
}

async function readProc(): Promise<Row[]> {
  const names = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const rows = await Promise.all(names.map(readStatus));
  return rows.filter((row) => row !== undefined);
}

/** Of `status` and not `stat`: its unit is no page, whose size differs (proc_pid_status(5)). */
async function readStatus(name: string): Promise<Row | undefined> {
  // It may have ended since it was listed.
  const text = await readFile(`/proc/${name}/status`, "utf8").catch(() => "");
  const field = (key: string) => Number(new RegExp(`^${key}:\\s+(\\d+)`, "m").exec(text)?.[1]);
  const [parent, kilobytes] = [field("PPid"), field("VmRSS")];
  // The kernel's own have none, nor has one that is a zombie.
  return Number.isNaN(kilobytes) ? undefined : { pid: Number(name), parent, bytes: kilobytes * 1024 };
}

async function readPs(): Promise<Row[]> {
  const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,rss="]);
  return stdout.split("\n").flatMap((line) => {
    const [pid, parent, kilobytes] = line.trim().split(/\s+/).map(Number);
    return kilobytes === undefined ? [] : [{ pid: pid!, parent: parent!, bytes: kilobytes * 1024 }];
  });
}
