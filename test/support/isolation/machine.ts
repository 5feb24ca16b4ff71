// What some tries need of this machine, and what tries leave on it outside of their grounds.
import { spawnSync } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";

export interface Machine {
  /** A folder with a secret, over which another file system is mounted. */
  readonly covered: string;
  readonly isCovered: boolean;
  readonly hasUserNamespaces: boolean;
  /** The device of the disk that the grounds are on. */
  readonly disk: string | undefined;
  /** A file of the kernel's first kind of control groups, into which root writes a program's path. */
  readonly releaseAgent: string | undefined;
  /** Whether there are programs with more rights than the user who starts them: only root can make them. */
  readonly hasRaisedPrograms: boolean;
}

export function lookAtMachine(folder: string, secret: string, uid: number | undefined): Machine {
  const isRoot = process.getuid?.() === 0;
  const covered = join(folder, "covered");
  mkdirSync(covered);
  writeFileSync(join(covered, ".env"), `${secret}\n`);
  const as = uid === undefined ? {} : { uid, gid: uid };
  return {
    covered,
    isCovered: isRoot && spawnSync("mount", ["-t", "tmpfs", "cover", covered]).status === 0,
    hasUserNamespaces: spawnSync("unshare", ["--map-root-user", "--mount", "true"], as).status === 0,
    disk: diskOf(folder),
    releaseAgent: ["/sys/fs/cgroup/cpu/release_agent", "/sys/fs/cgroup/memory/release_agent"].find(existsSync),
    hasRaisedPrograms: isRoot,
  };
}

function diskOf(folder: string): string | undefined {
  const { stdout } = spawnSync("findmnt", ["--noheadings", "--output", "SOURCE", "--target", folder], {
    encoding: "utf8",
  });
  const device = stdout?.trim().replace(/\[.*$/, "");
  return device?.startsWith("/dev/") && isReadable(device) ? device : undefined;
}

/** Even root may be kept from devices. */
function isReadable(path: string): boolean {
  try {
    closeSync(openSync(path, "r"));
    return true;
  } catch {
    // The operating system's "no" is the answer.
    return false;
  }
}

const places = ["/tmp", "/var/tmp", "/dev/shm", "/etc", "/usr/local", "/usr/local/bin", "/var/spool/cron", "/run"];

/** Removes what the tries of these grounds have left: everything with their id. */
export function cleanMachine(id: string, folder: string): void {
  for (const place of places)
    for (const name of existsSync(place) ? readdirSync(place) : [])
      if (name.startsWith(id)) rmSync(join(place, name), { recursive: true, force: true });
  for (const group of groupsOf(id)) rmdirSync(group);
  for (const path of mountsBelow(folder).toReversed()) spawnSync("umount", ["-l", path]);
  // The folder is removed next, and what is mounted in it must not be.
  if (mountsBelow(folder).length > 0) throw new Error(`something is still mounted below ${folder}`);
}

function mountsBelow(folder: string): string[] {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  return mounts.map((line) => line.split(" ")[4] ?? "").filter((path) => path.startsWith(`${folder}/`));
}

/** The control groups named after an id. */
export function groupsOf(id: string): string[] {
  const root = "/sys/fs/cgroup";
  if (!existsSync(root)) return [];
  return [root, ...readdirSync(root).map((name) => join(root, name))]
    .map((folder) => join(folder, id))
    .filter((path) => existsSync(path));
}
