// The folder that an agent's processes work in.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { StartFailure } from "../claude/launch.ts";
import { failure } from "../claude/outcome.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { GatewayError, SetupError } from "../protocol/errors.ts";
import type { Worktrees } from "./worktrees.ts";

export interface Workplace {
  readonly folder: string;
  /** It is the session's own: in its box it is seen elsewhere. */
  readonly isOwn: boolean;
  /** Of a worktree: the repository's git folder, and what is the worktree's own in there. */
  readonly git?: { readonly common: string; readonly entry: string } | undefined;
}

export interface Workspaces {
  readonly worktrees: Pick<Worktrees, "ensure" | "gitOf">;
  /** `<data>/sessions` */
  readonly sessions: string;
}

/** Rejects with a `StartFailure` where the agent's worktree cannot be made. */
export async function workplaceOf(
  agent: AgentConfig,
  session: string,
  { worktrees, sessions }: Workspaces,
): Promise<Workplace> {
  const { name, workspace, worktree } = agent;
  if (workspace === undefined) {
    const folder = join(sessions, session, "workspace");
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    return { folder, isOwn: true };
  }
  if (!worktree) return { folder: workspace, isOwn: false };
  try {
    const folder = await worktrees.ensure({ name, workspace });
    return { folder, isOwn: false, git: worktrees.gitOf(name) };
  } catch (cause) {
    const isExplained = cause instanceof GatewayError || cause instanceof SetupError;
    throw new StartFailure(failure("spawn_failed", isExplained ? cause.message : undefined), { cause });
  }
}
