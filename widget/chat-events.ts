// Events of the stream as a page is told of them.
import type { EventBody } from "../gateway/protocol/events.ts";
import type { ChatEvent } from "./chat.ts";
import { textOf } from "./transcript-words.ts";
import type { Message, ToolBlock, Transcript, WireEvent } from "./transcript.ts";

const turnStates = {
  turn_queued: "queued",
  turn_started: "running",
  approval_requested: "waiting",
  turn_completed: "completed",
  turn_failed: "failed",
  turn_cancelled: "cancelled",
} as const;

/** `transcript` has the event in it already. */
export function chatEventsOf(event: WireEvent, transcript: Transcript): ChatEvent[] {
  const body = event as unknown as EventBody;
  const of = { session: transcript.session, turn: event.turn ?? "" };
  const events: ChatEvent[] = [];
  if (body.type === "approval_requested")
    events.push({ type: "approval", ...of, approval: body.approval, tool: body.tool, decision: null });
  if (body.type === "approval_resolved") {
    const { approval, decision } = body;
    events.push({ type: "approval", ...of, approval, tool: transcript.approvals.get(approval)?.tool ?? "", decision });
    // Another one may still wait, and the turn may have been ended meanwhile.
    if (transcript.turns.get(of.turn)?.state === "running") events.push({ type: "turn", ...of, state: "running" });
  }
  if (body.type === "content_block_start" && body.content_block.type === "tool_use") {
    const { id, name } = body.content_block;
    events.push({ type: "tool", ...of, id: String(id), name: String(name), state: "started" });
  }
  if (body.type === "tool_result") {
    const { tool_use_id: id, is_error } = body;
    const name = findTool(transcript.messages, id)?.name ?? "";
    events.push({ type: "tool", ...of, id, name, state: is_error ? "failed" : "done" });
  }
  if (body.type in turnStates)
    events.push({ type: "turn", ...of, state: turnStates[body.type as keyof typeof turnStates] });
  if (body.type === "turn_failed") events.push({ type: "error", code: body.code, detail: body.message });
  if (body.type === "turn_completed")
    events.push({ type: "answer", ...of, text: answerOf(body.answer, transcript, of.turn) });
  return events;
}

function findTool(messages: readonly Message[], id: string): ToolBlock | undefined {
  for (const { blocks } of messages.toReversed())
    for (const block of blocks) {
      if (block.type !== "tool") continue;
      const found = block.id === id ? block : findTool(block.messages, id);
      if (found) return found;
    }
  return undefined;
}

/** An answer that was too large for its event is in the transcript all the same. */
function answerOf(answer: unknown, { messages }: Transcript, turn: string): string {
  if (typeof answer === "string") return answer;
  const last = messages.findLast((message) => message.turn === turn && message.role === "assistant");
  return textOf(last);
}
