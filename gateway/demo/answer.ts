// A step of the demo model as the Messages API would send it: streaming events, or one finished message. Pure.
// Format: https://docs.claude.com/en/docs/build-with-claude/streaming
import type { Step } from "./script.ts";

export interface ApiEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

/** An event and the pause before it. */
export interface TimedEvent {
  readonly event: ApiEvent;
  readonly delayMs: number;
}

type Block =
  | { type: "text"; text: string }
  | { type: "thinking"; thinking: string; signature: string }
  | { type: "tool_use"; id: string; name: string; input: unknown };

type Spoken = Extract<Step, { kind: "text" | "tools" | "cut" }>;

const defaultChars = 12;

/** The finished message of a step, as the API gives it to a request without `stream`. */
export function message(step: Spoken, id: string, model: string): ApiEvent {
  return {
    id,
    type: "message",
    role: "assistant",
    model,
    content: blocks(step, id),
    stop_reason: stopReason(step),
    stop_sequence: null,
    usage: usage(step),
  };
}

/** The same message as the API streams it. */
export function* streamed(step: Spoken, id: string, model: string, usualChars = defaultChars): Generator<TimedEvent> {
  const start = { ...message(step, id, model), content: [], stop_reason: null };
  const delayMs = step.kind === "tools" ? 0 : (step.delayMs ?? 0);
  const chars = step.kind === "text" ? (step.chars ?? usualChars) : usualChars;
  yield { event: { type: "message_start", message: start }, delayMs: 0 };
  for (const [index, block] of blocks(step, id).entries()) {
    yield { event: { type: "content_block_start", index, content_block: opened(block) }, delayMs: 0 };
    for (const delta of deltas(block, delayMs > 0 ? "words" : chars))
      yield { event: { type: "content_block_delta", index, delta }, delayMs };
    yield { event: { type: "content_block_stop", index }, delayMs: 0 };
  }
  yield {
    event: { type: "message_delta", delta: { stop_reason: stopReason(step), stop_sequence: null }, usage: usage(step) },
    delayMs: 0,
  };
  yield { event: { type: "message_stop" }, delayMs: 0 };
}

function blocks(step: Spoken, id: string): Block[] {
  if (step.kind === "tools")
    return step.calls.map((call, index) => ({
      type: "tool_use",
      id: `toolu_${id.slice(4)}_${index}`,
      name: call.name,
      input: call.input,
    }));
  const text: Block = { type: "text", text: step.text };
  if (step.kind === "cut") return step.before === "" ? [text] : [{ type: "text", text: step.before }, text];
  if (step.thinking === undefined) return [text];
  return [{ type: "thinking", thinking: step.thinking, signature: "demo" }, text];
}

function opened(block: Block): Block {
  if (block.type === "text") return { ...block, text: "" };
  if (block.type === "thinking") return { ...block, thinking: "", signature: "" };
  return { ...block, input: {} };
}

function* deltas(block: Block, cut: number | "words"): Generator<Record<string, unknown>> {
  if (block.type === "text") {
    for (const text of pieces(block.text, cut)) yield { type: "text_delta", text };
  } else if (block.type === "thinking") {
    for (const thinking of pieces(block.thinking, cut)) yield { type: "thinking_delta", thinking };
    yield { type: "signature_delta", signature: block.signature };
  } else {
    for (const partial_json of pieces(JSON.stringify(block.input), cut))
      yield { type: "input_json_delta", partial_json };
  }
}

/** Cuts a text by words, or into pieces of so many code points, so that no surrogate pair is torn. */
function pieces(text: string, cut: number | "words"): string[] {
  if (cut === "words") return text.match(/\S+\s*|\s+/gu) ?? [];
  const points = [...text];
  return Array.from({ length: Math.ceil(points.length / cut) }, (_, i) =>
    points.slice(i * cut, (i + 1) * cut).join(""),
  );
}

function stopReason(step: Spoken): string {
  return step.kind === "tools" ? "tool_use" : "end_turn";
}

function usage(step: Spoken): Record<string, number> {
  const length = step.kind === "tools" ? JSON.stringify(step.calls).length : step.text.length;
  return {
    input_tokens: 10,
    output_tokens: Math.ceil(length / 4),
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
  };
}
