// What is said in messages, in words alone.
import type { Message } from "./transcript.ts";

export function isPrompt({ id, turn }: Message): boolean {
  return id === turn;
}

export function textOf(message: Message | undefined): string {
  return (message?.blocks ?? []).flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
}
