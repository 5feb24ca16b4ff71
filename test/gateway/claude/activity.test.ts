import { expect, test } from "vitest";
import { createActivity } from "../../../gateway/claude/activity.ts";
import type { EventBody } from "../../../gateway/protocol/events.ts";

const call = (index: number, id: string, message = "m1"): EventBody[] => [
  { type: "content_block_start", message, index, content_block: { type: "tool_use", id, name: "Bash", input: {} } },
  { type: "content_block_stop", message, index },
];
const toolResult = (id: string): EventBody => ({
  type: "tool_result",
  tool_use_id: id,
  content: "",
  is_error: false,
  parent_tool_use_id: null,
});

function after(...events: EventBody[]) {
  const activity = createActivity();
  for (const event of events) activity.note({ turn: "t", ...event });
  return activity;
}

test("[T5] a tool runs from the end of its call to its result", () => {
  const [start, stop] = call(0, "a") as [EventBody, EventBody];
  expect(after(start).isToolRunning).toBe(false);
  expect(after(start, stop).isToolRunning).toBe(true);
  expect(after(start, stop, toolResult("a")).isToolRunning).toBe(false);
});

test("[T5] of several tools the last result counts, in any order", () => {
  const calls = [...call(0, "a"), ...call(1, "b")];
  expect(after(...calls, toolResult("b")).isToolRunning).toBe(true);
  expect(after(...calls, toolResult("b"), toolResult("a")).isToolRunning).toBe(false);
});

test("[T5] a text block is no tool", () => {
  const text: EventBody[] = [
    { type: "content_block_start", message: "m1", index: 0, content_block: { type: "text", text: "" } },
    { type: "content_block_stop", message: "m1", index: 0 },
  ];
  expect(after(...text).isToolRunning).toBe(false);
});

test("[T5] the calls of a discarded message, or of its discarded blocks, are waited for no more", () => {
  const lost = { type: "message_discarded" as const, message: "m1", reason: "stream_lost" as const };
  expect(after(...call(0, "a"), lost).isToolRunning).toBe(false);
  expect(after(...call(0, "a", "m2"), lost).isToolRunning).toBe(true);
  expect(after(...call(0, "a"), ...call(1, "b"), { ...lost, from_index: 1 }).isToolRunning).toBe(true);
  expect(after(...call(0, "a"), ...call(1, "b"), { ...lost, from_index: 1 }, toolResult("a")).isToolRunning).toBe(
    false,
  );
});

test("[T5] an announced retry is waited for until the turn goes on, whatever is said beside it", () => {
  const retry: EventBody = { type: "api_retry", attempt: 1, max_attempts: 10, delay_ms: 1500, status: 529 };
  const beside: EventBody[] = [
    { type: "notice", kind: "x", text: "x" },
    { type: "rate_limit", status: "allowed", limit: null, resets_at: null, using_overage: false },
  ];
  expect(after(retry).announcedMs).toBe(1500);
  expect(after(retry, ...beside).announcedMs).toBe(1500);
  expect(after(retry, { ...retry, delay_ms: 20 }).announcedMs).toBe(20);
  expect(after(retry, { type: "message_start", message: { id: "m1", model: "m" } }).announcedMs).toBe(0);
});

test("[T5] a call without a result is waited for until the model goes on, and no longer", () => {
  const next: EventBody = { type: "message_start", message: { id: "m2", model: "m" } };
  const ofSubagent: EventBody = { ...next, parent_tool_use_id: "a" };
  expect(after(...call(0, "a"), ofSubagent).isToolRunning).toBe(true);
  expect(after(...call(0, "a"), next).isToolRunning).toBe(false);
  expect(after(...call(0, "a"), next, ...call(0, "b", "m2")).isToolRunning).toBe(true);
});
