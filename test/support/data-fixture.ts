// The fixtures that earlier versions have left (test/fixtures/data-*): what is expected of them, copies to start a gateway on, and what is left in a copy.
import { chmodSync, cpSync, lstatSync, readdirSync, readFileSync, statSync, type Dirent } from "node:fs";
import { join, relative } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Transcript } from "../../gateway/protocol/transcript.ts";
import { newFolder, type Client, type GatewaySettings } from "./gateway.ts";
import { giveToSessions } from "./owner.ts";
import type { Scene } from "./real-cli.ts";

/** `expected.json`: what is in a fixture, and what the version that made it said of it. */
export interface Expected {
  /** Secrets of the keys that were made by `sluice key`, by name. */
  readonly keys: Record<string, string>;
  /** An image's hash. */
  attachment: string;
  /** Ids by what they are called here. */
  readonly sessions: Record<string, string>;
  /** Of the sessions whose turns have all ended. */
  readonly transcripts: Record<string, Transcript>;
  /** Of the user Ann. */
  usage: unknown;
  /** The turn that ran when the gateway was killed, and what it had said. */
  cut: { turn: string; text: string };
  /** The turn that waited for a person then. */
  waiting: { turn: string; approval: string; text: string };
  /** The turns that had not begun, and what they are to say. */
  readonly queued: { turn: string; text: string }[];
}

export interface FixtureCopy {
  readonly folder: string;
  readonly settings: GatewaySettings & { readonly dataFolder: string };
}

/** The folder that the fixtures' paths are of. */
const madeIn = "/srv/sluice";

/** A copy as it lay on the machine that made it: private, and with the CLI's config folder in a home. */
export function copyFixture(scene: Scene, fixture: string): FixtureCopy {
  const folder = newFolder(scene, "earlier");
  const home = join(folder, "home");
  cpSync(join(fixture, "data"), join(folder, "data"), { recursive: true });
  cpSync(join(fixture, "desk"), join(folder, "desk"), { recursive: true });
  cpSync(join(fixture, "claude"), join(home, ".claude"), { recursive: true });
  // Git keeps no modes but for 0644 and 0755.
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, name);
    chmodSync(path, lstatSync(path).isDirectory() ? 0o700 : 0o600);
  }
  giveToSessions(join(folder, "desk"));
  const text = readFileSync(join(fixture, "sluice.config.json"), "utf8").replaceAll(madeIn, folder);
  const { agents, limits, ...file } = JSON.parse(text) as Pick<GatewaySettings, "agents" | "limits">;
  const settings = { agents, limits, file, dataFolder: join(folder, "data"), environment: { HOME: home } };
  return { folder, settings: settings as FixtureCopy["settings"] };
}

/** A session's whole transcript, without the address of the gateway that tells it. */
export async function readTranscript(gateway: Client, session: string): Promise<Transcript> {
  const reply = await gateway.fetch(`/api/sessions/${session}/transcript?limit=1000`);
  if (!reply.ok) throw new Error(`no transcript: ${await reply.text()}`);
  return JSON.parse((await reply.text()).replaceAll(gateway.address, "")) as Transcript;
}

/** The files of the workspace that agents shared, by their paths in it. */
export function sharedFiles({ settings }: FixtureCopy): Record<string, unknown> {
  const root = join(settings.dataFolder, "workspace");
  const files = filesIn(root).map((path) => [
    relative(root, path),
    { text: readFileSync(path, "utf8"), changedAt: statSync(path).mtimeMs },
  ]);
  return Object.fromEntries(files) as Record<string, unknown>;
}

/** The tables that still have rows of the session. */
export function rowsOf(dataFolder: string, session: string): string[] {
  const database = new DatabaseSync(join(dataFolder, "sluice.sqlite"), { readOnly: true });
  const tables = database
    .prepare(
      `SELECT m.name FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.name = 'session'`,
    )
    .all() as { name: string }[];
  if (tables.length === 0) throw new Error("no table is of sessions any more");
  const found = tables.filter(({ name }) => database.prepare(`SELECT 1 FROM ${name} WHERE session = ?`).get(session));
  database.close();
  return found.map(({ name }) => name);
}

/** What is larger is a program, no conversation. */
const maxBytes = 4 * 1024 * 1024;

/**
 * Files and folders whose path or content has one of the texts. Left out: the database, private folders of processes that are just ending, the
 * agents' own files, and the CLI's counter of its use, which names the newest session and nothing of it.
 */
export function filesWith(folder: string, texts: readonly string[]): string[] {
  const isLeftOut = (path: string) => /^data\/(sluice\.sqlite|run\/|workspace\/)|^desk\/|\/plugins\/store\//.test(path);
  return entriesIn(folder).flatMap((entry) => {
    const path = relative(folder, pathOf(entry));
    if (isLeftOut(path)) return [];
    const content = entry.isFile() ? contentOf(pathOf(entry)) : "";
    return texts.some((text) => path.includes(text) || content.includes(text)) ? [path] : [];
  });
}

function contentOf(file: string): string {
  try {
    return statSync(file).size > maxBytes ? "" : readFileSync(file, "utf8");
  } catch {
    // It has just been removed.
    return "";
  }
}

function filesIn(folder: string): string[] {
  return entriesIn(folder)
    .filter((entry) => entry.isFile())
    .map(pathOf);
}

function entriesIn(folder: string): Dirent[] {
  try {
    const own = readdirSync(folder, { withFileTypes: true });
    return own.flatMap((entry) => [entry, ...(entry.isDirectory() ? entriesIn(pathOf(entry)) : [])]);
  } catch {
    // It has just been removed.
    return [];
  }
}

function pathOf({ parentPath, name }: Dirent): string {
  return join(parentPath, name);
}
