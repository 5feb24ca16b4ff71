// [P8] The data folder: made where absent, private, and locked for as long as the gateway lives. The lock is the operating
// system's, held through SQLite on a file of its own, so that a killed gateway never leaves a stale one; `lock.json` beside it says who.
import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { z } from "zod";
import { SetupError } from "./protocol/errors.ts";

/** Who holds a data folder. `address` is there once the gateway listens. */
const holder = z.object({ pid: z.int(), address: z.string().optional() });
export type Holder = z.infer<typeof holder>;

export interface DataFolder {
  readonly path: string;
  /** Private folders of live processes. */
  readonly run: string;
  /** The folders of sessions: what the CLI keeps of them, a home, a workspace. */
  readonly sessions: string;
  /** Copies of the CLI that boxes run. */
  readonly cli: string;
  /** A login on disk that boxes may have. */
  readonly login: string;
  /** Git worktrees of agents. */
  readonly worktrees: string;
  /** Tells others where this gateway listens. */
  announce(address: string): void;
  release(): void;
}

/** Opens and locks the folder. Throws a `SetupError`: not writable, not this user's alone, or held by another gateway. */
export function openDataFolder(folder: string): DataFolder {
  const path = resolve(folder);
  try {
    makeFolder(path);
    accessSync(path, constants.W_OK);
  } catch {
    throw notWritable(path, "written");
  }
  checkIsOurs(path);
  try {
    for (const part of ["run", "sessions"]) makeFolder(join(path, part));
  } catch {
    throw notWritable(path, "written");
  }
  const lock = takeLock(path);
  const say = (who: Holder) => writeFileSync(holderFile(path), JSON.stringify(who), { mode: 0o600 });
  say({ pid: process.pid });
  return {
    path,
    run: join(path, "run"),
    sessions: join(path, "sessions"),
    cli: join(path, "cli"),
    login: join(path, "login"),
    worktrees: join(path, "worktrees"),
    announce: (address) => say({ pid: process.pid, address }),
    release() {
      rmSync(holderFile(path), { force: true });
      lock.close();
    },
  };
}

/** Makes the folder alone, for those that need no lock. Throws a `SetupError`. */
export function makeDataFolder(folder: string): void {
  try {
    makeFolder(resolve(folder));
  } catch {
    throw notWritable(resolve(folder), "made");
  }
  checkIsOurs(resolve(folder));
}

/** What a gateway reads or writes in its folder by name. What sessions write, and `login`, are of other users. */
const ownEntries =
  /^(key|device\.json|signing\.json(\.new)?|lock\.json|(lock|sluice)\.sqlite(-\w+)?|run|sessions|cli|worktrees|boxed)$/;

/**
 * [A1] Somebody else who may write there could have planted a key that they know, a database, or links that lead our writing elsewhere. Throws
 * a `SetupError`. What is there must be this user's or root's, and no link; a folder that was made by somebody else stays theirs.
 */
function checkIsOurs(path: string): void {
  const uid = process.getuid?.();
  const isForeign = (owner: number) => uid !== undefined && owner !== uid && owner !== 0;
  const folder = statSync(path);
  if (isForeign(folder.uid))
    throw notOurs(`The data folder ${path} belongs to another user (uid ${folder.uid}).`, `Run chown ${uid} ${path}`);
  if ((folder.mode & 0o022) !== 0)
    throw notOurs(`Others than its owner can write to the data folder ${path}.`, `Run chmod go-w ${path}`);
  for (const name of readdirSync(path).filter((one) => ownEntries.test(one))) {
    const entry = join(path, name);
    const found = lstatSync(entry);
    if (found.isSymbolicLink()) throw notOurs(`${entry} is a link.`, "Put there what it leads to");
    if (isForeign(found.uid))
      throw notOurs(`${entry} belongs to another user (uid ${found.uid}).`, "Find out who made it");
  }
}

function notOurs(what: string, advice: string): SetupError {
  return new SetupError("data_not_private", what, `${advice}, or set SLUICE_DATA to another folder.`);
}

/** One by one: Node's own recursive way never returns where a parent is there and takes no folder, as /proc does. */
function makeFolder(path: string): void {
  const isThere = () => statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isThere()) return;
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another one may have made it just now.
    if (!isThere()) throw error;
  }
}

function notWritable(path: string, what: string): SetupError {
  return new SetupError(
    "data_not_writable",
    `The data folder ${path} cannot be ${what}.`,
    "Mend its owner and mode, or set SLUICE_DATA to another folder.",
  );
}

/**
 * Who holds the folder, as far as it says so; undefined if nobody does. A note that a killed gateway left counts for nothing: whoever listens
 * at its address now would be shown a key.
 */
export function readHolder(folder: string): Holder | undefined {
  const path = resolve(folder);
  const noted = readNote(path);
  return noted && isLocked(path) ? noted : undefined;
}

function readNote(path: string): Holder | undefined {
  try {
    return holder.parse(JSON.parse(readFileSync(holderFile(path), "utf8")));
  } catch {
    // No such file, or one that is just being written: the same to whoever asks.
    return undefined;
  }
}

function isLocked(path: string): boolean {
  try {
    takeLock(path).close();
    return false;
  } catch {
    // Held; or not to be told, which is for whoever opens the folder to complain about.
    return true;
  }
}

function takeLock(path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    const file = join(path, "lock.sqlite");
    // SQLite would make it for everybody to read. One that is there is not opened: closing it would take a lock of this process on it away (POSIX).
    if (existsSync(file)) chmodSync(file, 0o600);
    else closeSync(openSync(file, constants.O_CREAT | constants.O_WRONLY | constants.O_NOFOLLOW, 0o600));
    database = new DatabaseSync(file);
    database.exec("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database?.close();
    if (!(error instanceof Error) || !/locked/.test(error.message)) throw notWritable(path, "locked");
    const pid = readNote(path)?.pid;
    const who = pid === undefined ? "another gateway" : `another gateway (pid ${pid})`;
    throw new SetupError(
      "data_locked",
      `The data folder ${path} is in use by ${who}.`,
      "End that one first, or set SLUICE_DATA to another folder.",
    );
  }
}

function holderFile(path: string): string {
  return join(path, "lock.json");
}
