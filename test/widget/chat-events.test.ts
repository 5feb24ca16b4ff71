import { expect, test } from "vitest";
import type { EventBody } from "../../gateway/protocol/events.ts";
import type { ChatEvent } from "../../widget/chat.ts";
import { chatEventsOf } from "../../widget/chat-events.ts";
import { applyEvents, fromPage, type Transcript, type WireEvent } from "../../widget/transcript.ts";
import { requested, resolved } from "../support/approval-drafts.ts";
import { completed, delta, queued } from "../support/log-drafts.ts";
import { messageEvents } from "../support/transcript-drafts.ts";

const session = "00000000-0000-4000-8000-000000000001";
const at = "2026-01-01T12:00:00.000Z";

/** What a page is told of its turn, where these events come together. */
function told(...bodies: EventBody[]): ChatEvent[] {
  const begun: EventBody[] = [queued(session), { type: "turn_moved", position: null }];
  const events = [...begun, ...bodies].map((body, index): WireEvent => ({
    ...body,
    seq: index + 1,
    turn: "turn-1",
    at,
  }));
  const empty: Transcript = fromPage({
    session,
    agent: "default",
    title: null,
    messages: [],
    turns: [],
    approvals: [],
    last_seq: 0,
    next_cursor: null,
  });
  const transcript = applyEvents(empty, events);
  return events.slice(begun.length).flatMap((event) => chatEventsOf(event, transcript));
}

const toldStates = (...bodies: EventBody[]): string[] =>
  told(...bodies).flatMap((event) => (event.type === "turn" ? [event.state] : []));

const cancelled: EventBody = { type: "turn_cancelled", by: { key: "alice" }, text: "" };
const ask = (approval: string): EventBody => ({ ...requested(), approval });

test("[T7] a turn is told to run again when nobody is waited for any more", () => {
  expect(toldStates(ask("a1"), ask("a2"), resolved("a1"))).toEqual(["waiting", "waiting"]);
  expect(toldStates(ask("a1"), resolved("a1"))).toEqual(["waiting", "running"]);
});

test("a turn that is ended while it waits is not told to run again", () => {
  expect(toldStates(ask("a1"), resolved("a1"), cancelled)).toEqual(["waiting", "cancelled"]);
});

test("the words of an answer are no news as they come", () => {
  const [start, block, whole, ...end] = messageEvents("m1", "word".repeat(12_500));
  const words = Array.from({ length: 12_500 }, (_, at) => delta("word", at * 4));
  expect(told(start!, block!, ...words, ...end)).toEqual([]);
  expect(whole).toMatchObject({ type: "content_block_delta" });
});

test("an answer that was too large for its event is told as it stands in the conversation", () => {
  const large = { attachment: "a".repeat(64), media_type: "text/plain", bytes: 300_000 };
  const end = { ...completed("x"), answer: large } as unknown as EventBody;
  const answer = told(...messageEvents("m1", "first"), ...messageEvents("m2", "The whole of it."), end).find(
    ({ type }) => type === "answer",
  );
  expect(answer).toMatchObject({ text: "The whole of it." });
});
