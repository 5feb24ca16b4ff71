// A message's place in a transcript as text: the cursor behind it.
import type { Place } from "./transcript-reader.ts";

export function placeText({ firstSeq, seq }: Place): string {
  return `${firstSeq}.${seq}`;
}

/** Undefined for what is no such text. */
export function placeOf(text: string): Place | undefined {
  const match = /^(\d{1,15})\.(\d{1,15})$/.exec(text);
  return match ? { firstSeq: Number(match[1]), seq: Number(match[2]) } : undefined;
}
