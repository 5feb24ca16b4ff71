import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { markerVariable } from "../../../gateway/claude/command.ts";
import { familyOf, startTimeOf } from "../../../gateway/claude/process-table.ts";
import { makePrivateFolder, sweep } from "../../../gateway/claude/run-folder.ts";
import { until } from "../../support/wait.ts";

const runFolderModule = new URL("../../../gateway/claude/run-folder.ts", import.meta.url).href;

let runFolder: string;
let children: ChildProcess[] = [];
beforeEach(() => {
  runFolder = join(mkdtempSync(join(tmpdir(), "sluice-test-")), "run");
});
afterEach(() => {
  for (const child of children) child.kill("SIGKILL");
  children = [];
  rmSync(join(runFolder, ".."), { recursive: true, force: true });
});

/** A process that sleeps, with a child that sleeps too. */
async function sleeper(env: Record<string, string> = {}): Promise<{ child: ChildProcess; pids: number[] }> {
  const child = spawn("/bin/sh", ["-c", "sleep 600 & wait"], {
    env: { PATH: process.env["PATH"], ...env },
    stdio: "ignore",
  });
  children.push(child);
  const family = await until("its child", () => {
    const family = familyOf(child.pid!);
    return family.length === 2 && family;
  });
  return { child, pids: family.map(({ pid }) => pid) };
}

const isGone = (pids: number[]) =>
  until("the processes to be gone", () => pids.every((pid) => startTimeOf(pid) === undefined));

test("a private folder is closed to others, its files and FIFOs too", async () => {
  const folder = await makePrivateFolder(runFolder);
  folder.write({ "mcp.json": "{}" });
  folder.note(process.pid);
  const mode = (path: string) => (statSync(path).mode & 0o777).toString(8);
  expect(mode(folder.path)).toBe("700");
  const fifos = [folder.stdin, folder.stderr, folder.words];
  for (const path of [...fifos, join(folder.files, "mcp.json")]) expect(mode(path)).toBe("600");
  expect(fifos.every((path) => statSync(path).isFIFO())).toBe(true);
  expect(readFileSync(join(folder.path, "pid"), "utf8")).toBe(`${process.pid} ${startTimeOf(process.pid)}`);
  folder.remove();
  expect(existsSync(folder.path)).toBe(false);
});

test("[P3] the sweep ends what an earlier gateway noted, with its children, and removes the folder", async () => {
  const folder = await makePrivateFolder(runFolder);
  const { child, pids } = await sleeper();
  folder.note(child.pid!);
  expect(await sweep(runFolder)).toBeGreaterThanOrEqual(2);
  await isGone(pids);
  expect(existsSync(folder.path)).toBe(false);
});

test.runIf(process.platform === "linux")("[P3] the sweep ends what was not noted but carries a marker", async () => {
  const folder = await makePrivateFolder(runFolder);
  const { pids } = await sleeper({ [markerVariable]: folder.marker });
  expect(await sweep(runFolder)).toBeGreaterThanOrEqual(2);
  await isGone(pids);
});

test("[P3] the sweep leaves a process alone that only has the noted id, and one of another gateway", async () => {
  const folder = await makePrivateFolder(runFolder);
  const noted = await sleeper();
  const foreign = await sleeper({ [markerVariable]: "another-gateway" });
  writeFileSync(join(folder.path, "pid"), `${noted.child.pid} 1`);
  expect(await sweep(runFolder)).toBe(0);
  for (const pid of [...noted.pids, ...foreign.pids]) expect(startTimeOf(pid)).toBeDefined();
});

test.each(["", "not a number", "-1 x", "0 ", "1 "])("[P3] a torn note (%j) harms nobody", async (text) => {
  const folder = await makePrivateFolder(runFolder);
  writeFileSync(join(folder.path, "pid"), text);
  expect(await sweep(runFolder)).toBe(0);
  expect(existsSync(folder.path)).toBe(false);
});

test("[P3] what a tool closed against being emptied is removed too, and what cannot be removed fails nothing", () => {
  // As somebody to whom modes mean something.
  const { uid, gid } = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
  const script = `
    import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
    import { makePrivateFolder, sweep } from ${JSON.stringify(runFolderModule)};
    const run = mkdtempSync("/tmp/sluice-closed-");
    const close = ({ path }) => {
      mkdirSync(path + "/a/b", { recursive: true });
      writeFileSync(path + "/a/b/file", "");
      for (const part of ["/a/b", "/a"]) chmodSync(path + part, 0o500);
    };
    const [own, left, stuck] = [await makePrivateFolder(run), await makePrivateFolder(run), await makePrivateFolder(run)];
    for (const folder of [own, left]) close(folder);
    own.remove();
    chmodSync(run, 0o500);
    stuck.remove();
    const isStuck = existsSync(stuck.path);
    chmodSync(run, 0o700);
    await sweep(run);
    console.log(JSON.stringify([own, left, stuck].map(({ path }) => existsSync(path)).concat(isStuck)));
    rmSync(run, { recursive: true });`;
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script], {
    encoding: "utf8",
    ...(uid === undefined ? {} : { uid, gid }),
  });
  expect([stdout.trim(), stderr]).toEqual(["[false,false,false,true]", ""]);
});

test("a sweep where nothing has ever run does nothing", async () => expect(await sweep(runFolder)).toBe(0));
