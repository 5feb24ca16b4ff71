import { describe, expect, test } from "vitest";
import { eventBody } from "../../../gateway/protocol/events.ts";
import {
  applied,
  eventsOf,
  isTerminal,
  readRecording,
  recordedScenes,
  recordedTurns,
  recordedVersions,
  translateRecording,
} from "../../support/recorded.ts";

const [first, second] = recordedTurns;
const newest = "2.1.330";
const oldest = "2.1.197";

describe.each(recordedVersions)("what %s wrote", (version) => {
  test.each(recordedScenes(version))("[L3] %s: each turn ends once, and its events fit the protocol", (scene) => {
    const events = translateRecording(version, scene);
    for (const event of events) expect(eventBody.safeParse(event).error).toBeUndefined();
    for (const turn of new Set(events.map((event) => event.turn))) {
      const own = events.filter((event) => event.turn === turn);
      expect(own.filter(isTerminal)).toHaveLength(1);
      expect(isTerminal(own.at(-1)!)).toBe(true);
    }
    expect(eventsOf(events, "notice")).toEqual([]);
  });

  test.each(recordedScenes(version))("[L6] %s: the deltas add up to the blocks that the CLI finished", (scene) => {
    const messages = readRecording(version, scene);
    const finished = messages
      .flatMap((message) =>
        message.type === "assistant" && !message.parent_tool_use_id ? message.message.content : [],
      )
      .map((block) => block["text"] ?? block["thinking"] ?? block["input"]);
    const blocks = applied(
      translateRecording(version, scene).filter(
        (event) => !("parent_tool_use_id" in event && event.parent_tool_use_id),
      ),
    );
    const contents = [...blocks.values()].map((content) =>
      content.startsWith("{") ? (JSON.parse(content) as unknown) : content,
    );
    expect(contents).toEqual(finished);
  });

  test("two turns of a process have their own text and their own share of the cost", () => {
    const messages = readRecording(version, "text");
    const [one, two] = eventsOf(translateRecording(version, "text"), "turn_completed");
    expect(one).toMatchObject({
      turn: first,
      text: "Grüße, 世界 🌍",
      answer: "Grüße, 世界 🌍",
      stop_reason: "end_turn",
    });
    expect(two).toMatchObject({ turn: second, text: "A second turn of the same process." });
    const total = messages.findLast((message) => message.type === "result")!.total_cost_usd;
    expect(one!.cost_usd).toBeGreaterThan(0);
    expect(two!.cost_usd).toBeGreaterThan(0);
    expect(one!.cost_usd + two!.cost_usd).toBeCloseTo(total, 10);
    expect(eventsOf(translateRecording(version, "text"), "turn_started").map((event) => event.reused)).toEqual([
      false,
      true,
    ]);
  });

  test("tool calls, their results and refusals are events of their turn", () => {
    const results = (scene: string) => eventsOf(translateRecording(version, scene), "tool_result");
    expect(results("tool")).toMatchObject([{ turn: first, content: "one", is_error: false }]);
    expect(new Set(results("two-tools").map((event) => event.content))).toEqual(new Set(["one", "two"]));
    expect(results("denied")).toMatchObject([{ is_error: true, content: expect.stringContaining("Not here.") }]);
    const denied = translateRecording(version, "denied").at(-1);
    expect(denied).toMatchObject({ type: "turn_completed", denials: [{ tool_name: "Bash" }], text: "Then not." });
  });

  test("a subagent's calls name the call that they belong to, and its words are no words of the turn", () => {
    const events = translateRecording(version, "subagent");
    expect(events.at(-1)).toMatchObject({ type: "turn_completed", text: "It looked." });
    expect(JSON.stringify(eventsOf(events, "tool_result"))).toContain("I looked.");
  });

  test.each([
    ["unauthorized", "not_logged_in", false],
    ["limit", "rate_limited", true],
    ["max-turns", "max_model_turns", false],
  ] as const)("%s ends as turn_failed with %s", (scene, code, retryable) => {
    const ending = translateRecording(version, scene).at(-1);
    expect(ending).toMatchObject({ type: "turn_failed", code, retryable });
  });

  test("a rejected limit says when it ends", () => {
    const ending = translateRecording(version, "limit").at(-1);
    expect(ending).toHaveProperty("resets_at", expect.stringMatching(/Z$/));
  });

  test("a retried API error is announced, and the turn completes", () => {
    const events = translateRecording(version, "overloaded");
    expect(eventsOf(events, "api_retry")).toMatchObject([{ attempt: 1, max_attempts: 1, status: 529 }]);
    expect(events.at(-1)).toMatchObject({ type: "turn_completed", text: "It worked at last." });
  });

  test("[L6] what was streamed before the API's stream broke is discarded, and the whole text is said once", () => {
    const events = translateRecording(version, "cut-late");
    const [started] = eventsOf(events, "message_start");
    expect(eventsOf(events, "message_discarded")).toMatchObject([
      { message: started!.message.id, reason: "stream_lost" },
    ]);
    const { text } = eventsOf(events, "turn_completed")[0]!;
    expect(text.startsWith("word1 word2 ") && text.endsWith(" word40")).toBe(true);
    expect(text.match(/word1 /g)).toHaveLength(1);
  });

  test("[L6] a block that was finished before the stream broke still counts", () => {
    const events = translateRecording(version, "cut-second-block");
    const [started] = eventsOf(events, "message_start");
    expect(eventsOf(events, "message_discarded")).toEqual([
      { turn: first, type: "message_discarded", message: started!.message.id, reason: "stream_lost", from_index: 1 },
    ]);
    const ending = events.at(-1)!;
    expect(ending).toHaveProperty("text", expect.stringMatching(/^Kept\n\n/));
    expect(ending).not.toHaveProperty("text", expect.stringContaining("word1"));
  });

  test("an interrupted turn keeps its partial text, and the next one is answered", () => {
    const events = translateRecording(version, "interrupted");
    const [failed] = eventsOf(events, "turn_failed");
    expect(failed).toMatchObject({ turn: first, code: "api_error" });
    expect(failed!.text).toMatch(/^word1 word2 word3/);
    expect(events.at(-1)).toMatchObject({ turn: second, type: "turn_completed", text: "Still there." });
  });

  test("an answer of a slash command, which is not streamed, comes as block events", () => {
    const events = translateRecording(version, "slash");
    expect(eventsOf(events, "content_block_delta")).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ type: "turn_completed", text: expect.stringMatching(/cost|usage/i) });
  });

  test("[P7] a turn that a background task sets off is the CLI's own, with its own cost", () => {
    const events = translateRecording(version, "own-turn");
    expect(eventsOf(events, "turn_queued")).toMatchObject([
      { turn: "own", by: { cli: "task-notification" }, prompt: [] },
    ]);
    const [ours, own] = eventsOf(events, "turn_completed");
    expect(ours).toMatchObject({ turn: first, text: "It runs." });
    expect(own).toMatchObject({ turn: "own", text: expect.stringMatching(/\w/) });
    expect(own!.cost_usd).toBeGreaterThan(0);
  });
});

test("the recordings cover a version that names a turn's prompts and one that does not", () => {
  const names = (version: string) => JSON.stringify(readRecording(version, "text")).includes("user_message_uuids");
  expect([names(newest), names(oldest)]).toEqual([true, false]);
});
