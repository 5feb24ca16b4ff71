// [P6] Where the CLI keeps a session: `<session>.jsonl`, with a folder `<session>/` beside it for its subagents. It lies in the session's own
// folder, `<data>/sessions/<session>/claude/projects/<any>/`; that of a session which another version or an unboxed process made, in the operator's
// `$CLAUDE_CONFIG_DIR/projects/<any>/`. The file decides how a session is brought back, since a process that was killed early has left none.
import { isUtf8 } from "node:buffer";
import { cpSync, existsSync, lstatSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";
import { makeWithin, namesWithin, openWithin, statWithin } from "./box/contained.ts";
import { removeFolder } from "./run-folder.ts";

export interface SessionPlaces {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** `<data>/sessions`: a folder a session. */
  readonly sessions?: string | undefined;
}

/** The same, with folders for sessions. */
export interface OwnPlaces extends SessionPlaces {
  readonly sessions: string;
}

/** A session's file, and the folder that it is read within: no link leads out of it. */
interface Candidate {
  readonly root: string;
  readonly path: string;
}

/** The newest file of the session, or undefined if there is none. */
export function findSessionFile(places: SessionPlaces, session: string): string | undefined {
  return newestOf(places, session)?.path;
}

function newestOf(places: SessionPlaces, session: string): Candidate | undefined {
  let newest: (Candidate & { mtimeMs: number }) | undefined;
  for (const candidate of candidates(places, session)) {
    const stat = statWithin(candidate.root, candidate.path);
    if (stat && stat.size > 0 && stat.mtimeMs >= (newest?.mtimeMs ?? 0))
      newest = { ...candidate, mtimeMs: stat.mtimeMs };
  }
  return newest;
}

/** Where files go that Sluice brings into a session's own folder. */
const broughtIn = join("claude", "projects", "sluice");

/**
 * The session's file in its own folder, to which it is moved if it lies elsewhere: no box reaches the operator's. Undefined if there is none. Only
 * while no process of the session runs.
 */
export function adoptSessionFile(places: OwnPlaces, session: string): string | undefined {
  const own = join(places.sessions, session);
  const found = newestOf(places, session);
  if (!found || found.path.startsWith(join(own, "claude", "projects"))) return found?.path;
  mkdirSync(own, { recursive: true, mode: 0o700 });
  makeWithin(own, join(own, broughtIn));
  const path = join(own, broughtIn, `${session}.jsonl`);
  // Its folder first: once its file is there, all of it is.
  move(sideFolder(found.path), sideFolder(path));
  move(found.path, path);
  return path;
}

function move(from: string, to: string): void {
  if (!existsSync(from)) return;
  rmSync(to, { recursive: true, force: true });
  try {
    renameSync(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    cpSync(from, `${to}.part`, { recursive: true, preserveTimestamps: true });
    renameSync(`${to}.part`, to);
    rmSync(from, { recursive: true, force: true });
  }
}

function sideFolder(file: string): string {
  return file.replace(/\.jsonl$/, "");
}

/** What the CLI keeps of a session beside its file, in folders that are named after it: what its tools' shells set, copies of edited files. */
const sideFolders = ["session-env", "file-history"];

/** Removes all files of the session, its own folder included. Returns how many places held its file. Only while no process of it runs. */
export function removeSessionFiles(places: SessionPlaces, session: string): number {
  const { sessions } = places;
  const all = candidates(places, session);
  const found = all.filter(({ path }) => lstatSync(path, { throwIfNoEntry: false }));
  for (const { root, path } of all) {
    // Its own folder goes as a whole.
    if (sessions !== undefined && root === join(sessions, session)) continue;
    rmSync(asidePath(path), { force: true });
    rmSync(path, { force: true });
    rmSync(sideFolder(path), { recursive: true, force: true });
  }
  for (const name of sideFolders) rmSync(join(configFolder(places), name, session), { recursive: true, force: true });
  if (sessions !== undefined) removeFolder(join(sessions, session));
  return found.length;
}

/** Files that the CLI cannot read keep it from using the session's id: they get other names, and stay for whoever may mend them. */
export function setSessionFilesAside(places: SessionPlaces, session: string): void {
  for (const { root, path } of candidates(places, session))
    if (statWithin(root, path)) renameSync(path, asidePath(path));
}

function asidePath(path: string): string {
  return `${path}.damaged`;
}

/** The operator's configuration folder of the CLI. */
export function configFolder({ environment }: Pick<SessionPlaces, "environment">): string {
  return environment["CLAUDE_CONFIG_DIR"] ?? join(environment["HOME"] ?? homedir(), ".claude");
}

function candidates(places: SessionPlaces, session: string): Candidate[] {
  const { sessions } = places;
  const name = `${session}.jsonl`;
  const projects = join(configFolder(places), "projects");
  const shared = foldersIn(projects).map((project) => ({ root: projects, path: join(projects, project, name) }));
  if (sessions === undefined) return shared;
  const root = join(sessions, session);
  const own = join(root, "claude", "projects");
  return [
    ...shared,
    // Where versions before boxes brought sessions back to.
    { root, path: join(root, name) },
    ...namesWithin(root, own).folders.map((project) => ({ root, path: join(own, project, name) })),
  ];
}

function foldersIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    // The CLI has not been used with this folder yet.
    return [];
  }
}

