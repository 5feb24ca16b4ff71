// Whole turns written straight into a store, for tests of transcripts.
import type { EventBody } from "../../gateway/protocol/events.ts";
import type { Store, Write } from "../../gateway/store/port.ts";
import { blockStop, completed, delta, eventsWrite, newEvent, newTurn, queued } from "./log-drafts.ts";

export interface TurnDraft {
  readonly prompt?: string;
  /** One message each; default: one. */
  readonly texts?: readonly string[];
  /** What a tool of the first message answers; default: no tool. */
  readonly toolResult?: string;
}

/** The events of a message with one text. */
export function messageEvents(message: string, text: string, toolResult?: string): EventBody[] {
  const call: EventBody[] = [
    {
      type: "content_block_start",
      message,
      index: 1,
      content_block: { type: "tool_use", id: `${message}-call`, name: "Bash", input: {} },
    },
    delta('{"command":"ls"}', 0, { message, index: 1, type: "input_json_delta" }),
    blockStop(message, 1),
  ];
  return [
    { type: "message_start", message: { id: message, model: "a-model" } },
    { type: "content_block_start", message, index: 0, content_block: { type: "text", text: "" } },
    delta(text, 0, { message }),
    blockStop(message),
    ...(toolResult === undefined ? [] : call),
    { type: "message_stop", message },
    ...(toolResult === undefined ? [] : [result(message, toolResult)]),
  ];
}

function result(message: string, content: string): EventBody {
  return { type: "tool_result", tool_use_id: `${message}-call`, content, is_error: false, parent_tool_use_id: null };
}

/** Puts a turn in the queue. */
export async function queueTurn(store: Store, session: string, prompt = "hello"): Promise<string> {
  const turn = newTurn(session);
  const asked: EventBody = { ...queued(session), prompt: [{ type: "text", text: prompt }] };
  await store.commit([{ kind: "turn", turn }, eventsWrite(session, newEvent(asked, turn.turn))]);
  return turn.turn;
}

/** Lets a queued turn begin, without an end. */
export async function beginTurn(store: Store, session: string, turn: string): Promise<void> {
  const running: Write = { kind: "turn_state", turn, state: "running", at: 1 };
  await store.commit([running, eventsWrite(session, newEvent({ type: "turn_moved", position: null }, turn))]);
}

export async function addEvents(
  store: Store,
  session: string,
  turn: string,
  bodies: readonly EventBody[],
): Promise<void> {
  await store.commit([eventsWrite(session, ...bodies.map((body) => newEvent(body, turn)))]);
}

/** A turn from its queueing to its end. */
export async function storeTurn(store: Store, session: string, draft: TurnDraft = {}): Promise<string> {
  const { prompt, texts = ["answer"], toolResult } = draft;
  const turn = await queueTurn(store, session, prompt);
  await beginTurn(store, session, turn);
  const messages = texts.flatMap((text, at) => messageEvents(`${turn}-${at}`, text, at === 0 ? toolResult : undefined));
  await addEvents(store, session, turn, [...messages, completed(texts.join("\n\n"))]);
  return turn;
}
