// A repository that runs a program wherever git lets it: none of ours runs one.
import { chmodSync, existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { openGitScene, type GitScene } from "../../support/git-scene.ts";

let scene: GitScene;
let canary: string;
beforeEach(() => {
  scene = openGitScene();
  canary = join(scene.folder, "canary");
});
afterEach(() => scene.close());

/** A program of the repository's that says that it was run, and goes on as a filter would. */
function trap(name: string, goesOn = "cat"): string {
  const file = join(scene.folder, `trap-${name}`);
  writeFileSync(file, `#!/bin/sh\necho ${name} >>${canary}\n${goesOn}\n`);
  chmodSync(file, 0o755);
  return file;
}

const sprung = () => (existsSync(canary) ? readFileSync(canary, "utf8") : "");

function setTraps(where: string): void {
  const config = (key: string, value: string) => scene.gitIn(where, "config", key, value);
  const hooks = join(scene.folder, "hooks");
  const names = [
    "post-checkout",
    "reference-transaction",
    "post-index-change",
    "pre-commit",
    "post-commit",
    "post-merge",
  ];
  for (const name of names) {
    for (const folder of [hooks, join(scene.repository, ".git/hooks")]) {
      scene.write(name, `#!/bin/sh\necho ${name} >>${canary}\n`, folder);
      chmodSync(join(folder, name), 0o755);
    }
  }
  config("core.fsmonitor", trap("fsmonitor"));
  config("core.pager", trap("pager"));
  config("core.editor", trap("editor"));
  config("core.sshCommand", trap("ssh"));
  config("core.askPass", trap("askpass"));
  config("pager.diff", trap("pager-diff"));
  config("diff.external", trap("external"));
  config("diff.trap.command", trap("diff-command"));
  config("diff.trap.textconv", trap("textconv"));
  config("diff.trap.cachetextconv", "true");
  config("filter.trap.clean", trap("clean"));
  config("filter.trap.smudge", trap("smudge"));
  config("filter.trap.required", "true");
  config("filter.long.process", trap("process"));
  config("filter.lfs.smudge", trap("lfs"));
  config("filter.lfs.clean", trap("lfs"));
  config("log.showSignature", "true");
  config("gpg.program", trap("gpg"));
  config("credential.helper", trap("credential"));
  config("alias.diff", `!${trap("alias")}`);
  config("worktree.guessRemote", "true");
  config("branch.autoSetupMerge", "always");
  config("core.attributesFile", join(scene.folder, "attributes"));
  scene.write("attributes", "* diff=trap filter=trap\n", scene.folder);
  scene.write(".git/info/attributes", "* diff=trap filter=trap\n");
}

/** Everything that we do with a worktree. */
async function everything(): Promise<void> {
  const agent = { name: "coder", workspace: scene.repository };
  const { worktrees } = scene;
  await worktrees.check(agent);
  const folder = await worktrees.ensure(agent);
  expect(readFileSync(join(folder, "README.md"), "utf8")).toBe("hello\n");
  scene.write("README.md", "changed\n", folder);
  scene.write("new.lfs", "new\n", folder);
  expect((await worktrees.changes("coder")).diff).toContain("+changed\n");
  worktrees.status("coder");
  await expect(worktrees.remove("coder", { force: false })).rejects.toMatchObject({ code: "conflict" });
  rmSync(folder, { recursive: true });
  await worktrees.ensure(agent);
  await scene.reopen().sweep(() => scene.repository);
  await worktrees.remove("coder", { force: true });
  expect(scene.left()).toEqual({ folders: [], entries: [], branches: [] });
}

describe("a repository that runs programs", () => {
  test("is met by a git that would run them", () => {
    setTraps(scene.repository);
    scene.write("README.md", "changed\n");
    scene.git("diff");
    scene.git("status");
    scene.git("checkout", "--quiet", "-b", "x");
    rmSync(join(scene.repository, "src/main.txt"));
    scene.git("checkout", "src/main.txt");
    for (const name of ["diff-command", "fsmonitor", "smudge", "clean", "post-checkout", "reference-transaction"])
      expect(sprung()).toContain(`${name}\n`);
  });

  test("runs none by our calls: hooks, monitors, drivers, filters, LFS, pagers, signatures, aliases", async () => {
    scene.write(".gitattributes", "* filter=trap diff=trap\n*.lfs filter=lfs diff=lfs\n*.txt filter=long\n");
    scene.git("add", ".");
    scene.git("commit", "--quiet", "--message=attributes");
    setTraps(scene.repository);
    await everything();
    expect(sprung()).toBe("");
  });

  test("runs none by a folder of hooks that its configuration names, or an included one", async () => {
    setTraps(scene.repository);
    scene.git("config", "core.hooksPath", join(scene.folder, "hooks"));
    scene.write("included", `[core]\n\tfsmonitor = ${trap("included")}\n`, scene.folder);
    scene.git("config", "include.path", join(scene.folder, "included"));
    await everything();
    expect(sprung()).toBe("");
  });

  test("runs none where the agent sets the traps, in its worktree, when it is there already", async () => {
    const folder = await scene.worktrees.ensure({ name: "coder", workspace: scene.repository });
    scene.git("config", "extensions.worktreeConfig", "true");
    setTraps(folder);
    scene.gitIn(folder, "config", "--worktree", "core.fsmonitor", trap("worktree-config"));
    scene.write(".gitattributes", "* filter=trap diff=trap\n", folder);
    // A folder of git's own whose configuration it wrote whole.
    scene.write(".git", `gitdir: ${join(scene.folder, "fake")}\n`, folder);
    scene.gitIn(scene.folder, "init", "--quiet", "--bare", "fake");
    scene.write("config", `[core]\n\tbare = false\n\tfsmonitor = ${trap("fake")}\n`, join(scene.folder, "fake"));
    await everything();
    expect(sprung()).toBe("");
  });

  test("runs none in a submodule, or in a repository inside of the worktree", async () => {
    const module = join(scene.folder, "module");
    scene.gitIn(scene.folder, "init", "--quiet", "module");
    scene.write("m.txt", "m\n", module);
    scene.gitIn(module, "add", ".");
    scene.gitIn(module, "commit", "--quiet", "--message=m");
    scene.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", module, "module");
    scene.git("commit", "--quiet", "--message=module");
    scene.git("config", "submodule.recurse", "true");
    const folder = await scene.worktrees.ensure({ name: "coder", workspace: scene.repository });
    scene.gitIn(folder, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init");
    scene.gitIn(folder, "init", "--quiet", "inner");
    for (const inside of [join(folder, "module"), join(folder, "inner")]) {
      setTraps(inside);
      scene.write("m.txt", "changed\n", inside);
    }
    const files = (await scene.worktrees.changes("coder")).files.map(({ path }) => path);
    expect(files).toContain("inner/");
    await expect(scene.worktrees.remove("coder", { force: false })).rejects.toMatchObject({
      extra: { work: { untracked: expect.arrayContaining(["inner/", "module"]) } },
    });
    await scene.worktrees.remove("coder", { force: true });
    expect(sprung()).toBe("");
  });

  test("runs no transport: what a partial clone misses is not fetched, and the try leaves nothing", async () => {
    const blob = scene.git("rev-parse", "HEAD:README.md").trim();
    rmSync(join(scene.repository, ".git/objects", blob.slice(0, 2), blob.slice(2)));
    scene.git("config", "core.repositoryformatversion", "1");
    scene.git("config", "extensions.partialClone", "origin");
    scene.git("config", "remote.origin.promisor", "true");
    scene.git("config", "remote.origin.url", `ext::${trap("transport", "exit 1")}`);
    scene.git("config", "protocol.ext.allow", "always");
    const agent = { name: "coder", workspace: scene.repository };
    await expect(scene.worktrees.ensure(agent)).rejects.toMatchObject({ code: "conflict" });
    expect(scene.left()).toEqual({ folders: [], entries: [], branches: [] });
    expect(sprung()).toBe("");
    // A person's git does fetch it.
    expect(() => scene.git("cat-file", "blob", blob)).toThrow(/Command failed/);
    expect(sprung()).toContain("transport\n");
  });

  test("gets nothing of the gateway's environment", async () => {
    process.env["SECRET_OF_THE_GATEWAY"] = "canary";
    process.env["GIT_DIR"] = join(scene.folder, "fake");
    process.env["GIT_EXTERNAL_DIFF"] = trap("environment");
    process.env["GIT_TRACE"] = join(scene.folder, "trace");
    try {
      await everything();
    } finally {
      for (const name of ["SECRET_OF_THE_GATEWAY", "GIT_DIR", "GIT_EXTERNAL_DIFF", "GIT_TRACE"])
        delete process.env[name];
    }
    expect(sprung()).toBe("");
    expect(readdirSync(scene.folder)).not.toContain("trace");
  });
});
