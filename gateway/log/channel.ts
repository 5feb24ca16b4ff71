// The newest events of one session in memory, batch by batch as they were stored, and a bell for readers that have them all. Bounded:
// a reader that is further behind reads the store.
import type { LogEvent } from "../store/port.ts";
import { mergeDeltas } from "../store/run.ts";

/** Events that were stored together. What a format makes of them is kept here, so that it is made once for all readers. */
export interface Batch {
  readonly events: readonly LogEvent[];
  /** The `seq` of the last one. */
  readonly last: number;
  readonly encoded: Map<string, unknown>;
}

/** A reader that has everything: it is given what comes, without waiting for its turn. */
export interface Follower {
  take(batch: Batch): void;
  /** Something else has happened: the channel was woken up. */
  stop(): void;
}

export interface Channel {
  /** How many cursors are open. */
  readers: number;
  /** The `seq` of the newest event that was shown here; 0 if there was none. */
  readonly last: number;
  /** How much of events it holds, in UTF-16 units. */
  readonly chars: number;
  /** The session was removed: there is nothing more to come. */
  readonly isRemoved: boolean;
  remove(): void;
  push(events: readonly LogEvent[]): void;
  /** Holds none of its events any more: whoever has not had them reads the store. */
  forget(): void;
  /** What follows `position`, if it is in memory: the next batch, or, for a reader that is far behind, all that there is in one. */
  after(position: number): Batch | undefined;
  /** Gives it every batch as it is pushed, until it is taken back. */
  follow(follower: Follower): void;
  unfollow(follower: Follower): void;
  /** Calls the listener once, at the next `push` or `wake`. */
  once(listener: () => void): void;
  /** Takes a listener back. */
  off(listener: () => void): void;
  wake(): void;
}

const maxBatches = 500;
const maxChars = 2 * 1024 * 1024;
/** A reader so many batches behind is caught up in bulk [L7]; one that keeps up shares what was encoded for all. */
const maxLag = 32;

export function createChannel(): Channel {
  let batches: Batch[] = [];
  let sizes: number[] = [];
  const followers = new Set<Follower>();
  let waiting = new Set<() => void>();
  let chars = 0;
  let last = 0;
  let isRemoved = false;

  function wakeWaiting(): void {
    const woken = waiting;
    waiting = new Set();
    for (const resolve of woken) resolve();
  }

  function wake(): void {
    wakeWaiting();
    for (const follower of followers) follower.stop();
  }

  return {
    readers: 0,
    get last() {
      return last;
    },
    get chars() {
      return chars;
    },
    get isRemoved() {
      return isRemoved;
    },
    forget() {
      batches = [];
      sizes = [];
      chars = 0;
    },
    remove() {
      isRemoved = true;
      wake();
    },
    push(events) {
      const size = events.reduce((sum, event) => sum + event.json.length, 0);
      last = events.at(-1)!.seq;
      const batch = { events, last, encoded: new Map<string, unknown>() };
      batches.push(batch);
      sizes.push(size);
      chars += size;
      while (batches.length > 1 && (batches.length > maxBatches || chars > maxChars)) {
        batches.shift();
        chars -= sizes.shift()!;
      }
      for (const follower of followers) follower.take(batch);
      wakeWaiting();
    },
    after(position) {
      const oldest = batches[0];
      if (!oldest || position >= last || position < oldest.events[0]!.first - 1) return undefined;
      const at = lowerBound(batches, position);
      const batch = batches[at]!;
      if (batches.length - at > maxLag) {
        const events = batches.slice(at).flatMap(({ events: some }) => some);
        return { events: mergeDeltas(events.filter((event) => event.first > position)), last, encoded: new Map() };
      }
      if (batch.events[0]!.first === position + 1) return batch;
      return { events: batch.events.filter((event) => event.first > position), last: batch.last, encoded: new Map() };
    },
    follow: (follower) => void followers.add(follower),
    unfollow: (follower) => void followers.delete(follower),
    once: (listener) => void waiting.add(listener),
    off: (listener) => void waiting.delete(listener),
    wake,
  };
}

/** The first batch whose last event is behind `position`. */
function lowerBound(batches: readonly Batch[], position: number): number {
  let low = 0;
  let high = batches.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (batches[middle]!.last > position) high = middle;
    else low = middle + 1;
  }
  return low;
}
