// [P6] Where the CLI keeps a session: `<session>.jsonl`, with a folder `<session>/` beside it for its subagents. It lies in
// `$CLAUDE_CONFIG_DIR/projects/<folder>/`, or where Sluice brought it back from a snapshot. The file decides how a session is brought back, since a
// process that was killed early has left none.
import { isUtf8 } from "node:buffer";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import { gunzip, gzip } from "node:zlib";
import { z } from "zod";

export interface SessionPlaces {
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Where Sluice brings sessions back to: a folder a session. */
  readonly restored?: string | undefined;
}

/** The newest file of the session, or undefined where there is none. */
export function findSessionFile(places: SessionPlaces, session: string): string | undefined {
  let newest: { path: string; mtimeMs: number } | undefined;
  for (const path of candidates(places, session)) {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat && stat.size > 0 && stat.mtimeMs >= (newest?.mtimeMs ?? 0)) newest = { path, mtimeMs: stat.mtimeMs };
  }
  return newest?.path;
}

/** What the CLI keeps of a session beside its file, in folders that are named after it: what its tools' shells set, copies of edited files. */
const sideFolders = ["session-env", "file-history"];

/** Removes all files of the session. Returns how many places held its own file. */
export function removeSessionFiles(places: SessionPlaces, session: string): number {
  const all = candidates(places, session);
  for (const path of all) rmSync(asidePath(path), { force: true });
  const found = all.filter((path) => statSync(path, { throwIfNoEntry: false }));
  for (const path of found) {
    rmSync(path, { force: true });
    rmSync(path.replace(/\.jsonl$/, ""), { recursive: true, force: true });
  }
  const others = sideFolders.map((name) => join(configFolder(places), name, session));
  if (places.restored !== undefined) others.push(join(places.restored, session));
  for (const path of others) rmSync(path, { recursive: true, force: true });
  return found.length;
}

/** Files that the CLI cannot read keep it from using the session's id: they get other names, and stay for whoever may mend them. */
export function setSessionFilesAside(places: SessionPlaces, session: string): void {
  for (const path of candidates(places, session))
    if (statSync(path, { throwIfNoEntry: false })) renameSync(path, asidePath(path));
}

function asidePath(path: string): string {
  return `${path}.damaged`;
}

function configFolder({ environment }: SessionPlaces): string {
  return environment["CLAUDE_CONFIG_DIR"] ?? join(environment["HOME"] ?? homedir(), ".claude");
}

function candidates(places: SessionPlaces, session: string): string[] {
  const { restored } = places;
  const projects = join(configFolder(places), "projects");
  const paths = foldersIn(projects).map((project) => join(projects, project, `${session}.jsonl`));
  return restored === undefined ? paths : [...paths, join(restored, session, `${session}.jsonl`)];
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

/**
 * Packs a session's file and folder; undefined while the file does not hold the answer `answerUuid`. The CLI may be writing: what is behind
 * the last whole line is left out.
 */
async function packSession(file: string, answerUuid: string): Promise<Uint8Array | undefined> {
  const text = await readFile(file, "utf8");
  if (!text.includes(`"${answerUuid}"`)) return undefined;
  const files: Record<string, string> = { "": text.slice(0, text.lastIndexOf("\n") + 1) };
  const binary: Record<string, string> = {};
  const folder = file.replace(/\.jsonl$/, "");
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  for (const entry of names) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    if (isUtf8(bytes)) files[relative(folder, path)] = bytes.toString("utf8");
    else binary[relative(folder, path)] = bytes.toString("base64");
  }
  return promisify(gzip)(JSON.stringify({ version: 1, files, binary } satisfies z.infer<typeof pack>));
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
    const file = findSessionFile(places, session);
    const packed = file === undefined ? undefined : await packSession(file, answerUuid);
    if (packed) return packed;
    await wait(packAttemptMs);
  }
  return undefined;
}

/** Writes a packed session to `<folder>/<origin>.jsonl`; resolves with that path. */
export async function unpackSession(packed: Uint8Array, folder: string, origin: string): Promise<string> {
  const { files, binary } = pack.parse(JSON.parse((await promisify(gunzip)(packed)).toString("utf8")));
  const file = join(folder, `${origin}.jsonl`);
  const contents = [
    ...Object.entries(files),
    ...Object.entries(binary).map(([name, data]) => [name, Buffer.from(data, "base64")] as const),
  ];
  for (const [name, content] of contents) {
    const path = name === "" ? file : join(folder, origin, name);
    if (relative(folder, path).startsWith("..")) throw new Error("a packed session has a file outside its folder");
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(path, content, { mode: 0o600 });
  }
  return file;
}
