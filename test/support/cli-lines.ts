// The CLI's lines as tests write them, and a translator that takes them.
import { readMessage } from "../../gateway/claude/messages.ts";
import { createTranslator, type Translator } from "../../gateway/claude/translate.ts";
import type { TurnEvent } from "../../gateway/protocol/events.ts";

/** A line before it is read. */
export type Raw = Record<string, unknown>;

export const turn = "00000000-0000-4000-8000-000000000001";
export const nextTurn = "00000000-0000-4000-8000-000000000002";

export interface TestTranslator extends Translator {
  give(...lines: Raw[]): TurnEvent[];
}

export function translator(): TestTranslator {
  let own = 0;
  const made = createTranslator({ session: "s", agent: "a", newTurnId: () => `own-${++own}` });
  return Object.assign(made, { give: (...lines: Raw[]) => lines.flatMap((line) => made.push(readMessage(line))) });
}

/** A translator whose turn has begun. */
export function begun(): TestTranslator {
  const made = translator();
  made.expect(turn);
  made.give(init([turn]));
  return made;
}

export const init = (names?: string[]): Raw => ({
  type: "system",
  subtype: "init",
  session_id: "s",
  model: "m",
  ...(names ? { user_message_uuids: names } : {}),
});
export const stream = (event: Raw, parent: string | null = null): Raw => ({
  type: "stream_event",
  event,
  parent_tool_use_id: parent,
});
export const messageStart = (id: string, model = "m") =>
  stream({ type: "message_start", message: { id, model, content: [] } });
export const blockStart = (index: number, content_block: Raw) =>
  stream({ type: "content_block_start", index, content_block });
export const textStart = (index: number) => blockStart(index, { type: "text", text: "" });
export const textDelta = (index: number, text: string) =>
  stream({ type: "content_block_delta", index, delta: { type: "text_delta", text } });
export const blockStop = (index: number) => stream({ type: "content_block_stop", index });
export const messageStop = (more: Raw = {}): Raw => ({ ...stream({ type: "message_stop" }), ...more });
export const assistant = (id: string, content: Raw[], model = "m"): Raw => ({
  type: "assistant",
  message: { id, model, content },
});
export const textBlock = (text: string): Raw => ({ type: "text", text });
export const result = (more: Raw = {}): Raw => ({
  type: "result",
  subtype: "success",
  is_error: false,
  total_cost_usd: 0,
  ...more,
});
export const named = (...names: string[]) => ({ user_message_uuids: names });

export const streamedText = (id: string, ...parts: string[]): Raw[] => [
  messageStart(id),
  textStart(0),
  ...parts.map((part) => textDelta(0, part)),
  assistant(id, [textBlock(parts.join(""))]),
  blockStop(0),
  messageStop(),
];
