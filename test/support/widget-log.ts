// Logs of sessions as the widget meets them: as pages of the transcript, made by the gateway's own reducer, and as frames of the stream.
import { wireJson } from "../../gateway/formats/format.ts";
import { createTurnReducer } from "../../gateway/log/transcript.ts";
import type { EventBody, TurnEvent } from "../../gateway/protocol/events.ts";
import type { LogEvent } from "../../gateway/store/port.ts";
import { bodyOf, mergeDeltas } from "../../gateway/store/run.ts";
import type { Page, State, WireEvent } from "../../widget/transcript.ts";
import { blockStop, completed, delta, queued } from "./log-drafts.ts";
import { translateRecording } from "./recorded.ts";
import { requested, resolved } from "./approval-drafts.ts";

/** A session's log with these events, from 1 on. */
export function logOf(events: readonly TurnEvent[]): LogEvent[] {
  return events.map(({ turn, ...body }, index) => ({
    seq: index + 1,
    first: index + 1,
    turn,
    at: 1_700_000_000_000 + index * 1000,
    type: body.type,
    json: JSON.stringify(body),
  }));
}

/** The log of a recorded session; what the queue says of a prompt is put before it. */
export function recordedLog(version: string, scene: string): LogEvent[] {
  const known = new Set<string | null>();
  const events = translateRecording(version, scene).flatMap((event): TurnEvent[] => {
    const isFirst = !known.has(event.turn);
    known.add(event.turn);
    if (!isFirst || event.type === "turn_queued") return [event];
    const { turn } = event;
    const prompt: EventBody = { ...queued("s"), prompt: [{ type: "text", text: "p" }] };
    return [{ ...prompt, turn }, { type: "turn_moved", position: null, turn }, event];
  });
  return logOf(events);
}

/** A log with what recordings have not: queues, approvals, retries, discarded blocks and messages, an image, a context, a new title. */
export function richLog(): LogEvent[] {
  const image = { type: "image", source: { type: "attachment", attachment: "a".repeat(64), media_type: "image/png" } };
  const asked = (more: object): EventBody => ({ ...queued("s"), ...more });
  const text = (message: string, words: string[], index = 0): EventBody[] => {
    let offset = 0;
    return [
      { type: "content_block_start", message, index, content_block: { type: "text", text: "" } },
      ...words.map((word) => {
        const body = delta(word, offset, { message, index });
        offset += word.length;
        return body;
      }),
      blockStop(message, index),
    ];
  };
  const call = (message: string, index: number, id: string): EventBody[] => [
    { type: "content_block_start", message, index, content_block: { type: "tool_use", id, name: "Task", input: {} } },
    delta('{"a":', 0, { message, index, type: "input_json_delta" }),
    delta("1}", 5, { message, index, type: "input_json_delta" }),
    blockStop(message, index),
  ];
  const start = (id: string, parent: string | null = null): EventBody => ({
    type: "message_start",
    message: { id, model: "m" },
    parent_tool_use_id: parent,
  });
  const stop = (message: string): EventBody => ({ type: "message_stop", message });
  const result = (tool_use_id: string, parent_tool_use_id: string | null): EventBody => ({
    type: "tool_result",
    tool_use_id,
    content: [image],
    is_error: true,
    parent_tool_use_id,
  });
  const approval = requested({ tool: "Task", tool_use_id: "c1", input: { a: 1 } });
  // A hook has changed what the model asked for.
  const inner = requested({ tool: "Task", tool_use_id: "c2", parent_tool_use_id: "c1", reason: "It is outside." });
  const first: EventBody[] = [
    { type: "turn_moved", position: null },
    { type: "api_retry", attempt: 1, max_attempts: 10, delay_ms: 500, status: 529 },
    { type: "rate_limit", status: "allowed_warning", limit: "five_hour", resets_at: null, using_overage: false },
    start("lost"),
    ...text("lost", ["this ", "is lost"]),
    { type: "message_discarded", message: "lost", reason: "stream_lost" },
    start("m1"),
    ...text("m1", ["I ", "do ", "it."]),
    { type: "content_block_start", message: "m1", index: 1, content_block: { type: "text", text: "" } },
    delta("will be ", 0, { message: "m1", index: 1 }),
    delta("taken back", 8, { message: "m1", index: 1 }),
    { type: "message_discarded", message: "m1", reason: "fallback", from_index: 1 },
    ...call("m1", 1, "c1"),
    stop("m1"),
    approval,
    resolved(approval.approval, { scope: "session" }),
    start("s1", "c1"),
    ...call("s1", 0, "c2"),
    inner,
    resolved(inner.approval, { decision: "deny", message: "no" }),
    result("c2", "c1"),
    start("s2", "c1"),
    ...text("s2", ["deep", " inside"]),
    stop("s2"),
    result("c1", null),
    { type: "notice", kind: "odd", text: "what is this" },
    start("m2"),
    ...text("m2", ["Done", ", ", "all of it."]),
    stop("m2"),
    { ...completed("Done"), cost_usd: 0.5, usage: { output_tokens: 4 } },
  ];
  const second: EventBody[] = [
    { type: "turn_moved", position: null },
    start("m3"),
    ...text("m3", ["and ", "then"]).slice(0, -1),
    { type: "turn_failed", code: "overloaded", message: "Busy.", retryable: true, text: "and then" },
  ];
  const of = (turn: string | null, bodies: readonly EventBody[]) => bodies.map((body) => ({ ...body, turn }));
  return logOf([
    ...of("t1", [asked({ prompt: [{ type: "text", text: "one" }, image], context: { page: "/x" }, position: 2 })]),
    ...of("t1", [{ type: "turn_moved", position: 1 }]),
    ...of("t2", [asked({ prompt: [{ type: "text", text: "two" }], position: 3 })]),
    ...of("t3", [asked({ prompt: [{ type: "text", text: "three" }], position: 4 })]),
    ...of("t1", first.slice(0, 20)),
    ...of("t3", [{ type: "turn_cancelled", by: { key: "k" }, text: "" }]),
    ...of(null, [{ type: "session_changed", title: "another" }]),
    ...of("t1", first.slice(20)),
    ...of("t2", second),
  ]);
}

