// What is in a worktree: its changes against the branch point, for whoever reviews them, and what would be lost with it. Both only read.
import { existsSync } from "node:fs";
import type { AgentChanges, ChangedFile, Commit, UnsavedWork } from "../protocol/changes.ts";
import { linesOf, type Git, type GitOutput } from "./git.ts";
import { copyIndex, openPrivateGit, type PrivateGit } from "./private-git.ts";
import { findCommit } from "./repository.ts";
import type { Places, WorktreeRecord } from "./worktree-record.ts";

/** A worktree that is whole: what is noted of it, and what the repository has of it. */
export interface Worktree {
  readonly places: Places;
  readonly record: WorktreeRecord;
  /** The repository's own folder for it, with its HEAD and index. */
  readonly entry: string;
}

export interface ChangeLimits {
  readonly files: number;
  readonly diffBytes: number;
  readonly commits: number;
}

export const defaultChangeLimits: ChangeLimits = { files: 2000, diffBytes: 1024 * 1024, commits: 100 };

/** Of each kind so many are named where work would be lost, and so many commits counted. */
const maxNamed = 100;
const maxCounted = 10_000;

/** No program of anybody's, and nothing inside of other repositories, whose own configuration would count there. */
const plainDiff = ["diff", "--no-ext-diff", "--no-textconv", "--no-color", "--ignore-submodules=dirty"];
const listUntracked = ["ls-files", "--others", "--exclude-standard", "-z"];

export async function readChanges(
  git: Git,
  worktree: Worktree,
  limits: ChangeLimits = defaultChangeLimits,
): Promise<AgentChanges> {
  const { record, entry } = worktree;
  const own = privateGitOf(git, worktree);
  const head = (await findCommit(git, entry, "HEAD")) ?? record.base;
  const base = await branchPoint(git, worktree, head);
  return own.withIndex(async (index) => {
    copyIndex(entry, index);
    const names = await untrackedNames(own, index);
    const fresh = names.filter((name) => !name.endsWith("/")).slice(0, limits.files);
    // Noted as files to come, so that they are in the diff; nothing of them is stored.
    if (fresh.length > 0)
      await own.run(["add", "--intent-to-add", "--pathspec-from-file=-", "--pathspec-file-nul"], index, {
        input: Buffer.from(fresh.join("\0"), "latin1"),
      });
    const unmerged = await own.run([...plainDiff, "--name-only", "--diff-filter=U", "-z"], index);
    const status = await own.run([...plainDiff, "--name-status", "-z", "--find-renames", base], index);
    const diff = await own.run([...plainDiff, "--find-renames", base], index, { maxBytes: limits.diffBytes });
    const commits = await commitsOf(git, record, [`${base}..${head}`], limits.commits + 1);
    const files = [...changedFiles(status, new Set(fresh), new Set(namesOf(unmerged))), ...nestedFolders(names)];
    return {
      branch: record.branch,
      base,
      head,
      commits: commits.slice(0, limits.commits),
      commits_truncated: commits.length > limits.commits,
      files: files.slice(0, limits.files),
      files_truncated: files.length > limits.files || names.length > limits.files || status.isCut,
      diff: wholeLines(diff),
      diff_truncated: diff.isCut,
    };
  });
}

/**
 * What would be lost if the worktree were removed, and its branch; undefined if nothing. It trusts no mark in the worktree's index, by
 * which changes can be hidden: all files are compared.
 */
export async function findUnsaved(git: Git, worktree: Worktree): Promise<UnsavedWork | undefined> {
  const own = privateGitOf(git, worktree);
  const { record, entry } = worktree;
  const tips = [await findCommit(git, entry, "HEAD"), await findCommit(git, entry, `refs/heads/${record.branch}`)];
  const head = tips[0] ?? record.base;
  const staged = await own.withIndex(async (index) => {
    copyIndex(entry, index);
    return own.run([...plainDiff, "--cached", "--name-only", "-z", head], index);
  });
  const [changed, others] = await own.withIndex(async (index) => {
    await own.run(["read-tree", head], index);
    const names = await own.run([...plainDiff, "--name-only", "-z", head], index);
    return [namesOf(names), [...(await untrackedNames(own, index)), ...(await filledSubmodules(own, index, worktree))]];
  });
  return unsavedWork({
    uncommitted: [...new Set([...changed, ...namesOf(staged)])],
    untracked: others,
    commits: await findUnmerged(git, record, tips),
  });
}

/** Undefined where there is nothing. */
export function unsavedWork({ uncommitted, untracked, commits }: Omit<UnsavedWork, "counts">): UnsavedWork | undefined {
  const known = new Set(uncommitted);
  const strangers = untracked.filter((name) => !known.has(name));
  if (uncommitted.length + strangers.length + commits.length === 0) return undefined;
  return {
    uncommitted: uncommitted.slice(0, maxNamed).map(readable),
    untracked: strangers.slice(0, maxNamed).map(readable),
    commits: commits.slice(0, maxNamed),
    counts: { uncommitted: uncommitted.length, untracked: strangers.length, commits: commits.length },
  };
}

