// Files that a gateway as root makes for the ordinary user that a session runs as.
import { lchownSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

/** Gives a folder, and all that is in it, to the owner. Follows no link. Only while nothing runs that could change it meanwhile. */
export function giveAll(folder: string, owner: FileOwner): void {
  give(folder, owner);
  // Listed, a link would be followed.
  if (!lstatSync(folder).isDirectory()) return;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) giveAll(path, owner);
    else give(path, owner);
  }
}

export function give(path: string, { uid, gid }: FileOwner): void {
  if (lstatSync(path).uid !== uid) lchownSync(path, uid, gid);
}
