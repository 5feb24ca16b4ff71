// Making a worktree, making it again, and taking it away, step by step: each step is noted before it is done, and can be done again.
import { existsSync, mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { basename, join } from "node:path";
import { GatewayError } from "../protocol/errors.ts";
import { GitFailure, type Git } from "./git.ts";
import { makePrivateGit, openPrivateGit } from "./private-git.ts";
import { entryNames, findCommit, findEntry, folderOf, isThere, unfit, type Repository } from "./repository.ts";
import { removeRecord, writeRecord, type Places, type WorktreeRecord } from "./worktree-record.ts";

/** A large repository on a slow disk. */
const makingTimeoutMs = 15 * 60_000;

/**
 * Makes it from what the workspace has checked out, on a new branch. Only one at a time in a repository: git's own locks refuse, they do not
 * wait. Rejects with a `GatewayError` that says what is in the way; then nothing is left of it.
 */
export async function makeWorktree(git: Git, places: Places, { common, own }: Repository, branch: string) {
  const base = await findCommit(git, own, "HEAD");
  if (base === undefined) throw unfit("has no commit yet");
  await checkBranch(git, common, branch);
  if (isThere(places.folder)) throw conflict("Something else lies where the agent's worktree is to be.");
  const record: WorktreeRecord = { state: "making", common, own, branch, base };
  const before = entryNames(common, basename(places.folder));
  try {
    writeRecord(places, { ...record, before });
    // `--no-track`: no write to the configuration that all worktrees share.
    await addWorktree(git, places, common, ["--no-track", "-b", branch, places.folder, base]);
    await fill(git, places, common, base);
    writeRecord(places, { ...record, state: "whole" });
  } catch (error) {
    const refusal = explained(error, places, common);
    // What cannot be cleared now is cleared before the next try: it is noted.
    await clearWorktree(git, places, { ...record, before }).catch(() => {});
    throw refusal;
  }
}

/** Brings the folder back that somebody has removed: as its index has it, or, where that is gone too, at the branch's newest commit. */
export async function restoreWorktree(git: Git, places: Places, record: WorktreeRecord, tip: string): Promise<void> {
  const { common, branch } = record;
  const { folder } = places;
  try {
    writeRecord(places, { ...record, state: "restoring" });
    await rm(folder, { recursive: true, force: true });
    const entry = findEntry(common, folder);
    if (entry === undefined) {
      await addWorktree(git, places, common, [folder, branch]);
      await fill(git, places, common, tip);
    } else {
      mkdirSync(folder);
      writeFileSync(join(folder, ".git"), `gitdir: ${entry}\n`);
      const own = openPrivateGit(git, places.privateGit, folder);
      await own.run(["checkout-index", "--all", "--force"], join(entry, "index"), { timeoutMs: makingTimeoutMs });
    }
    writeRecord(places, { ...record, state: "whole" });
  } catch (error) {
    throw explained(error, places, common);
  }
}

/** Takes all of it away: folder, what the repository has of it, and its branch where that still stands at what is noted. */
export async function clearWorktree(git: Git, places: Places, record: WorktreeRecord): Promise<void> {
  await removeFolder(places, record);
  if (existsSync(record.common)) await removeBranch(git, record);
  removeRecord(places);
}

async function checkBranch(git: Git, common: string, branch: string): Promise<void> {
  // A name cannot be a branch and a folder of branches.
  for (const name of [branch, branch.split("/")[0]!])
    if (await findCommit(git, common, `refs/heads/${name}`))
      throw conflict(`The repository has a branch "${name}" that is not this agent's. Rename it or remove it first.`);
}

async function addWorktree(git: Git, { records }: Places, common: string, what: readonly string[]): Promise<void> {
  // Files are written by the private git folder alone, see there.
  const args = ["worktree", "add", "--quiet", "--no-checkout", ...what];
  await git.run(args, { cwd: records, env: { GIT_DIR: common }, timeoutMs: makingTimeoutMs });
}

async function fill(git: Git, places: Places, common: string, commit: string): Promise<void> {
  await makePrivateGit(git, places.privateGit, common);
  const entry = findEntry(common, places.folder);
  if (entry === undefined) throw new Error("git has made a worktree without an entry in its repository");
  const own = openPrivateGit(git, places.privateGit, places.folder);
  await own.run(["read-tree", "--reset", "-u", commit], join(entry, "index"), { timeoutMs: makingTimeoutMs });
}

/** The folder first: an entry without one is what git takes for removed. */
async function removeFolder(places: Places, { state, common, before }: WorktreeRecord): Promise<void> {
  await rm(places.folder, { recursive: true, force: true, maxRetries: 5 });
  const entry = findEntry(common, places.folder);
  if (entry !== undefined) await rm(entry, { recursive: true, force: true });
  if (state !== "making" || before === undefined) return;
  // git was killed before it had written which folder the entry is for. Locked as it is then, it would stay for good.
  for (const name of entryNames(common, basename(places.folder))) {
    const half = join(common, "worktrees", name);
    if (!before.includes(name) && folderOf(half) === undefined) await rm(half, { recursive: true, force: true });
  }
}

async function removeBranch(git: Git, { state, common, branch, base, tip }: WorktreeRecord): Promise<void> {
  const ref = `refs/heads/${branch}`;
  const call = { cwd: common, env: { GIT_DIR: common } };
  // Left by a git that was killed; no other one has to do with this name.
  if (state === "making") rmSync(join(common, `${ref}.lock`), { force: true });
  const expected = state === "making" ? base : tip;
  if (expected === undefined || (await findCommit(git, common, ref)) !== expected) return;
  await git.run(["update-ref", "-d", ref, expected], call);
  // An upstream that the agent had set; mostly there is none, and git says so.
  await git.run(["config", "--remove-section", `branch.${branch}`], call).catch(() => {});
}

/** Before anything is cleared: where a file could not be written, git does not say why. */
function explained(error: unknown, { records }: Places, common: string): unknown {
  const isByGit = error instanceof GitFailure;
  const isFull = isByGit && [records, common].some(isWithoutRoom);
  if (isFull || (error as NodeJS.ErrnoException).code === "ENOSPC")
    return caused(new GatewayError("no_capacity", "The disk is full: the agent's worktree could not be made."), error);
  return isByGit ? caused(new GatewayError("conflict", "git could not make the agent's worktree."), error) : error;
}

/** A file that did not fit may have been taken away again. */
const leastRoomBytes = 1024 * 1024;

function isWithoutRoom(folder: string): boolean {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(folder);
    // Some file systems do not count files.
    return bavail * bsize < leastRoomBytes || (files > 0 && ffree === 0);
  } catch {
    // It is gone: something else was the matter.
    return false;
  }
}

/** For the log: the message alone reaches clients. */
function caused(refusal: GatewayError, cause: unknown): GatewayError {
  return Object.assign(refusal, { cause });
}

function conflict(what: string): GatewayError {
  return new GatewayError("conflict", what, { field: "worktree" });
}
