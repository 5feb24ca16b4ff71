// Events of one turn → its messages, as the transcript shows them [L6]. Pure: it is given the events in order, singly or folded, and has
// after each what a client would have. What was discarded is not shown. Subagents' messages stand under the call that started them.
import { modelEventTypes } from "../protocol/codes.ts";
import type { EventBody, EventOf } from "../protocol/events.ts";
import { isNestedDeeper, maxLevels } from "../protocol/nesting.ts";
import type { TranscriptBlock, TranscriptMessage, TranscriptToolUse, TranscriptTurn } from "../protocol/transcript.ts";
import { terminalState, type LogEvent } from "../store/port.ts";
import { bodyOf } from "../store/run.ts";
import { createCallApprovals } from "./call-approvals.ts";
import { readReference, withSourceUrls, withUrl, type UrlOf } from "./references.ts";

export interface TurnTranscript {
  readonly turn: TranscriptTurn;
  /** The prompt first; subagents' messages not among them. */
  readonly messages: readonly TranscriptMessage[];
}

export interface TurnReducer {
  /** Takes an event of this turn. Calls of a tool that no message made are left out. */
  apply(event: LogEvent): void;
  /** What there is after the events so far; undefined before `turn_queued`. It shares what it holds with later results. */
  result(): TurnTranscript | undefined;
}

type Message = TranscriptMessage & { blocks: TranscriptBlock[] };

/** More of one turn say nothing that these do not; a process that babbles must not fill a page. */
const maxNotices = 100;

export function createTurnReducer(urlOf: UrlOf): TurnReducer {
  let turn: TranscriptTurn | undefined;
  const messages = new Map<string, Message>();
  /** Without subagents' messages, in order. */
  let topLevel: Message[] = [];
  const calls = new Map<string, TranscriptToolUse>();
  const approvals = createCallApprovals(urlOf);

  function apply(event: LogEvent): void {
    const body = bodyOf(event);
    if (body.type === "turn_queued") return begin(event, body);
    if (!turn) return;
    if (body.type === "tool_result") return addResult(event, body);
    if (isTerminal(body)) return end(event, body);
    // Words come again: what was tried anew has worked.
    if (ofMessage.has(body.type)) delete turn.retry;
    if (body.type === "message_start") return startMessage(event, body);
    if (isOfMessage(body)) {
      const message = messages.get(body.message);
      if (message) applyToMessage(message, event, body);
    } else applyToTurn(turn, event, body);
  }

  function begin({ turn: id, seq, at }: LogEvent, { prompt, context, metadata, by }: EventOf<"turn_queued">): void {
    const time = timeOf(at);
    turn = {
      turn: id!,
      state: "queued",
      queued_at: time,
      started_at: null,
      ended_at: null,
      first_seq: seq,
      last_seq: null,
      model: null,
      ...(metadata === undefined ? {} : { metadata: withUrl(metadata, urlOf) }),
    };
    const blocks = promptBlocks(prompt, urlOf);
    if (context !== undefined) blocks.push({ type: "context", index: blocks.length, context: withUrl(context, urlOf) });
    topLevel.push({ id: id!, turn: id!, role: "user", at: time, seq, state: "complete", blocks, by });
  }

  function startMessage(event: LogEvent, { message: api, parent_tool_use_id: parent }: EventOf<"message_start">): void {
    const message: Message = {
      id: api.id,
      turn: event.turn!,
      role: "assistant",
      at: timeOf(event.at),
      seq: event.seq,
      state: "streaming",
      blocks: [],
      model: api.model,
      ...usageOf(api),
    };
    messages.set(api.id, message);
    const call = parent ? calls.get(parent) : undefined;
    if (call) (call.messages ??= []).push(message);
    else topLevel.push(message);
  }

  function applyToMessage(message: Message, { at }: LogEvent, body: OfMessage): void {
    switch (body.type) {
      case "content_block_start": {
        const block = startedBlock(body, { at: timeOf(at), urlOf });
        message.blocks.push(block);
        if (block.type === "tool_use") calls.set(block.id, block);
        return;
      }
      case "content_block_delta":
        return applyDelta(blockAt(message, body.index), body);
      case "content_block_stop":
        return closeBlock(blockAt(message, body.index));
      case "message_delta": {
        const { stop_reason } = body.delta;
        if (typeof stop_reason === "string" || stop_reason === null) message.stop_reason = stop_reason;
        message.usage = { ...message.usage, ...usageOf(body).usage };
        return;
      }
      case "message_stop":
        message.state = "complete";
        return;
      case "message_discarded":
        return discard(message, body.from_index);
    }
  }

  function discard(message: Message, fromIndex: number | undefined): void {
    if (fromIndex !== undefined) {
      message.blocks = message.blocks.filter(({ index }) => index < fromIndex);
      return;
    }
    messages.delete(message.id);
    topLevel = topLevel.filter((other) => other !== message);
    for (const call of calls.values()) if (call.messages) call.messages = call.messages.filter((m) => m !== message);
  }

  function addResult({ at }: LogEvent, { tool_use_id, content, is_error }: EventOf<"tool_result">): void {
    const call = calls.get(tool_use_id);
    if (call) call.result = { content: withSourceUrls(content, urlOf), is_error, at: timeOf(at) };
  }

  function applyToTurn(to: TranscriptTurn, { at }: LogEvent, body: EventBody): void {
    if (body.type === "approval_requested") approvals.ask(calls.get(body.tool_use_id), body);
    if (body.type === "approval_resolved") approvals.settle(body);
    note(to, body);
    const hasLeftQueue = body.type !== "turn_moved" || body.position === null;
    if (!hasLeftQueue) return;
    to.started_at ??= timeOf(at);
    to.state = approvals.isWaiting() ? "waiting" : "running";
  }

  function end({ seq, at }: LogEvent, body: Ending): void {
    const { type, ...fields } = body;
    delete turn!.retry;
    const said = type === "turn_completed" ? ["text", "answer"] : [];
    const shown = Object.entries(fields).filter(([field]) => !said.includes(field));
    const urls = shown.map(([field, value]): [string, unknown] => [field, withUrl(value, urlOf)]);
    Object.assign(turn!, Object.fromEntries(urls), {
      state: terminalState[type],
      ended_at: timeOf(at),
      last_seq: seq,
    });
    for (const message of messages.values()) if (message.state === "streaming") message.state = "interrupted";
  }

  return {
    apply,
    result: () => turn && { turn, messages: topLevel },
  };
}

