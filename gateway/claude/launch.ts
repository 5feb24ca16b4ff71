// The start of a session's process: its workspace checked, its private folder made, its command built, the child started.
import { statSync } from "node:fs";
import type { AgentConfig } from "../protocol/agents.ts";
import type { ProcessBox } from "./box/session-box.ts";
import { buildCommand, type SessionOrigin, type Supervision } from "./command.ts";
import { bareEntry, type Entry } from "./entry.ts";
import type { Line } from "./lines.ts";
import { failure, type Failure } from "./outcome.ts";
import { startProcess, type ClaudeProcess } from "./process.ts";
import type { FileOwner } from "./ownership.ts";
import { makePrivateFolder, type PrivateFolder } from "./run-folder.ts";
import { findSessionFile } from "./session-file.ts";

/** What the start of a process needs. */
export interface LaunchOptions {
  readonly binary: string;
  readonly agent: AgentConfig;
  readonly session: string;
  /** By default its file decides, where the CLI keeps it. */
  readonly origin?: SessionOrigin;
  /** The agent's folder. */
  readonly workspace: string;
  /** `<data>/run`. */
  readonly runFolder: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** For an agent that supervises others. */
  readonly supervision?: Supervision | undefined;
  readonly maxLineBytes?: number;
  /** The box that the process is to be in; without one it runs as any program of the gateway's user. */
  readonly box?: BoxOpener | undefined;
  /** Rules that stand in for one. */
  readonly denied?: readonly string[] | undefined;
}

export interface BoxOpener {
  /** Whom the process's files are for, if not the gateway's own user. */
  readonly owner: FileOwner | undefined;
  /** Makes the session's folder ready. Rejects with a `StartFailure` if the box cannot have what it is to have. */
  open(): Promise<ProcessBox>;
}

/** Why a process did not come up. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
  readonly failure: Failure;

  constructor(failure: Failure, options?: ErrorOptions) {
    super(failure.message, options);
    this.failure = failure;
  }
}

/** Rejects with a `StartFailure` where the operating system refuses, or the workspace is no folder. */
export async function launch(options: LaunchOptions, onLines: (lines: Line[]) => void): Promise<ClaudeProcess> {
  const { maxLineBytes } = options;
  checkWorkspace(options.workspace);
  let folder: PrivateFolder | undefined;
  try {
    folder = await makePrivateFolder(options.runFolder, options.box?.owner);
    const entry = await entryOf(options, folder);
    return startProcess({ entry, folder, onLines, ...(maxLineBytes === undefined ? {} : { maxLineBytes }) });
  } catch (cause) {
    folder?.remove();
    if (cause instanceof StartFailure) throw cause;
    throw new StartFailure(failure("spawn_failed"), { cause });
  }
}

async function entryOf(options: LaunchOptions, folder: PrivateFolder): Promise<Entry> {
  const { agent, binary, session, workspace, environment, supervision } = options;
  const box = await options.box?.open();
  const origin = options.origin ?? originByFile(options);
  const command = buildCommand({
    agent,
    session,
    origin: box && origin.kind !== "new" ? { ...origin, file: box.seen(origin.file) } : origin,
    workspace: box?.workspace ?? workspace,
    privateFolder: box?.files ?? folder.files,
    temporaryFolder: box?.temporary ?? folder.path,
    environment: box?.environment ?? environment,
    extraEnvironment: box?.extraEnvironment ?? {},
    denied: box ? undefined : options.denied,
    supervision,
    marker: folder.marker,
  });
  folder.write(command.files);
  return box ? box.enter(command, folder) : bareEntry(binary, command, folder);
}

function checkWorkspace(workspace: string): void {
  const isFolder = statSync(workspace, { throwIfNoEntry: false })?.isDirectory() ?? false;
  if (isFolder) return;
  const cause = new Error(`${workspace} is missing or not a folder`);
  throw new StartFailure(failure("spawn_failed", "The agent's workspace is missing or not a folder."), { cause });
}

function originByFile({ environment, session }: LaunchOptions): SessionOrigin {
  const file = findSessionFile({ environment }, session);
  return file === undefined ? { kind: "new" } : { kind: "resume", file };
}
