// A transcript, cut into signals: one for each message, turn and approval. When the newest message grows, nothing but that message is drawn,
// however long the conversation is.
import { batch, signal, type ReadonlySignal, type Signal } from "@preact/signals";
import type { Approval, Message, Transcript, Turn } from "../transcript.ts";

/** The messages of one turn: what was asked, and what answered it. */
export interface Exchange {
  readonly turn: string;
  /** Null where it stands on a page that is not loaded. */
  readonly prompt: string | null;
  readonly answers: readonly string[];
}

export interface Parts {
  /** Turns, oldest first. */
  readonly turns: ReadonlySignal<readonly string[]>;
  readonly isDeleted: ReadonlySignal<boolean>;
  readonly olderCursor: ReadonlySignal<string | null>;
  exchange(turn: string): ReadonlySignal<Exchange | undefined>;
  message(id: string): ReadonlySignal<Message | undefined>;
  turn(id: string): ReadonlySignal<Turn | undefined>;
  approval(id: string): ReadonlySignal<Approval | undefined>;
  /** Takes over what has changed. */
  update(transcript: Transcript | null): void;
}

export function createParts(): Parts {
  const turns = signal<readonly string[]>([]);
  const isDeleted = signal(false);
  const olderCursor = signal<string | null>(null);
  const exchanges = keyed<Exchange>();
  const messages = keyed<Message>();
  const turnsById = keyed<Turn>();
  const approvals = keyed<Approval>();
  let drawn: Transcript | null = null;

  function updateMessages(next: readonly Message[], last: readonly Message[]): void {
    let same = 0;
    while (same < next.length && next[same] === last[same]) same++;
    const changed = next.slice(same);
    messages.set(new Map(changed.map((message) => [message.id, message])));
    const isSameList = next.length === last.length && changed.every(({ id }, index) => id === last[same + index]!.id);
    if (isSameList) return;
    messages.keep(new Set(next.map(({ id }) => id)));
    const grouped = group(next);
    exchanges.set(new Map(grouped.map((exchange) => [exchange.turn, exchange])), isSameExchange);
    const ids = grouped.map(({ turn }) => turn);
    exchanges.keep(new Set(ids));
    if (!isSame(ids, turns.peek())) turns.value = ids;
  }

  return {
    turns,
    isDeleted,
    olderCursor,
    exchange: exchanges.of,
    message: messages.of,
    turn: turnsById.of,
    approval: approvals.of,
    update(transcript) {
      if (transcript === drawn) return;
      batch(() => {
        updateMessages(transcript?.messages ?? [], drawn?.messages ?? []);
        if (transcript?.turns !== drawn?.turns) turnsById.set(transcript?.turns ?? new Map());
        if (transcript?.approvals !== drawn?.approvals) approvals.set(transcript?.approvals ?? new Map());
        isDeleted.value = transcript?.isDeleted ?? false;
        olderCursor.value = transcript?.olderCursor ?? null;
      });
      drawn = transcript;
    },
  };
}

function group(messages: readonly Message[]): Exchange[] {
  const grouped = new Map<string, { turn: string; prompt: string | null; answers: string[] }>();
  for (const { id, turn, role } of messages) {
    const exchange = grouped.get(turn) ?? { turn, prompt: null, answers: [] };
    grouped.set(turn, exchange);
    if (role === "user" && exchange.prompt === null) exchange.prompt = id;
    else exchange.answers.push(id);
  }
  return [...grouped.values()];
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((id, index) => id === b[index]);
}

function isSameExchange(a: Exchange, b: Exchange): boolean {
  return a.prompt === b.prompt && isSame(a.answers, b.answers);
}

interface Keyed<Value> {
  of(id: string): ReadonlySignal<Value | undefined>;
  set(values: ReadonlyMap<string, Value>, isEqual?: (a: Value, b: Value) => boolean): void;
  /** Empties all others. */
  keep(ids: ReadonlySet<string>): void;
}

/** Signals by id, made when they are first asked for or set. */
function keyed<Value>(): Keyed<Value> {
  const signals = new Map<string, Signal<Value | undefined>>();
  const of = (id: string) => {
    const known = signals.get(id) ?? signal<Value | undefined>(undefined);
    signals.set(id, known);
    return known;
  };
  return {
    of,
    set(values, isEqual = Object.is) {
      for (const [id, value] of values) {
        const one = of(id);
        const last = one.peek();
        if (last === undefined || !isEqual(last, value)) one.value = value;
      }
    },
    keep(ids) {
      for (const [id, one] of signals) {
        if (ids.has(id)) continue;
        one.value = undefined;
        signals.delete(id);
      }
    },
  };
}
