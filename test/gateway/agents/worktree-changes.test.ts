import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openGitScene, type GitScene } from "../../support/git-scene.ts";

let scene: GitScene;
let folder: string;
beforeEach(async () => {
  scene = openGitScene();
  folder = await scene.worktrees.ensure({ name: "coder", workspace: scene.repository });
});
afterEach(() => scene.close());

const changes = () => scene.worktrees.changes("coder");
const commit = (where: string, message: string) => {
  scene.gitIn(where, "add", "--all");
  scene.gitIn(where, "commit", "--quiet", `--message=${message}`);
};

describe("the changes in a worktree", () => {
  test("are none before anything was done, and before it was made", async () => {
    const base = scene.git("rev-parse", "main").trim();
    const none = {
      commits: [],
      commits_truncated: false,
      files: [],
      files_truncated: false,
      diff: "",
      diff_truncated: false,
    };
    expect(await changes()).toEqual({ branch: "sluice/coder", base, head: base, ...none });
    expect(await scene.worktrees.changes("other")).toEqual({ branch: "sluice/other", base: null, head: null, ...none });
    expect(scene.worktrees.status("coder")).toEqual({ branch: "sluice/coder", state: "whole", base });
    expect(scene.worktrees.status("other").state).toBe("none");
  });

  test("have the time of a commit as far as a date can be, whatever it says", async () => {
    const [tree, head] = ["HEAD^{tree}", "HEAD"].map((name) => scene.gitIn(folder, "rev-parse", name).trim());
    const said = ["253402300800 +0000", "67768036191676799 +0000", "1700000000 +9999", "yesterday"];
    const shown = [];
    for (const time of said) {
      const file = join(scene.folder, "commit");
      const who = "Ann <ann@example.org>";
      writeFileSync(file, `tree ${tree}\nparent ${head}\nauthor ${who} 1 +0000\ncommitter ${who} ${time}\n\nodd\n`);
      const made = scene.gitIn(folder, "hash-object", "-t", "commit", "-w", "--literally", file).trim();
      scene.gitIn(folder, "update-ref", "refs/heads/sluice/coder", made);
      shown.push(...(await changes()).commits.map(({ commit: name, at }) => [name === made, at]));
    }
    expect(shown).toEqual([
      [true, "+010000-01-01T00:00:00.000Z"],
      [true, "+275760-09-13T00:00:00.000Z"],
      [true, "2023-11-14T22:13:20.000Z"],
      [true, "1970-01-01T00:00:00.000Z"],
    ]);
    const refused = await scene.worktrees.remove("coder", { force: false }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: "conflict", extra: { work: { commits: [{ subject: "odd" }] } } });
  });

  test("are all of them, committed, staged, changed and untracked, and the diff is one that git applies", async () => {
    scene.write("committed.txt", "committed\n", folder);
    renameSync(join(folder, "src/main.txt"), join(folder, "src/moved.txt"));
    commit(folder, "mine: ünd");
    scene.write("staged.txt", "staged\n", folder);
    scene.gitIn(folder, "add", "staged.txt");
    scene.write("README.md", "hello\nworld\n", folder);
    scene.write("new/nöw\t.txt", "new\n", folder);
    symlinkSync("/etc/passwd", join(folder, "link"));
    const found = await changes();
    expect(found.files).toEqual([
      { path: "README.md", status: "modified" },
      { path: "committed.txt", status: "added" },
      { path: "link", status: "untracked" },
      { path: "new/nöw\t.txt", status: "untracked" },
      { path: "src/moved.txt", status: "renamed", from: "src/main.txt" },
      { path: "staged.txt", status: "added" },
    ]);
    expect(found.commits).toMatchObject([{ commit: found.head, subject: "mine: ünd" }]);
    expect(found.commits).toHaveLength(1);
    expect(found.diff).not.toContain("root:");
    scene.write("all.diff", found.diff, scene.folder);
    scene.git("update-index", "-q", "--refresh");
    scene.git("apply", "--index", join(scene.folder, "all.diff"));
    scene.git("commit", "--quiet", "--message=applied");
    scene.gitIn(folder, "add", "--all");
    expect(scene.gitIn(folder, "write-tree")).toBe(scene.git("rev-parse", "HEAD^{tree}"));
  });

  test("change nothing themselves: neither index nor objects of the repository", async () => {
    scene.write("new.txt", "new\n", folder);
    const before = [scene.gitIn(folder, "status", "--porcelain"), scene.git("count-objects")];
    await changes();
    expect([scene.gitIn(folder, "status", "--porcelain"), scene.git("count-objects")]).toEqual(before);
  });

  test("leave out what is ignored, and what came into the branch from the workspace's", async () => {
    scene.write(".gitignore", "built/\n");
    scene.write("theirs.txt", "theirs\n");
    commit(scene.repository, "theirs");
    scene.write("mine.txt", "mine\n", folder);
    commit(folder, "mine");
    scene.gitIn(folder, "merge", "--quiet", "--no-edit", "main");
    scene.write("built/x.o", "x", folder);
    expect((await changes()).files).toEqual([{ path: "mine.txt", status: "added" }]);
    scene.git("merge", "--quiet", "sluice/coder");
    expect(await changes()).toMatchObject({ files: [], commits: [], diff: "" });
  });

  test("are those that a conflict left too, and a kind that changed", async () => {
    scene.write("README.md", "theirs\n");
    commit(scene.repository, "theirs");
    scene.write("README.md", "mine\n", folder);
    commit(folder, "mine");
    expect(() => scene.gitIn(folder, "merge", "main")).toThrow(/Command failed/);
    rmSync(join(folder, "src/main.txt"));
    symlinkSync("../README.md", join(folder, "src/main.txt"));
    const { files, diff } = await changes();
    expect(files).toContainEqual({ path: "README.md", status: "conflicted" });
    expect(files).toContainEqual({ path: "src/main.txt", status: "type_changed" });
    expect(diff).toContain("README.md");
  });

  test("name a repository inside, and do not look into it", async () => {
    mkdirSync(join(folder, "inner"));
    scene.gitIn(folder, "init", "--quiet", "inner");
    scene.write("inner/in.txt", "in\n", folder);
    commit(join(folder, "inner"), "in");
    const { files, diff } = await changes();
    expect(files).toEqual([{ path: "inner/", status: "untracked" }]);
    expect(diff).toBe("");
  });

  test("that are larger than the limits are cut, and say so", async () => {
    for (let file = 0; file < 12; file++) {
      scene.write(`file-${file}.txt`, `${"ä".repeat(100)}\n`.repeat(20), folder);
      if (file < 6) commit(folder, `commit ${file}`);
    }
    const found = await scene.reopen({ files: 5, diffBytes: 10_001, commits: 3 }).changes("coder");
    expect(found).toMatchObject({ files_truncated: true, diff_truncated: true, commits_truncated: true });
    expect([found.files.length, found.commits.length]).toEqual([5, 3]);
    expect(Buffer.byteLength(found.diff)).toBeLessThanOrEqual(10_001);
    expect(found.diff).toMatch(/^diff --git .*ä\n$/s);
    expect(found.diff).not.toContain("\ufffd");
    const whole = await scene.reopen({ diffBytes: 1_000_000 }).changes("coder");
    expect(whole).toMatchObject({ files_truncated: false, diff_truncated: false, commits_truncated: false });
    expect(whole.diff.startsWith(found.diff)).toBe(true);
  });

  test("of a file that is no text, or too large to be shown, are told without its content", async () => {
    scene.write("binary", Buffer.from([0, 1, 2, 255]), folder);
    scene.write("large.txt", "x\n".repeat(3_000_000), folder);
    const { files, diff } = await changes();
    expect(files.map(({ path }) => path)).toEqual(["binary", "large.txt"]);
    expect(diff).toContain("Binary files /dev/null and b/binary differ");
    expect(diff).toContain("Binary files /dev/null and b/large.txt differ");
  });

  test("are read also where the index is split, or gone", async () => {
    scene.write("new.txt", "new\n", folder);
    scene.gitIn(folder, "add", "new.txt");
    scene.gitIn(folder, "update-index", "--split-index");
    const { files } = await changes();
    expect(files).toEqual([{ path: "new.txt", status: "added" }]);
    rmSync(join(scene.repository, ".git/worktrees/coder/index"));
    expect((await changes()).files).toContainEqual({ path: "new.txt", status: "untracked" });
    await expect(scene.worktrees.remove("coder", { force: false })).rejects.toMatchObject({ code: "conflict" });
  });
});
