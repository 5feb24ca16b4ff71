// A client that begins with a transcript and goes on with the live events, by what the README says of both; nothing of the gateway's
// own reducer is in it.
import type { Page } from "../../gateway/log/transcript-reader.ts";
import type { WireEvent } from "./reader.ts";

/** Wire objects as a client has them: whatever JSON brought. */
interface Block {
  type: string;
  index: number;
  id?: string;
  input?: unknown;
  partial_json?: string;
  result?: unknown;
  approval?: Record<string, unknown>;
  messages?: Message[];
  [field: string]: unknown;
}

interface Message {
  id: string;
  state: string;
  blocks: Block[];
  usage?: object;
  stop_reason?: unknown;
  [field: string]: unknown;
}

type Turn = Record<string, unknown> & {
  turn: string;
  state: string;
  started_at: string | null;
  notices?: object[];
};

export interface ClientState {
  readonly turns: Turn[];
  readonly messages: Message[];
}

/** What a client holds at the end. `at` of the model's messages and of their calls is left out: their events have no time. */
export function followed(transcript: Pick<Page, "turns" | "messages">, events: readonly WireEvent[]): ClientState {
  const state = JSON.parse(JSON.stringify({ turns: transcript.turns, messages: transcript.messages })) as ClientState;
  for (const message of allMessages(state)) {
    if (message["role"] === "assistant") delete message["at"];
    for (const block of message.blocks) if (block.type === "tool_use") delete block["at"];
  }
  for (const event of events) apply(state, event);
  return state;
}

function allMessages(state: ClientState): Message[] {
  const within = (messages: readonly Message[]): Message[] =>
    messages.flatMap((message) => [message, ...within(message.blocks.flatMap((block) => block.messages ?? []))]);
  return within(state.messages);
}

function apply(state: ClientState, event: WireEvent): void {
  const turn = state.turns.find((known) => known.turn === event.turn);
  const fields = event as Record<string, unknown>;
  const message = allMessages(state).find(({ id }) => id === fields["message"]);
  const block = message?.blocks.find(({ index }) => index === fields["index"]);
  if (message || event.type === "message_start") delete turn!["retry"];
  switch (event.type) {
    case "turn_queued":
      return queue(state, event);
    case "message_start":
      return startMessage(state, event);
    case "content_block_start":
      return void message?.blocks.push(begun(fields["index"] as number, fields["content_block"] as Block));
    case "content_block_delta":
      return addDelta(block, fields);
    case "content_block_stop":
      if (block?.partial_json !== undefined) {
        block.input = JSON.parse(block.partial_json || "{}");
        delete block.partial_json;
      }
      return;
    case "message_delta":
      message!.stop_reason = (fields["delta"] as { stop_reason: unknown }).stop_reason;
      message!.usage = { ...message!.usage, ...(fields["usage"] as object) };
      return;
    case "message_stop":
      message!.state = "complete";
      return;
    case "message_discarded":
      return discard(state, message!, fields["from_index"] as number | undefined);
    case "tool_result": {
      const { tool_use_id, content, is_error, at } = fields;
      const call = allMessages(state)
        .flatMap(({ blocks }) => blocks)
        .find(({ id }) => id === tool_use_id);
      if (call) call.result = { content, is_error, at };
      return;
    }
    case "turn_completed":
    case "turn_failed":
    case "turn_cancelled":
      return end(state, turn!, event);
    default:
      if (event.type === "turn_started") turn!["model"] = fields["model"];
      note(state, turn!, fields);
      if (event.type === "turn_moved" && fields["position"] !== null) return;
      turn!.started_at ??= fields["at"] as string;
      turn!.state = "running";
  }
}

/** What stands at the turn or at a call besides. */
function note(state: ClientState, turn: Turn, event: Record<string, unknown>): void {
  const { type, seq: _, turn: __, at: ___, ...said } = event;
  const blocks = allMessages(state).flatMap((message) => message.blocks);
  if (type === "notice") (turn.notices ??= []).push(said);
  if (type === "rate_limit") turn["rate_limit"] = said;
  if (type === "api_retry") turn["retry"] = said;
  if (type === "approval_requested") {
    const { approval, reason, expires_at, tool_use_id, input } = said;
    const call = blocks.find(({ id }) => id === tool_use_id);
    const isSame = JSON.stringify(input) === JSON.stringify(call?.input);
    if (call) call.approval = { approval, reason, expires_at, decision: null, by: null, ...(isSame ? {} : { input }) };
  }
  if (type === "approval_resolved") {
    const call = blocks.find((block) => block.approval?.["approval"] === said["approval"]);
    if (call) Object.assign(call.approval!, said);
  }
}

function queue(state: ClientState, event: WireEvent): void {
  const { turn, at, seq, prompt, context, metadata, by } = event as unknown as Record<string, string> & {
    prompt: object[];
  };
  state.turns.push({
    turn: turn!,
    state: "queued",
    queued_at: at,
    started_at: null,
    ended_at: null,
    first_seq: seq,
    last_seq: null,
    model: null,
    ...(metadata === undefined ? {} : { metadata }),
  });
  const blocks = prompt.map((block, index) => ({ index, ...block }) as unknown as Block);
  if (context !== undefined) blocks.push({ type: "context", index: blocks.length, context });
  state.messages.push({ id: turn!, turn, role: "user", at, seq, state: "complete", blocks, by });
}

function startMessage(state: ClientState, event: WireEvent): void {
  const { message: api, parent_tool_use_id: parent, seq, turn } = event as unknown as Record<string, unknown>;
  const { id, model, usage } = api as { id: string; model: string; usage?: object };
  const message = {
    id,
    turn,
    role: "assistant",
    seq,
    state: "streaming",
    blocks: [],
    model,
    ...(usage ? { usage } : {}),
  };
  const call = allMessages(state)
    .flatMap(({ blocks }) => blocks)
    .find((block) => block.id === parent && parent);
  if (call) (call.messages ??= []).push(message);
  else state.messages.push(message);
}

function begun(index: number, { type, id, name }: Block): Block {
  if (type === "text") return { type, index, text: "" };
  if (type === "thinking") return { type, index, thinking: "" };
  return { type: "tool_use", index, id: id!, name, input: null, partial_json: "", result: null };
}

const fieldsOf: Record<string, string> = {
  text_delta: "text",
  thinking_delta: "thinking",
  input_json_delta: "partial_json",
};

function addDelta(block: Block | undefined, event: Record<string, unknown>): void {
  const delta = event["delta"] as Record<string, string>;
  const field = fieldsOf[delta["type"]!];
  if (field === undefined) return;
  const before = block![field];
  const offset = event["offset"] as number;
  if (typeof before !== "string" || before.length < offset)
    throw new Error(`a delta at ${offset} where ${JSON.stringify(before)} is known`);
  block![field] = before.slice(0, offset) + delta[field]!;
}

function discard(state: ClientState, message: Message, from: number | undefined): void {
  if (from !== undefined) message.blocks = message.blocks.filter(({ index }) => index < from);
  else state.messages.splice(state.messages.indexOf(message), 1);
}

function end(state: ClientState, turn: Turn, event: WireEvent): void {
  const { type, seq, at, turn: _, ...fields } = event as Record<string, unknown>;
  if (type === "turn_completed") for (const field of ["text", "answer"]) delete fields[field];
  delete turn["retry"];
  Object.assign(turn, fields, { state: String(type).slice("turn_".length), ended_at: at, last_seq: seq });
  for (const message of allMessages(state))
    if (message["turn"] === turn.turn && message.state === "streaming") message.state = "interrupted";
}
