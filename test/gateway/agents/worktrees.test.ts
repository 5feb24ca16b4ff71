import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createGit } from "../../../gateway/agents/git.ts";
import { createWorktrees, type Worktrees } from "../../../gateway/agents/worktrees.ts";
import { SetupError } from "../../../gateway/protocol/errors.ts";
import { openGitScene, textOf, type GitScene } from "../../support/git-scene.ts";

let scene: GitScene;
beforeEach(() => void (scene = openGitScene()));
afterEach(() => scene.close());

const nothing = { folders: [], entries: [], branches: [] };
const ensure = (name: string, workspace = scene.repository) => scene.worktrees.ensure({ name, workspace });
const refusal = (promise: Promise<unknown>) =>
  promise.then(
    () => {
      throw new Error("it was not refused");
    },
    (error: unknown) => error as { code?: string; message: string; extra: Record<string, unknown> },
  );

describe("a worktree is made", () => {
  test("as the workspace has its files, on a branch of its own that follows no other, once", async () => {
    const config = textOf(scene.repository, ".git/config");
    const folder = await ensure("coder");
    expect(folder).toBe(join(scene.root, "coder"));
    expect(textOf(folder, "src/main.txt")).toBe("one\ntwo\nthree\n");
    expect(scene.gitIn(folder, "status", "--porcelain", "--branch")).toBe("## sluice/coder\n");
    expect(await ensure("coder")).toBe(folder);
    expect(scene.left()).toEqual({ folders: ["coder"], entries: ["coder"], branches: ["sluice/coder"] });
    expect(textOf(scene.repository, ".git/config")).toBe(config);
    expect(scene.git("status", "--porcelain")).toBe("");
  });

  test("beside those of other agents; what one does is not in another's, nor in the workspace", async () => {
    const [one, two] = await Promise.all([ensure("one"), ensure("two")]);
    scene.write("README.md", "changed\n", one);
    scene.gitIn(one, "commit", "--quiet", "--all", "--message=mine");
    expect(textOf(two, "README.md")).toBe("hello\n");
    expect(textOf(scene.repository, "README.md")).toBe("hello\n");
  });

  test("of a workspace that is a worktree itself: from what that one has checked out", async () => {
    const linked = join(scene.folder, "linked");
    scene.git("worktree", "add", "--quiet", "-b", "other", linked);
    scene.write("of-other.txt", "x\n", linked);
    scene.gitIn(linked, "add", ".");
    scene.gitIn(linked, "commit", "--quiet", "--message=other");
    expect(textOf(await ensure("coder", linked), "of-other.txt")).toBe("x\n");
  });

  test("again where somebody has removed the folder: with what was staged, or, after a prune, what was committed", async () => {
    const folder = await ensure("coder");
    scene.write("done.txt", "done\n", folder);
    scene.gitIn(folder, "add", ".");
    scene.gitIn(folder, "commit", "--quiet", "--message=done");
    scene.write("staged.txt", "staged\n", folder);
    scene.gitIn(folder, "add", ".");
    rmSync(folder, { recursive: true });
    expect(textOf(await ensure("coder"), "staged.txt")).toBe("staged\n");
    expect(scene.gitIn(folder, "status", "--porcelain")).toBe("A  staged.txt\n");
    rmSync(folder, { recursive: true });
    scene.git("worktree", "prune");
    expect(textOf(await ensure("coder"), "done.txt")).toBe("done\n");
    expect(scene.gitIn(folder, "status", "--porcelain", "--branch")).toBe("## sluice/coder\n");
  });

  test("with the line endings and modes that the repository says", async () => {
    scene.git("config", "core.filemode", "false");
    scene.git("config", "core.autocrlf", "true");
    const folder = await ensure("coder");
    expect(textOf(folder, "README.md")).toBe("hello\r\n");
    expect(scene.gitIn(folder, "status", "--porcelain")).toBe("");
    expect((await scene.worktrees.changes("coder")).files).toEqual([]);
  });

  test("twenty at once: all are whole", async () => {
    const names = Array.from({ length: 20 }, (_, index) => `coder-${index}`);
    const folders = await Promise.all(names.map((name) => ensure(name)));
    for (const [index, folder] of folders.entries()) {
      expect(scene.gitIn(folder, "status", "--porcelain", "--branch")).toBe(`## sluice/coder-${index}\n`);
      expect(textOf(folder, "src/main.txt")).toBe("one\ntwo\nthree\n");
    }
    scene.git("fsck", "--strict");
  }, 120_000);
});

