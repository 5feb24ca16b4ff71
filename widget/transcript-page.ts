// A page of the transcript, as the gateway's replies carry it, as the widget holds it.
import type { EventOf } from "../gateway/protocol/events.ts";
import type { TranscriptBlock, TranscriptMessage, TranscriptTurn } from "../gateway/protocol/transcript.ts";
import type { Approval, Block, Message, Page, State, Turn } from "./transcript.ts";

export function readPage(page: Page): State {
  const approvals = (page.approvals as ApprovalFields[]).map(readApproval);
  const approvalOf = new Map(approvals.map(({ id, toolUseId }) => [toolUseId, id]));
  return {
    session: page.session,
    agent: page.agent,
    title: page.title,
    messages: page.messages.map((message) => readMessage(message, approvalOf)),
    turns: new Map(page.turns.map((turn) => [turn.turn, readTurn(turn)])),
    approvals: new Map(approvals.map((approval) => [approval.id, approval])),
    lastSeq: page.last_seq,
    olderCursor: page.next_cursor,
    hasHole: false,
  };
}

type ApprovalFields = EventOf<"approval_requested"> & { readonly turn: string | null };

/** Of an event, or of a reply: both have the same fields. */
export function readApproval(fields: ApprovalFields): Approval {
  return {
    id: fields.approval,
    turn: fields.turn ?? "",
    tool: fields.tool,
    toolUseId: fields.tool_use_id,
    input: fields.input,
    reason: fields.reason,
    expiresAt: fields.expires_at,
    decision: null,
    by: null,
    scope: null,
    message: null,
  };
}

function readMessage(message: TranscriptMessage, approvalOf: ReadonlyMap<string, string>): Message {
  const { id, turn, role, at, state, blocks } = message;
  const isOpen = (block: TranscriptBlock) => state === "streaming" && block === blocks.at(-1);
  return {
    id,
    turn,
    role,
    at,
    state,
    blocks: blocks.map((block) => readBlock(block, { isDone: !isOpen(block), startedAt: at, approvalOf })),
    by: message.by ?? null,
    model: message.model ?? null,
  };
}

interface BlockPlace {
  readonly isDone: boolean;
  readonly startedAt: string;
  readonly approvalOf: ReadonlyMap<string, string>;
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

function readTool(block: Extract<TranscriptBlock, { type: "tool_use" }>, place: BlockPlace): Block {
  const { index, id, name, input, partial_json: partialJson, result, messages = [] } = block;
  return {
    type: "tool",
    index,
    id,
    name,
    input: partialJson === undefined ? input : undefined,
    partialJson: partialJson ?? null,
    startedAt: place.startedAt,
    result: result && { content: result.content, isError: result.is_error, at: result.at },
    approval: place.approvalOf.get(id) ?? null,
    messages: messages.map((message) => readMessage(message, place.approvalOf)),
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
    readBlock({ index, ...block } as TranscriptBlock, { isDone: true, startedAt: "", approvalOf: new Map() }),
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
    ...readEnding(turn),
  };
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
