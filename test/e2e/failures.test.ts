import { afterAll, beforeAll, expect, test } from "vitest";
import type { TurnEvent } from "../../gateway/protocol/events.ts";
import { openScene, type Driven, type Scene } from "../support/real-cli.ts";
import { rebuild } from "../support/rebuild.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let plain: Driven;

beforeAll(async () => {
  scene = await openScene();
  plain = await scene.drive({ agent: { allowed_tools: ["Bash"] } });
});
afterAll(() => scene.close());

function only<Type extends TurnEvent["type"]>(events: readonly TurnEvent[], type: Type) {
  return events.filter((event): event is Extract<TurnEvent, { type: Type }> => event.type === type);
}

test.each([
  [401, "not_logged_in", false],
  [403, "not_logged_in", false],
  [400, "api_error", false],
  [404, "api_error", false],
  [500, "api_error", true],
  [503, "overloaded", true],
  [529, "overloaded", true],
])(
  "an API that answers %i fails the turn as %s, said as a block too, and the process goes on",
  async (status, code, retryable) => {
    const turn = await plain.say(`demo:error status=${status}`);
    expect(turn.ending).toMatchObject({ type: "turn_failed", code, retryable });
    const [message] = rebuild(turn.events);
    expect(message).toMatchObject({ model: "<synthetic>", isOpen: false });
    expect(turn.ending).toMatchObject({ text: message?.blocks[0]?.content });
    expect((await plain.say(`demo:text After ${status}.`)).ending).toMatchObject({ text: `After ${status}.` });
  },
);

test("an overloaded API that recovers is announced by api_retry, and the turn completes", async () => {
  const driven = await scene.drive({ environment: { ...scene.environment, CLAUDE_CODE_MAX_RETRIES: "2" } });
  const turn = await driven.say("demo:error status=529 times=2");
  expect(only(turn.events, "api_retry")).toMatchObject([
    { attempt: 1, max_attempts: 2, status: 529 },
    { attempt: 2, max_attempts: 2, status: 529 },
  ]);
  expect(only(turn.events, "api_retry").every(({ delay_ms }) => delay_ms > 0)).toBe(true);
  rebuild(turn.events);
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "It worked at last." });
});

test("a 429 without a limit's headers fails the turn as rate_limited", async () => {
  const turn = await plain.say("demo:error status=429");
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "rate_limited", retryable: true });
  expect(turn.ending).not.toHaveProperty("resets_at");
});

test("[P5] a rejected limit is an event, and the turn fails as rate_limited with the time of its reset", async () => {
  const turn = await plain.say("demo:limit status=rejected claim=five_hour resets_in=3600");
  const [limit] = only(turn.events, "rate_limit");
  expect(limit).toMatchObject({ status: "rejected", limit: "five_hour" });
  const inMs = Date.parse(limit!.resets_at!) - Date.now();
  expect(inMs).toBeGreaterThan(3_500_000);
  expect(inMs).toBeLessThanOrEqual(3_600_000);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "rate_limited", resets_at: limit!.resets_at });
});

test("[P5] an allowed limit is an event of its turn, and a later failure without one names no reset", async () => {
  const driven = await scene.drive();
  const turn = await driven.say("demo:limit status=allowed claim=seven_day resets_in=60\ndemo:text Fine.");
  expect(only(turn.events, "rate_limit")).toMatchObject([{ status: "allowed", limit: "seven_day" }]);
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "Fine." });
});

test("[L6] what was streamed before the API's stream broke is discarded, and the whole text follows", async () => {
  const turn = await plain.say("demo:cut after=3\none healing cut");
  const [cut, whole] = rebuild(turn.events);
  expect(cut).toMatchObject({ isDiscarded: true });
  expect(cut?.blocks[0]?.content).toBe("word1 word2 word3 word4 word5 word6 ");
  expect(only(turn.events, "message_discarded")).toMatchObject([{ message: cut?.id, reason: "stream_lost" }]);
  expect(whole?.blocks[0]?.content.startsWith("word1 word2")).toBe(true);
  expect(whole?.blocks[0]?.content.endsWith("word40")).toBe(true);
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: whole?.blocks[0]?.content });
});

test("[L6] blocks that had ended before the stream broke go on counting", async () => {
  const turn = await plain.say("demo:cut before=Kept. after=3\nanother healing cut");
  const messages = rebuild(turn.events);
  expect(messages[0]).toMatchObject({ isDiscarded: false, blocks: [{ type: "text", content: "Kept." }] });
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: expect.stringMatching(/^Kept\.\n\n/) });
});

