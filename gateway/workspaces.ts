// The folders that the configured agents work in, looked at before anything starts: later each of their turns would only fail.
import { accessSync, constants, statSync } from "node:fs";
import type { AgentConfig } from "./protocol/agents.ts";
import { SetupError } from "./protocol/errors.ts";

/** Throws a `SetupError` that names the first agent whose workspace is missing, no folder, or closed to us. */
export function checkWorkspaces(agents: readonly AgentConfig[]): void {
  for (const { name, workspace } of agents) {
    const wrong = workspace === undefined ? undefined : whatIsWrong(workspace);
    if (wrong === undefined) continue;
    throw new SetupError(
      "workspace_missing",
      `The workspace of the agent "${name}", ${workspace}, ${wrong}.`,
      "Make the folder or mend its mode, or name another one as `workspace` in the configuration file.",
    );
  }
}

function whatIsWrong(workspace: string): string | undefined {
  try {
    if (!statSync(workspace).isDirectory()) return "is no folder";
    accessSync(workspace, constants.R_OK | constants.X_OK);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "ENOENT" ? "does not exist" : "cannot be read";
  }
}
