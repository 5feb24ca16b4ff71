import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { sweep } from "../../../gateway/claude/run-folder.ts";
import { startNode } from "../../support/child.ts";
import { openGitScene, type GitScene } from "../../support/git-scene.ts";
import { random, scaled, testSeed } from "../../support/scale.ts";
import { until } from "../../support/wait.ts";

let scene: GitScene;
beforeEach(() => void (scene = openGitScene()));
afterEach(() => scene.close());

const maker = new URL("../../support/worktree-maker.ts", import.meta.url).pathname;
const names = (count: number) => Array.from({ length: count }, (_, index) => `coder-${index}`);

/** Enough that a checkout takes a while. */
function manyFiles(count: number): void {
  for (let file = 0; file < count; file++) scene.write(`many/${file % 50}/${file}.txt`, `${file}\n`.repeat(20));
  scene.git("add", ".");
  scene.git("commit", "--quiet", "--message=many");
}

/** Every folder in the root is a worktree that misses nothing, and nothing is noted anywhere that has no folder. */
function expectWholeOrAbsent(): void {
  const { folders, entries, branches } = scene.left();
  for (const name of folders)
    expect(scene.gitIn(join(scene.root, name), "status", "--porcelain", "--branch")).toBe(`## sluice/${name}\n`);
  expect(entries.toSorted()).toEqual(folders.toSorted());
  expect(branches.toSorted()).toEqual(folders.map((name) => `sluice/${name}`).toSorted());
  const locks = execFileSync("find", [join(scene.repository, ".git"), "-name", "*.lock"], { encoding: "utf8" });
  expect(locks).toBe("");
}

describe("twenty worktrees made at once", () => {
  test(
    "[P3] the gateway killed in the middle: at the next start all are whole or absent, and can be made",
    async () => {
      manyFiles(300);
      const seed = testSeed();
      const next = random(seed);
      const rounds = scaled({ short: 2, long: 40 });
      for (let round = 0; round < rounds; round++) {
        const child = startNode(maker, scene.root, scene.runFolder, scene.repository, "20");
        await child.firstLine;
        const point = Math.floor(next() * 20);
        const record = join(scene.root, ".records", `coder-${point}`, "record.json");
        await until("some to be begun", () => existsSync(record), 60_000);
        await wait(Math.floor(next() * 40));
        await child.kill();
        const where = `round ${round}, seed ${seed}`;
        // What a start does, in its order.
        await sweep(scene.runFolder);
        const worktrees = scene.reopen();
        expect(await worktrees.sweep(() => scene.repository), where).toEqual([]);
        expectWholeOrAbsent();
        await Promise.all(names(20).map((name) => worktrees.ensure({ name, workspace: scene.repository })));
        expect(scene.left().folders, where).toHaveLength(20);
        expectWholeOrAbsent();
        await Promise.all(names(20).map((name) => worktrees.remove(name, { force: true })));
        expect(scene.left(), where).toEqual({ folders: [], entries: [], branches: [] });
      }
    },
    scaled({ short: 600_000, long: 1_800_000 }),
  );

  test("one git killed in the middle: that one is absent, the others are whole, and it can be made again", async () => {
    manyFiles(300);
    const path = gitKilledIn("coder-7");
    const { worktrees } = scene;
    const one = scene.reopen({}, path);
    const made = await Promise.allSettled(names(20).map((name) => one.ensure({ name, workspace: scene.repository })));
    expect(made.map(({ status }) => status)).toEqual(
      names(20).map((_, index) => (index === 7 ? "rejected" : "fulfilled")),
    );
    expect(made[7]).toMatchObject({
      reason: { code: "conflict", cause: { message: expect.stringContaining("SIGKILL") } },
    });
    expectWholeOrAbsent();
    await worktrees.ensure({ name: "coder-7", workspace: scene.repository });
    expect(scene.left().folders).toHaveLength(20);
    expectWholeOrAbsent();
  }, 120_000);

  test("a removal that was killed is finished at the next start", async () => {
    const folder = await scene.worktrees.ensure({ name: "coder", workspace: scene.repository });
    const record = join(scene.root, ".records/coder/record.json");
    const noted = JSON.parse(execFileSync("cat", [record], { encoding: "utf8" })) as { base: string };
    scene.write("record.json", JSON.stringify({ ...noted, state: "removing", tip: noted.base }), join(record, ".."));
    execFileSync("rm", ["-r", join(folder, "src")]);
    expect(await scene.reopen().sweep(() => scene.repository)).toEqual([]);
    expect(scene.left()).toEqual({ folders: [], entries: [], branches: [] });
  });
});

