// A session's transcript from the store, turn by turn: one turn is in memory at a time. Turns stand in the order in which they were asked
// for (`firstSeq`), messages in the order in which they began; neither ever changes, so a place in it stays good while turns run.
import type { Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { TranscriptMessage, TranscriptTurn } from "../protocol/transcript.ts";
import type { LogEvent, SessionRow, Store, TurnSpan } from "../store/port.ts";
import type { UrlOf } from "./references.ts";
import { createTurnReducer, type TurnTranscript } from "./transcript.ts";

/** A message's place: the first `seq` of its turn, and its own. */
export interface Place {
  readonly firstSeq: number;
  readonly seq: number;
}

export interface TranscriptScope {
  readonly store: Store;
  readonly caller: Caller;
  /** Its `lastSeq` is the end of what is shown. */
  readonly session: SessionRow;
  readonly order: "asc" | "desc";
  /** Only what lies behind it in `order`. */
  readonly after?: Place | undefined;
  readonly urlOf: UrlOf;
}

export interface Page {
  readonly messages: readonly TranscriptMessage[];
  /** The turns that these messages belong to. */
  readonly turns: readonly TranscriptTurn[];
  /** All events up to this one are in it, and none behind. */
  readonly lastSeq: number;
  /** The last message's place, where there are more. */
  readonly next: Place | null;
}

const spansPerRead = 100;
const rowsPerRead = 1000;
/** A page ends before its limit when it has grown so long. */
const maxPageChars = 8 * 1024 * 1024;

/**
 * The turns of the scope with their messages in its order. `lastSeq` grows where deltas behind it were folded into one row with some before
 * it: nothing else can lie between them. Throws `gone` where the session was removed meanwhile: half a transcript is none.
 */
export async function* readTurns(scope: TranscriptScope): AsyncGenerator<TurnTranscript & { lastSeq: number }> {
  const { store, caller, session, order, after } = scope;
  let lastSeq = session.lastSeq;
  let from = after?.firstSeq ?? (order === "asc" ? 1 : lastSeq);
  for (;;) {
    const spans = await store.turnSpans(caller, session.session, { from, order, limit: spansPerRead });
    for (const span of spans) {
      if (span.firstSeq > session.lastSeq) break;
      const { transcript, seq } = await readTurn(scope, span);
      lastSeq = Math.max(lastSeq, seq);
      const messages = messagesIn(scope, transcript);
      if (transcript && messages.length > 0) yield { turn: transcript.turn, messages, lastSeq };
    }
    const last = spans.at(-1);
    if (!last || last.firstSeq > session.lastSeq) break;
    from = last.firstSeq + (order === "asc" ? 1 : -1);
  }
  if (!(await store.session(caller, session.session)))
    throw new GatewayError("gone", "The session was deleted while its transcript was read.");
}

/** At most `limit` messages. */
export async function readPage(scope: TranscriptScope, limit: number): Promise<Page> {
  const messages: TranscriptMessage[] = [];
  const turns: TranscriptTurn[] = [];
  let { lastSeq } = scope.session;
  let chars = 0;
  for await (const { turn, messages: own, lastSeq: read } of readTurns(scope)) {
    lastSeq = read;
    for (const message of own) {
      if (messages.length === limit || chars > maxPageChars)
        return { messages, turns, lastSeq, next: { firstSeq: turns.at(-1)!.first_seq, seq: messages.at(-1)!.seq } };
      messages.push(message);
      chars += JSON.stringify(message).length;
      if (turns.at(-1) === turn) continue;
      turns.push(turn);
      chars += JSON.stringify(turn).length;
    }
  }
  return { messages, turns, lastSeq, next: null };
}

/** Whether it can have been the place of a message of this session. */
export async function isKnownPlace({ store, caller, session }: TranscriptScope, place: Place): Promise<boolean> {
  if (place.seq < place.firstSeq || place.seq > session.lastSeq) return false;
  const spans = await store.turnSpans(caller, session.session, { from: place.firstSeq, order: "asc", limit: 1 });
  return spans[0]?.firstSeq === place.firstSeq;
}

/** `seq`: the last one that was read, folded ones included. */
async function readTurn(
  { store, caller, session, urlOf }: TranscriptScope,
  { turn, firstSeq, startedSeq, lastSeq }: TurnSpan,
): Promise<{ transcript: TurnTranscript | undefined; seq: number }> {
  const reducer = createTurnReducer(urlOf);
  const end = Math.min(lastSeq ?? session.lastSeq, session.lastSeq);
  let seq = 0;
  const apply = (events: readonly LogEvent[]) => {
    for (const event of events) {
      if (event.turn !== turn || event.first > end) continue;
      reducer.apply(event);
      seq = event.seq;
    }
  };
  apply(await store.events(caller, session.session, firstSeq - 1, 1));
  // What lies between are the turns that it waited for.
  let after = Math.max(firstSeq, (startedSeq ?? lastSeq ?? end + 1) - 1);
  while (after < end) {
    // No row behind the turn's end is read: the next turn's would be read twice.
    const events = await store.events(caller, session.session, after, Math.min(rowsPerRead, end - after));
    if (events.length === 0) break;
    apply(events);
    after = events.at(-1)!.seq;
  }
  return { transcript: reducer.result(), seq };
}

function messagesIn({ order, after }: TranscriptScope, transcript: TurnTranscript | undefined) {
  if (!transcript) return [];
  const { messages, turn } = transcript;
  const ordered = order === "asc" ? messages : messages.toReversed();
  if (after?.firstSeq !== turn.first_seq) return ordered;
  return ordered.filter(({ seq }) => (order === "asc" ? seq > after.seq : seq < after.seq));
}
