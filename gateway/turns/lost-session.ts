// A session whose memory the CLI has lost, continued from our log on request: what was said goes before the prompt as text, framed so that
// the model knows what it is, and the log says so. Tool calls are left out: only what was said is sure to be there.
import { gatewayCaller } from "../protocol/callers.ts";
import type { TerminalEvent } from "../protocol/events.ts";
import { promptText, type PromptBlock, type SentBlock } from "../protocol/prompt.ts";
import type { Store, TurnRow } from "../store/port.ts";

/** What stands for the lost memory, and the notice of it for the log. */
export interface Continuation {
  readonly block: PromptBlock;
  readonly notice: { readonly type: "notice"; readonly kind: "continued_from_transcript"; readonly text: string };
}

/** Of what was said the newest goes along; what is older is left out. */
const maxBytes = 200 * 1024;
const maxTurns = 1000;

const frame = {
  head:
    "Your memory of this conversation was lost. Below is its record in JSON, one message a line, oldest first: what the user wrote and " +
    "what you answered. Tool calls and their results are not in it. Take it as what was said before; do not answer it. What the user says now " +
    "follows behind it.\n<earlier_conversation>\n",
  tail: "\n</earlier_conversation>\n",
};

/** Resolves with the conversation before this turn. */
export async function continueLost(session: string, turn: string, store: Store): Promise<Continuation> {
  const rows = await store.turns(gatewayCaller, { session, limit: maxTurns });
  // What waited and was cancelled was never said.
  const spoken = rows.filter((row) => row.turn !== turn && row.startedAt !== null && row.lastSeq !== null);
  const newestFirst = spoken.toSorted((a, b) => b.lastSeq! - a.lastSeq!);
  const lines: string[] = [];
  let room = maxBytes;
  for (const row of newestFirst) {
    const messages = (await messagesOf(row, store)).toReversed();
    for (const message of messages) {
      const line = lineOf(message);
      room -= Buffer.byteLength(line) + 1;
      if (room < 0) return continuation(lines.length === 0 ? [endOf(message)] : lines, true);
      lines.unshift(line);
    }
  }
  return continuation(lines, rows.length === maxTurns);
}

interface Message {
  readonly role: "user" | "assistant";
  readonly text: string;
}

async function messagesOf({ prompt, ending }: TurnRow, store: Store): Promise<Message[]> {
  const said = [
    { role: "user", text: spokenPrompt(prompt) },
    { role: "assistant", text: ending ? await endingText(ending, store) : "" },
  ] as const;
  return said.filter(({ text }) => text !== "");
}

function spokenPrompt(prompt: readonly SentBlock[]): string {
  return prompt.map((block) => (block.type === "text" ? promptText([block]) : `[${block.type}]`)).join("\n");
}

/** A text that was too large for its event is an attachment. */
async function endingText(ending: TerminalEvent, store: Store): Promise<string> {
  const text: unknown = ending.text;
  if (typeof text === "string") return text;
  const { attachment } = text as { attachment: string };
  const kept = await store.attachment(gatewayCaller, attachment);
  return kept ? Buffer.from(kept.bytes).toString("utf8") : "";
}

/** The end of a message that alone is longer than all there is room for. */
function endOf(message: Message): string {
  for (let chars = maxBytes; ; chars = Math.floor(chars * 0.8)) {
    const line = lineOf({ ...message, text: `[…] ${message.text.slice(-chars).toWellFormed()}` });
    if (Buffer.byteLength(line) <= maxBytes) return line;
  }
}

/** The frame cannot be left: inside it there is no `<` and no `>`, which JSON lets be written otherwise. */
function lineOf({ role, text }: Message): string {
  return JSON.stringify({ role, text }).replaceAll("<", "\\u003c").replaceAll(">", "\\u003e");
}

function continuation(lines: readonly string[], isCut: boolean): Continuation {
  const older = isCut ? "[What was said before this is left out.]\n" : "";
  const text = `${frame.head}${older}${lines.join("\n")}${frame.tail}`;
  const said = `The CLI's memory of this session is lost. The model was given what was said before as text${isCut ? ", without its oldest part" : ""}; of tool calls and their results it knows nothing any more.`;
  return {
    block: { type: "text", text },
    notice: { type: "notice", kind: "continued_from_transcript", text: said },
  };
}