/** A PATH with a git that is killed while it fills the worktree of this agent. */
function gitKilledIn(agent: string): string {
  const git = execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
  const script = `#!/bin/sh
case "$GIT_INDEX_FILE $*" in
  */worktrees/${agent}/index*read-tree*)
    ${git} "$@" & pid=$!
    until [ -e many/1 ]; do :; done
    kill -9 $pid
    kill -9 $$ ;;
esac
exec ${git} "$@"
`;
  scene.write("git", script, join(scene.folder, "bin"));
  chmodSync(join(scene.folder, "bin/git"), 0o755);
  return `${join(scene.folder, "bin")}:${process.env["PATH"]}`;
}

describe("a disk that fills", () => {
  /** Runs the maker with a file system where the worktrees, or the repository, are to be, that has so much room left. */
  async function makeOn(place: "worktrees" | "repository", kilobytes: number): Promise<Record<string, string>[]> {
    const mounted = place === "worktrees" ? scene.root : scene.repository;
    mkdirSync(mounted, { recursive: true });
    const script = [
      `cp -a ${scene.repository} ${scene.folder}/copy`,
      `mount -t tmpfs -o size=50m none ${mounted}`,
      ...(place === "repository" ? [`cp -a ${scene.folder}/copy/. ${mounted}`] : []),
      `head -c $(( $(df --output=avail -k ${mounted} | tail -n 1) - ${kilobytes} ))k /dev/zero >${mounted}/.filler`,
      '"$@"',
      "echo left:",
      `find ${mounted} -mindepth 1 -not -path '*/.git/objects*'`,
    ].join(" && ");
    const args = ["-rm", "sh", "-c", script, "sh", process.execPath, maker, scene.root, scene.runFolder];
    const child = spawnSync("unshare", [...args, scene.repository, "3"], { encoding: "utf8" });
    if (!child.stdout?.includes("left:"))
      throw new Error(`this test needs user namespaces (unshare -rm): ${child.error?.message ?? child.stderr}`);
    return child.stdout
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => (line.startsWith("{") ? (JSON.parse(line) as Record<string, string>) : { left: line }));
  }

  test("with worktrees: refused as no_capacity, and nothing of it is left", async () => {
    scene.write("large.bin", Buffer.alloc(400_000, "x"));
    manyFiles(200);
    const said = await makeOn("worktrees", 2500);
    const made = said.flatMap(({ made: name }) => (name === undefined ? [] : [name]));
    const failed = said.filter(({ failed: name }) => name !== undefined);
    expect(made.length + failed.length).toBe(3);
    expect(failed.length).toBeGreaterThan(0);
    for (const { code, message } of failed)
      expect({ code, message }).toEqual({ code: "no_capacity", message: diskFull });
    const left = said.flatMap(({ left: path }) => path ?? []);
    const folders = left.flatMap((path) => /worktrees\/(coder-\d)$/.exec(path)?.[1] ?? []);
    expect(folders).toEqual(made.toSorted());
    expect(left.filter((path) => /\.records\/coder-\d$/.test(path))).toHaveLength(made.length);
    expect(scene.left()).toMatchObject({
      entries: made.toSorted(),
      branches: made.map((name) => `sluice/${name}`).toSorted(),
    });
  });

  test("with the repository: the same", async () => {
    scene.git("pack-refs", "--all");
    const said = await makeOn("repository", 40);
    const made = said.flatMap(({ made: name }) => (name === undefined ? [] : [name]));
    const failed = said.filter(({ failed: name }) => name !== undefined);
    expect(failed.length).toBeGreaterThan(0);
    const left = said.flatMap(({ left: path }) => path ?? []);
    for (const { failed: name } of failed) expect(left.filter((path) => path.includes(name!))).toEqual([]);
    expect(
      readdirSync(scene.root)
        .filter((name) => !name.startsWith("."))
        .toSorted(),
    ).toEqual(made.toSorted());
    expect(left.filter((path) => path.endsWith(".lock"))).toEqual([]);
  });

  const diskFull = "The disk is full: the agent's worktree could not be made.";
});
