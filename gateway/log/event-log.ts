// The log: the one place where writers and readers of a session meet. Appending stores first and shows then [L2], one commit per
// event-loop turn; reading is a cursor that takes history from the store and goes on live, without gap or overlap [L4]. Both sides share what is
// not committed yet, which makes the file long.
import { gatewayCaller, type Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { EventBody } from "../protocol/events.ts";
import { StoreFull, type LogEvent, type NewEvent, type SessionRow, type Store, type Write } from "../store/port.ts";
import { mergeDeltas } from "../store/run.ts";
import type { Batch, Follower } from "./channel.ts";
import { createChannels } from "./channels.ts";
import { createFolding, type Folding } from "./folding.ts";
import { spill } from "./spill.ts";

/** An event to append: `turn` is null where it belongs to none. */
export type EventDraft = EventBody & { readonly turn: string | null };

export interface Append {
  readonly session: string;
  readonly events: readonly EventDraft[];
  /** Changes that must be stored with the events, before them. */
  readonly before?: readonly Write[];
  /** And after them. */
  readonly after?: readonly Write[];
}

export interface EventLog {
  /**
   * Stores the events and shows them to the session's readers. While the store has no room it waits and tries again: what a running
   * turn says is not lost. Rejects only when the log is closed, or on a bug.
   */
  append(append: Append): Promise<LogEvent[]>;
  /** The same, but rejects at once with `not_ready` while the store has no room: for requests, which can be made again. */
  appendNow(append: Append): Promise<LogEvent[]>;
  /** Changes without events. */
  commit(writes: readonly Write[]): Promise<void>;
  /**
   * A cursor after `after`; undefined if the caller has no such session. Where `after` is beyond the log's end, the cursor says so and
   * reads from `start` on.
   */
  subscribe(caller: Caller, session: string, after: number, start?: number): Promise<Cursor | undefined>;
  /** The session is gone from the store: ends its cursors, and forgets it. */
  removed(session: string): void;
  /** Folds what an earlier gateway left unfolded of this session's events after `after`. */
  foldHistory(session: string, after: number): Promise<void>;
  /** False while the store has no room. */
  readonly isHealthy: boolean;
  /** Commits what is pending, as far as there is room, and ends every cursor. */
  close(): Promise<void>;
}

/** A reader's place in a session's log. It holds no events: a slow one takes them from the store later. */
export interface Cursor {
  readonly session: SessionRow;
  /** The cursor asked for was beyond the log's end, and reading begins at the start (of the turn). */
  readonly isBeyondEnd: boolean;
  /** Events behind the cursor are missing: it is beyond the end, or older than what is kept [L5]. */
  readonly gap: { readonly oldest: number } | undefined;
  /** The session was removed while it was read. */
  readonly isSessionRemoved: boolean;
  /** The next events, as soon as there are some; undefined when the log or the cursor is closed. One call at a time. */
  next(): Promise<Batch | undefined>;
  /**
   * Gives `take` every batch at the moment it is stored, as long as the reader has all that was before it and `take` wants more (returns true).
   * Resolves when that is over; go on with `next` then. At once, where there is something to catch up with.
   */
  follow(take: (batch: Batch) => boolean): Promise<void>;
  close(): void;
}

interface Pending {
  readonly append: Append;
  readonly writes: readonly Write[];
  readonly events: readonly NewEvent[];
  readonly isPatient: boolean;
  readonly resolve: (events: LogEvent[]) => void;
  readonly reject: (error: unknown) => void;
}

/** Asks whether there is room, for nobody in particular. */
const probe: Pending = {
  append: { session: "", events: [] },
  writes: [{ kind: "probe" }],
  events: [],
  isPatient: true,
  resolve: () => {},
  reject: () => {},
};

const rowsPerRead = 1000;
const retryMs = 500;

/** `onStored` sees every event once it is stored. */
export function createEventLog(
  store: Store,
  now: () => number = Date.now,
  onStored: (events: readonly LogEvent[]) => void = () => {},
): EventLog {
  const foldings = new Map<string, Folding>();
  const channels = createChannels({ isBusy: (session) => foldings.has(session) });
  let pending: Pending[] = [];
  let flushing: Promise<void> | undefined;
  let isHealthy = true;
  let isClosing = false;
  let isClosed = false;
  let retryNow = () => {};

  function enqueue(append: Append, isPatient: boolean): Promise<LogEvent[]> {
    if (isClosed) return Promise.reject(new GatewayError("shutting_down", "The gateway is shutting down."));
    if (!isPatient && !isHealthy) return Promise.reject(noRoom());
    const at = now();
    const spilled = append.events.map(({ turn, ...body }) => ({ turn, body, ...spill(body) }));
    const events = spilled.flatMap(({ turn, body, jsons }) =>
      jsons.map((json): NewEvent => ({ turn, at, type: body.type, json })),
    );
    const { session, before = [], after = [] } = append;
    const attachments = spilled.flatMap((event) => event.attachments);
    const writes: Write[] = [
      ...before,
      ...attachments.map((attachment): Write => ({ kind: "attachment", session, attachment })),
      ...(events.length > 0 ? [{ kind: "events" as const, session, events }] : []),
      ...after,
    ];
    return new Promise((resolve, reject) => {
      pending.push({ append, writes, events, isPatient, resolve, reject });
      flushing ??= nextLoopTurn().then(flush);
    });
  }

  /** Commits everything that is pending, again and again until nothing is. */
  async function flush(): Promise<void> {
    while (pending.length > 0) {
      const batch = pending;
      pending = [];
      const left = await commitBatch(batch);
      if (left.length > 0) await keepForLater(left);
      else if (pending.length > 0) await nextLoopTurn();
    }
    flushing = undefined;
  }

  /** Resolves with what there was no room for, in order. */
  async function commitBatch(batch: Pending[]): Promise<Pending[]> {
    let seqs: number[];
    try {
      seqs = await store.commit(batch.flatMap((entry) => entry.writes));
    } catch (error) {
      if (error instanceof StoreFull) return batch;
      if (batch.length === 1) batch[0]!.reject(error);
      // One bad change must not take the others with it.
      else
        for (const [index, entry] of batch.entries())
          if ((await commitBatch([entry])).length > 0) return batch.slice(index);
      return [];
    }
    isHealthy = true;
    publish(batch, seqs);
    return [];
  }

  async function keepForLater(batch: Pending[]): Promise<void> {
    isHealthy = false;
    const isKept = (entry: Pending) => entry.isPatient && !isClosing;
    for (const entry of batch) if (!isKept(entry)) entry.reject(noRoom());
    pending = [...batch.filter(isKept), ...pending];
    if (isClosing) return;
    // Requests are refused from now on: where nothing else waits, only a try of our own finds out that there is room again.
    if (pending.length === 0) pending.push(probe);
    await new Promise<void>((resolve) => {
      retryNow = resolve;
      setTimeout(resolve, retryMs);
    });
  }

  /** Numbers the stored events, shows them, and folds what is complete. */
  function publish(batch: readonly Pending[], seqs: readonly number[]): void {
    let at = 0;
    const bySession = new Map<string, LogEvent[]>();
    for (const { append, writes, events, resolve } of batch) {
      const own = writes.findIndex((write) => write.kind === "events" && write.events === events);
      const first = seqs[at + own] ?? 0;
      at += writes.length;
      const stored = events.map((event, index): LogEvent => ({ ...event, seq: first + index, first: first + index }));
      resolve(stored);
      if (stored.length === 0) continue;
      const sessionEvents = bySession.get(append.session);
      if (sessionEvents) sessionEvents.push(...stored);
      else bySession.set(append.session, [...stored]);
    }
    for (const [session, events] of bySession) {
      show(session, events);
      onStored(events);
    }
  }

  function show(session: string, events: LogEvent[]): void {
    channels.push(session, events);
    let folding = foldings.get(session);
    if (!folding) foldings.set(session, (folding = createFolding()));
    foldLater(session, folding.note(events));
    if (folding.isEmpty) foldings.delete(session);
  }

  function foldLater(session: string, runs: ReturnType<Folding["note"]>): void {
    if (runs.length === 0 || isClosed) return;
    const after = runs.map((run): Write => ({ kind: "fold", session, run }));
    // Unfolded rows are read just as well, so a failure here loses nothing.
    enqueue({ session, events: [], after }, true).catch(() => {});
  }

  async function subscribe(caller: Caller, session: string, after: number, start = 0): Promise<Cursor | undefined> {
    // Held before the row is read: an event that is stored in between must find this reader.
    const channel = channels.of(session);
    channel.readers += 1;
    let row: SessionRow | undefined;
    try {
      row = await store.session(caller, session);
    } finally {
      if (!row) channel.readers -= 1;
    }
    if (!row) return undefined;
    const isBeyondEnd = after > row.lastSeq;
    const isRemoved = !isBeyondEnd && after + 1 < row.oldestSeq;
    // Of what is missing before the oldest event the reader is told by `gap`.
    let position = Math.max(isBeyondEnd ? start : after, row.oldestSeq - 1);
    let end = row.lastSeq;
    let isOpen = true;
    let wakeUp = () => {};

    async function next(): Promise<Batch | undefined> {
      while (isOpen && !isClosed && !channel.isRemoved) {
        const live = channel.after(position);
        if (live) {
          position = live.last;
          return live;
        }
        end = Math.max(end, channel.last);
        if (position < end) {
          const events = await store.events(caller, session, position, rowsPerRead);
          if (events[0]?.first !== position + 1) return removedMeanwhile();
          position = events.at(-1)!.seq;
          return { events: mergeDeltas(events), last: position, encoded: new Map() };
        } else await new Promise<void>((resolve) => channel.once((wakeUp = resolve)));
      }
      return undefined;
    }

    /** An age limit took what this reader was to read next: it comes back with its cursor, and is told then. A DELETE is announced in a moment. */
    async function removedMeanwhile(): Promise<undefined> {
      await nextLoopTurn();
      leave();
    }

    /** Once, whoever comes first: a channel without readers is given up. */
    function leave(): void {
      if (isOpen) channel.readers -= 1;
      isOpen = false;
    }

    return {
      session: row,
      isBeyondEnd,
      gap: isBeyondEnd || isRemoved ? { oldest: row.oldestSeq } : undefined,
      get isSessionRemoved() {
        return channel.isRemoved;
      },
      next,
      follow: (take) =>
        new Promise((resolve) => {
          if (!isOpen || isClosed || channel.isRemoved || channel.last > position || end > position) return resolve();
          const follower: Follower = {
            take(batch) {
              if (batch.events[0]!.first !== position + 1) return follower.stop();
              position = batch.last;
              if (!take(batch)) follower.stop();
            },
            stop() {
              channel.unfollow(follower);
              resolve();
            },
          };
          wakeUp = follower.stop;
          channel.follow(follower);
        }),
      close() {
        leave();
        channel.off(wakeUp);
        wakeUp();
      },
    };
  }

  async function foldHistory(session: string, after: number): Promise<void> {
    const folding = createFolding();
    for (let position = after; ;) {
      const events = await store.events(gatewayCaller, session, position, rowsPerRead);
      if (events.length === 0) return;
      position = events.at(-1)!.seq;
      foldLater(session, folding.note(events.filter((event) => event.first === event.seq)));
    }
  }

  return {
    append: (append) => enqueue(append, true),
    appendNow: (append) => enqueue(append, false),
    commit: async (writes) => void (await enqueue({ session: "", events: [], before: writes }, true)),
    subscribe,
    foldHistory,
    removed(session) {
      channels.remove(session);
      foldings.delete(session);
    },
    get isHealthy() {
      return isHealthy;
    },
    async close() {
      isClosing = true;
      retryNow();
      await flushing;
      isClosed = true;
      channels.wakeAll();
    },
  };
}

/** What a request is told while the store has no room. */
export function noRoom(): GatewayError {
  return new GatewayError("not_ready", "The gateway cannot store anything at the moment. Try again later.");
}

/** After the I/O of this turn of the event loop: whatever arrived with it goes into one commit. */
function nextLoopTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
