// [A9] A session's own folder, `<data>/sessions/<session>`: the CLI's configuration folder, a home, and a workspace for agents that name none. It
// belongs to the user that the session runs as; what holds it does not, so nothing in a box can put something else in its place.
import { randomBytes } from "node:crypto";
import { closeSync, constants, lstatSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { z } from "zod";
import { sessionParts, type SessionPart } from "./box/layout.ts";
import { makeWithin } from "./box/contained.ts";
import { give, giveAll, type FileOwner } from "./ownership.ts";

export interface SessionFolder {
  readonly path: string;
  /** Of its parts; each is there. */
  part(name: SessionPart): string;
  /** An empty file or folder in one of its parts, for something to be mounted over; what is there already and is none is removed. */
  makeMountpoint(part: SessionPart, name: string, kind: "file" | "folder"): void;
}

/** Which installation the CLI takes itself for, in requests to its API. One for all sessions of a gateway. */
const device = z.object({ machineID: z.string(), userID: z.string() });

export type Device = z.infer<typeof device>;

/**
 * The ids that the operator's own CLI has; or, if it has none, those that this data folder was given before, or new ones, which are noted there.
 */
export function deviceOf(dataFolder: string, configFile: string): Device {
  const own = join(dataFolder, "device.json");
  const known = readDevice(configFile) ?? readDevice(own);
  if (known) return known;
  const made = { machineID: randomBytes(32).toString("hex"), userID: randomBytes(32).toString("hex") };
  writeFileSync(own, JSON.stringify(made), { mode: 0o600 });
  return made;
}

function readDevice(file: string): Device | undefined {
  try {
    return device.parse(JSON.parse(readFileSync(file, "utf8")));
  } catch {
    // No such file, or one of a CLI that has not been started yet.
    return undefined;
  }
}

/** Makes what is missing of it. Only while no process of the session runs. `owner`: if it is not to be the gateway's own user. */
export function openSessionFolder(path: string, device: Device, owner: FileOwner | undefined): SessionFolder {
  const own = (made: string) => owner && give(made, owner);
  const part = (name: SessionPart) => join(path, name);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  for (const name of sessionParts) makeWithin(path, part(name), own);
  writeNew(join(part("claude"), ".claude.json"), JSON.stringify(device), own);
  // What the gateway has brought into it; or all of it, if it was another user's.
  if (owner) for (const name of sessionParts) giveAll(part(name), owner);
  return {
    path,
    part,
    makeMountpoint(name, inside, kind) {
      const at = join(part(name), inside);
      if (kind === "folder") return makeWithin(part(name), at, own);
      // Before it is looked at: a link on the way would lead bubblewrap, which follows it, out of the box.
      makeWithin(part(name), dirname(at), own);
      if (lstatSync(at, { throwIfNoEntry: false })?.isFile()) return;
      rmSync(at, { recursive: true, force: true });
      writeNew(at, "", own);
    },
  };
}

/** Never through a link, and never over something. */
function writeNew(path: string, content: string, own: (made: string) => void): void {
  let fd: number;
  try {
    fd = openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW, 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return;
    throw error;
  }
  try {
    writeFileSync(fd, content);
  } finally {
    closeSync(fd);
  }
  own(path);
}
