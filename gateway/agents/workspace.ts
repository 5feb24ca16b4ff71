// The folder that an agent's processes work in.
import { StartFailure } from "../claude/launch.ts";
import { failure } from "../claude/outcome.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { GatewayError, SetupError } from "../protocol/errors.ts";
import type { Worktrees } from "./worktrees.ts";

export interface Workspaces {
  readonly worktrees: Pick<Worktrees, "ensure">;
  /** Of agents that name none. */
  readonly shared: string;
}

/** Rejects with a `StartFailure` where the agent's worktree cannot be made. */
export async function workspaceOf(agent: AgentConfig, { worktrees, shared }: Workspaces): Promise<string> {
  const { name, workspace, worktree } = agent;
  if (!worktree || workspace === undefined) return workspace ?? shared;
  try {
    return await worktrees.ensure({ name, workspace });
  } catch (cause) {
    const isExplained = cause instanceof GatewayError || cause instanceof SetupError;
    throw new StartFailure(failure("spawn_failed", isExplained ? cause.message : undefined), { cause });
  }
}
