// The tool that shows a session: its newest messages, in words and tool calls.
import { z } from "zod";
import { placeOf, placeText } from "../log/place.ts";
import { isKnownPlace, readPage } from "../log/transcript-reader.ts";
import type { Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { TranscriptBlock, TranscriptMessage } from "../protocol/transcript.ts";
import { addTool, readsOnly, type Scene } from "./tool.ts";

const defaultLimit = 20;
/** A page ends before its limit when it has grown so long: a client would keep a longer one from its model. */
const maxPageChars = 60_000;
const maxTextChars = 20_000;
const maxCallChars = 2000;

const messageShown = z.object({
  turn: z.string(),
  role: z.enum(["user", "assistant"]),
  at: z.string(),
  state: z.string(),
  text: z.string(),
  tools: z
    .array(
      z.object({
        name: z.string(),
        input: z.string(),
        result: z.string().optional(),
        is_error: z.boolean().optional(),
      }),
    )
    .optional(),
});

type MessageShown = z.infer<typeof messageShown>;

const input = z.strictObject({
  session: z.uuid("must be the id of a session").toLowerCase(),
  limit: z.int().min(1).max(100).default(defaultLimit).describe("messages, the newest"),
  cursor: z.string().max(200).optional().describe("next_cursor of an earlier call: the messages before those"),
});

const output = z.object({
  session: z.string(),
  agent: z.string(),
  title: z.string().nullable(),
  messages: z.array(messageShown).describe("oldest first"),
  next_cursor: z.string().nullable().describe("there are older messages; null: there are none"),
});

export function addTranscriptTool(scene: Scene): void {
  addTool(scene, "read_transcript", {
    title: "Read a transcript",
    description:
      "The newest messages of a session: what was asked, what the agent said, and which tools it called with what result.",
    input,
    output,
    hints: readsOnly,
    async run(caller, given) {
      const data = await readTranscript(scene, caller, given);
      return { data, text: data.messages.map(textOf).join("\n\n") || "Nothing has been said in this session." };
    },
  });
}

async function readTranscript(
  { store, addressOf }: Scene,
  caller: Caller,
  { session: id, limit, cursor }: z.infer<typeof input>,
): Promise<z.infer<typeof output>> {
  const session = await store.session(caller, id);
  if (!session) throw new GatewayError("not_found", `There is no session "${id}".`);
  const after = cursor === undefined ? undefined : placeOf(cursor);
  const scope = {
    store,
    caller,
    session,
    order: "desc",
    after,
    urlOf: (hash: string) => addressOf(`/api/attachments/${hash}`),
  } as const;
  if (cursor !== undefined && (!after || !(await isKnownPlace(scope, after))))
    throw new GatewayError("invalid_request", "cursor: is not the next_cursor of this session's transcript");
  const page = await readPage(scope, limit);
  const messages: MessageShown[] = [];
  let chars = 0;
  for (const message of page.messages) {
    const one = shown(message);
    chars += JSON.stringify(one).length;
    if (messages.length > 0 && chars > maxPageChars) break;
    messages.push(one);
  }
  const isCut = messages.length < page.messages.length;
  const last = page.messages[messages.length - 1];
  const firstSeq = page.turns.find(({ turn }) => turn === last?.turn)?.first_seq;
  const cutAt = isCut && last && firstSeq !== undefined ? { firstSeq, seq: last.seq } : page.next;
  const { agent, title } = session;
  return { session: id, agent, title, messages: messages.toReversed(), next_cursor: cutAt && placeText(cutAt) };
}

/** Without what the model thought, and subagents' own steps. */
function shown({ turn, role, at, state, blocks }: TranscriptMessage): MessageShown {
  const text = blocks.map(wordsOf).filter((words) => words !== "");
  const tools = blocks.flatMap((block) => (block.type === "tool_use" ? [callOf(block)] : []));
  const all = cut(text.join("\n\n"), maxTextChars);
  return { turn, role, at, state, text: all, ...(tools.length > 0 ? { tools } : {}) };
}

function wordsOf(block: TranscriptBlock): string {
  switch (block.type) {
    case "text":
      return block.text;
    case "image":
    case "document":
      return `[${block.type}: ${block.source.url}]`;
    case "attachment":
      return `[a long text: ${block.url}]`;
    default:
      return "";
  }
}

function callOf({ name, input: given, partial_json, result }: Extract<TranscriptBlock, { type: "tool_use" }>) {
  const call = { name, input: cut(partial_json ?? JSON.stringify(given), maxCallChars) };
  if (!result) return call;
  const { content, is_error } = result;
  return {
    ...call,
    result: cut(typeof content === "string" ? content : JSON.stringify(content), maxCallChars),
    is_error,
  };
}

function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text.slice(0, length).toWellFormed()} […${text.length - length} more characters]`;
}

function textOf({ role, at, text, tools = [] }: MessageShown): string {
  const calls = tools.map(
    ({ name, input: given, result }) => `→ ${name} ${given}${result === undefined ? "" : `\n← ${result}`}`,
  );
  return [`${role}, ${at}`, ...(text === "" ? [] : [text]), ...calls].join("\n");
}
