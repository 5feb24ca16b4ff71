// Transcripts of any length, as the gateway answers them: in pages, the newest message first.
import type { Transcript, TranscriptMessage, TranscriptTurn } from "../../../gateway/protocol/transcript.ts";
import { markdownOf, session } from "./answers.ts";

export const longMessages = 1000;

/** A session that has so many messages. */
export const longSession = "00000000-0000-4000-8000-000000001000";

/** One whose messages are all of one turn: what an agent says between its calls. */
export const oneTurnSession = "00000000-0000-4000-8000-000000001001";

const answer = markdownOf("mixed", 1);
const at = "2026-01-01T12:00:00.000Z";

/** Of the long session a page, of others that there is nothing. */
export function pageOfLongTranscript(id: string, cursor: string | null, limit: number): Transcript {
  const newest = id === session ? 0 : Number(cursor ?? longMessages);
  const oldest = Math.max(newest - limit, 0);
  const numbers = Array.from({ length: newest - oldest }, (_, index) => newest - index);
  const messages = numbers.map(id === oneTurnSession ? stepOf : messageOf);
  return {
    session: id,
    agent: "default",
    title: null,
    messages,
    turns:
      id === oneTurnSession
        ? [turnOf(stepOf(1))]
        : messages.flatMap((message) => (message.role === "user" ? [turnOf(message)] : [])),
    approvals: [],
    last_seq: newest,
    next_cursor: oldest === 0 ? null : String(oldest),
  };
}

/** By turns what is asked and what is answered. */
function messageOf(number: number): TranscriptMessage {
  const turn = `turn-${Math.ceil(number / 2)}`;
  const common = { turn, at, seq: number, state: "complete" as const };
  return number % 2 === 1
    ? { ...common, id: turn, role: "user", blocks: [{ type: "text", index: 0, text: `What about ${number}?` }] }
    : {
        ...common,
        id: `message-${number}`,
        role: "assistant",
        blocks: [{ type: "text", index: 0, text: `Message ${number}.\n\n${answer}` }],
      };
}

function stepOf(number: number): TranscriptMessage {
  const message = messageOf(number === 1 ? 1 : 2);
  if (number === 1) return message;
  const call = {
    type: "tool_use" as const,
    index: 1,
    id: `call-${number}`,
    name: "Bash",
    at,
    input: { command: `ls ${number}` },
    result: { content: `output ${number}`, is_error: false, at },
  };
  const text = { type: "text" as const, index: 0, text: `Step ${number}` };
  return { ...message, id: `message-${number}`, seq: number, blocks: [text, call] };
}

function turnOf({ turn, seq }: TranscriptMessage): TranscriptTurn {
  return {
    turn,
    state: "completed",
    queued_at: at,
    started_at: at,
    ended_at: at,
    first_seq: seq,
    last_seq: seq + 1,
    model: "a-model",
  };
}
