// One session as it goes on: the newest page of its transcript, then its events. When the gateway says that events are missing, the page anew.
import { batch, type Signal } from "@preact/signals";
import type { Api } from "./api.ts";
import type { Browser, Timer } from "./browser.ts";
import { finalState, lostState } from "./connection.ts";
import { openEventStream, type EventStream } from "./event-stream.ts";
import type { Rating } from "./follower.ts";
import type { Connection } from "./page.ts";
import { asProblem, type ApiProblem } from "./problem.ts";
import { createRetry } from "./retry.ts";
import { applyEvents, fromPage, prependOlder, withTurn, type Page, type Transcript } from "./transcript.ts";
import type { Turn, WireEvent } from "./transcript.ts";

export interface LiveSession {
  /** Resolves when its first page is there, or it is known that there is none for this caller. */
  readonly loaded: Promise<void>;
  /** Fetches the page of older messages, if there is one. Rejects with an `ApiProblem`. */
  loadOlder(): Promise<void>;
  reconnect(): void;
  /** Shows it here. */
  rate(rating: Rating): void;
  /** Shows it in the other pages of this browser. */
  share(rating: Rating): void;
  close(): void;
}

export interface LiveSessionOptions {
  readonly api: Api;
  readonly browser: Browser;
  readonly session: string;
  /** Of an agent's session that was just made: it has nothing yet, so all that happens in it is an event. */
  readonly madeFor?: string | undefined;
  readonly transcript: Signal<Transcript | null>;
  readonly isLoading: Signal<boolean>;
  readonly onConnection: (connection: Connection) => void;
  /** What is new, after it was applied. */
  readonly onEvents: (events: readonly WireEvent[]) => void;
  /** There is no such session, or this caller may not see it, or nobody is signed in. */
  readonly onRefused: (problem: ApiProblem) => void;
}

/** More than anybody sees at once: what is older comes when it is scrolled to. */
const pageLimit = 40;
/** So long an event that others have overtaken may still come. */
const holeMs = 1000;

