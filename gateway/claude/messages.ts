// [P4] Loose schemas of what the CLI writes to its stdout: only fields that Sluice reads, everything else is let through. A field
// that is missing or of another type than expected costs its value, never the line: a `result` must end its turn. A line that fits
// no schema is a value too (`unknown`). Measured on the versions that README.md beside this file names.
import { z } from "zod";

const id = z.string();
const text = z.string().catch("unknown");
const number = z.number().catch(0);
const parent = id.nullable().catch(null);
const uuids = z.array(id).optional().catch(undefined);

const init = z.looseObject({
  type: z.literal("system"),
  subtype: z.literal("init"),
  model: text,
  permissionMode: text,
  tools: z.array(z.string()).catch([]),
  mcp_servers: z.array(z.looseObject({ name: text, status: text })).catch([]),
  apiKeySource: text,
  claude_code_version: text,
  /** The prompts that this turn answers; absent where the CLI began the turn itself, and in older versions always. */
  user_message_uuids: uuids,
});

const apiRetry = z.looseObject({
  type: z.literal("system"),
  subtype: z.literal("api_retry"),
  attempt: z.int().catch(0),
  max_retries: z.int().catch(0),
  retry_delay_ms: number,
  error_status: z.int().nullable().catch(null),
});

const taskNotification = z.looseObject({ type: z.literal("system"), subtype: z.literal("task_notification") });
const otherSystem = z.looseObject({ type: z.literal("system"), subtype: z.string() });

const streamEvent = z.looseObject({
  type: z.literal("stream_event"),
  event: z.looseObject({ type: z.string() }),
  parent_tool_use_id: parent,
  /** On the `message_stop` with which the CLI itself ends a message whose stream was cut. */
  abandoned_blocks: z.unknown().optional(),
});

const finishedBlock = z.looseObject({ type: z.string() });

const assistant = z.looseObject({
  type: z.literal("assistant"),
  message: z.looseObject({ id, model: text, content: z.array(finishedBlock) }),
  parent_tool_use_id: parent,
});

const user = z.looseObject({
  type: z.literal("user"),
  message: z.looseObject({ content: z.union([z.string(), z.array(finishedBlock)]) }),
  parent_tool_use_id: parent,
});

const rateLimitEvent = z.looseObject({
  type: z.literal("rate_limit_event"),
  rate_limit_info: z.looseObject({
    status: text,
    rateLimitType: z.string().optional().catch(undefined),
    /** Epoch seconds. */
    resetsAt: z.number().optional().catch(undefined),
    isUsingOverage: z.boolean().catch(false),
  }),
});

const result = z.looseObject({
  type: z.literal("result"),
  subtype: text,
  is_error: z.boolean().catch(false),
  result: z.string().optional().catch(undefined),
  errors: z.array(z.string()).catch([]),
  api_error_status: z.int().nullable().catch(null),
  usage: z.looseObject({}).catch({}),
  total_cost_usd: number,
  duration_ms: number,
  num_turns: z.int().catch(0),
  stop_reason: z.string().nullable().catch(null),
  permission_denials: z.array(z.looseObject({ tool_name: text })).catch([]),
  user_message_uuids: uuids,
});

const commandLifecycle = z.looseObject({ type: z.literal("command_lifecycle"), command_uuid: id, state: z.string() });

/** Strict in what is decided about: nobody is asked to allow what could not be read. */
const canUseTool = z.looseObject({
  subtype: z.literal("can_use_tool"),
  tool_name: z.string(),
  tool_use_id: z.string().catch(""),
  input: z.record(z.string(), z.unknown()),
  decision_reason: z.string().nullable().catch(null),
});

const controlRequest = z.looseObject({
  type: z.literal("control_request"),
  request_id: id,
  request: z.union([canUseTool, z.looseObject({ subtype: z.string() })]),
});

const controlCancel = z.looseObject({ type: z.literal("control_cancel_request"), request_id: id });

const controlResponse = z.looseObject({
  type: z.literal("control_response"),
  response: z.looseObject({
    subtype: z.string(),
    request_id: id,
    response: z.unknown().optional(),
    error: z.string().optional().catch(undefined),
  }),
});

const keepAlive = z.looseObject({ type: z.enum(["keep_alive", "streamlined_text", "tool_progress"]) });

const schemas = {
  stream_event: streamEvent,
  assistant,
  user,
  result,
  rate_limit_event: rateLimitEvent,
  command_lifecycle: commandLifecycle,
  control_request: controlRequest,
  control_cancel_request: controlCancel,
  control_response: controlResponse,
  system: z.union([init, apiRetry, taskNotification, otherSystem]),
  keep_alive: keepAlive,
  streamlined_text: keepAlive,
  tool_progress: keepAlive,
} as const;

type Known = z.infer<(typeof schemas)[keyof typeof schemas]>;

/** A line that fits no schema: `name` is its type, as far as it has one. */
export interface UnknownMessage {
  readonly type: "unknown";
  readonly name: string;
  readonly value: Record<string, unknown>;
}

export type CliMessage = Known | UnknownMessage;
export type InitMessage = z.infer<typeof init>;
export type ResultMessage = z.infer<typeof result>;
export type StreamEventMessage = z.infer<typeof streamEvent>;
export type AssistantMessage = z.infer<typeof assistant>;
export type UserMessage = z.infer<typeof user>;
export type FinishedBlock = z.infer<typeof finishedBlock>;
export type CanUseToolRequest = z.infer<typeof canUseTool>;
export type ControlRequest = z.infer<typeof controlRequest>;
export type ControlResponse = z.infer<typeof controlResponse>;

/** Reads one parsed line. Never throws. */
export function readMessage(value: Record<string, unknown>): CliMessage {
  const type = typeof value["type"] === "string" ? value["type"] : "";
  if (Object.hasOwn(schemas, type)) {
    const parsed = schemas[type as keyof typeof schemas].safeParse(value);
    if (parsed.success) return parsed.data;
  }
  return { type: "unknown", name: type, value };
}

/** A type's name as callers may be told it: [A7] whatever is no plain name stays with the operator. */
export function plainName(name: string): string {
  return /^[\w-]{1,60}$/.test(name) ? name : "unnamed";
}

export function isInit(message: CliMessage): message is InitMessage {
  return message.type === "system" && message.subtype === "init";
}

export function isApiRetry(message: CliMessage): message is z.infer<typeof apiRetry> {
  return message.type === "system" && message.subtype === "api_retry";
}

export function isCanUseTool(request: ControlRequest["request"]): request is CanUseToolRequest {
  return canUseTool.safeParse(request).success;
}
