// Sessions without boxes: the rules that stand in for one.
import { readdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { newFolder, openGateway, type OwnGateway } from "../support/gateway.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

let scene: Scene;
let gateway: OwnGateway;
let mine: string;
let other: string;
beforeAll(async () => {
  scene = await openScene();
  const agents = [{ name: "tester", allowed_tools: ["Bash", "Read", "Write"] }];
  gateway = await openGateway(scene, { agents, file: { isolation: "off" } });
  other = (await say("demo:text The word of the other one is pelican.")).session;
  mine = (await say("demo:text This one's is heron.")).session;
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

const say = async (prompt: string, session?: string) =>
  gateway.ended((await gateway.post(prompt, session === undefined ? {} : { session })).turn);

/** What the tool answered, of a call in our own session. */
const call = async (tool: string, input: object): Promise<string> =>
  (await say(`demo:tool ${tool} ${JSON.stringify(input)}`, mine))["text"] as string;

/** Where the CLI keeps the session: the operator's configuration folder, in which nothing is any session's own. */
function fileOf(session: string): string {
  const projects = join(realpathSync(scene.environment["HOME"]!), ".claude/projects");
  const name = readdirSync(projects, { recursive: true, encoding: "utf8" }).find((one) =>
    one.endsWith(`${session}.jsonl`),
  );
  return join(projects, name!);
}

test("[A9] the CLI's tools read and change nothing of another session", async () => {
  const file = fileOf(other);
  expect(await call("Read", { file_path: file })).toContain("denied");
  expect(await call("Bash", { command: `cat ${file}` })).toContain("denied");
  expect(await call("Write", { file_path: file, content: "" })).toContain("denied");
  const folder = join(gateway.dataFolder, "sessions", other, "workspace");
  expect(await call("Write", { file_path: join(folder, "planted"), content: "" })).toContain("denied");
  expect(readdirSync(folder)).toEqual([]);
});

test("[A9] nor of the data folder", async () => {
  for (const name of ["key", "signing.json", "sluice.sqlite", "lock.json"])
    expect([name, await call("Read", { file_path: join(gateway.dataFolder, name) })]).toEqual([
      name,
      expect.stringContaining("denied"),
    ]);
});

test("what is its own it may: its file, and the folder it works in", async () => {
  expect(await call("Read", { file_path: fileOf(mine) })).toContain("heron");
  const own = join(gateway.dataFolder, "sessions", mine, "workspace/own.txt");
  await call("Write", { file_path: own, content: "written by itself" });
  expect(await call("Read", { file_path: own })).toContain("written by itself");
});

test("a workspace that holds the data folder is refused, and one inside it", async () => {
  const workspace = newFolder(scene, "around");
  const inside = join(workspace, "data");
  const start = (settings: object) => openGateway(scene, { file: { isolation: "off" }, ...settings });
  const refused = { fault: "config_invalid", message: expect.stringContaining("data folder") as string };
  await expect(start({ agents: [{ name: "a", workspace }], dataFolder: inside })).rejects.toMatchObject(refused);
  const sessions = join(inside, "sessions");
  await expect(start({ agents: [{ name: "a", workspace: sessions }], dataFolder: inside })).rejects.toMatchObject(
    refused,
  );
});
