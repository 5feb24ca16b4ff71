// What reads or writes a work tree goes through a git folder of our own, which has the repository's objects and none of its configuration:
// a filter or a driver that `.gitattributes` names is then a name without a program, whoever writes what into the repository meanwhile.
import { randomUUID } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { GitFailure, type Git, type GitCall, type GitOutput } from "./git.ts";

export interface PrivateGit {
  /** Runs git on the work tree, with this index. */
  run(args: readonly string[], index: string, call?: Omit<GitCall, "cwd" | "env">): Promise<GitOutput>;
  /** Hands out the path for an index that is gone afterwards. */
  withIndex<Result>(use: (index: string) => Promise<Result>): Promise<Result>;
}

/** Settings of a repository that decide how files are compared and written, and run nothing. */
const harmless =
  "^(core\\.(filemode|symlinks|ignorecase|precomposeunicode|autocrlf|eol|safecrlf)|extensions\\.objectformat)$";

/** Files that are larger are compared, not shown line by line: git would hold them in memory. */
const bigFile = "4m";

/** Makes the private git folder of a worktree, anew if it is there. */
export async function makePrivateGit(git: Git, folder: string, common: string): Promise<void> {
  const config = await harmlessSettings(git, common);
  const isSha256 = config.get("extensions.objectformat") === "sha256";
  const core = [...config].filter(([key]) => key.startsWith("core."));
  mkdirSync(join(folder, "objects/info"), { recursive: true, mode: 0o700 });
  mkdirSync(join(folder, "refs"), { recursive: true });
  writeFileSync(join(folder, "HEAD"), "ref: refs/heads/none\n");
  writeFileSync(join(folder, "objects/info/alternates"), `${join(common, "objects")}\n`);
  writeFileSync(
    join(folder, "config"),
    [
      "[core]",
      `repositoryformatversion = ${isSha256 ? 1 : 0}`,
      "bare = false",
      `bigFileThreshold = ${bigFile}`,
      ...core.map(([key, value]) => `${key.slice("core.".length)} = ${value}`),
      ...(isSha256 ? ["[extensions]", "objectFormat = sha256"] : []),
      "",
    ].join("\n"),
  );
}

export function openPrivateGit(git: Git, folder: string, workTree: string): PrivateGit {
  return {
    run: (args, index, call) =>
      git.run(args, {
        ...call,
        cwd: workTree,
        env: { GIT_DIR: folder, GIT_WORK_TREE: workTree, GIT_INDEX_FILE: index },
      }),
    async withIndex(use) {
      const index = join(folder, `index-${randomUUID()}`);
      try {
        return await use(index);
      } finally {
        rmSync(index, { force: true });
        rmSync(`${index}.lock`, { force: true });
      }
    },
  };
}

/** A copy, for reading, of the index in the repository's folder for a worktree; it may lean on others beside it. */
export function copyIndex(entry: string, to: string): void {
  for (const name of readdirSync(entry).filter((one) => one.startsWith("sharedindex.")))
    copyFileSync(join(entry, name), join(dirname(to), name));
  const from = join(entry, "index");
  if (!existsSync(from)) return;
  copyFileSync(from, to);
  // What was changed just when the index was written is compared again only where the index is no younger.
  const writtenS = (Math.floor(statSync(from).mtimeMs) - 1) / 1000;
  utimesSync(to, writtenS, writtenS);
}

async function harmlessSettings(git: Git, common: string): Promise<Map<string, string>> {
  try {
    const output = await git.run(["config", "-z", "--get-regexp", harmless], { cwd: common, env: { GIT_DIR: common } });
    const pairs = output.bytes.toString().split("\0").slice(0, -1);
    const settings = pairs.map((pair): [string, string] => {
      const [key = "", value = "true"] = pair.split("\n");
      return [key, value];
    });
    // Words alone: a value must not become a line of its own.
    return new Map(settings.filter(([, value]) => /^[a-z0-9]+$/i.test(value)));
  } catch (error) {
    // git says so where nothing matches.
    if (error instanceof GitFailure) return new Map();
    throw error;
  }
}
