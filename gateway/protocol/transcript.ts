// A session's transcript as replies carry it, and the query that asks for it. A client goes on from it with the events after
// `last_seq`: every growing text is exactly as long here as the next delta's `offset` says.
import { z } from "zod";
import { turnStates } from "./codes.ts";
import { apiRetry, approvalRequested, approvalResolved, by, notice, rateLimit } from "./events.ts";
import { wholeNumber } from "./requests.ts";

/** What was too large for the log, or is no text: its bytes are at `url`. */
const reference = z.object({
  attachment: z.string(),
  media_type: z.string(),
  bytes: z.int().optional(),
  url: z.string(),
});

const source = reference.extend({ type: z.literal("attachment") });

const toolResult = z.object({
  /** As the tool gave it: a text, content blocks, or a reference. */
  content: z.unknown(),
  is_error: z.boolean(),
  at: z.iso.datetime(),
});

/** What a person was asked about a call, at last. */
const callApproval = z.object({
  ...approvalRequested.pick({ approval: true, reason: true, expires_at: true }).shape,
  /** Absent where it is the call's. */
  input: z.unknown().optional(),
  ...approvalResolved.pick({ scope: true, message: true, updated_input: true }).shape,
  /** Null while it waits. */
  decision: approvalResolved.shape.decision.nullable(),
  by: by.nullable(),
});

const index = z.int();
const text = z.object({ type: z.literal("text"), index, text: z.string() });
const thinking = z.object({ type: z.literal("thinking"), index, thinking: z.string() });
const image = z.object({ type: z.literal("image"), index, source });
const document = z.object({ type: z.literal("document"), index, source, title: z.string().optional() });
/** A prompt that was too large for the log, as a whole. */
const attachment = reference.extend({ type: z.literal("attachment"), index });
/** The `context` of a request. */
const context = z.object({ type: z.literal("context"), index, context: z.unknown() });
/** A block of a type that Sluice does not know, as the model's API began it. */
const other = z.object({ type: z.literal("other"), index, block: z.unknown() });

const toolUse = z.object({
  type: z.literal("tool_use"),
  index,
  id: z.string(),
  name: z.string(),
  /** When the call began. */
  at: z.iso.datetime(),
  /** Null until it is whole. */
  input: z.unknown(),
  /** What has come of the input's JSON; absent once that is whole. */
  partial_json: z.string().optional(),
  /** Null while there is none. */
  result: toolResult.nullable(),
  /** The newest one; absent where nobody was asked. */
  approval: callApproval.optional(),
  /** What the subagent did that this call started, in order; absent where it started none. */
  get messages() {
    return z.array(transcriptMessage).optional();
  },
});

const block = z.discriminatedUnion("type", [text, thinking, toolUse, image, document, attachment, context, other]);

/** `interrupted`: its turn ended before it did. */
export const messageStates = ["streaming", "complete", "interrupted"] as const;

export const transcriptMessage = z.object({
  /** The events' `message`; of a prompt, its turn's id. */
  id: z.string(),
  turn: z.string(),
  role: z.enum(["user", "assistant"]),
  at: z.iso.datetime(),
  /** That of its first event. */
  seq: z.int(),
  state: z.enum(messageStates),
  blocks: z.array(block),
  /** Of a prompt: whose it is. */
  by: by.optional(),
  model: z.string().optional(),
  usage: z.looseObject({}).optional(),
  stop_reason: z.string().nullable().optional(),
});

/** A turn with the fields of its terminal event; what a completed one said is in its messages. */
export const transcriptTurn = z.object({
  turn: z.string(),
  state: z.enum(turnStates),
  queued_at: z.iso.datetime(),
  started_at: z.iso.datetime().nullable(),
  ended_at: z.iso.datetime().nullable(),
  first_seq: z.int(),
  /** That of its terminal event; null while there is none. */
  last_seq: z.int().nullable(),
  model: z.string().nullable(),
  /** Absent where there was none; at most a hundred. */
  notices: z.array(notice.omit({ type: true })).optional(),
  /** The account's limit as it was last reported in this turn; absent where it was not. */
  rate_limit: rateLimit.omit({ type: true }).optional(),
  /** The one that is under way: absent once words come again. */
  retry: apiRetry.omit({ type: true }).optional(),
  metadata: z.unknown().optional(),
  usage: z.looseObject({}).optional(),
  cost_usd: z.number().optional(),
  duration_ms: z.number().optional(),
  stop_reason: z.string().nullable().optional(),
  model_turns: z.int().optional(),
  denials: z.unknown().optional(),
  code: z.string().optional(),
  message: z.string().optional(),
  retryable: z.boolean().optional(),
  resets_at: z.string().optional(),
  /** Who cancelled it. */
  by: by.optional(),
  /** What a failed or cancelled one had said. */
  text: z.unknown().optional(),
});

/** `GET /api/sessions/{session}/transcript` as JSON: one page. */
export const transcript = z.object({
  session: z.string(),
  agent: z.string(),
  title: z.string().nullable(),
  messages: z.array(transcriptMessage),
  /** The turns that these messages belong to. */
  turns: z.array(transcriptTurn),
  approvals: z.array(z.unknown()),
  last_seq: z.int(),
  next_cursor: z.string().nullable(),
});

/** A line of the NDJSON rendering; a prompt's has its turn. */
export const transcriptLine = transcriptMessage.extend({ outcome: transcriptTurn.optional() });

export type TranscriptBlock = z.infer<typeof block>;
export type TranscriptMessage = z.infer<typeof transcriptMessage>;
export type TranscriptTurn = z.infer<typeof transcriptTurn>;
export type TranscriptToolUse = Extract<TranscriptBlock, { type: "tool_use" }>;
export type Reference = z.infer<typeof reference>;
export type Transcript = z.infer<typeof transcript>;

export const transcriptFormats = ["json", "md", "ndjson"] as const;

export type TranscriptFormat = (typeof transcriptFormats)[number];

/** Its query. */
export const transcriptQuery = z.strictObject({
  limit: wholeNumber(1, 1000).optional(),
  cursor: z.string().max(200).optional(),
  order: z.enum(["asc", "desc"]).default("asc"),
  format: z.enum(transcriptFormats).optional(),
  download: z.enum(["0", "1"]).default("0"),
  user: z.string().min(1).max(200).optional(),
});

export type TranscriptQuery = z.infer<typeof transcriptQuery>;
