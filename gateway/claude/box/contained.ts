// [A9] Files in a folder that a box writes to. What runs there may put a link anywhere, so nothing here follows one: a file is opened first, and it
// is what was opened that must lie inside.
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  realpathSync,
  rmSync,
} from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { readlinkSync } from "node:fs";
import { join, relative, sep } from "node:path";

/** Opens a regular file below `root` to read; undefined if it is not there, is a link or something else, or lies elsewhere. */
export async function openWithin(root: string, path: string): Promise<FileHandle | undefined> {
  let handle: FileHandle | undefined;
  try {
    // A FIFO would never open.
    handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    if ((await handle.stat()).isFile() && isWithin(realpathSync(root), realPathOf(handle.fd, path))) return handle;
  } catch {
    // Not there, a link, or closed to us: nothing to read either way.
  }
  await handle?.close();
  return undefined;
}

/** The size and time of a regular file below `root`; undefined as above. */
export function statWithin(
  root: string,
  path: string,
): { readonly size: number; readonly mtimeMs: number } | undefined {
  let fd: number | undefined;
  try {
    fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    const stat = fstatSync(fd);
    return stat.isFile() && isWithin(realpathSync(root), realPathOf(fd, path)) ? stat : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** The names in a folder below `root`, by kind; none if it is a link, or lies elsewhere. */
export function namesWithin(root: string, path: string): { readonly folders: string[]; readonly files: string[] } {
  try {
    if (lstatSync(path).isDirectory() && isWithin(realpathSync(root), realpathSync(path), true)) {
      const entries = readdirSync(path, { withFileTypes: true });
      const named = (isIt: (entry: (typeof entries)[number]) => boolean) =>
        entries.filter(isIt).map(({ name }) => name);
      return { folders: named((entry) => entry.isDirectory()), files: named((entry) => entry.isFile()) };
    }
  } catch {
    // Not there, or closed to us.
  }
  return { folders: [], files: [] };
}

/**
 * Makes a folder below `root`, part by part; whatever else stands in its way (a link, a file) is removed. Only while nothing runs that could
 * put it back. `own` is called for each folder that is made.
 */
export function makeWithin(root: string, path: string, own: (made: string) => void = () => {}): void {
  let at = root;
  for (const part of relative(root, path).split(sep)) {
    at = join(at, part);
    const stat = lstatSync(at, { throwIfNoEntry: false });
    if (stat?.isDirectory()) continue;
    if (stat) rmSync(at, { force: true });
    mkdirSync(at, { mode: 0o700 });
    own(at);
  }
}

/** Where what is open really lies. Elsewhere than on Linux there is no box, and its path is as good. */
function realPathOf(fd: number, path: string): string {
  return process.platform === "linux" ? readlinkSync(`/proc/self/fd/${fd}`) : realpathSync(path);
}

function isWithin(root: string, path: string, isItself = false): boolean {
  return path.startsWith(`${root}${sep}`) || (isItself && path === root);
}
