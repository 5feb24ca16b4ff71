// A real git repository in a folder of its own, and the worktrees that are made of it.
import { execFileSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createGit } from "../../gateway/agents/git.ts";
import type { ChangeLimits } from "../../gateway/agents/worktree-changes.ts";
import { createWorktrees, type Worktrees } from "../../gateway/agents/worktrees.ts";

export interface GitScene {
  readonly folder: string;
  /** The repository; one commit, with `README.md` and `src/main.txt`. */
  readonly repository: string;
  readonly root: string;
  readonly runFolder: string;
  readonly worktrees: Worktrees;
  /** git as a person has it, in the repository. */
  git(...args: string[]): string;
  /** The same in another folder. */
  gitIn(folder: string, ...args: string[]): string;
  /** Writes a file of the repository, or of another folder. */
  write(name: string, text: string | Buffer, folder?: string): void;
  /** Worktrees of the next gateway on the same folders. */
  reopen(limits?: Partial<ChangeLimits>, path?: string): Worktrees;
  /** What there is of worktrees: folders of the root, entries of the repository, and branches below `sluice/`. */
  left(): { folders: string[]; entries: string[]; branches: string[] };
  close(): void;
}

/** Who commits, and nothing else of this machine's configuration. */
export const personal = {
  PATH: process.env["PATH"],
  HOME: "/nonexistent",
  GIT_CONFIG_GLOBAL: "/dev/null",
  // Repositories that sessions work in are theirs, not root's.
  GIT_CONFIG_COUNT: "1",
  GIT_CONFIG_KEY_0: "safe.directory",
  GIT_CONFIG_VALUE_0: "*",
  GIT_AUTHOR_NAME: "Ann",
  GIT_AUTHOR_EMAIL: "ann@example.org",
  GIT_COMMITTER_NAME: "Ann",
  GIT_COMMITTER_EMAIL: "ann@example.org",
};

export function openGitScene(): GitScene {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-git-")));
  const [repository, root, runFolder] = ["repository", "worktrees", "run"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  mkdirSync(runFolder);
  const opened: Worktrees[] = [];
  const open = (limits: Partial<ChangeLimits> = {}, path = process.env["PATH"]) => {
    const git = createGit({ path, runFolder });
    const worktrees = createWorktrees({
      root,
      git,
      limits: { files: 100, diffBytes: 100_000, commits: 10, ...limits },
    });
    opened.push(worktrees);
    return worktrees;
  };
  const gitIn = (where: string, ...args: string[]) =>
    execFileSync("git", args, { cwd: where, env: personal, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  const scene: GitScene = {
    folder,
    repository,
    root,
    runFolder,
    worktrees: undefined as never,
    git: (...args) => gitIn(repository, ...args),
    gitIn,
    write(name, text, where = repository) {
      mkdirSync(dirname(join(where, name)), { recursive: true });
      writeFileSync(join(where, name), text);
    },
    reopen: open,
    left: () => ({
      folders: namesIn(root),
      entries: namesIn(join(repository, ".git/worktrees")),
      branches: scene.git("for-each-ref", "--format=%(refname:short)", "refs/heads/sluice").split("\n").filter(Boolean),
    }),
    close() {
      for (const worktrees of opened) worktrees.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
  copyRepository(repository);
  return Object.assign(scene, { worktrees: open() });
}

/** A repository with one commit, on `main`: `README.md` and `src/main.txt`. */
export function copyRepository(to: string): void {
  cpSync(template(), to, { recursive: true });
}

let made: string | undefined;

/** Made once: git's start is what takes time here. */
function template(): string {
  if (made !== undefined) return made;
  const folder = mkdtempSync(join(tmpdir(), "sluice-git-template-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const git = (...args: string[]) => execFileSync("git", args, { cwd: folder, env: personal });
  git("init", "--quiet", "--initial-branch=main");
  writeFileSync(join(folder, "README.md"), "hello\n");
  mkdirSync(join(folder, "src"));
  writeFileSync(join(folder, "src/main.txt"), "one\ntwo\nthree\n");
  git("add", ".");
  git("commit", "--quiet", "--message=first");
  return (made = folder);
}

function namesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => !name.startsWith("."))
    .toSorted();
}

/** The text of a file, undefined if there is none. */
export function textOf(...path: string[]): string | undefined {
  const file = join(...path);
  return existsSync(file) ? readFileSync(file, "utf8") : undefined;
}
