import { describe, expect, test } from "vitest";
import { message, streamed } from "../../../gateway/demo/answer.ts";
import type { Step } from "../../../gateway/demo/script.ts";

type Spoken = Parameters<typeof message>[0];

const events = (step: Spoken) => [...streamed(step, "msg_1", "m")];
const deltas = (step: Spoken) =>
  events(step)
    .filter(({ event }) => event.type === "content_block_delta")
    .map(({ event }) => event["delta"] as Record<string, string>);
const cut: Step = { kind: "cut", after: 3, times: 1, before: "kept", text: "lost", delayMs: 0 };

const steps: [string, Spoken][] = [
  ["text", { kind: "text", text: "Grüße, 世界 🌍🌍🌍🌍🌍🌍 and more" }],
  ["an empty text", { kind: "text", text: "" }],
  ["thinking", { kind: "text", thinking: "hm", text: "so" }],
  [
    "tools",
    {
      kind: "tools",
      calls: [
        { name: "Bash", input: { command: "ls 🌍" } },
        { name: "Read", input: {} },
      ],
    },
  ],
  ["a finished block and a second one", cut],
];

describe.each(steps)("%s", (_, step) => {
  test("streams as the API does: every block opened, filled and closed in order, then the end of the message", () => {
    const types = events(step).map(({ event }) => event.type);
    expect(types[0]).toBe("message_start");
    expect(types.slice(-2)).toEqual(["message_delta", "message_stop"]);
    const indexes = events(step).flatMap(({ event }) => (typeof event["index"] === "number" ? [event["index"]] : []));
    expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
    expect(types.join(" ")).toMatch(
      /^message_start( content_block_start( content_block_delta)* content_block_stop)+ message_delta message_stop$/,
    );
  });

  test("its deltas add up to the message that a request without stream gets", () => {
    const content = message(step, "msg_1", "m")["content"] as Record<string, unknown>[];
    const whole = content.map((block) => block["text"] ?? block["thinking"] ?? JSON.stringify(block["input"]));
    const built = content.map(() => "");
    for (const { event } of events(step)) {
      if (event.type !== "content_block_delta") continue;
      const delta = event["delta"] as Record<string, string>;
      built[event["index"] as number] += delta["text"] ?? delta["thinking"] ?? delta["partial_json"] ?? "";
    }
    expect(built).toEqual(whole);
  });
});

test("no delta tears a surrogate pair, whatever its length", () => {
  for (const chars of [1, 2, 3])
    for (const delta of deltas({ kind: "text", text: "a🌍b🌍🌍", chars }))
      expect(delta["text"]!.isWellFormed()).toBe(true);
});

test("with a pause the deltas are words, and the pause stands before each of them", () => {
  const step: Spoken = { kind: "text", text: "one two  three", delayMs: 20 };
  expect(deltas(step).map((delta) => delta["text"])).toEqual(["one ", "two  ", "three"]);
  expect(events(step).map(({ delayMs }) => delayMs)).toEqual([0, 0, 20, 20, 20, 0, 0, 0]);
});

test("a message with calls stops for them", () => {
  expect(message({ kind: "tools", calls: [{ name: "Bash", input: {} }] }, "msg_1", "m")).toMatchObject({
    stop_reason: "tool_use",
  });
  expect(message({ kind: "text", text: "a" }, "msg_1", "m")).toMatchObject({
    stop_reason: "end_turn",
    id: "msg_1",
    model: "m",
  });
});

test("deltas have the length that is asked for, unless the step has one of its own", () => {
  const count = (step: Spoken, chars?: number) =>
    [...streamed(step, "msg_1", "m", chars)].filter(({ event }) => event.type === "content_block_delta").length;
  const call: Spoken = { kind: "tools", calls: [{ name: "Bash", input: { command: "x".repeat(100) } }] };
  expect([count(call), count(call, 50), count(call, 4096)]).toEqual([10, 3, 1]);
  expect(count({ kind: "text", text: "x".repeat(100), chars: 10 }, 4096)).toBe(10);
});
