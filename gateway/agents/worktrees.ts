// The git worktrees of agents: each works on a branch of its own, in a folder of its own in the data folder. One is made at a time in a
// repository. Whatever is killed in between, a worktree is whole or is made again; what somebody has done in one is never thrown away unasked.
import { existsSync, lstatSync, mkdirSync, realpathSync } from "node:fs";
import { basename, dirname, join, resolve } from "node:path";
import type { AgentChanges, UnsavedWork, WorktreeStatus } from "../protocol/changes.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Git } from "./git.ts";
import { createOneAtATime } from "./one-at-a-time.ts";
import { findCommit, findEntry, findRepository, unfit } from "./repository.ts";
import {
  defaultChangeLimits,
  findUnmerged,
  findUnsaved,
  readChanges,
  unsavedWork,
  type ChangeLimits,
  type Worktree,
} from "./worktree-changes.ts";
import { clearWorktree, makeWorktree, restoreWorktree } from "./worktree-making.ts";
import {
  placesOf,
  readRecord,
  recordedAgents,
  writeRecord,
  type Places,
  type WorktreeRecord,
} from "./worktree-record.ts";

/** What of an agent its worktree depends on. */
export interface WorktreeAgent {
  readonly name: string;
  /** The top folder of a git repository. */
  readonly workspace: string;
}

/** A branch that was removed, and the commit that it stood at: with it the work can be brought back for as long as git keeps it. */
export interface RemovedBranch {
  readonly branch: string;
  readonly tip: string | undefined;
}

/** A worktree that no agent uses any more and that is kept all the same, and why. */
export interface KeptWorktree {
  readonly agent: string;
  readonly why: UnsavedWork | Error;
}

export interface Worktrees {
  /** Rejects with a `GatewayError` `conflict` where no worktree could be made for the agent: its workspace is unfit. */
  check(agent: WorktreeAgent): Promise<void>;
  /**
   * The agent's worktree, made if there is none, and made again if only its branch is left. Rejects with a `GatewayError` whose message
   * names no folder; then nothing has been made.
   */
  ensure(agent: WorktreeAgent): Promise<string>;
  /** The git folder of its repository, and the part of that which is the worktree's; undefined where there is none. */
  gitOf(agent: string): { readonly common: string; readonly entry: string } | undefined;
  status(agent: string): WorktreeStatus;
  /** Against the branch point. One at a time for an agent. */
  changes(agent: string): Promise<AgentChanges>;
  /**
   * Removes worktree and branch; resolves with the branch if there was one. Rejects with a `conflict` that lists what would be lost, unless
   * forced. Nothing of the agent may run.
   */
  remove(agent: string, options: { readonly force: boolean }): Promise<RemovedBranch | undefined>;
  /**
   * Finishes what was begun when a gateway was killed, and removes the worktrees that no agent uses, if no work is in them. `workspaceOf`
   * says whose worktree an agent should have now; undefined for none.
   */
  sweep(workspaceOf: (agent: string) => string | undefined): Promise<KeptWorktree[]>;
  close(): void;
}

export interface WorktreesOptions {
  readonly root: string;
  readonly git: Git;
  readonly limits?: ChangeLimits;
}

