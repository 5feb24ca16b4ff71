import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findSessionFile } from "../../gateway/claude/session-file.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

function newestRequest(): string {
  return JSON.stringify(scene.requests.at(-1)?.body.messages);
}

function folder(name: string): string {
  const path = join(scene.folder, name);
  mkdirSync(path, { recursive: true });
  return path;
}

/** A session with one answered turn, its process ended. */
async function endedSession(prompt: string, environment = scene.environment): Promise<string> {
  const driven = await scene.drive({ environment });
  await driven.say(prompt);
  await until("the session's file", () => findSessionFile({ environment }, driven.session), 30_000);
  await driven.driver.end();
  return driven.session;
}

test("[P6] a session whose process was ended goes on in a new one, by its file, with all that was said", async () => {
  const session = await endedSession("demo:text An answer to remember.");
  const driven = await scene.drive({ session });
  const turn = await driven.say("demo:text And on it goes.");
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "And on it goes." });
  expect(turn.events[0]).toMatchObject({ type: "turn_started", session, reused: false });
  expect(newestRequest()).toContain("demo:text An answer to remember.");
  expect(newestRequest().split("An answer to remember.")).toHaveLength(3);
});

test("[P6] it goes on from another folder too, and the turn after that as well", async () => {
  const session = await endedSession("demo:text Said in the first folder.");
  for (const name of ["second", "third"]) {
    const driven = await scene.drive({ session, workspace: folder(name) });
    const turn = await driven.say(`demo:text Said in the ${name} folder.`);
    expect(turn.ending).toMatchObject({ type: "turn_completed", text: `Said in the ${name} folder.` });
    await driven.driver.end();
  }
  for (const name of ["first", "second", "third"]) expect(newestRequest()).toContain(`Said in the ${name} folder.`);
});

test("[P6] it goes on with another configuration folder that the CLI's projects were copied to", async () => {
  const first = { ...scene.environment, CLAUDE_CONFIG_DIR: folder("config-one") };
  const second = { ...scene.environment, CLAUDE_CONFIG_DIR: folder("config-two") };
  const session = await endedSession("demo:text Said on the first machine.", first);
  cpSync(join(first.CLAUDE_CONFIG_DIR, "projects"), join(second.CLAUDE_CONFIG_DIR, "projects"), { recursive: true });
  const before = readFileSync(findSessionFile({ environment: first }, session)!, "utf8");
  const driven = await scene.drive({ session, environment: second, workspace: folder("elsewhere") });
  const turn = await driven.say("demo:text Said on the second machine.");
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "Said on the second machine." });
  expect(newestRequest()).toContain("Said on the first machine.");
  await driven.driver.end();
  expect(readFileSync(findSessionFile({ environment: first }, session)!, "utf8")).toBe(before);
  expect(readFileSync(findSessionFile({ environment: second }, session)!, "utf8")).toContain(
    "Said on the second machine.",
  );
});

test("[P6] a session keeps one file, whatever folder its turns ran in", async () => {
  const session = await endedSession("demo:text One file.");
  const driven = await scene.drive({ session, workspace: folder("one-file") });
  await driven.say("demo:text Still one file.");
  await driven.driver.end();
  const projects = join(scene.environment["HOME"]!, ".claude", "projects");
  const files = readdirSync(projects, { recursive: true, encoding: "utf8" }).filter((name) => name.includes(session));
  expect(files.filter((name) => name.endsWith(".jsonl"))).toHaveLength(1);
});

test("[P6] a process that ended before its first prompt leaves no file, and the session begins anew", async () => {
  const session = randomUUID();
  const early = await scene.drive({ session });
  await early.driver.ready;
  await early.driver.end();
  expect(findSessionFile({ environment: scene.environment }, session)).toBeUndefined();
  const driven = await scene.drive({ session });
  expect((await driven.say("demo:text After all.")).ending).toMatchObject({ text: "After all." });
});

test("[P6] a session file whose last line was torn goes on with all that stands before it", async () => {
  const session = await endedSession("demo:text Before the tear.");
  appendFileSync(
    findSessionFile({ environment: scene.environment }, session)!,
    '{"type":"assistant","message":{"content":[{"ty',
  );
  for (const words of ["After the tear.", "And once more."]) {
    const driven = await scene.drive({ session });
    const turn = await driven.say(`demo:text ${words}`);
    expect(turn.ending).toMatchObject({ type: "turn_completed", text: words });
    await driven.driver.end();
  }
  for (const words of ["Before the tear.", "After the tear."]) expect(newestRequest()).toContain(words);
});

test.each([
  ["holds no JSON", "this is no session\n"],
  ["holds only an empty line", "\n"],
  ["breaks off in its first line", '{"type":"user","message":{"role":"us'],
])("[P6] a session file that %s fails the turn as session_lost, and no prompt is sent", async (_, content) => {
  const session = randomUUID();
  const project = join(scene.environment["HOME"]!, ".claude", "projects", "-broken");
  mkdirSync(project, { recursive: true });
  writeFileSync(join(project, `${session}.jsonl`), content);
  const before = scene.requests.length;
  const driven = await scene.drive({ session });
  const turn = await driven.say("demo:text Never said.");
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "session_lost", retryable: false });
  expect(driven.driver.isUsable).toBe(false);
  expect(scene.requests.length).toBe(before);
});
