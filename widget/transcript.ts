// A conversation as the widget shows it: a pure reducer over a page of the transcript and the events behind it. It knows no network and
// no DOM. Events are applied in the order of their `seq`, whatever order they come in: the newest ones are kept, and when one comes late,
// the state before them is taken up again. Doubled, merged and late frames so do no harm [L7].
import type { By } from "../gateway/protocol/events.ts";
import type { TurnState } from "../gateway/protocol/codes.ts";
import type { Transcript as TranscriptPage } from "../gateway/protocol/transcript.ts";
import { applyEvent } from "./transcript-events.ts";
import { readPage } from "./transcript-page.ts";

/** A session after some event; a new object whenever anything in it changed, with unchanged parts shared. */
export interface State {
  readonly session: string;
  readonly agent: string | null;
  readonly title: string | null;
  /** Oldest first; subagents' messages stand in the tool call that started them. */
  readonly messages: readonly Message[];
  readonly turns: ReadonlyMap<string, Turn>;
  /** By id: waiting and decided ones. */
  readonly approvals: ReadonlyMap<string, Approval>;
  /** The `seq` of the newest event that was applied: where a stream goes on from. */
  readonly lastSeq: number;
  /** For the page of older messages; null: there is none. */
  readonly olderCursor: string | null;
  /** Events are missing, of which some may still come. */
  readonly hasHole: boolean;
}

/** What views draw. */
export interface Transcript extends State {
  readonly isDeleted: boolean;
  /** Events are missing and will not come: it must be fetched anew. */
  readonly hasGap: boolean;
  readonly recent: Recent;
}

/** The newest events, in order, and what there was before them: nobody's business but the reducer's. */
interface Recent {
  readonly base: State;
  readonly events: readonly NumberedEvent[];
}

export interface Message {
  /** Of a prompt: its turn's id. */
  readonly id: string;
  readonly turn: string;
  readonly role: "user" | "assistant";
  /** RFC 3339. */
  readonly at: string;
  readonly state: "streaming" | "complete" | "interrupted";
  readonly blocks: readonly Block[];
  readonly by: By | null;
  readonly model: string | null;
}

export type Block = TextBlock | ToolBlock | FileBlock | ContextBlock | OtherBlock;

export interface TextBlock {
  readonly type: "text" | "thinking";
  readonly index: number;
  readonly text: string;
  readonly isDone: boolean;
  /** The newest delta: whoever has drawn up to `offset` appends this, and need not cut it out of a long text. */
  readonly tail: { readonly offset: number; readonly text: string } | null;
}

export interface ToolBlock {
  readonly type: "tool";
  readonly index: number;
  readonly id: string;
  readonly name: string;
  /** Undefined until it is whole. */
  readonly input: unknown;
  /** What has come of the input's JSON; null once that is whole. */
  readonly partialJson: string | null;
  readonly startedAt: string;
  readonly result: { readonly content: unknown; readonly isError: boolean; readonly at: string } | null;
  /** The newest approval that this call waits or waited for. */
  readonly approval: string | null;
  /** What the subagent did that this call started. */
  readonly messages: readonly Message[];
}

export interface FileBlock {
  readonly type: "image" | "document" | "attachment";
  readonly index: number;
  /** Its hash: `attachmentUrl` of the chat brings it. */
  readonly attachment: string;
  readonly mediaType: string;
  /** Of a document, where its sender gave one. */
  readonly title: string | null;
}

export interface ContextBlock {
  readonly type: "context";
  readonly index: number;
  readonly context: unknown;
}

export interface OtherBlock {
  readonly type: "other";
  readonly index: number;
  readonly block: unknown;
}

export interface Turn {
  readonly id: string;
  readonly state: TurnState;
  /** Place in the line, 1 is next; null: it waits no more. */
  readonly position: number | null;
  readonly queuedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly model: string | null;
  readonly usage: { readonly input_tokens?: number | undefined; readonly output_tokens?: number | undefined } | null;
  readonly costUsd: number | null;
  readonly durationMs: number | null;
  /** Why it failed. */
  readonly code: string | null;
  readonly message: string | null;
  readonly retryable: boolean;
  readonly resetsAt: string | null;
  /** Who cancelled it. */
  readonly by: By | null;
  readonly rating: "up" | "down" | null;
  /** The retry that is under way; null once words come again. */
  readonly retry: {
    readonly attempt: number;
    readonly maxAttempts: number;
    readonly delayMs: number;
    readonly status: number | null;
  } | null;
  readonly limit: { readonly status: string; readonly limit: string | null; readonly resetsAt: string | null } | null;
  readonly notices: readonly { readonly kind: string; readonly text: string }[];
}

export interface Approval {
  readonly id: string;
  readonly turn: string;
  readonly tool: string;
  readonly toolUseId: string;
  readonly input: unknown;
  readonly reason: string | null;
  readonly expiresAt: string;
  readonly decision: "allow" | "deny" | null;
  readonly by: By | null;
  readonly scope: "session" | null;
  readonly message: string | null;
}