export function openLiveSession(options: LiveSessionOptions): LiveSession {
  const { api, browser, session, transcript, isLoading, onConnection, onEvents, onRefused } = options;
  const retry = createRetry(browser);
  const closing = new AbortController();
  const { signal } = closing;
  const loaded = Promise.withResolvers<void>();
  const path = `/api/sessions/${session}`;
  let stream: EventStream | undefined;
  let waiting: WireEvent[] = [];
  let holeTimer: Timer | undefined;
  let older: Promise<void> | undefined;
  /** The load that counts: one that was begun before it brings nothing any more. */
  let loading = new AbortController();
  /** Of these turns it was last looked whether one is not over yet. */
  let seenTurns: Transcript["turns"] | undefined;

  function load(): void {
    isLoading.value = transcript.peek() === null;
    loading.abort();
    loading = new AbortController();
    const { signal: over } = loading;
    fetchPage("", over).then(
      (page) => over.aborted || show(page),
      (error: unknown) => over.aborted || failed(asProblem(error)),
    );
  }

  async function fetchPage(query: string, until: AbortSignal): Promise<Page> {
    const url = `${path}/transcript?order=desc&limit=${pageLimit}${query}`;
    const reply = await api.request("GET", url, { signal: until });
    const page = (await reply.json()) as Page;
    return { ...page, messages: page.messages.toReversed(), turns: page.turns.toReversed() };
  }

  function show(page: Page): void {
    waiting = [];
    batch(() => {
      transcript.value = fromPage(page);
      isLoading.value = false;
    });
    const after = page.last_seq;
    stream = openEventStream({ api, browser, session, after, onEvent: receive, onRating: rate, onConnection });
    noteBusy();
    loaded.resolve();
    if (page.turns.length > 0) void loadTurns("");
  }

  function failed(problem: ApiProblem): void {
    const final = finalState(problem);
    isLoading.value = false;
    onConnection(final ?? lostState(browser, transcript.peek() !== null));
    if (final) {
      onRefused(problem);
      loaded.resolve();
    } else retry.later(load, problem.retryAfterMs ?? 0);
  }

  /** Events of one task are applied together, and drawn once. */
  function receive(event: WireEvent): void {
    if (waiting.push(event) === 1) queueMicrotask(apply);
  }

  function apply(): void {
    const before = transcript.peek();
    const events = waiting;
    waiting = [];
    if (signal.aborted || !before || events.length === 0) return;
    const after = applyEvents(before, events);
    if (after === before) return;
    batch(() => {
      transcript.value = after;
      onEvents(newAfter(before.lastSeq, events));
    });
    if (after.isDeleted) end();
    else if (after.hasGap) reload();
    else {
      retry.reset();
      if (after.hasHole) holeTimer ??= browser.setTimeout(mendHole, holeMs);
      noteBusy();
    }
  }

  function mendHole(): void {
    holeTimer = undefined;
    if (transcript.peek()?.hasHole) reload();
  }

  function reload(): void {
    stream?.close();
    stream = undefined;
    browser.clearTimeout(holeTimer);
    holeTimer = undefined;
    retry.later(load);
  }

  function end(): void {
    stream?.close();
    stream = undefined;
    onConnection("gone");
  }

  function noteBusy(): void {
    const turns = transcript.peek()?.turns;
    if (turns === seenTurns) return;
    seenTurns = turns;
    stream?.setBusy([...(turns?.values() ?? [])].some(isUnderWay));
  }

  /** What the transcript does not say: how turns were rated, and how many others are before those that wait. */
  async function loadTurns(cursor: string): Promise<void> {
    try {
      const reply = await api.request("GET", `/api/turns?session=${session}&limit=200${cursor}`, { signal });
      const { turns } = (await reply.json()) as { turns: { turn: string; rating: Turn["rating"]; position: number }[] };
      if (signal.aborted) return;
      let next = transcript.peek();
      for (const { turn, rating, position } of turns) {
        const known = next?.turns.get(turn);
        if (!next || !known) continue;
        const isWaiting = known.state === "queued" && known.position === null && position !== null;
        if (rating !== known.rating || isWaiting)
          next = withTurn(next, turn, { rating, ...(isWaiting ? { position } : {}) });
      }
      transcript.value = next;
    } catch {
      // The conversation is all there without it.
    }
  }

  function rate({ turn, rating }: Rating): void {
    const now = transcript.peek();
    if (now) transcript.value = withTurn(now, turn, { rating });
  }

  async function fetchOlder(): Promise<void> {
    const before = transcript.peek();
    if (before?.olderCursor == null) return;
    const [oldest] = before.turns.keys();
    const page = await fetchPage(`&cursor=${encodeURIComponent(before.olderCursor)}`, signal);
    const now = transcript.peek();
    // The page was made anew meanwhile.
    if (signal.aborted || now?.olderCursor !== before.olderCursor) return;
    transcript.value = prependOlder(now, page);
    await loadTurns(`&cursor=${oldest}`);
  }

  if (options.madeFor === undefined) load();
  else show(emptyPage(session, options.madeFor));
  return {
    loaded: loaded.promise,
    loadOlder: () => (older ??= fetchOlder().finally(() => (older = undefined))),
    reconnect() {
      if (stream) stream.reconnect();
      else if (!transcript.peek()?.isDeleted) {
        retry.stop();
        onConnection(lostState(browser, transcript.peek() !== null));
        load();
      }
    },
    rate,
    share: (rating) => stream?.share(rating),
    close() {
      closing.abort();
      loading.abort();
      loaded.resolve();
      retry.stop();
      browser.clearTimeout(holeTimer);
      stream?.close();
    },
  };
}

/** Without repetitions, and without what comes too late to be news. */
function newAfter(seq: number, events: readonly WireEvent[]): WireEvent[] {
  let last = seq;
  return events.filter((event) => {
    const isNew = event.seq === undefined || event.seq > last;
    last = Math.max(last, event.seq ?? 0);
    return isNew;
  });
}

function emptyPage(session: string, agent: string): Page {
  return { session, agent, title: null, messages: [], turns: [], approvals: [], last_seq: 0, next_cursor: null };
}

function isUnderWay({ state }: Turn): boolean {
  return state === "queued" || state === "running" || state === "waiting";
}
