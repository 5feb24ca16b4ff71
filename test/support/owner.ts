// Sessions of a gateway that is root run as another user, whom their workspaces must belong to.
import { lchownSync, mkdtempSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Scene } from "./real-cli.ts";

/** The user of sessions where nothing else is said. */
export const sessionUid = process.getuid?.() === 0 ? 65_534 : (process.getuid?.() ?? 0);

/** Gives a folder and all that is in it to the user that sessions run as. */
export function giveToSessions(folder: string): void {
  if (process.getuid?.() !== 0) return;
  lchownSync(folder, sessionUid, sessionUid);
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" }))
    lchownSync(join(folder, name), sessionUid, sessionUid);
}

/** A new folder that sessions can work in. */
export function newWorkspace(scene: Pick<Scene, "folder">, name: string): string {
  const folder = mkdtempSync(join(scene.folder, `${name}-`));
  giveToSessions(folder);
  return folder;
}
