// Adjacent deltas of one block as one event [L7, L8]: merging them, and taking the rest behind a cursor. Pure.
import type { EventBody, EventOf } from "../protocol/events.ts";
import type { FoldedRun, LogEvent } from "./port.ts";

type Delta = EventOf<"content_block_delta">;

/** The one field of a delta that carries text, by its type; other deltas are never merged. */
const textFields: Record<string, string> = {
  text_delta: "text",
  thinking_delta: "thinking",
  input_json_delta: "partial_json",
};

/** A merged event holds at most so many UTF-16 units. */
export const maxRunChars = 256 * 1024;

/** The body of an event, read from its JSON. */
export function bodyOf(event: { readonly json: string }): EventBody {
  return JSON.parse(event.json) as EventBody;
}

/** Reads a delta that may be merged; undefined for every other event. */
export function mergeable(event: { readonly type: string; readonly json: string }): MergeableDelta | undefined {
  if (event.type !== "content_block_delta") return undefined;
  const body = bodyOf(event) as Delta;
  const field = textFields[body.delta.type];
  const text = field === undefined ? undefined : body.delta[field];
  return field !== undefined && typeof text === "string" ? { body, field, text } : undefined;
}

export interface MergeableDelta {
  readonly body: Delta;
  /** The delta's field that holds `text`. */
  readonly field: string;
  readonly text: string;
}

/** The JSON of a delta with another text, which begins `skipped` units later in the block. */
export function withText({ body, field }: MergeableDelta, text: string, skipped = 0): string {
  return JSON.stringify({ ...body, offset: body.offset + skipped, delta: { ...body.delta, [field]: text } });
}

interface Run {
  readonly first: LogEvent;
  readonly delta: MergeableDelta;
  readonly texts: string[];
  readonly ends: number[];
  last: number;
}

/** Merges deltas that follow each other directly in the log and in their block. Everything else is given back as it was. */
export function mergeDeltas(events: readonly LogEvent[]): LogEvent[] {
  const merged: LogEvent[] = [];
  let run: Run | undefined;
  for (const event of events) {
    const delta = mergeable(event);
    if (run && delta && continues(run, event, delta)) {
      extend(run, event, delta);
      continue;
    }
    if (run) merged.push(fold(run));
    run = delta && { first: event, delta, texts: [delta.text], ends: [delta.text.length], last: event.seq };
    if (!run) merged.push(event);
  }
  if (run) merged.push(fold(run));
  return merged;
}

function continues(run: Run, event: LogEvent, { body, text }: MergeableDelta): boolean {
  const { body: first } = run.delta;
  return (
    event.first === run.last + 1 &&
    event.turn === run.first.turn &&
    body.message === first.message &&
    body.index === first.index &&
    body.offset === first.offset + run.ends.at(-1)! &&
    body.delta.type === first.delta.type &&
    run.ends.at(-1)! + text.length <= maxRunChars
  );
}

function extend(run: Run, event: LogEvent, { text }: MergeableDelta): void {
  run.texts.push(text);
  run.ends.push(run.ends.at(-1)! + text.length);
  run.last = event.seq;
}

function fold({ first, delta, texts, last, ends }: Run): LogEvent & Partial<FoldedRun> {
  if (texts.length === 1) return first;
  return { ...first, seq: last, json: withText(delta, texts.join("")), ends };
}

/** The runs among these single events that are worth a row of their own: two deltas or more. */
export function foldedRuns(events: readonly LogEvent[]): FoldedRun[] {
  return mergeDeltas(events).filter((event): event is FoldedRun => "ends" in event);
}

/** What of a folded run a reader does not have whose cursor is inside it. */
export function restOfRun({ ends, ...run }: FoldedRun, after: number): LogEvent {
  const known = ends[after - run.first];
  const delta = mergeable(run);
  if (known === undefined || !delta) return run;
  return { ...run, first: after + 1, json: withText(delta, delta.text.slice(known), known) };
}
