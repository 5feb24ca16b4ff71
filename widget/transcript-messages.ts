// Messages and their blocks, changed by copying what lies on the way to the change. The way is looked for from the end: there it is short.
import type { EventOf } from "../gateway/protocol/events.ts";
import type { Block, Message, ToolBlock } from "./transcript.ts";

interface Place {
  readonly turn: string;
  readonly id: string;
}

/**
 * The messages with this one changed, also where it is a subagent's; undefined takes it away. The same array where it is not there. It copies
 * one array of references for each level, whatever is in it.
 */
export function changeMessage(
  messages: readonly Message[],
  place: Place,
  change: (message: Message) => Message | undefined,
): readonly Message[] {
  return changeLast(messages, place.turn, (message) => {
    if (message.id === place.id) return change(message);
    return inTools(message, (tool) => {
      const changed = changeMessage(tool.messages, place, change);
      return changed === tool.messages ? tool : { ...tool, messages: changed };
    });
  });
}

/** The messages with this call of a tool changed. */
export function changeTool(
  messages: readonly Message[],
  place: Place,
  change: (tool: ToolBlock) => ToolBlock,
): readonly Message[] {
  return changeLast(messages, place.turn, (message) =>
    inTools(message, (tool) => {
      if (tool.id === place.id) return change(tool);
      const changed = changeTool(tool.messages, place, change);
      return changed === tool.messages ? tool : { ...tool, messages: changed };
    }),
  );
}

/** Tries the turn's messages, the newest first, until one changes. A turn's messages stand together. */
function changeLast(
  messages: readonly Message[],
  turn: string,
  change: (message: Message) => Message | undefined,
): readonly Message[] {
  for (let at = lastOf(messages, turn); at >= 0; at--) {
    const message = messages[at]!;
    if (message.turn !== turn) break;
    const changed = change(message);
    if (changed === undefined) return messages.toSpliced(at, 1);
    if (changed !== message) return messages.with(at, changed);
  }
  return messages;
}

function lastOf(messages: readonly Message[], turn: string): number {
  return messages.findLastIndex((message) => message.turn === turn);
}

function inTools(message: Message, change: (tool: ToolBlock) => ToolBlock): Message {
  for (let at = message.blocks.length - 1; at >= 0; at--) {
    const block = message.blocks[at]!;
    if (block.type !== "tool") continue;
    const changed = change(block);
    if (changed !== block) return { ...message, blocks: message.blocks.with(at, changed) };
  }
  return message;
}

/** A message in its turn, or in the call that started the subagent whose it is. */
export function addMessage(
  messages: readonly Message[],
  message: Message,
  parentTool: string | null,
): readonly Message[] {
  if (parentTool !== null) {
    const nested = changeTool(messages, { turn: message.turn, id: parentTool }, (tool) => ({
      ...tool,
      messages: [...tool.messages, message],
    }));
    if (nested !== messages) return nested;
  }
  // Behind it there may be prompts that wait.
  const last = lastOf(messages, message.turn);
  return messages.toSpliced(last === -1 ? messages.length : last + 1, 0, message);
}

export function addBlock(
  message: Message,
  { index, content_block }: EventOf<"content_block_start">,
  at: string,
): Message {
  if (message.blocks.some((block) => block.index === index)) return message;
  return { ...message, blocks: [...message.blocks, startedBlock(index, content_block, at)] };
}

function startedBlock(index: number, begun: { type: string; [field: string]: unknown }, startedAt: string): Block {
  const { type, id, name } = begun;
  if (type === "text" || type === "thinking") return { type, index, text: "", isDone: false, tail: null };
  if ((type !== "tool_use" && type !== "server_tool_use") || typeof id !== "string")
    return { type: "other", index, block: begun };
  return {
    type: "tool",
    index,
    id,
    name: String(name),
    input: undefined,
    partialJson: "",
    startedAt,
    result: null,
    approval: null,
    messages: [],
  };
}

/** Undefined: what comes before the delta is missing. What is there already stays: all frames of a block agree. */
export function addDelta(
  message: Message,
  { index, delta, offset }: EventOf<"content_block_delta">,
): Message | undefined {
  const at = message.blocks.findLastIndex((block) => block.index === index);
  const block = message.blocks[at];
  const known = block && textOf(block, delta.type);
  const added = delta[fields[delta.type] ?? ""];
  if (known === undefined || typeof added !== "string") return message;
  if (offset > known.length) return undefined;
  if (offset + added.length <= known.length) return message;
  const fresh = offset === known.length ? added : added.slice(known.length - offset);
  const grown: Block =
    block!.type === "tool"
      ? { ...block!, partialJson: known + fresh }
      : ({ ...block!, text: known + fresh, tail: { offset: known.length, text: fresh } } as Block);
  return { ...message, blocks: message.blocks.with(at, grown) };
}

const fields: Record<string, string> = {
  text_delta: "text",
  thinking_delta: "thinking",
  input_json_delta: "partial_json",
};

function textOf(block: Block, deltaType: string): string | undefined {
  if (block.type === "tool") return deltaType === "input_json_delta" ? (block.partialJson ?? undefined) : undefined;
  if (block.type === "text" || block.type === "thinking")
    return deltaType === `${block.type}_delta` ? block.text : undefined;
  return undefined;
}

export function closeBlock(message: Message, index: number): Message {
  const at = message.blocks.findLastIndex((block) => block.index === index);
  const block = message.blocks[at];
  if (!block) return message;
  const closed = closedBlock(block);
  return closed === block ? message : { ...message, blocks: message.blocks.with(at, closed) };
}

function closedBlock(block: Block): Block {
  if (block.type === "text" || block.type === "thinking") return block.isDone ? block : { ...block, isDone: true };
  if (block.type !== "tool" || block.partialJson === null) return block;
  try {
    return { ...block, input: JSON.parse(block.partialJson || "{}"), partialJson: null };
  } catch {
    // A cut stream: what has come of the input stays visible.
    return block;
  }
}

export function ended(message: Message): Message {
  return { ...message, state: "complete", blocks: message.blocks.map(doneText) };
}

function doneText(block: Block): Block {
  return block.type === "text" || block.type === "thinking" ? closedBlock(block) : block;
}

/** Undefined: nothing of it counts. */
export function discarded(message: Message, fromIndex: number | undefined): Message | undefined {
  if (fromIndex === undefined) return undefined;
  return { ...message, blocks: message.blocks.filter(({ index }) => index < fromIndex) };
}

/** The turn has ended: what of it was still growing will not. */
export function interrupted(messages: readonly Message[], turn: string): readonly Message[] {
  const next = messages.map((message) => (message.turn === turn ? interruptedMessage(message, turn) : message));
  return next.some((message, at) => message !== messages[at]) ? next : messages;
}

function interruptedMessage(message: Message, turn: string): Message {
  const blocks = message.blocks.map((block) => {
    if (block.type !== "tool") return message.state === "streaming" ? doneText(block) : block;
    const nested = interrupted(block.messages, turn);
    return nested === block.messages ? block : { ...block, messages: nested };
  });
  const isSame = blocks.every((block, at) => block === message.blocks[at]);
  if (message.state !== "streaming") return isSame ? message : { ...message, blocks };
  return { ...message, state: "interrupted", blocks };
}
