// A workspace as a git repository, and what the repository itself knows of its worktrees. Layout: gitrepository-layout(5), git-worktree(1).
import { lstatSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { GatewayError } from "../protocol/errors.ts";
import { GitFailure, linesOf, type Git } from "./git.ts";

export interface Repository {
  /** The folder that all worktrees of a repository share: `.git` of an ordinary one. By its real path, as the other one. */
  readonly common: string;
  /** The one with the workspace's own HEAD: another one where the workspace is a worktree itself. */
  readonly own: string;
}

/** The repository whose top folder the workspace is. Throws a `GatewayError` `conflict` that names the fault, and no folder. */
export async function findRepository(git: Git, workspace: string): Promise<Repository> {
  let cwd: string;
  try {
    cwd = realpathSync.native(`${workspace}/`);
  } catch {
    throw unfit("is missing or not a folder");
  }
  try {
    // What merely lies inside of some repository is not meant: a folder above the workspace was not given to the agent.
    const env = { GIT_CEILING_DIRECTORIES: dirname(cwd) };
    const args = ["rev-parse", "--path-format=absolute", "--git-common-dir", "--git-dir", "--show-toplevel"];
    const [common, own, top] = linesOf(await git.run(args, { cwd, env })).map((path) => realpathSync.native(path));
    if (top !== cwd) throw unfit("is not the top folder of its git repository");
    return { common: common!, own: own! };
  } catch (error) {
    if (!(error instanceof GitFailure)) throw error;
    if (/dubious ownership/.test(error.stderr)) throw unfit("belongs to another user, so that git does not trust it");
    if (/must be run in a work tree/.test(error.stderr)) throw unfit("is a git repository without a work tree");
    throw unfit("is no git repository, or one that git cannot read");
  }
}

/** The commit that a name stands for; undefined if it stands for none, or the repository is gone. Rejects where git cannot tell. */
export async function findCommit(git: Git, gitFolder: string, name: string): Promise<string | undefined> {
  if (!isThere(gitFolder)) return undefined;
  const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${name}^{commit}`];
  return git.run(args, { cwd: gitFolder, env: { GIT_DIR: gitFolder } }).then(
    (output) => linesOf(output)[0],
    (error: unknown) => {
      // So git says that there is none. Any other failure says nothing: taken for none, commits would be thrown away.
      if (error instanceof GitFailure && error.exitCode === 1 && error.stderr === "") return undefined;
      throw error;
    },
  );
}

/** A worktree as the repository's own folder has it; undefined if it knows of none there. */
export function findEntry(common: string, folder: string): string | undefined {
  return entryNames(common)
    .map((name) => join(common, "worktrees", name))
    .find((entry) => folderOf(entry) === folder);
}

/** The names under which the repository has worktrees that may be called so: git appends a number where one is taken. */
export function entryNames(common: string, called?: string): string[] {
  try {
    const names = readdirSync(join(common, "worktrees"));
    return called === undefined
      ? names
      : names.filter((name) => name.replace(/\d+$/, "") === called.replace(/\d+$/, ""));
  } catch {
    // It has none yet, or is gone.
    return [];
  }
}

/** The folder of a worktree; undefined where it was killed before it had noted one. */
export function folderOf(entry: string): string | undefined {
  try {
    return dirname(readFileSync(join(entry, "gitdir"), "utf8").trimEnd());
  } catch {
    // No such file: the same to whoever asks.
    return undefined;
  }
}

export function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

export function unfit(what: string): GatewayError {
  return new GatewayError("conflict", `The agent's workspace ${what}: it gets no worktree.`, { field: "workspace" });
}