export function createWorktrees(options: WorktreesOptions): Worktrees {
  const { git, limits = defaultChangeLimits } = options;
  const root = realPath(options.root);
  const alone = createOneAtATime();

  async function ensure({ name, workspace }: WorktreeAgent): Promise<string> {
    const places = placesOf(root, name);
    const repository = await findRepository(git, workspace);
    return alone(name, async () => {
      const record = readRecord(places);
      if (record?.state === "whole" && record.common !== repository.common)
        throw new GatewayError("conflict", "The agent has a worktree of another repository. Remove that one first.", {
          field: "workspace",
        });
      if (record?.state === "whole" && isFolder(places)) {
        if (findEntry(record.common, places.folder) !== undefined) return places.folder;
        throw broken();
      }
      return alone(repository.common, async () => {
        mkdirSync(root, { recursive: true, mode: 0o700 });
        const tip = record && (await tipOf(record));
        const isOurs = record?.state === "whole" || record?.state === "restoring";
        if (record && isOurs && tip !== undefined) await restoreWorktree(git, places, record, tip);
        else {
          if (record) await clearWorktree(git, places, record);
          await makeWorktree(git, places, repository, branchOf(name));
        }
        return places.folder;
      });
    });
  }

  /** The worktree if it is whole; `broken` where its folder stands without the repository's part. */
  function find(agent: string): Worktree | "broken" | undefined {
    const places = placesOf(root, agent);
    const record = readRecord(places);
    if (record?.state !== "whole" || !isFolder(places)) return undefined;
    const entry = findEntry(record.common, places.folder);
    return entry === undefined ? "broken" : { places, record, entry };
  }

  function gitOf(agent: string): { common: string; entry: string } | undefined {
    const found = find(agent);
    return found === undefined || found === "broken" ? undefined : { common: found.record.common, entry: found.entry };
  }

  function status(agent: string): WorktreeStatus {
    const branch = branchOf(agent);
    try {
      const found = find(agent);
      if (found === undefined || found === "broken") return { branch, state: found ?? "none", base: null };
      return { branch, state: "whole", base: found.record.base };
    } catch {
      // What is noted of it cannot be read: whoever uses it is told more.
      return { branch, state: "broken", base: null };
    }
  }

  async function changes(agent: string): Promise<AgentChanges> {
    return alone(`changes of ${agent}`, async () => {
      const found = find(agent);
      if (found === "broken") throw broken();
      if (found) return readChanges(git, found, limits);
      return {
        branch: branchOf(agent),
        base: null,
        head: null,
        commits: [],
        commits_truncated: false,
        files: [],
        files_truncated: false,
        diff: "",
        diff_truncated: false,
      };
    });
  }

  async function remove(agent: string, { force }: { readonly force: boolean }): Promise<RemovedBranch | undefined> {
    const places = placesOf(root, agent);
    return alone(agent, async () => {
      const record = readRecord(places);
      if (!record) return undefined;
      return alone(record.common, () => removeOne(places, record, force));
    });
  }

  async function removeOne(places: Places, record: WorktreeRecord, force: boolean): Promise<RemovedBranch | undefined> {
    const { state, branch } = record;
    if (state === "making" || state === "removing") {
      await clearWorktree(git, places, record);
      return undefined;
    }
    if (!force) await refuseIfUnsaved(places, record);
    const tip = await tipOf(record);
    const removing: WorktreeRecord = { ...record, state: "removing", ...(tip === undefined ? {} : { tip }) };
    writeRecord(places, removing);
    await clearWorktree(git, places, removing);
    return { branch, tip };
  }

  async function refuseIfUnsaved(places: Places, record: WorktreeRecord): Promise<void> {
    const entry = findEntry(record.common, places.folder);
    const isWhole = record.state === "whole" && isFolder(places);
    if (isWhole && entry === undefined) throw broken();
    const work =
      isWhole && entry !== undefined
        ? await findUnsaved(git, { places, record, entry })
        : // Somebody has removed the folder; commits may still be nowhere else.
          unsavedWork({
            uncommitted: [],
            untracked: [],
            commits: await findUnmerged(git, record, await tipsOf(record, entry)),
          });
    if (!work) return;
    throw new GatewayError(
      "conflict",
      `${wordsFor(work)} would be lost with the agent's worktree. Save it, or repeat with force.`,
      {
        work,
      },
    );
  }

  async function tipsOf(record: WorktreeRecord, entry: string | undefined): Promise<(string | undefined)[]> {
    return [await tipOf(record), entry === undefined ? undefined : await findCommit(git, entry, "HEAD")];
  }

  function tipOf({ common, branch }: WorktreeRecord): Promise<string | undefined> {
    return findCommit(git, common, `refs/heads/${branch}`);
  }

  async function sweep(workspaceOf: (agent: string) => string | undefined): Promise<KeptWorktree[]> {
    const kept: KeptWorktree[] = [];
    for (const agent of recordedAgents(root)) {
      try {
        const record = readRecord(placesOf(root, agent));
        const isUnfinished = record?.state === "making" || record?.state === "removing";
        if (isUnfinished || !(await isUsed(record, workspaceOf(agent)))) await remove(agent, { force: false });
      } catch (error) {
        const work = error instanceof GatewayError ? error.extra["work"] : undefined;
        kept.push({ agent, why: (work as UnsavedWork | undefined) ?? (error as Error) });
      }
    }
    return kept;
  }

  async function isUsed(record: WorktreeRecord | undefined, workspace: string | undefined): Promise<boolean> {
    if (record === undefined || workspace === undefined) return false;
    // One that cannot be read now may be there again tomorrow.
    const repository = await findRepository(git, workspace).catch(() => undefined);
    return repository === undefined || repository.common === record.common;
  }

  return {
    check: async ({ workspace }) => {
      const { own } = await findRepository(git, workspace);
      if ((await findCommit(git, own, "HEAD")) === undefined) throw unfit("has no commit yet");
    },
    ensure,
    gitOf,
    status,
    changes,
    remove,
    sweep,
    close: () => git.close(),
  };
}

function branchOf(agent: string): string {
  return `sluice/${agent}`;
}

/** As git notes it; it may not be there yet. */
function realPath(folder: string): string {
  const path = resolve(folder);
  return existsSync(path) ? realpathSync.native(path) : join(realpathSync.native(dirname(path)), basename(path));
}

function isFolder({ folder }: Places): boolean {
  return lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

function broken(): GatewayError {
  return new GatewayError(
    "conflict",
    "The agent's worktree is broken: its folder is there, and the repository knows nothing of it. See `git worktree repair`, or remove it with force.",
  );
}

function wordsFor({ counts }: UnsavedWork): string {
  const word = (count: number, one: string, many: string) =>
    count === 0 ? [] : [`${count} ${count === 1 ? one : many}`];
  return [
    ...word(counts.uncommitted, "changed file", "changed files"),
    ...word(counts.untracked, "untracked file", "untracked files"),
    ...word(counts.commits, "commit that is on no other branch", "commits that are on no other branch"),
  ].join(", ");
}