/** The transcript's page after so many events, as the gateway would answer. */
export function pageAt(log: readonly LogEvent[], seq: number): Page {
  const reducers = new Map<string, ReturnType<typeof createTurnReducer>>();
  const approvals = new Map<string, object>();
  let title: string | null = null;
  for (const event of log.slice(0, seq)) {
    const body = bodyOf(event);
    if (body.type === "session_changed") title = body.title ?? title;
    if (body.type === "approval_requested") approvals.set(body.approval, { ...body, turn: event.turn });
    if (body.type === "approval_resolved") approvals.delete(body.approval);
    if (event.turn === null) continue;
    const reducer = reducers.get(event.turn) ?? createTurnReducer((hash) => `/api/attachments/${hash}`);
    reducers.set(event.turn, reducer);
    reducer.apply(event);
  }
  const turns = [...reducers.values()].flatMap((reducer) => reducer.result() ?? []);
  // What a reducer gave shares what it holds: as a reply it is text.
  const reply: Page = {
    session: "s",
    agent: "tester",
    title,
    messages: turns.flatMap(({ messages }) => messages),
    turns: turns.map(({ turn }) => turn),
    approvals: [...approvals.values()],
    last_seq: seq,
    next_cursor: null,
  };
  return JSON.parse(JSON.stringify(reply)) as Page;
}

export function frameOf(event: LogEvent): WireEvent {
  return JSON.parse(wireJson(event)) as WireEvent;
}

/** Frames of these events, with adjacent deltas merged as for a reader that is behind. */
export function mergedFrames(events: readonly LogEvent[]): WireEvent[] {
  return mergeDeltas(events).map(frameOf);
}

/** What a page and the events can agree in: times of the model's events, positions and the like are in the events alone. */
export function comparable(
  { session, title, messages, turns, approvals, lastSeq }: State,
  ...without: readonly string[]
): unknown {
  const byId = [...approvals.values()].toSorted((a, b) => a.id.localeCompare(b.id));
  const state = { session, title, messages, turns: [...turns.values()], approvals: byId, lastSeq };
  const live = new Set(["tail", "startedAt", "position", "rating", "url", ...without]);
  return JSON.parse(
    JSON.stringify(state, (key, value: unknown) => {
      const isOfModel = typeof value === "object" && value !== null && "role" in value && value.role === "assistant";
      if (isOfModel) return { ...value, at: null };
      return live.has(key) ? undefined : value;
    }),
  );
}
