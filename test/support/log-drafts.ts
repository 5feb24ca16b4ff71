// Events, turns and sessions as tests of the store and the log write them.
import { randomUUID } from "node:crypto";
import type { Caller } from "../../gateway/protocol/callers.ts";
import type { EventBody, EventOf } from "../../gateway/protocol/events.ts";
import type { LogEvent, NewEvent, NewTurn, Write } from "../../gateway/store/port.ts";
import { bodyOf } from "../../gateway/store/run.ts";
import { createTurnIds } from "../../gateway/turns/turn-id.ts";

const newTurnId = createTurnIds();

/** A key that sees the sessions of all its users. */
export const alice: Caller = { key: "alice", user: null, reach: "key" };

export function sessionWrite(session: string = randomUUID(), owner = { key: "alice", user: null as string | null }) {
  return { kind: "session", session: { session, agent: "tester", owner, createdAt: 1000, title: null } } as const;
}

export function newTurn(session: string, more: Partial<NewTurn> = {}): NewTurn {
  return {
    turn: newTurnId(),
    session,
    by: { key: "alice" },
    prompt: [{ type: "text", text: "hello" }],
    options: {},
    queuedAt: 2000,
    ...more,
  };
}

export function newEvent(body: EventBody, turn: string | null = null): NewEvent {
  return { turn, at: 3000, type: body.type, json: JSON.stringify(body) };
}

export function eventsWrite(session: string, ...events: NewEvent[]): Write {
  return { kind: "events", session, events };
}

export const notice = (text: string): EventOf<"notice"> => ({ type: "notice", kind: "test", text });

export function delta(text: string, offset: number, more: { message?: string; index?: number; type?: string } = {}) {
  const { message = "m1", index = 0, type = "text_delta" } = more;
  const field =
    { text_delta: "text", thinking_delta: "thinking", input_json_delta: "partial_json" }[type] ?? "signature";
  return { type: "content_block_delta", message, index, offset, delta: { type, [field]: text } } as const;
}

export const blockStop = (message = "m1", index = 0): EventOf<"content_block_stop"> => ({
  type: "content_block_stop",
  message,
  index,
});

/** The deltas of one block whose text is these parts. */
export function deltasOf(parts: readonly string[], more: Parameters<typeof delta>[2] = {}) {
  let offset = 0;
  return parts.map((part) => {
    const body = delta(part, offset, more);
    offset += part.length;
    return body;
  });
}

export const queued = (session: string): EventOf<"turn_queued"> => ({
  type: "turn_queued",
  session,
  agent: "tester",
  prompt: [],
  position: 1,
  by: { key: "alice" },
});

export const completed = (text = ""): EventOf<"turn_completed"> => ({
  type: "turn_completed",
  text,
  answer: text,
  usage: {},
  cost_usd: 0,
  duration_ms: 1,
  stop_reason: "end_turn",
  model_turns: 1,
  denials: [],
});

/** What a client holds after these events, by `text.slice(0, offset) + delta`; by message, block and kind of delta. */
export function textsOf(events: readonly Pick<LogEvent, "json">[], before = new Map<string, string>()) {
  const texts = new Map(before);
  for (const event of events) {
    const body = bodyOf(event);
    if (body.type !== "content_block_delta") continue;
    const key = `${body.message} ${body.index} ${body.delta.type}`;
    const { text, thinking, partial_json, signature } = body.delta as Record<string, string | undefined>;
    const added = text ?? thinking ?? partial_json ?? signature ?? "";
    const known = texts.get(key) ?? "";
    if (body.offset > known.length) throw new Error(`a delta at ${body.offset} where only ${known.length} is known`);
    texts.set(key, known.slice(0, body.offset) + added);
  }
  return texts;
}
