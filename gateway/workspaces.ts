// The folders that the configured agents work in, looked at before anything starts: later each of their turns would only fail.
import { accessSync, constants, statSync } from "node:fs";
import { locateGit } from "./agents/git.ts";
import type { Worktrees } from "./agents/worktrees.ts";
import type { Config } from "./config.ts";
import type { AgentConfig } from "./protocol/agents.ts";
import { GatewayError, SetupError } from "./protocol/errors.ts";

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

/** Throws a `SetupError` where there is no git, or the workspace of an agent that is to have a worktree gets none. */
export async function checkWorktrees({ agents, environment }: Config, worktrees: Worktrees): Promise<void> {
  for (const { name, workspace, worktree } of agents) {
    if (!worktree || workspace === undefined) continue;
    locateGit(environment["PATH"]);
    await worktrees.check({ name, workspace }).catch((error: unknown) => {
      if (!(error instanceof GatewayError)) throw error;
      throw new SetupError(
        "workspace_unfit",
        `The agent "${name}", ${workspace}: ${error.message}`,
        "Make it the top folder of a git repository with a commit, or take `worktree` from the agent.",
      );
    });
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
