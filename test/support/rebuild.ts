// [L6] Events of a turn → the messages that a client would hold, by the rule `text.slice(0, offset) + delta`; every departure from
// the order and offsets that the rule promises is thrown.
import { modelEventTypes, terminalEventTypes } from "../../gateway/protocol/codes.ts";
import type { TurnEvent } from "../../gateway/protocol/events.ts";

export interface RebuiltBlock {
  readonly type: string;
  /** What its deltas add up to: text, thinking, or the tool's input as JSON. */
  readonly content: string;
  /** The block as `content_block_start` gave it. */
  readonly start: Record<string, unknown>;
  readonly isOpen: boolean;
}

export interface RebuiltMessage {
  readonly id: string;
  readonly model: string;
  readonly parent: string | null;
  readonly blocks: RebuiltBlock[];
  readonly isOpen: boolean;
  readonly isDiscarded: boolean;
}

type Growing<T> = { -readonly [K in keyof T]: T[K] };
type GrowingBlock = Growing<RebuiltBlock> & { lengths: Map<string, number> };
type GrowingMessage = Omit<Growing<RebuiltMessage>, "blocks"> & { blocks: GrowingBlock[] };

const carrying: Record<string, string> = {
  text_delta: "text",
  thinking_delta: "thinking",
  input_json_delta: "partial_json",
};

/**
 * The messages of one turn, in order of their starts, the discarded ones too. Throws where an event does not fit: a turn without
 * exactly one terminal event at its end, a delta at a wrong offset, a block or message that is not open, an end that differs.
 */
export function rebuild(events: readonly TurnEvent[]): RebuiltMessage[] {
  const messages = new Map<string, GrowingMessage>();
  for (const event of events) apply(messages, event);
  const endings = events.filter((event) => terminalEventTypes.some((type) => type === event.type));
  const last = events.at(-1);
  if (endings.length !== 1 || endings[0] !== last)
    throw new Error(
      `a turn must end with its one terminal event; it has ${endings.map(({ type }) => type).join(", ")}`,
    );
  const text = textOf(messages.values());
  if ("text" in last! && last.text !== text)
    throw new Error(`the ending's text ${JSON.stringify(last.text)} is not what was streamed: ${JSON.stringify(text)}`);
  if (last?.type === "turn_completed") checkAllClosed(messages.values());
  return [...messages.values()];
}

function apply(messages: Map<string, GrowingMessage>, event: TurnEvent): void {
  if (event.type === "message_start") {
    const { id, model } = event.message;
    if (messages.has(id)) throw new Error(`the message ${id} begins twice`);
    const parent = event.parent_tool_use_id ?? null;
    messages.set(id, { id, model, parent, blocks: [], isOpen: true, isDiscarded: false });
    return;
  }
  if (event.type !== "message_discarded" && !modelEventTypes.some((type) => type === event.type)) return;
  const of = event as Exclude<Extract<TurnEvent, { message: string }>, { type: "turn_failed" }>;
  const message = messages.get(of.message);
  if (!message?.isOpen) throw new Error(`${of.type} for the message ${of.message}, which is not open`);
  switch (of.type) {
    case "content_block_start": {
      if (of.index !== message.blocks.length)
        throw new Error(`block ${of.index} where ${message.blocks.length} is next`);
      const { content_block: start } = of;
      message.blocks.push({ type: start.type, content: "", start, isOpen: true, lengths: new Map() });
      return;
    }
    case "content_block_delta":
      return applyDelta(openBlock(message, of.index), of);
    case "content_block_stop":
      openBlock(message, of.index).isOpen = false;
      return;
    case "message_stop":
      message.isOpen = false;
      return;
    case "message_discarded":
      if (of.from_index !== undefined) {
        message.blocks.length = of.from_index;
        return;
      }
      message.isOpen = false;
      message.isDiscarded = true;
      return;
    case "message_delta":
      return;
  }
}

function openBlock(message: GrowingMessage, index: number): GrowingBlock {
  const block = message.blocks[index];
  if (!block?.isOpen) throw new Error(`block ${index} of ${message.id} is not open`);
  return block;
}

function applyDelta(block: GrowingBlock, event: Extract<TurnEvent, { type: "content_block_delta" }>): void {
  const { type } = event.delta;
  const before = block.lengths.get(type) ?? 0;
  if (event.offset !== before) throw new Error(`a ${type} says offset ${event.offset} where ${before} is right`);
  const [, added] =
    Object.entries(event.delta).find(([key, value]) => key !== "type" && typeof value === "string") ?? [];
  block.lengths.set(type, before + (typeof added === "string" ? added.length : 0));
  const field = carrying[type];
  if (field !== undefined) block.content = block.content.slice(0, event.offset) + String(event.delta[field]);
}

function textOf(messages: Iterable<RebuiltMessage>): string {
  return [...messages]
    .filter(({ parent, isDiscarded }) => parent === null && !isDiscarded)
    .map(({ blocks }) => blocks.flatMap(({ type, content }) => (type === "text" ? [content] : [])).join(""))
    .filter((text) => text !== "")
    .join("\n\n");
}

function checkAllClosed(messages: Iterable<RebuiltMessage>): void {
  for (const { id, isOpen, isDiscarded, blocks } of messages)
    if (isOpen || (!isDiscarded && blocks.some((block) => block.isOpen)))
      throw new Error(`the message ${id} of a completed turn has no end`);
}