/** Files of a session by their path beside its `.jsonl`, whose own path is empty; those that are no text in base64. */
const pack = z.object({
  version: z.literal(1),
  files: z.record(z.string(), z.string()),
  binary: z.record(z.string(), z.base64()).default({}),
});

/** What is packed may have this many bytes in all: what a session's tools write beside its file is packed too. */
const maxPackedBytes = 256 * 1024 * 1024;
const maxPackedFiles = 10_000;

/**
 * Packs a session's file and folder; undefined while the file does not hold the answer `answerUuid`. The CLI may be writing: what follows
 * the last whole line is left out. Rejects if it is too large.
 */
async function packSession({ root, path }: Candidate, answerUuid: string): Promise<Uint8Array | undefined> {
  let room = maxPackedBytes;
  const read = async (name: string): Promise<Buffer | undefined> => {
    const handle = await openWithin(root, name);
    if (!handle) return undefined;
    try {
      room -= (await handle.stat()).size;
      if (room < 0) throw new Error(`the session's files have more than ${maxPackedBytes} bytes`);
      return await readWhole(handle);
    } finally {
      await handle.close();
    }
  };
  const text = (await read(path))?.toString("utf8");
  if (!text?.includes(`"${answerUuid}"`)) return undefined;
  const files: Record<string, string> = { "": text.slice(0, text.lastIndexOf("\n") + 1) };
  const binary: Record<string, string> = {};
  const folder = sideFolder(path);
  let count = 0;
  for (const name of filesBelow(root, folder)) {
    if (count++ === maxPackedFiles) break;
    const bytes = await read(name);
    if (!bytes) continue;
    if (isUtf8(bytes)) files[relative(folder, name)] = bytes.toString("utf8");
    else binary[relative(folder, name)] = bytes.toString("base64");
  }
  return promisify(gzip)(JSON.stringify({ version: 1, files, binary } satisfies z.infer<typeof pack>));
}

/** No more than it had when it was opened: it may be growing without an end. */
async function readWhole(handle: FileHandle): Promise<Buffer> {
  const { size } = await handle.stat();
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(size), 0, size, 0);
  return buffer.subarray(0, bytesRead);
}

/** One after the other: there may be more of them than anybody should list. */
function* filesBelow(root: string, folder: string): Generator<string> {
  const { folders, files } = namesWithin(root, folder);
  yield* files.map((name) => join(folder, name));
  for (const name of folders) yield* filesBelow(root, join(folder, name));
}

const packAttempts = 40;
const packAttemptMs = 50;

/**
 * Packs the session's files as soon as they hold the answer: the CLI writes it a little after it reports the turn's end. Undefined where it
 * does not come.
 */
export async function packAnswered(
  places: SessionPlaces,
  session: string,
  answerUuid: string,
): Promise<Uint8Array | undefined> {
  for (let attempt = 0; attempt < packAttempts; attempt++) {
    const file = newestOf(places, session);
    const packed = file && (await packSession(file, answerUuid));
    if (packed) return packed;
    await wait(packAttemptMs);
  }
  return undefined;
}

/** Writes a packed session into the session's own folder; resolves with the path of its file. Only while no process of it runs. */
export async function unpackSession(packed: Uint8Array, sessionFolder: string, origin: string): Promise<string> {
  const { files, binary } = pack.parse(JSON.parse((await promisify(gunzip)(packed)).toString("utf8")));
  const folder = join(sessionFolder, broughtIn);
  const file = join(folder, `${origin}.jsonl`);
  const contents = [
    ...Object.entries(files),
    ...Object.entries(binary).map(([name, data]) => [name, Buffer.from(data, "base64")] as const),
  ];
  mkdirSync(sessionFolder, { recursive: true, mode: 0o700 });
  for (const [name, content] of contents) {
    const path = name === "" ? file : join(folder, origin, name);
    if (relative(folder, path).startsWith("..")) throw new Error("a packed session has a file outside its folder");
    makeWithin(sessionFolder, dirname(path));
    rmSync(path, { recursive: true, force: true });
    writeFileSync(path, content, { mode: 0o600, flag: "wx" });
  }
  return file;
}
