// One event after another, in the order of the log → the state after it. What an event says of a message or a turn that is not there
// (an older page has it, or it was discarded) is left out.
import type { EventBody, EventOf, TerminalEvent } from "../gateway/protocol/events.ts";
import {
  addBlock,
  addDelta,
  addMessage,
  changeMessage,
  changeTool,
  closeBlock,
  discarded,
  ended,
  interrupted,
} from "./transcript-messages.ts";
import { newTurn, readApproval, readEnding, readLimit, readPrompt, readRetry } from "./transcript-page.ts";
import type { Approval, Message, State, ToolBlock, Turn, WireEvent } from "./transcript.ts";

export function applyEvent(state: State, event: WireEvent & { readonly seq: number }): State {
  const next = applyBody(state, event, event as unknown as EventBody);
  return { ...next, lastSeq: Math.max(state.lastSeq, event.seq) };
}

function applyBody(state: State, event: WireEvent, body: EventBody): State {
  switch (body.type) {
    case "turn_queued":
      return queueTurn(state, event, body);
    case "message_start":
      return startMessage(state, event, body);
    case "content_block_start":
      return inMessage(state, event, body.message, (message) => addBlock(message, body, timeOf(state, event)));
    case "content_block_delta":
      return applyDelta(state, event, body);
    case "content_block_stop":
      return inMessage(state, event, body.message, (message) => closeBlock(message, body.index));
    case "message_stop":
      return inMessage(state, event, body.message, ended);
    case "message_discarded":
      return inMessage(state, event, body.message, (message) => discarded(message, body.from_index));
    case "tool_result": {
      const result = { content: body.content, isError: body.is_error, at: timeOf(state, event) };
      return inTool(state, event, body.tool_use_id, (tool) => ({ ...tool, result }));
    }
    case "turn_completed":
    case "turn_failed":
    case "turn_cancelled":
      return endTurn(state, event, body);
    case "approval_requested":
      return requestApproval(state, event, body);
    case "approval_resolved":
      return resolveApproval(state, event, body);
    case "turn_moved":
      if (body.position !== null) return inTurn(state, event, () => ({ position: body.position }));
      return runTurn(state, event, {});
    case "turn_started":
      return runTurn(state, event, { model: body.model });
    case "rate_limit":
      return runTurn(state, event, { limit: readLimit(body) });
    case "api_retry":
      return runTurn(state, event, { retry: readRetry(body) });
    case "notice":
      return runTurn(state, event, (turn) => ({
        notices: [...turn.notices, { kind: body.kind, text: body.text }],
      }));
    case "session_changed":
      return body.title === undefined ? state : { ...state, title: body.title };
    default:
      return state;
  }
}

/** Events of the model's have no time of their own: that of their arrival, where they were given one. */
function timeOf(state: State, { at, turn }: WireEvent): string {
  const known = state.turns.get(turn ?? "");
  return at ?? known?.startedAt ?? known?.queuedAt ?? "";
}

function queueTurn(state: State, event: WireEvent, body: EventOf<"turn_queued">): State {
  const id = event.turn ?? "";
  if (state.turns.has(id)) return state;
  const at = event.at ?? "";
  const prompt: Message = {
    id,
    turn: id,
    role: "user",
    at,
    state: "complete",
    blocks: readPrompt(body.prompt, body.context),
    by: body.by,
    model: null,
  };
  return {
    ...state,
    messages: [...state.messages, prompt],
    turns: new Map(state.turns).set(id, { ...newTurn(id, at), position: body.position }),
  };
}

function startMessage(state: State, event: WireEvent, body: EventOf<"message_start">): State {
  const turn = event.turn ?? "";
  if (!state.turns.has(turn)) return state;
  const message: Message = {
    id: body.message.id,
    turn,
    role: "assistant",
    at: timeOf(state, event),
    state: "streaming",
    blocks: [],
    by: null,
    model: body.message.model,
  };
  const messages = addMessage(state.messages, message, body.parent_tool_use_id ?? null);
  return afterRetry({ ...state, messages }, event);
}

function applyDelta(state: State, event: WireEvent, body: EventOf<"content_block_delta">): State {
  let isHole = false;
  const next = inMessage(state, event, body.message, (message) => {
    const grown = addDelta(message, body);
    isHole = grown === undefined;
    return grown ?? message;
  });
  return isHole ? { ...next, hasHole: true } : next;
}

function inMessage(
  state: State,
  event: WireEvent,
  id: string,
  change: (message: Message) => Message | undefined,
): State {
  const messages = changeMessage(state.messages, { turn: event.turn ?? "", id }, change);
  return afterRetry(messages === state.messages ? state : { ...state, messages }, event);
}

/** Words come again: what was tried anew has worked. */
function afterRetry(state: State, event: WireEvent): State {
  const isRetrying = (state.turns.get(event.turn ?? "")?.retry ?? null) !== null;
  return isRetrying ? inTurn(state, event, () => ({ retry: null })) : state;
}

function inTool(state: State, event: WireEvent, id: string, change: (tool: ToolBlock) => ToolBlock): State {
  const messages = changeTool(state.messages, { turn: event.turn ?? "", id }, change);
  return messages === state.messages ? state : { ...state, messages };
}

function inTurn(state: State, { turn: id }: WireEvent, change: (turn: Turn) => Partial<Turn>): State {
  const turn = state.turns.get(id ?? "");
  if (!turn) return state;
  return { ...state, turns: new Map(state.turns).set(turn.id, { ...turn, ...change(turn) }) };
}

/** The turn has left the queue, if it had not, and waits only where a person is asked. */
function runTurn(state: State, event: WireEvent, more: Partial<Turn> | ((turn: Turn) => Partial<Turn>)): State {
  return inTurn(state, event, (turn) => ({
    state: isWaiting(state, turn.id) ? "waiting" : "running",
    position: null,
    startedAt: turn.startedAt ?? event.at ?? null,
    ...(typeof more === "function" ? more(turn) : more),
  }));
}

function isWaiting({ approvals }: State, turn: string): boolean {
  for (const approval of approvals.values()) if (approval.turn === turn && approval.decision === null) return true;
  return false;
}

function requestApproval(state: State, event: WireEvent, body: EventOf<"approval_requested">): State {
  const approval = readApproval({ ...body, turn: event.turn ?? null });
  const asked = inTool(state, event, approval.toolUseId, (tool) => ({ ...tool, approval: approval.id }));
  const approvals = new Map(state.approvals).set(approval.id, approval);
  return runTurn({ ...asked, approvals }, event, {});
}

function resolveApproval(state: State, event: WireEvent, body: EventOf<"approval_resolved">): State {
  const known = state.approvals.get(body.approval);
  if (!known) return runTurn(state, event, {});
  const { decision, by, scope = null, message = null } = body;
  const approval: Approval = { ...known, decision, by, scope, message };
  return runTurn({ ...state, approvals: new Map(state.approvals).set(known.id, approval) }, event, {});
}

const stateAfter = { turn_completed: "completed", turn_failed: "failed", turn_cancelled: "cancelled" } as const;

function endTurn(state: State, event: WireEvent, body: TerminalEvent): State {
  const next = inTurn(state, event, () => ({
    ...readEnding(body),
    state: stateAfter[body.type],
    position: null,
    endedAt: event.at ?? null,
    retry: null,
  }));
  return { ...next, messages: interrupted(next.messages, event.turn ?? "") };
}