/** What an event says of the turn itself. */
function note(turn: TranscriptTurn, body: EventBody): void {
  if (body.type === "turn_started") turn.model = body.model;
  if (body.type === "notice") {
    const { kind, text } = body;
    const notices = (turn.notices ??= []);
    if (notices.length < maxNotices) notices.push({ kind, text });
  }
  if (body.type === "rate_limit") {
    const { status, limit, resets_at, using_overage } = body;
    turn.rate_limit = { status, limit, resets_at, using_overage };
  }
  if (body.type === "api_retry") {
    const { attempt, max_attempts, delay_ms, status } = body;
    turn.retry = { attempt, max_attempts, delay_ms, status };
  }
}

type Ending = EventOf<"turn_completed" | "turn_failed" | "turn_cancelled">;
type OfMessage = EventOf<
  | "content_block_start"
  | "content_block_delta"
  | "content_block_stop"
  | "message_delta"
  | "message_stop"
  | "message_discarded"
>;

const ofMessage = new Set<string>([...modelEventTypes, "message_discarded"]);

/** `message_start`, which names its message in another way, was seen to before. */
function isOfMessage(body: EventBody): body is OfMessage {
  return ofMessage.has(body.type);
}

/** Blocks are few, and it is mostly the last one that grows; an index of the API's is no place in an array. */
function blockAt(message: Message, index: number): TranscriptBlock | undefined {
  return message.blocks.findLast((block) => block.index === index);
}

function isTerminal(body: EventBody): body is Ending {
  return Object.hasOwn(terminalState, body.type);
}

function promptBlocks(prompt: EventOf<"turn_queued">["prompt"], urlOf: UrlOf): TranscriptBlock[] {
  const whole = readReference(prompt, urlOf);
  if (whole) return [{ type: "attachment", index: 0, ...whole }];
  const blocks = withSourceUrls(prompt, urlOf) as typeof prompt;
  return blocks.map((block, index) => ({ index, ...block }) as TranscriptBlock);
}

/** A block with nothing in it yet: its deltas bring all of it. */
function startedBlock(
  { index, content_block: begun }: EventOf<"content_block_start">,
  { at, urlOf }: { readonly at: string; readonly urlOf: UrlOf },
): TranscriptBlock {
  const { type, id, name } = begun as Record<string, unknown>;
  if (type === "text") return { type, index, text: "" };
  if (type === "thinking") return { type, index, thinking: "" };
  if ((type === "tool_use" || type === "server_tool_use") && typeof id === "string")
    return { type: "tool_use", index, id, name: String(name), at, input: null, partial_json: "", result: null };
  return { type: "other", index, block: withUrl(begun, urlOf) };
}

function applyDelta(block: TranscriptBlock | undefined, { delta, offset }: EventOf<"content_block_delta">): void {
  const added = (field: string) => (typeof delta[field] === "string" ? delta[field] : "");
  if (block?.type === "text" && delta.type === "text_delta") block.text = joined(block.text, offset, added("text"));
  else if (block?.type === "thinking" && delta.type === "thinking_delta")
    block.thinking = joined(block.thinking, offset, added("thinking"));
  else if (block?.type === "tool_use" && delta.type === "input_json_delta")
    block.partial_json = joined(block.partial_json ?? "", offset, added("partial_json"));
}

/** [L7] `text.slice(0, offset) + added`, without a copy where nothing is cut. */
function joined(text: string, offset: number, added: string): string {
  return (offset < text.length ? text.slice(0, offset) : text) + added;
}

/** A tool's input is whole now. Where it is no JSON (a cut stream), or none that could be written again, what has come of it stays visible. */
function closeBlock(block: TranscriptBlock | undefined): void {
  if (block?.type !== "tool_use" || block.partial_json === undefined) return;
  try {
    const input: unknown = JSON.parse(block.partial_json || "{}");
    if (isNestedDeeper(input, maxLevels)) return;
    block.input = input;
    delete block.partial_json;
  } catch {
    block.input = null;
  }
}

function usageOf(api: Record<string, unknown>): { usage?: Record<string, unknown> } {
  const { usage } = api;
  return typeof usage === "object" && usage !== null ? { usage: usage as Record<string, unknown> } : {};
}

function timeOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