function privateGitOf(git: Git, { places }: Worktree): PrivateGit {
  return openPrivateGit(git, places.privateGit, places.folder);
}

/** Where the branch left what the workspace has checked out now: what came into it from there is none of its changes. */
async function branchPoint(git: Git, { record }: Worktree, head: string): Promise<string> {
  const { common, own, base } = record;
  const trunk = await findCommit(git, own, "HEAD");
  if (trunk === undefined) return base;
  const call = { cwd: common, env: { GIT_DIR: common } };
  return git.run(["merge-base", trunk, head], call).then(
    (output) => linesOf(output)[0] ?? base,
    () => base, // They have nothing in common any more.
  );
}

/** Commits of these tips that no other branch, tag or remote branch leads to. */
export async function findUnmerged(git: Git, record: WorktreeRecord, tips: readonly (string | undefined)[]) {
  const known = tips.filter((tip) => tip !== undefined);
  if (known.length === 0) return [];
  const others = ["--not", `--exclude=${record.branch}`, "--branches", "--tags", "--remotes"];
  return commitsOf(git, record, [...known, ...others], maxCounted);
}

async function commitsOf(
  git: Git,
  { common }: WorktreeRecord,
  range: readonly string[],
  most: number,
): Promise<Commit[]> {
  const args = ["rev-list", `--max-count=${most}`, "--format=%H%x00%ct%x00%s", ...range];
  const lines = linesOf(await git.run(args, { cwd: common, env: { GIT_DIR: common } }));
  return lines.flatMap((line) => {
    const [commit, at, subject] = line.split("\0");
    // Before each stands a line of its own, with the commit's name alone.
    return commit && at !== undefined ? [{ commit, at: timeOf(at), subject: subject ?? "" }] : [];
  });
}

const furthestMs = 8.64e15;

/** Seconds since the epoch, as far as a date can be: a commit may say anything of its time. */
function timeOf(seconds: string): string {
  const ms = Math.max(-furthestMs, Math.min(furthestMs, Number(seconds) * 1000));
  return new Date(Number.isNaN(ms) ? 0 : ms).toISOString();
}

/** Untracked files, and folders with a repository of their own (with a slash at the end). As bytes: a name may be no UTF-8. */
async function untrackedNames(own: PrivateGit, index: string): Promise<string[]> {
  return namesOf(await own.run(listUntracked, index));
}

/** Submodules that somebody has filled: what is done inside is seen by no command that is safe to run there. */
async function filledSubmodules(own: PrivateGit, index: string, { places }: Worktree): Promise<string[]> {
  const output = await own.run(["ls-files", "--stage", "-z"], index);
  return namesOf(output)
    .filter((line) => line.startsWith("160000 "))
    .map((line) => line.slice(line.indexOf("\t") + 1))
    .filter((name) =>
      existsSync(Buffer.concat([Buffer.from(`${places.folder}/`), Buffer.from(`${name}/.git`, "latin1")])),
    );
}

/** An output cut short ends within a name, which is dropped. */
function namesOf({ bytes }: GitOutput): string[] {
  return bytes.toString("latin1").split("\0").slice(0, -1);
}

const statusNames: Readonly<Record<string, ChangedFile["status"]>> = {
  A: "added",
  D: "deleted",
  T: "type_changed",
};

function changedFiles(status: GitOutput, fresh: ReadonlySet<string>, unmerged: ReadonlySet<string>): ChangedFile[] {
  const fields = namesOf(status);
  const files: ChangedFile[] = [];
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const [letter, path] = [fields[at]![0]!, fields[at + 1]!];
    const target = letter === "R" ? fields[++at + 1] : undefined;
    if (target !== undefined) files.push({ path: readable(target), status: "renamed", from: readable(path) });
    else if (unmerged.has(path)) files.push({ path: readable(path), status: "conflicted" });
    else if (fresh.has(path)) files.push({ path: readable(path), status: "untracked" });
    else files.push({ path: readable(path), status: statusNames[letter] ?? "modified" });
  }
  return files;
}

function nestedFolders(names: readonly string[]): ChangedFile[] {
  return names.filter((name) => name.endsWith("/")).map((name) => ({ path: readable(name), status: "untracked" }));
}

function wholeLines({ bytes, isCut }: GitOutput): string {
  return (isCut ? bytes.subarray(0, bytes.lastIndexOf("\n") + 1) : bytes).toString();
}

function readable(name: string): string {
  return Buffer.from(name, "latin1").toString();
}