describe("no worktree is made, and nothing is left of the try", () => {
  test("for a name that could lead out of the root", async () => {
    const isNoName = /must be 1 to 40 of/;
    for (const name of ["../escaped", "a/b", "..", ".", ".records", "", "A", "-x", "a".repeat(41), "a\0b"]) {
      await expect(ensure(name)).rejects.toThrow(isNoName);
      await expect(scene.worktrees.remove(name, { force: true })).rejects.toThrow(isNoName);
      await expect(scene.worktrees.changes(name)).rejects.toThrow(isNoName);
    }
    expect(scene.left()).toEqual(nothing);
  });

  const unfit: [string, RegExp, () => string][] = [
    ["is missing", /missing or not a folder/, () => join(scene.folder, "nowhere")],
    [
      "is a file",
      /missing or not a folder/,
      () => {
        scene.write("file", "");
        return join(scene.repository, "file");
      },
    ],
    [
      "is no repository",
      /no git repository/,
      () => {
        mkdirSync(join(scene.folder, "plain"));
        return join(scene.folder, "plain");
      },
    ],
    ["lies inside of a repository", /no git repository/, () => join(scene.repository, "src")],
    ["is a repository's own folder", /no git repository|without a work tree/, () => join(scene.repository, ".git")],
    [
      "is a bare repository",
      /without a work tree/,
      () => {
        scene.git("clone", "--quiet", "--bare", ".", join(scene.folder, "bare"));
        return join(scene.folder, "bare");
      },
    ],
    [
      "has no commit",
      /no commit yet/,
      () => {
        scene.gitIn(scene.folder, "init", "--quiet", "new");
        return join(scene.folder, "new");
      },
    ],
    [
      "has a configuration that git cannot read",
      /no git repository, or one that git cannot read/,
      () => {
        scene.write(".git/config", "[core\nnonsense");
        return scene.repository;
      },
    ],
  ];
  test.each(unfit)("where the workspace %s", async (_, says, place) => {
    const agent = { name: "coder", workspace: place() };
    const error = await refusal(scene.worktrees.ensure(agent));
    expect(error).toMatchObject({ code: "conflict", extra: { field: "workspace" } });
    expect(error.message).toMatch(says);
    expect(error.message).not.toContain(scene.folder);
    await expect(scene.worktrees.check(agent)).rejects.toMatchObject({ code: "conflict", message: error.message });
    expect(existsSync(scene.root) ? readdirSync(scene.root) : []).toEqual([]);
    expect(scene.worktrees.status("coder").state).toBe("none");
  });

  test.each(["sluice/coder", "sluice"])("where the branch %s exists and is not ours", async (branch) => {
    scene.git("branch", branch);
    const error = await refusal(ensure("coder"));
    expect(error).toMatchObject({ code: "conflict", extra: { field: "worktree" } });
    expect(error.message).toContain(`"${branch}"`);
    expect(scene.left()).toMatchObject({ folders: [], entries: [] });
    expect(scene.git("branch", "--list", branch)).toContain(branch);
  });

  test("where something lies in its place, a link out of the root too", async () => {
    scene.write("kept.txt", "kept\n", join(scene.root, "coder"));
    symlinkSync(scene.repository, join(scene.root, "other"));
    for (const name of ["coder", "other"])
      expect(await refusal(ensure(name))).toMatchObject({ code: "conflict", extra: { field: "worktree" } });
    expect(textOf(scene.root, "coder/kept.txt")).toBe("kept\n");
    expect(scene.left()).toMatchObject({ entries: [], branches: [] });
  });

  test("without git: a fault of the set-up that says how to mend it", async () => {
    const git = createGit({ path: scene.folder, runFolder: scene.runFolder });
    const worktrees = createWorktrees({ root: scene.root, git });
    const error = await refusal(worktrees.ensure({ name: "coder", workspace: scene.repository }));
    expect(error).toBeInstanceOf(SetupError);
    expect(error).toMatchObject({ fault: "git_missing", mend: expect.stringContaining("install git") });
    expect(scene.left()).toEqual(nothing);
  });

  test("of another repository while it has one: that one stays", async () => {
    const folder = await ensure("coder");
    scene.git("clone", "--quiet", ".", join(scene.folder, "clone"));
    expect(await refusal(ensure("coder", join(scene.folder, "clone")))).toMatchObject({ code: "conflict" });
    expect(textOf(folder, "README.md")).toBe("hello\n");
  });
});

