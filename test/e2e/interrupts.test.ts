import { readdirSync, readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { familyOf } from "../../gateway/claude/process-table.ts";
import type { TurnEvent } from "../../gateway/protocol/events.ts";
import { openScene, type Driven, type Scene } from "../support/real-cli.ts";
import { rebuild } from "../support/rebuild.ts";
import { until } from "../support/wait.ts";

const somebody = { key: "test", user: "somebody" };

let scene: Scene;
let plain: Driven;

beforeAll(async () => {
  scene = await openScene();
  plain = await scene.drive({ agent: { allowed_tools: ["Bash"] } });
});
afterAll(() => scene.close());

/** Resolves once an event of the turn is such. */
async function seen(driven: Driven, turn: string, what: (event: TurnEvent) => boolean): Promise<void> {
  await until("an event", () => driven.events.some((event) => event.turn === turn && what(event)), 30_000);
}

/** Processes whose command line holds these words. */
function running(words: string): number[] {
  return readdirSync("/proc").flatMap((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return [];
    try {
      return readFileSync(`/proc/${name}/cmdline`, "utf8").includes(words) ? [Number(name)] : [];
    } catch {
      // It ended since it was listed.
      return [];
    }
  });
}

async function servesTheNextTurn(driven: Driven): Promise<void> {
  const turn = await driven.say("demo:text Next, please.");
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "Next, please." });
  expect(turn.events.find(({ type }) => type === "turn_started")).toMatchObject({ reused: true });
}

test("[T4] cancelled before the first byte of an answer, a turn ends as cancelled and the process goes on", async () => {
  const before = scene.requests.length;
  const begun = plain.begin("demo:hang");
  await until("the request", () => scene.requests.length > before, 30_000);
  plain.driver.cancel(somebody);
  const turn = await begun.ended;
  expect(turn.ending).toEqual({ turn: turn.turn, type: "turn_cancelled", by: somebody, text: "" });
  rebuild(turn.events);
  await servesTheNextTurn(plain);
});

test("[T4] cancelled in the middle of its text, a turn keeps what was said", async () => {
  const begun = plain.begin("demo:long words=2000 rate=100");
  await seen(plain, begun.turn, (event) => event.type === "content_block_delta" && event.offset > 50);
  plain.driver.cancel(somebody);
  const turn = await begun.ended;
  expect(turn.ending).toMatchObject({ type: "turn_cancelled", text: expect.stringMatching(/^word1 word2 .*word9 /) });
  expect(turn.ending).not.toMatchObject({ text: expect.stringContaining("word2000") });
  const [message] = rebuild(turn.events);
  expect(turn.ending).toMatchObject({ text: message?.blocks[0]?.content });
  await servesTheNextTurn(plain);
});

test("[T4] cancelled before the CLI has read the prompt, a turn ends as cancelled, ten times over", async () => {
  for (let i = 0; i < 10; i++) {
    const begun = plain.begin(`demo:hang\nunread ${i}`);
    plain.driver.cancel(somebody);
    expect((await begun.ended).ending).toMatchObject({ type: "turn_cancelled", by: somebody, text: "" });
  }
  await servesTheNextTurn(plain);
});

test("[T4] cancelled at any moment, a turn ends once and the process goes on", async () => {
  for (const delayMs of [1, 2, 3, 5, 8, 13, 21, 34]) {
    const begun = plain.begin("demo:long words=3000 rate=1000");
    const timer = setTimeout(() => plain.driver.cancel(somebody), delayMs);
    const turn = await begun.ended;
    clearTimeout(timer);
    rebuild(turn.events);
    expect(turn.ending.type).toBe("turn_cancelled");
  }
  await servesTheNextTurn(plain);
});

test("[T4] cancelled before its process is up, a turn ends as cancelled and its prompt is never sent", async () => {
  const driven = await scene.drive();
  const before = scene.requests.length;
  const begun = driven.begin("demo:text Too late.");
  driven.driver.cancel(somebody);
  expect((await begun.ended).ending).toMatchObject({ type: "turn_cancelled", by: somebody, text: "" });
  await driven.driver.ready;
  const turn = await driven.say("demo:text In time.");
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "In time." });
  const prompts = JSON.stringify(scene.requests.slice(before));
  expect(prompts).toContain("In time.");
  expect(prompts).not.toContain("Too late.");
});

test("[T4, P3] cancelled while a Bash tool runs, a turn ends and the tool with it, within 5 s", async () => {
  const words = "sleep 600.25";
  const begun = plain.begin(`demo:tool Bash {"command":"${words}; echo done"}`);
  await until("the tool", () => running(words).length > 0, 30_000);
  plain.driver.cancel(somebody);
  const turn = await begun.ended;
  expect(turn.ending).toMatchObject({ type: "turn_cancelled", by: somebody });
  await until("the tool's end", () => running(words).length === 0, 5000);
  const [call] = rebuild(turn.events);
  expect(turn.events.find(({ type }) => type === "tool_result")).toMatchObject({
    tool_use_id: call?.blocks[0]?.start["id"],
    is_error: true,
  });
  await servesTheNextTurn(plain);
});

test("[T4] a second cancel, and one without a turn, change nothing", async () => {
  plain.driver.cancel(somebody);
  const begun = plain.begin("demo:long words=2000 rate=100");
  await seen(plain, begun.turn, ({ type }) => type === "content_block_delta");
  plain.driver.cancel(somebody);
  plain.driver.cancel({ gateway: "shutdown" });
  const turn = await begun.ended;
  expect(turn.ending).toMatchObject({ type: "turn_cancelled", by: somebody });
  plain.driver.cancel(somebody);
  await servesTheNextTurn(plain);
});

test("[P3] a process that is ended while a tool runs leaves nothing behind within 5 s", async () => {
  const driven = await scene.drive({ agent: { allowed_tools: ["Bash"] } });
  const words = "sleep 600.75";
  const begun = driven.begin(`demo:tool Bash {"command":"${words}; echo done"}`);
  await until("the tool", () => running(words).length > 0, 30_000);
  const started = performance.now();
  await driven.driver.end();
  expect(performance.now() - started).toBeLessThan(5000);
  expect(running(words)).toEqual([]);
  expect(familyOf(driven.driver.pid)).toEqual([]);
  const turn = await begun.ended;
  rebuild(turn.events);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "process_died" });
  expect(driven.driver.isUsable).toBe(false);
});
