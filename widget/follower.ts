// What a page makes of what the page with the stream tells it: events in order, and what it has missed fetched.
import type { Api } from "./api.ts";
import type { Browser, Timer } from "./browser.ts";
import { silenceMs } from "./connection.ts";
import type { Connection } from "./page.ts";
import { createRetry } from "./retry.ts";
import type { WireEvent } from "./transcript.ts";

/** What a person thinks of an answer. */
export interface Rating {
  readonly kind: "rating";
  readonly turn: string;
  readonly rating: "up" | "down" | null;
}

/** What pages of one session tell each other. */
export type Told =
  | Rating
  /** Somebody listens, and wants to know how the stream is. */
  | { readonly kind: "hello" }
  /** Another page has the stream from now on, and wants to know who listens. */
  | { readonly kind: "lead" }
  /** A person wishes that it is tried again. */
  | { readonly kind: "reconnect" }
  /** How the stream is; all events up to `seq` have been told. */
  | { readonly kind: "state"; readonly state: Connection; readonly seq: number }
  /** An event, and the `seq` of the one before it in the stream: numbers may be left out. */
  | { readonly kind: "event"; readonly after: number; readonly event: WireEvent };

export interface FollowerOptions {
  readonly api: Api;
  readonly browser: Browser;
  readonly session: string;
  /** All events up to this one have been taken. */
  readonly position: () => number;
  readonly take: (event: WireEvent) => void;
  readonly onState: (state: Connection) => void;
  /** Nothing was told for longer than the page with the stream would wait itself. */
  readonly onSilence: () => void;
}

export interface Follower {
  hear(told: Extract<Told, { kind: "state" | "event" }>): void;
  /** From now on somebody must be heard. */
  watch(): void;
  /** This page has the stream now, or none is wanted. */
  rest(): void;
  close(): void;
}

/** A page that has the stream tells of itself with every ping, and with every try. */
const patienceMs = silenceMs + 10_000;
/** What waits behind a hole: more is fetched with it. */
const maxHeld = 1000;

export function createFollower(options: FollowerOptions): Follower {
  const { api, browser, session, position, take, onState, onSilence } = options;
  const retry = createRetry(browser);
  const closing = new AbortController();
  let held: Extract<Told, { kind: "event" }>[] = [];
  let isFetching = false;
  let silence: Timer | undefined;

  function hear(told: Extract<Told, { kind: "state" | "event" }>): void {
    if (silence !== undefined) watch();
    if (told.kind === "event") {
      if (told.event.seq === undefined) return take(told.event);
      held.push(told);
      if (held.length > maxHeld) held.shift();
      return takeHeld();
    }
    onState(told.state);
    // What is not tried again on its own needs no watching.
    if (["signed_out", "forbidden", "gone"].includes(told.state)) rest();
    if (held.length === 0) void fetchUpTo(told.seq);
  }

  function takeHeld(): void {
    if (isFetching) return;
    while (held.length > 0) {
      const { after, event } = held[0]!;
      if (after > position()) return void fetchUpTo(after);
      held.shift();
      take(event);
    }
  }

  async function fetchUpTo(until: number): Promise<void> {
    if (isFetching || until <= position()) return;
    isFetching = true;
    try {
      const { signal } = closing;
      // Seldom wanted: the page with the stream tells the most.
      const { readEvents } = await import("./read-events.ts");
      await readEvents({
        api,
        session,
        after: position(),
        until,
        onEvent: (event) => signal.aborted || take(event),
        signal,
      });
      retry.reset();
    } catch {
      // The page with the stream says how it is; what is missing is asked for again.
      if (!closing.signal.aborted) retry.later(() => void fetchUpTo(until).then(takeHeld));
      return;
    } finally {
      isFetching = false;
    }
    takeHeld();
  }

  function watch(): void {
    browser.clearTimeout(silence);
    silence = browser.setTimeout(() => {
      silence = undefined;
      onSilence();
    }, patienceMs);
  }

  function rest(): void {
    browser.clearTimeout(silence);
    silence = undefined;
  }

  return {
    hear,
    watch,
    rest,
    close() {
      rest();
      retry.stop();
      closing.abort();
      held = [];
    },
  };
}
