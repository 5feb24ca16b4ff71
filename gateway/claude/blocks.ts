// The messages of one turn as they grow, block by block: what has been streamed, what a finished `assistant` line adds to it, and
// what of it does not count any more. Pure. It gives the events of design rule L6: the deltas of a block add up to the block.
import type { EventBody, EventOf } from "../protocol/events.ts";
import { plainName, type AssistantMessage, type FinishedBlock, type StreamEventMessage } from "./messages.ts";

interface Block {
  readonly type: string;
  /** What its deltas of the carrying type add up to: text, thinking, or partial JSON. */
  content: string;
  /** UTF-16 units so far, by delta type. */
  readonly lengths: Map<string, number>;
  isOpen: boolean;
  /** Its `assistant` line has come. */
  isFinished: boolean;
}

interface Message {
  readonly id: string;
  readonly model: string;
  readonly parent: string | null;
  readonly isStreamed: boolean;
  readonly blocks: Map<number, Block>;
  isOpen: boolean;
  isDiscarded: boolean;
}

/** The delta that carries a block's content: its type, and the field of the delta and of the finished block. */
const carriers: Record<string, { delta: string; field: string; blockField: string }> = {
  text: { delta: "text_delta", field: "text", blockField: "text" },
  thinking: { delta: "thinking_delta", field: "thinking", blockField: "thinking" },
  tool_use: { delta: "input_json_delta", field: "partial_json", blockField: "input" },
  server_tool_use: { delta: "input_json_delta", field: "partial_json", blockField: "input" },
};

export interface Messages {
  /** The events of a streaming event of the API. */
  stream(line: StreamEventMessage): EventBody[];
  /** The events of a finished `assistant` line: nothing, where it repeats what was streamed. */
  finish(line: AssistantMessage): EventBody[];
  /** Ends the messages that have no end of their own: those that only `assistant` lines made. */
  close(): EventBody[];
  /** All top-level text, messages parted by an empty line. */
  text(): string;
  /** The text of the last top-level message that has any. */
  answer(): string;
}

export function createMessages(): Messages {
  const byId = new Map<string, Message>();
  /** The message that streams now, by the subagent's call it belongs to. */
  const current = new Map<string | null, Message>();

  function stream({ event, parent_tool_use_id: parent, abandoned_blocks }: StreamEventMessage): EventBody[] {
    // Newer versions of the CLI end a message whose stream was cut themselves, and say so here.
    const isAbandoned = abandoned_blocks !== undefined;
    if (event.type === "message_start") return start(event, parent);
    const message = current.get(parent);
    if (event.type === "error" || !message?.isStreamed || message.isDiscarded || !message.isOpen)
      return [notice(event)];
    const index = typeof event["index"] === "number" ? event["index"] : -1;
    switch (event.type) {
      case "content_block_start":
        return startBlock(message, index, event);
      case "content_block_delta":
        return addDelta(message, index, event);
      case "content_block_stop": {
        const block = message.blocks.get(index);
        if (!block?.isOpen) return [notice(event)];
        block.isOpen = false;
        return [named(message, event)];
      }
      case "message_delta":
        return [named(message, event)];
      case "message_stop":
        if (isAbandoned) return discard(message, "stream_lost");
        return end(message, event);
      case "ping":
        return [];
      default:
        return [notice(event)];
    }
  }

  function start(event: StreamEventMessage["event"], parent: string | null): EventBody[] {
    const api = event["message"] as { id?: unknown; model?: unknown } | undefined;
    if (typeof api?.id !== "string") return [notice(event)];
    const model = typeof api.model === "string" ? api.model : "unknown";
    const events = replaceCurrent(parent, api.id, model);
    open({ id: api.id, model, parent, isStreamed: true, blocks: new Map(), isOpen: true, isDiscarded: false });
    return [
      ...events,
      { ...passedOn(event), parent_tool_use_id: parent, message: { ...api, id: api.id, model } } as EventBody,
    ];
  }

  /** What was streamed of a message that another one replaces before it ended does not count. */
  function replaceCurrent(parent: string | null, nextId: string, nextModel: string): EventBody[] {
    const message = current.get(parent);
    if (!message?.isOpen) return [];
    if (!message.isStreamed) return message.id === nextId ? [] : end(message);
    return discard(message, nextModel === message.model || nextModel === "<synthetic>" ? "stream_lost" : "fallback");
  }

  function open(message: Message): void {
    byId.set(message.id, message);
    current.set(message.parent, message);
  }

  function finish({ message: api, parent_tool_use_id: parent }: AssistantMessage): EventBody[] {
    const known = byId.get(api.id);
    if (known?.isDiscarded) return [];
    if (known?.isStreamed) return api.content.flatMap((block) => matchBlock(known, block));
    const events: EventBody[] = [];
    let message = known;
    if (!message) {
      events.push(...replaceCurrent(parent, api.id, api.model));
      message = {
        id: api.id,
        model: api.model,
        parent,
        isStreamed: false,
        blocks: new Map(),
        isOpen: true,
        isDiscarded: false,
      };
      open(message);
      const start = { id: api.id, type: "message", role: "assistant", model: api.model, content: [] };
      events.push({ type: "message_start", message: start, parent_tool_use_id: parent });
    }
    for (const block of api.content) events.push(...wholeBlock(message, block));
    return events;
  }

  return {
    stream,
    finish,
    close: () =>
      [...byId.values()].filter((message) => message.isOpen && !message.isStreamed).flatMap((message) => end(message)),
    text: () => spoken(byId).join("\n\n"),
    answer: () => spoken(byId).at(-1) ?? "",
  };
}

