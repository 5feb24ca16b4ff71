// The events of a session's log. The Messages API's streaming events keep their own names and fields
// (https://docs.claude.com/en/docs/build-with-claude/streaming); what Sluice adds to them stands here, and all of its own.
import { z } from "zod";
import { permissionModes, type FailureCode, failureRetryable } from "./codes.ts";
import { sentBlock } from "./prompt.ts";

const parent = z.string().nullable().optional();

/** Fields of the API's own event are passed on unread. */
const modelEvent = <Type extends string>(type: Type) =>
  z.looseObject({ type: z.literal(type), parent_tool_use_id: parent });

/** Here `message` is the API's message object; in every later event of the message it is that object's `id`. */
const messageStart = modelEvent("message_start").extend({
  message: z.looseObject({ id: z.string(), model: z.string() }),
});
const blockStart = modelEvent("content_block_start").extend({
  message: z.string(),
  index: z.int(),
  content_block: z.looseObject({ type: z.string() }),
});
/** `offset`: UTF-16 units of this block's earlier deltas of the same type. */
const blockDelta = modelEvent("content_block_delta").extend({
  message: z.string(),
  index: z.int(),
  offset: z.int(),
  delta: z.looseObject({ type: z.string() }),
});
const blockStop = modelEvent("content_block_stop").extend({ message: z.string(), index: z.int() });
const messageDelta = modelEvent("message_delta").extend({ message: z.string(), delta: z.looseObject({}) });
const messageStop = modelEvent("message_stop").extend({ message: z.string() });

/** Who did it: a caller, another agent's turn, the CLI on its own, or the gateway. */
export const by = z.union([
  z.strictObject({ key: z.string(), user: z.string().optional() }),
  z.strictObject({ agent: z.string(), turn: z.string() }),
  z.strictObject({ cli: z.string() }),
  z.strictObject({ gateway: z.enum(["restart", "timeout", "cancel", "shutdown"]) }),
]);

export type By = z.infer<typeof by>;

const turnQueued = z.object({
  type: z.literal("turn_queued"),
  session: z.string(),
  agent: z.string(),
  prompt: z.array(sentBlock),
  context: z.unknown().optional(),
  metadata: z.unknown().optional(),
  position: z.int().nullable(),
  by,
});

const turnMoved = z.object({ type: z.literal("turn_moved"), position: z.int().nullable() });

const turnStarted = z.object({
  type: z.literal("turn_started"),
  session: z.string(),
  model: z.string(),
  permission_mode: z.union([z.enum(permissionModes), z.string()]),
  tools: z.array(z.string()),
  mcp_servers: z.array(z.looseObject({ name: z.string(), status: z.string() })),
  claude_version: z.string(),
  api_key_source: z.string(),
  reused: z.boolean(),
});

const toolResult = z.object({
  type: z.literal("tool_result"),
  tool_use_id: z.string(),
  content: z.unknown(),
  is_error: z.boolean(),
  parent_tool_use_id: z.string().nullable(),
});

export const approvalRequested = z.object({
  type: z.literal("approval_requested"),
  approval: z.string(),
  tool: z.string(),
  tool_use_id: z.string(),
  parent_tool_use_id: z.string().nullable(),
  input: z.unknown(),
  reason: z.string().nullable(),
  expires_at: z.iso.datetime(),
});

export const approvalResolved = z.object({
  type: z.literal("approval_resolved"),
  approval: z.string(),
  decision: z.enum(["allow", "deny"]),
  by,
  /** Allowed for every later call of the tool in this session. */
  scope: z.literal("session").optional(),
  /** What the model was told with a deny. */
  message: z.string().optional(),
  /** With what the tool was run instead: a person changed it, or chose an answer. */
  updated_input: z.unknown().optional(),
});

/** What was streamed does not count: the blocks from `from_index` on, or the whole message where there is none. */
const messageDiscarded = z.object({
  type: z.literal("message_discarded"),
  message: z.string(),
  reason: z.enum(["stream_lost", "fallback"]),
  from_index: z.int().optional(),
});

export const rateLimit = z.object({
  type: z.literal("rate_limit"),
  status: z.string(),
  limit: z.string().nullable(),
  resets_at: z.iso.datetime().nullable(),
  using_overage: z.boolean(),
});

export const apiRetry = z.object({
  type: z.literal("api_retry"),
  attempt: z.int(),
  max_attempts: z.int(),
  delay_ms: z.number(),
  status: z.int().nullable(),
});

/** What the gateway does not know, or could not read: never fatal, never dropped. */
export const notice = z.object({ type: z.literal("notice"), kind: z.string(), text: z.string().max(2048) });

const usage = z.looseObject({ input_tokens: z.number().optional(), output_tokens: z.number().optional() });

const turnCompleted = z.object({
  type: z.literal("turn_completed"),
  text: z.string(),
  answer: z.string(),
  usage,
  cost_usd: z.number(),
  duration_ms: z.number(),
  stop_reason: z.string().nullable(),
  model_turns: z.int(),
  denials: z.array(z.looseObject({ tool_name: z.string() })),
});

const failureCodes = Object.keys(failureRetryable) as [FailureCode, ...FailureCode[]];

const turnFailed = z.object({
  type: z.literal("turn_failed"),
  code: z.enum(failureCodes),
  message: z.string(),
  retryable: z.boolean(),
  resets_at: z.iso.datetime().optional(),
  text: z.string(),
});

const turnCancelled = z.object({ type: z.literal("turn_cancelled"), by, text: z.string() });

const gap = z.object({ type: z.literal("gap"), oldest: z.int(), transcript_url: z.string() });
const sessionChanged = z.object({ type: z.literal("session_changed"), title: z.string().optional() });
const sessionDeleted = z.object({ type: z.literal("session_deleted") });

/** An event before the log has given it `seq`, `turn` and `at`. */
export const eventBody = z.discriminatedUnion("type", [
  messageStart,
  blockStart,
  blockDelta,
  blockStop,
  messageDelta,
  messageStop,
  turnQueued,
  turnMoved,
  turnStarted,
  toolResult,
  approvalRequested,
  approvalResolved,
  messageDiscarded,
  rateLimit,
  apiRetry,
  notice,
  turnCompleted,
  turnFailed,
  turnCancelled,
  gap,
  sessionChanged,
  sessionDeleted,
]);

export type EventBody = z.infer<typeof eventBody>;
export type TerminalEvent = Extract<EventBody, { type: "turn_completed" | "turn_failed" | "turn_cancelled" }>;
export type EventOf<Type extends EventBody["type"]> = Extract<EventBody, { type: Type }>;

/** An event body and the turn that it belongs to; null where there is none. */
export type TurnEvent = EventBody & { turn: string | null };
