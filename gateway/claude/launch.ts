// The start of a session's process: its workspace checked, its private folder made, its command built, the child started.
import { statSync } from "node:fs";
import type { AgentConfig } from "../protocol/agents.ts";
import { buildCommand, type SessionOrigin, type Supervision } from "./command.ts";
import type { Line } from "./lines.ts";
import { failure, type Failure } from "./outcome.ts";
import { startProcess, type ClaudeProcess } from "./process.ts";
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
  const { agent, binary, session, workspace, environment, maxLineBytes } = options;
  checkWorkspace(workspace);
  let folder: PrivateFolder | undefined;
  try {
    folder = await makePrivateFolder(options.runFolder);
    const command = buildCommand({
      agent,
      session,
      origin: options.origin ?? originByFile(options),
      workspace,
      privateFolder: folder.path,
      environment,
      supervision: options.supervision,
      marker: folder.marker,
    });
    return startProcess({ binary, command, folder, onLines, ...(maxLineBytes === undefined ? {} : { maxLineBytes }) });
  } catch (cause) {
    folder?.remove();
    throw new StartFailure(failure("spawn_failed"), { cause });
  }
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