describe("a worktree is removed", () => {
  const commit = (folder: string, name: string) => {
    scene.write(name, `${name}\n`, folder);
    scene.gitIn(folder, "add", "--all");
    scene.gitIn(folder, "commit", "--quiet", `--message=${name}`);
  };
  const remove = (force = false) => scene.worktrees.remove("coder", { force });

  test("with its branch, where nothing would be lost, and what is ignored goes with it", async () => {
    scene.write(".gitignore", "built/\n");
    scene.git("add", ".");
    scene.git("commit", "--quiet", "--message=ignore");
    const folder = await ensure("coder");
    scene.write("built/x.o", "x", folder);
    scene.gitIn(folder, "config", "branch.sluice/coder.remote", "origin");
    const tip = scene.git("rev-parse", "main").trim();
    expect(await remove()).toEqual({ branch: "sluice/coder", tip });
    expect(scene.left()).toEqual(nothing);
    expect(textOf(scene.repository, ".git/config")).not.toContain("sluice/coder");
    expect(await remove()).toBeUndefined();
    expect(await ensure("coder")).toBe(folder);
  });

  test("where its commits are on another branch, or a tag leads to them", async () => {
    for (const keep of [
      ["merge", "--quiet", "sluice/coder"],
      ["tag", "kept", "sluice/coder"],
    ]) {
      commit(await ensure("coder"), `${keep[0]}.txt`);
      await expect(remove()).rejects.toMatchObject({ code: "conflict" });
      scene.git(...keep);
      await remove();
      expect(scene.left()).toEqual(nothing);
    }
    expect(scene.git("show", "main:merge.txt", "kept:tag.txt")).toBe("merge.txt\ntag.txt\n");
  });

  type Work = { uncommitted?: string[]; untracked?: string[]; commits?: string[] };
  const works: [string, Work, (folder: string) => void][] = [
    ["a changed file", { uncommitted: ["README.md"] }, (folder) => scene.write("README.md", "changed\n", folder)],
    ["a removed file", { uncommitted: ["README.md"] }, (folder) => rmSync(join(folder, "README.md"))],
    ["an untracked file", { untracked: ["nöw\n.txt"] }, (folder) => scene.write("nöw\n.txt", "new\n", folder)],
    [
      "a staged file",
      { uncommitted: ["new.txt"] },
      (folder) => {
        scene.write("new.txt", "new\n", folder);
        scene.gitIn(folder, "add", ".");
      },
    ],
    [
      "a change that is only staged",
      { uncommitted: ["README.md"] },
      (folder) => {
        scene.write("README.md", "changed\n", folder);
        scene.gitIn(folder, "add", ".");
        scene.write("README.md", "hello\n", folder);
      },
    ],
    [
      "a change of the same size in the moment of the checkout",
      { uncommitted: ["README.md"] },
      (folder) => scene.write("README.md", "hallo\n", folder),
    ],
    [
      "a change that the index hides",
      { uncommitted: ["README.md", "src/main.txt"] },
      (folder) => {
        scene.gitIn(folder, "update-index", "--assume-unchanged", "README.md");
        scene.gitIn(folder, "update-index", "--skip-worktree", "src/main.txt");
        scene.write("README.md", "changed\n", folder);
        scene.write("src/main.txt", "changed\n", folder);
      },
    ],
    ["a commit", { commits: ["new.txt"] }, (folder) => commit(folder, "new.txt")],
    [
      "a commit that no branch has",
      { commits: ["new.txt"] },
      (folder) => {
        scene.gitIn(folder, "checkout", "--quiet", "--detach");
        commit(folder, "new.txt");
      },
    ],
    [
      "a commit, the folder gone",
      { commits: ["new.txt"] },
      (folder) => {
        commit(folder, "new.txt");
        rmSync(folder, { recursive: true });
      },
    ],
    [
      "a repository inside",
      { untracked: ["inner/"] },
      (folder) => {
        scene.gitIn(folder, "init", "--quiet", "inner");
        commit(join(folder, "inner"), "in.txt");
      },
    ],
    [
      "a submodule that was filled",
      { untracked: ["module"] },
      (folder) => scene.gitIn(folder, "-c", "protocol.file.allow=always", "submodule", "update", "--init", "--quiet"),
    ],
  ];
  test.each(works)("only by force where it has %s, and says what", async (_, expected, work) => {
    scene.git("init", "--quiet", join(scene.folder, "module"));
    commit(join(scene.folder, "module"), "m.txt");
    scene.git(
      "-c",
      "protocol.file.allow=always",
      "submodule",
      "--quiet",
      "add",
      join(scene.folder, "module"),
      "module",
    );
    scene.git("commit", "--quiet", "--message=module");
    const folder = await ensure("coder");
    work(folder);
    const before = scene.left();
    const error = await refusal(remove());
    expect(error).toMatchObject({ code: "conflict" });
    const found = error.extra["work"] as { commits: { subject: string }[]; counts: object } & Work;
    const { uncommitted = [], untracked = [], commits = [] } = expected;
    expect({ ...found, commits: found.commits.map(({ subject }) => subject) }).toEqual({
      uncommitted,
      untracked,
      commits,
      counts: { uncommitted: uncommitted.length, untracked: untracked.length, commits: commits.length },
    });
    expect(scene.left()).toEqual(before);
    await remove(true);
    expect(scene.left()).toEqual(nothing);
  });

  test("only by force where the repository knows nothing of it any more", async () => {
    const folder = await ensure("coder");
    rmSync(join(scene.repository, ".git/worktrees"), { recursive: true });
    expect(scene.worktrees.status("coder").state).toBe("broken");
    for (const act of [remove, () => ensure("coder"), () => scene.worktrees.changes("coder")])
      await expect(act()).rejects.toMatchObject({ code: "conflict", message: expect.stringContaining("broken") });
    expect(textOf(folder, "README.md")).toBe("hello\n");
    await remove(true);
    expect(scene.left()).toEqual(nothing);
  });

  test("by force also where its repository is gone", async () => {
    await ensure("coder");
    rmSync(scene.repository, { recursive: true });
    await remove(true);
    expect(textOf(scene.root, "coder/README.md")).toBeUndefined();
  });

  test("and other worktrees of the repository are left as they are, missing ones too", async () => {
    const [own, missing] = [join(scene.folder, "own"), join(scene.folder, "missing")];
    scene.git("worktree", "add", "--quiet", "-b", "own", own);
    scene.git("worktree", "add", "--quiet", "-b", "missing", missing);
    rmSync(missing, { recursive: true });
    await ensure("coder");
    await ensure("other");
    await remove();
    expect(scene.left()).toEqual({
      folders: ["other"],
      entries: ["missing", "other", "own"],
      branches: ["sluice/other"],
    });
  });
});

