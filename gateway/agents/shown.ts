// Whether a box shows a file of the host, by its mounts: the way of the path is gone as the box would go it. Reads links, and what is there; nothing else.
import { lstatSync, readlinkSync } from "node:fs";
import { join, sep } from "node:path";
import type { Mount } from "../claude/box/mounts.ts";
import { isWithin } from "./within.ts";

const nothing = "/dev/null";

/** As many as the kernel follows (path_resolution(7)). */
const maxLinks = 40;

/** The mounts in the order in which they are given to a box: of two at one place the later one counts. */
export function isShown(path: string, mounts: readonly Mount[]): boolean {
  let done: string = sep;
  const rest = partsOf(path);
  for (let links = 0; rest.length > 0;) {
    const next = join(done, rest.shift()!);
    const target = linkAt(next, mounts);
    if (target === undefined) {
      if (!isThere(next, mounts)) return false;
      done = next;
    } else {
      if (++links > maxLinks) return false;
      if (target.startsWith(sep)) done = sep;
      rest.unshift(...partsOf(target));
    }
  }
  return true;
}

/** Of a link in the box: where it leads. */
function linkAt(path: string, mounts: readonly Mount[]): string | undefined {
  const mount = mountOf(path, mounts);
  if (mount?.kind === "link") return mount.to === path ? mount.target : undefined;
  const onHost = mount && hostPath(path, mount);
  // What is mounted itself is what it leads to.
  if (onHost === undefined || path === mount!.to) return undefined;
  return lstatSync(onHost, { throwIfNoEntry: false })?.isSymbolicLink() ? readlinkSync(onHost) : undefined;
}

function isThere(path: string, mounts: readonly Mount[]): boolean {
  // What a mount lies in is made for it.
  if (mounts.some(({ to }) => to !== path && isWithin(path, to))) return true;
  const mount = mountOf(path, mounts);
  const onHost = mount && hostPath(path, mount);
  return onHost !== undefined && lstatSync(onHost, { throwIfNoEntry: false }) !== undefined;
}

/** The innermost that holds the path. */
function mountOf(path: string, mounts: readonly Mount[]): Mount | undefined {
  let found: Mount | undefined;
  for (const mount of mounts) if (isWithin(mount.to, path) && mount.to.length >= (found?.to.length ?? 0)) found = mount;
  return found;
}

/** What is in memory is not of the host; nor is the empty file in a secret's place. */
function hostPath(path: string, mount: Mount): string | undefined {
  return "from" in mount && mount.from !== nothing ? join(mount.from, path.slice(mount.to.length)) : undefined;
}

function partsOf(path: string): string[] {
  return path.split(sep).filter((part) => part !== "" && part !== ".");
}
