// A transcript as newline-delimited JSON: a message a line. A prompt's line has its turn, so that no line needs another.
import type { TranscriptMessage, TranscriptTurn } from "../protocol/transcript.ts";

export function transcriptNdjson(turn: TranscriptTurn, messages: readonly TranscriptMessage[]): string {
  return messages
    .map((message) => `${JSON.stringify(message.role === "user" ? { ...message, outcome: turn } : message)}\n`)
    .join("");
}