describe("the sweep at a start", () => {
  test("removes worktrees that no agent uses any more, keeps those with work in them and says so, and leaves used ones", async () => {
    await ensure("gone");
    await ensure("used");
    scene.write("new.txt", "new\n", await ensure("busy"));
    const kept = await scene.reopen().sweep((agent) => (agent === "used" ? scene.repository : undefined));
    expect(kept).toMatchObject([{ agent: "busy", why: { untracked: ["new.txt"] } }]);
    expect(scene.left().folders).toEqual(["busy", "used"]);
    expect(await scene.reopen().sweep(() => scene.repository)).toEqual([]);
  });

  test("one whose record is damaged is kept, and the others are seen to", async () => {
    await ensure("a");
    await ensure("b");
    scene.write("record.json", "{", join(scene.root, ".records/a"));
    const kept = await scene.reopen().sweep(() => undefined);
    expect(kept).toMatchObject([{ agent: "a", why: expect.any(Error) }]);
    expect(scene.worktrees.status("a")).toEqual({ branch: "sluice/a", state: "broken", base: null });
    expect(scene.left().folders).toEqual(["a"]);
  });
});

describe("a git that cannot tell what a branch stands for", () => {
  /** Worktrees by a git that fails there, as one does that finds no memory. */
  function openFailing(): Worktrees {
    const bin = join(scene.folder, "bin");
    mkdirSync(bin);
    const git = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
    const script = `#!/bin/sh\ncase "$*" in *--verify*) echo 'fatal: out of memory' >&2; exit 128;; esac\nexec '${git}' "$@"\n`;
    writeFileSync(join(bin, "git"), script, { mode: 0o755 });
    return scene.reopen({}, `${bin}:${process.env["PATH"]}`);
  }

  /** A commit in a worktree whose folder somebody has removed. */
  async function commitAndLose(): Promise<void> {
    const folder = await ensure("coder");
    scene.write("done.txt", "done\n", folder);
    scene.gitIn(folder, "add", ".");
    scene.gitIn(folder, "commit", "--quiet", "--message=done");
    rmSync(folder, { recursive: true });
  }

  test("loses no worktree: it is made again, with its commits, once git can", async () => {
    await commitAndLose();
    await expect(openFailing().ensure({ name: "coder", workspace: scene.repository })).rejects.toThrow("out of memory");
    expect(textOf(await ensure("coder"), "done.txt")).toBe("done\n");
  });

  test("removes none: what would be lost is looked at once git can", async () => {
    await commitAndLose();
    await expect(openFailing().remove("coder", { force: false })).rejects.toThrow("out of memory");
    const error = await refusal(scene.worktrees.remove("coder", { force: false }));
    expect(error.message).toContain("1 commit that is on no other branch");
  });
});