test("[L6] an answer that the CLI asks for as a whole, after its streams broke, comes as the same events", async () => {
  const before = scene.requests.length;
  const turn = await plain.say("demo:cut after=3 times=2\na cut that heals without streaming");
  expect(scene.requests.slice(before).map(({ body }) => body.stream ?? false)).toEqual([true, true, false]);
  // Of a stream that broke the CLI may have read nothing: then there is no message to discard.
  const discarded = rebuild(turn.events).map(({ isDiscarded }) => isDiscarded);
  expect(discarded.length).toBeLessThanOrEqual(3);
  expect(discarded).toEqual([...discarded.slice(1).map(() => true), false]);
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: expect.stringMatching(/^word1 .* word40$/) });
});

test("[L3] a stream that breaks every time fails the turn once, and the process goes on", async () => {
  const turn = await plain.say("demo:cut after=3 times=1000\na cut that never heals");
  expect(rebuild(turn.events).filter(({ isDiscarded }) => !isDiscarded)).toMatchObject([{ model: "<synthetic>" }]);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "api_error", retryable: true });
  expect((await plain.say("demo:text After the cuts.")).ending).toMatchObject({ text: "After the cuts." });
});

test("[P5] without any credential the turn fails as not_logged_in before a prompt is sent", async () => {
  const before = scene.requests.length;
  const driven = await scene.drive({ environment: { ...scene.environment, CLAUDE_CODE_OAUTH_TOKEN: undefined } });
  const turn = await driven.say("hello");
  expect(turn.events).toHaveLength(1);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "not_logged_in", retryable: false });
  await driven.driver.exited;
  expect(driven.driver.isUsable).toBe(false);
  expect(scene.requests.length).toBe(before);
});

test("max_model_turns ends a turn that would go on after its tools, and the next one runs", async () => {
  const driven = await scene.drive({ agent: { allowed_tools: ["Bash"], max_model_turns: 1 } });
  const turn = await driven.say('demo:tool Bash {"command":"echo once"}');
  rebuild(turn.events);
  expect(only(turn.events, "tool_result")).toMatchObject([{ content: "once" }]);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "max_model_turns", retryable: false });
  expect(driven.driver.isUsable).toBe(true);
  expect((await driven.say("demo:text Short.")).ending).toMatchObject({ type: "turn_completed", text: "Short." });
});

test("max_budget_usd ends the turn that spends it, and the process takes no other", async () => {
  const driven = await scene.drive({ agent: { max_budget_usd: 0.000_001, allowed_tools: ["Bash"] } });
  const turn = await driven.say('demo:tool Bash {"command":"echo dear"}');
  rebuild(turn.events);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "max_budget", retryable: false });
  expect(driven.driver.isUsable).toBe(false);
});

test("[L3] a process that is killed in the middle of a turn fails it as process_died with what was said", async () => {
  const driven = await scene.drive();
  const begun = driven.begin("demo:long words=2000 rate=100");
  await until("a delta", () => driven.events.some(({ type }) => type === "content_block_delta"), 30_000);
  process.kill(driven.driver.pid, "SIGKILL");
  const turn = await begun.ended;
  rebuild(turn.events);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "process_died", retryable: true });
  expect(turn.ending).toMatchObject({ text: expect.stringMatching(/^word1/) });
  expect(driven.driver.isUsable).toBe(false);
});

test("[T5] a model that stays silent fails the turn as silence_timeout, and the process goes on", async () => {
  const driven = await scene.drive({ agent: { silence_timeout_s: 1 } });
  const turn = await driven.say("demo:hang");
  rebuild(turn.events);
  expect(turn.ending).toMatchObject({ type: "turn_failed", code: "silence_timeout", retryable: true });
  expect((await driven.say("demo:text Loud.")).ending).toMatchObject({ text: "Loud." });
});

test("[T5] a turn that takes longer than it may fails as turn_timeout with what was said, and the process goes on", async () => {
  const driven = await scene.drive({ agent: { turn_timeout_s: 3 } });
  // A turn's time counts from its prompt on: the start of its process is not the subject.
  await driven.driver.ready;
  const turn = await driven.say("demo:long words=2000 rate=50");
  rebuild(turn.events);
  expect(turn.ending).toMatchObject({
    type: "turn_failed",
    code: "turn_timeout",
    text: expect.stringMatching(/^word1 /),
  });
  expect((await driven.say("demo:text In time.")).ending).toMatchObject({ text: "In time." });
});
