// A page of the transcript, as the gateway's replies carry it, as the widget holds it.
import type { EventOf } from "../gateway/protocol/events.ts";
import type {
  TranscriptBlock,
  TranscriptMessage,
  TranscriptToolUse,
  TranscriptTurn,
} from "../gateway/protocol/transcript.ts";
import type { Approval, Block, Message, Page, State, Turn } from "./transcript.ts";

export function readPage(page: Page): State {
  const approvals = new Map(
    (page.approvals as ApprovalFields[]).map((fields) => [fields.approval, readApproval(fields)]),
  );
  return {
    session: page.session,
    agent: page.agent,
    title: page.title,
    messages: page.messages.map((message) => readMessage(message, approvals)),
    turns: new Map(page.turns.map((turn) => [turn.turn, readTurn(turn)])),
    approvals,
    lastSeq: page.last_seq,
    olderCursor: page.next_cursor,
    hasHole: false,
  };
}

type ApprovalFields = EventOf<"approval_requested"> & { readonly turn: string | null } & Partial<
    NonNullable<TranscriptToolUse["approval"]>
  >;

/** Of an event, a reply or a call: all have the same fields. */
export function readApproval(fields: ApprovalFields): Approval {
  return {
    id: fields.approval,
    turn: fields.turn ?? "",
    tool: fields.tool,
    toolUseId: fields.tool_use_id,
    input: fields.input,
    reason: fields.reason,
    expiresAt: fields.expires_at,
    decision: fields.decision ?? null,
    by: fields.by ?? null,
    scope: fields.scope ?? null,
    message: fields.message ?? null,
  };
}

/** Puts the approvals that stand at calls to the others. */
function readMessage(message: TranscriptMessage, approvals: Map<string, Approval>): Message {
  const { id, turn, role, at, state, blocks } = message;
  const isOpen = (block: TranscriptBlock) => state === "streaming" && block === blocks.at(-1);
  return {
    id,
    turn,
    role,
    at,
    state,
    blocks: blocks.map((block) => readBlock(block, { isDone: !isOpen(block), turn, approvals })),
    by: message.by ?? null,
    model: message.model ?? null,
  };
}

interface BlockPlace {
  readonly isDone: boolean;
  readonly turn: string;
  readonly approvals: Map<string, Approval>;
}

function readBlock(block: TranscriptBlock, place: BlockPlace): Block {
  const { index } = block;
  switch (block.type) {
    case "text":
      return { type: "text", index, text: block.text, isDone: place.isDone, tail: null };
    case "thinking":
      return { type: "thinking", index, text: block.thinking, isDone: place.isDone, tail: null };
    case "tool_use":
      return readTool(block, place);
    case "image":
    case "document":
    case "attachment":
      return readFile(block);
    case "context":
      return { type: "context", index, context: block.context };
    case "other":
      return { type: "other", index, block: block.block };
  }
}

function readTool(block: TranscriptToolUse, { turn, approvals }: BlockPlace): Block {
  const { index, id, name, at: startedAt, input, partial_json: partialJson, result, approval, messages = [] } = block;
  if (approval)
    approvals.set(
      approval.approval,
      readApproval({ input, ...approval, tool: name, tool_use_id: id, turn } as ApprovalFields),
    );
  return {
    type: "tool",
    index,
    id,
    name,
    input: partialJson === undefined ? input : undefined,
    partialJson: partialJson ?? null,
    startedAt,
    result: result && { content: result.content, isError: result.is_error, at: result.at },
    approval: approval?.approval ?? null,
    messages: messages.map((message) => readMessage(message, approvals)),
  };
}

function readFile(block: Extract<TranscriptBlock, { type: "image" | "document" | "attachment" }>): Block {
  const { type, index } = block;
  const { attachment, media_type: mediaType } = type === "attachment" ? block : block.source;
  return { type, index, attachment, mediaType, title: type === "document" ? (block.title ?? null) : null };
}

/** The blocks of a prompt as its event has them; a prompt that was too large for the log is one reference. */
export function readPrompt(prompt: unknown, context: unknown): Block[] {
  const given = Array.isArray(prompt) ? prompt : [{ type: "attachment", ...(prompt as object) }];
  const blocks = given.map((block: object, index) =>
    readBlock({ index, ...block } as TranscriptBlock, { isDone: true, turn: "", approvals: new Map() }),
  );
  if (context !== undefined) blocks.push({ type: "context", index: blocks.length, context });
  return blocks;
}

function readTurn(turn: TranscriptTurn): Turn {
  return {
    ...newTurn(turn.turn, turn.queued_at),
    state: turn.state,
    startedAt: turn.started_at,
    endedAt: turn.ended_at,
    model: turn.model,
    notices: turn.notices ?? [],
    limit: turn.rate_limit ? readLimit(turn.rate_limit) : null,
    retry: turn.retry ? readRetry(turn.retry) : null,
    ...readEnding(turn),
  };
}

export function readLimit({ status, limit, resets_at: resetsAt }: NonNullable<TranscriptTurn["rate_limit"]>) {
  return { status, limit, resetsAt } satisfies Turn["limit"];
}

export function readRetry(retry: NonNullable<TranscriptTurn["retry"]>) {
  const { attempt, max_attempts: maxAttempts, delay_ms: delayMs, status } = retry;
  return { attempt, maxAttempts, delayMs, status } satisfies Turn["retry"];
}

export function newTurn(id: string, queuedAt: string): Turn {
  return {
    id,
    state: "queued",
    position: null,
    queuedAt,
    startedAt: null,
    endedAt: null,
    model: null,
    usage: null,
    costUsd: null,
    durationMs: null,
    code: null,
    message: null,
    retryable: false,
    resetsAt: null,
    by: null,
    rating: null,
    retry: null,
    limit: null,
    notices: [],
  };
}

/** What a terminal event says, there or in a turn. */
export function readEnding(
  ending: Partial<
    Pick<TranscriptTurn, "usage" | "cost_usd" | "duration_ms" | "code" | "message" | "retryable" | "resets_at" | "by">
  >,
) {
  return {
    usage: ending.usage ?? null,
    costUsd: ending.cost_usd ?? null,
    durationMs: ending.duration_ms ?? null,
    code: ending.code ?? null,
    message: ending.message ?? null,
    retryable: ending.retryable ?? false,
    resetsAt: ending.resets_at ?? null,
    by: ending.by ?? null,
  } satisfies Partial<Turn>;
}