function startBlock(message: Message, index: number, event: StreamEventMessage["event"]): EventBody[] {
  const opened = event["content_block"] as { type?: unknown } | undefined;
  if (index < 0 || typeof opened?.type !== "string" || message.blocks.has(index)) return [notice(event)];
  const { type } = opened;
  message.blocks.set(index, { type, content: "", lengths: new Map(), isOpen: true, isFinished: false });
  return [named(message, event)];
}

function addDelta(message: Message, index: number, event: StreamEventMessage["event"]): EventBody[] {
  const block = message.blocks.get(index);
  const delta = event["delta"] as Record<string, unknown> | undefined;
  if (!block?.isOpen || typeof delta?.["type"] !== "string") return [notice(event)];
  const carrier = carriers[block.type];
  const carried = carrier?.delta === delta["type"] ? delta[carrier.field] : undefined;
  if (carrier && typeof carried === "string") block.content += carried;
  const offset = block.lengths.get(delta["type"]) ?? 0;
  block.lengths.set(delta["type"], offset + deltaLength(delta));
  return [{ ...named(message, event), offset } as EventBody];
}

/** UTF-16 units that a delta adds: those of its one text field beside `type`. */
function deltaLength(delta: Record<string, unknown>): number {
  for (const [key, value] of Object.entries(delta))
    if (key !== "type" && typeof value === "string") return value.length;
  return 0;
}

/** A finished block of a streamed message: what its deltas did not bring is added, what they brought is not said again. */
function matchBlock(message: Message, finished: FinishedBlock): EventBody[] {
  const found = [...message.blocks].find(([, block]) => !block.isFinished && block.type === finished.type);
  if (!found) return message.isOpen ? wholeBlock(message, finished) : [];
  const [index, block] = found;
  block.isFinished = true;
  const carrier = carriers[block.type];
  const whole = carrier && finished[carrier.blockField];
  if (!carrier || typeof whole !== "string" || !block.isOpen) return [];
  if (!whole.startsWith(block.content) || whole.length === block.content.length) return [];
  const rest = whole.slice(block.content.length);
  const event = { type: "content_block_delta", index, delta: { type: carrier.delta, [carrier.field]: rest } };
  return addDelta(message, index, event);
}

/** A block that comes as a whole, as the events that would have streamed it. */
function wholeBlock(message: Message, finished: FinishedBlock): EventBody[] {
  const index = Math.max(-1, ...message.blocks.keys()) + 1;
  const carrier = carriers[finished.type];
  const empty = carrier?.blockField === "input" ? {} : "";
  const content_block = carrier ? { ...finished, [carrier.blockField]: empty } : finished;
  const events = startBlock(message, index, { type: "content_block_start", index, content_block });
  if (carrier) {
    const value = finished[carrier.blockField];
    const content = typeof value === "string" ? value : JSON.stringify(value ?? {});
    const delta = { type: carrier.delta, [carrier.field]: content };
    events.push(...addDelta(message, index, { type: "content_block_delta", index, delta }));
  }
  const block = message.blocks.get(index)!;
  block.isOpen = false;
  block.isFinished = true;
  return [...events, named(message, { type: "content_block_stop", index })];
}

function end(message: Message, event: { type: string } = { type: "message_stop" }): EventBody[] {
  message.isOpen = false;
  return [named(message, event)];
}

/**
 * The rest of a message's stream is lost. Blocks whose `assistant` line has come are part of the conversation, and the model goes on
 * behind them; a fallback to another model begins anew.
 */
function discard(message: Message, reason: EventOf<"message_discarded">["reason"]): EventBody[] {
  const discarded: EventBody = { type: "message_discarded", message: message.id, reason };
  const lost = [...message.blocks].flatMap(([index, block]) => (block.isFinished ? [] : [index]));
  const from = reason === "fallback" || lost.length === message.blocks.size ? 0 : Math.min(...lost);
  for (const index of message.blocks.keys()) if (index >= from) message.blocks.delete(index);
  if (message.blocks.size > 0)
    return [...(lost.length > 0 ? [{ ...discarded, from_index: from }] : []), ...end(message)];
  message.isOpen = false;
  message.isDiscarded = true;
  return [discarded];
}

/** An API event with its message's id, and the subagent's call where there is one. */
function named(message: Message, event: { type: string; [field: string]: unknown }): EventBody {
  const owner = message.parent === null ? {} : { parent_tool_use_id: message.parent };
  return { ...passedOn(event), message: message.id, ...owner } as EventBody;
}

/** The API's event, but for fields whose names are the log's own: it gives those itself. */
function passedOn({ seq: _seq, turn: _turn, at: _at, ...event }: { type: string; [field: string]: unknown }) {
  return event;
}

function spoken(messages: Map<string, Message>): string[] {
  return [...messages.values()]
    .filter((message) => message.parent === null && !message.isDiscarded)
    .map((message) =>
      [...message.blocks.values()]
        .filter((block) => block.type === "text")
        .map((block) => block.content)
        .join(""),
    )
    .filter((text) => text !== "");
}

function notice(event: { type: string }): EventBody {
  const known =
    event.type === "error"
      ? "The model's API reported an error inside its stream."
      : "An event of the model came out of turn.";
  return { type: "notice", kind: `stream_${plainName(event.type)}`, text: known };
}