/** An event as it stands in `data:`; of a type that is not known here it is ignored. */
export interface WireEvent {
  readonly type: string;
  readonly seq?: number;
  readonly turn?: string | null;
  readonly at?: string;
  readonly [field: string]: unknown;
}

/** A transcript's reply; `messages` in ascending order. */
export type Page = TranscriptPage;

type NumberedEvent = WireEvent & { readonly seq: number };

/** So many events at least can come late; an older one is taken for a repetition. */
const recentEvents = 256;

export function fromPage(page: Page): Transcript {
  const state = readPage(page);
  return { ...state, isDeleted: false, hasGap: false, recent: { base: state, events: [] } };
}

/** The page of the messages before the oldest one that is there. */
export function prependOlder(transcript: Transcript, page: Page): Transcript {
  const older = readPage(page);
  return change(transcript, (state) => {
    const known = new Set(state.messages.map(({ id }) => id));
    return {
      ...state,
      messages: [...older.messages.filter(({ id }) => !known.has(id)), ...state.messages],
      turns: new Map([...older.turns, ...state.turns]),
      approvals: new Map([...older.approvals, ...state.approvals]),
      olderCursor: older.olderCursor,
    };
  });
}

/** Changes what no event says of a turn, such as its rating. The same object, where the turn is not there. */
export function withTurn(transcript: Transcript, turn: string, fields: Partial<Turn>): Transcript {
  if (!transcript.turns.has(turn)) return transcript;
  return change(transcript, (state) => {
    const known = state.turns.get(turn);
    return known ? { ...state, turns: new Map(state.turns).set(turn, { ...known, ...fields }) } : state;
  });
}

/** Events in any order, also ones that it has. The same object, where they change nothing. */
export function applyEvents(transcript: Transcript, events: readonly WireEvent[]): Transcript {
  const says = (type: string) => events.some((event) => event.type === type);
  const hasGap = transcript.hasGap || says("gap");
  const isDeleted = transcript.isDeleted || says("session_deleted");
  const isSame = hasGap === transcript.hasGap && isDeleted === transcript.isDeleted;
  let next = isSame ? transcript : { ...transcript, hasGap, isDeleted };
  const numbered = inOrder(events.filter(isNumbered));
  for (let from = 0; from < numbered.length; from += recentEvents)
    next = applyOrdered(next, numbered.slice(from, from + recentEvents));
  return next;
}

function applyOrdered(transcript: Transcript, events: readonly NumberedEvent[]): Transcript {
  const { recent, lastSeq } = transcript;
  if (events[0]!.seq > lastSeq)
    return withState(transcript, events.reduce<State>(applyEvent, transcript), [...recent.events, ...events]);
  const fresh = events.filter((event) => event.seq > recent.base.lastSeq && !isKnown(recent.events, event));
  if (fresh.length === 0) return transcript;
  const all = [...recent.events, ...fresh].toSorted((a, b) => a.seq - b.seq);
  const isLate = fresh[0]!.seq <= lastSeq;
  const state = isLate ? all.reduce(applyEvent, recent.base) : fresh.reduce<State>(applyEvent, transcript);
  return withState(transcript, state, all);
}

function withState(transcript: Transcript, state: State, events: readonly NumberedEvent[]): Transcript {
  const { isDeleted, hasGap } = transcript;
  let { base } = transcript.recent;
  let kept = events;
  if (events.length > 2 * recentEvents) {
    kept = events.slice(-recentEvents);
    base = events.slice(0, -recentEvents).reduce(applyEvent, base);
  }
  return { ...state, isDeleted, hasGap, recent: { base, events: kept } };
}

/** Changes what is no event's: also in what late events are applied to. */
function change(transcript: Transcript, to: (state: State) => State): Transcript {
  const { isDeleted, hasGap, recent } = transcript;
  return { ...to(transcript), isDeleted, hasGap, recent: { ...recent, base: to(recent.base) } };
}

function isNumbered(event: WireEvent): event is NumberedEvent {
  return event.seq !== undefined;
}

function inOrder(events: NumberedEvent[]): readonly NumberedEvent[] {
  if (events.every(({ seq }, at) => at === 0 || events[at - 1]!.seq < seq)) return events;
  const sorted = events.toSorted((a, b) => a.seq - b.seq);
  return sorted.filter((event, at) => at === 0 || !contains(sorted[at - 1]!, event));
}

function isKnown(events: readonly NumberedEvent[], event: NumberedEvent): boolean {
  for (let at = events.length - 1; at >= 0 && events[at]!.seq >= event.seq; at--)
    if (contains(events[at]!, event)) return true;
  return false;
}

/** Whether all of the other is in it. A merged frame has the `seq` of its last event, and more in it. */
function contains(event: NumberedEvent, other: NumberedEvent): boolean {
  return event.seq === other.seq && Number(event["offset"] ?? 0) <= Number(other["offset"] ?? 0);
}
