// What an agent has changed in its worktree, as `GET /api/agents/{name}/changes` shows it, and what stands in the way of a removal.

export interface Commit {
  readonly commit: string;
  readonly at: string;
  readonly subject: string;
}

export interface ChangedFile {
  /** A folder with a git repository of its own ends with a slash. */
  readonly path: string;
  readonly status: "added" | "modified" | "deleted" | "renamed" | "type_changed" | "conflicted" | "untracked";
  /** Of a renamed one. */
  readonly from?: string;
}

export interface AgentChanges {
  readonly branch: string;
  /** The branch point: all of this is against that commit. Null while there is no worktree yet. */
  readonly base: string | null;
  readonly head: string | null;
  /** The newest first. */
  readonly commits: readonly Commit[];
  readonly commits_truncated: boolean;
  /** Committed or not. */
  readonly files: readonly ChangedFile[];
  readonly files_truncated: boolean;
  /** As `git diff` writes it, untracked files too; cut behind a line where `diff_truncated`. */
  readonly diff: string;
  readonly diff_truncated: boolean;
}

/** At most 100 of each kind are named; `counts` has all. */
export interface UnsavedWork {
  readonly uncommitted: readonly string[];
  readonly untracked: readonly string[];
  /** On no other branch or tag. */
  readonly commits: readonly Commit[];
  readonly counts: { readonly uncommitted: number; readonly untracked: number; readonly commits: number };
}

/** An agent's worktree as `GET /api/agents/{name}` shows it. */
export interface WorktreeStatus {
  readonly branch: string;
  /** `none`: it is made when the agent first works. `broken`: its folder or the repository's part of it is missing. */
  readonly state: "none" | "whole" | "broken";
  /** The commit that the branch began at. */
  readonly base: string | null;
}
