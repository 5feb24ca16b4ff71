// [A9] Links that a session may have planted: a path of the configuration that leads through one would open to the next session whatever the first
// one has chosen, such as the operator's keys.
import { lstatSync, readlinkSync } from "node:fs";
import { join, sep } from "node:path";
import { isWithin } from "./within.ts";

/** As many as the kernel follows (path_resolution(7)). */
const maxLinks = 40;

/** The first link on the way of an absolute path that lies in one of these folders, given by their real paths; undefined if there is none. */
export function plantedLink(path: string, written: readonly string[]): string | undefined {
  let done: string = sep;
  const rest = partsOf(path);
  for (let links = 0; rest.length > 0 && links <= maxLinks;) {
    const next = join(done, rest.shift()!);
    if (!lstatSync(next, { throwIfNoEntry: false })?.isSymbolicLink()) {
      done = next;
      continue;
    }
    const holder = done;
    if (written.some((folder) => isWithin(folder, holder))) return next;
    const target = readlinkSync(next);
    if (target.startsWith(sep)) done = sep;
    rest.unshift(...partsOf(target));
    links += 1;
  }
  return undefined;
}

function partsOf(path: string): string[] {
  return path.split(sep).filter((part) => part !== "" && part !== ".");
}
