// [A9] The CLI as a box gets it: a copy that may be run and not read. The kernel closes the memory, the environment and the open files of such a
// process to all others of the same user, so a tool can neither read the CLI's credential nor speak as the CLI or as the gateway to it.
import { createHash } from "node:crypto";
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  copyFileSync,
  createReadStream,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  closeSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  mkdirSync,
} from "node:fs";
import { pipeline } from "node:stream/promises";
import { join } from "node:path";
import { z } from "zod";

export interface BoxedCli {
  /** On the host; a box mounts it. */
  readonly path: string;
  /** False for a script: its interpreter must read it. */
  readonly isUnreadable: boolean;
}

/** What was copied, and what came of it. */
const note = z.object({
  source: z.string(),
  /** Size and time of the source, then of the copy: what differs has been changed. */
  stamps: z.tuple([z.string(), z.string()]),
  sha256: z.string(),
});

/** The copy of this CLI in the folder, made if it is not there: a program of some 380 MB, once a version. Others' are removed. */
export async function copyCli(
  cli: { readonly path: string; readonly version: string },
  folder: string,
): Promise<BoxedCli> {
  const source = realpathSync(cli.path);
  if (isScript(source)) return { path: source, isUnreadable: false };
  const [own, draft] = [join(folder, cli.version), join(folder, `${cli.version}.new`)];
  const path = join(own, "claude");
  if (isCurrent(own, source, path)) return { path, isUnreadable: true };
  for (const old of [own, draft]) rmSync(old, { recursive: true, force: true });
  try {
    await writeCopy(source, draft);
  } catch (error) {
    // What there was no room for must not take what is left.
    rmSync(draft, { recursive: true, force: true });
    throw error;
  }
  renameSync(draft, own);
  removeOthers(folder, cli.version);
  return { path, isUnreadable: true };
}

async function writeCopy(source: string, draft: string): Promise<void> {
  mkdirSync(draft, { recursive: true, mode: 0o755 });
  const copy = join(draft, "claude");
  copyFileSync(source, copy, constants.COPYFILE_FICLONE);
  const [sha256, copied] = await Promise.all([hashOf(source), hashOf(copy)]);
  if (sha256 !== copied) throw new Error("the copy of the CLI differs from it: it was changed meanwhile");
  // Of root's copy all may run it, of another user's that user.
  if (process.getuid?.() === 0) chownSync(copy, 0, 0);
  chmodSync(copy, process.getuid?.() === 0 ? 0o711 : 0o111);
  const stamps: [string, string] = [stampOf(source), stampOf(copy)];
  writeFileSync(join(draft, "note.json"), JSON.stringify({ source, stamps, sha256 }), { mode: 0o600 });
  if (!isExecutable(copy)) throw new Error("no program can be run there: its file system is mounted noexec");
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    // The operating system's "no" is the answer.
    return false;
  }
}

function isCurrent(own: string, source: string, path: string): boolean {
  try {
    const noted = note.parse(JSON.parse(readFileSync(join(own, "note.json"), "utf8")));
    return noted.source === source && noted.stamps[0] === stampOf(source) && noted.stamps[1] === stampOf(path);
  } catch {
    // Not made yet, or not to the end.
    return false;
  }
}

function stampOf(file: string): string {
  const { size, mtimeMs, mode, uid } = statSync(file);
  return [size, mtimeMs, mode, uid].join(" ");
}

/** Processes that run one go on: what is removed is its name. */
function removeOthers(folder: string, version: string): void {
  for (const name of readdirSync(folder))
    if (name !== version) rmSync(join(folder, name), { recursive: true, force: true });
}

export function isScript(file: string): boolean {
  const fd = openSync(file, "r");
  try {
    const start = Buffer.alloc(2);
    readSync(fd, start, 0, 2, 0);
    return start.toString("latin1") === "#!";
  } finally {
    closeSync(fd);
  }
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest("hex");
}
