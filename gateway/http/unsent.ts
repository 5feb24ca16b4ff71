// What readers have not taken yet, in sum [S2]: each one is cut in time if it takes nothing, but many at once could fill the memory before that.
import type { Owner } from "../protocol/callers.ts";
import { visitorKey } from "../protocol/callers.ts";

export interface Unsent {
  /**
   * Notes what is held for a reader that does not take it; what it returns ends that. Where all of it is too much, of the caller for whom most is
   * held the reader that has been waited for the longest is cut: this may be the one that is noted.
   */
  hold(whose: Owner, bytes: number, cut: () => void): () => void;
}

interface Held {
  readonly bytes: number;
  readonly cut: () => void;
}

interface Share {
  bytes: number;
  /** The one that has been waited for the longest comes first. */
  readonly held: Set<Held>;
}

export function createUnsent(maxBytes: number): Unsent {
  const shares = new Map<string, Share>();
  let sum = 0;

  function drop(name: string, share: Share, held: Held): void {
    if (!share.held.delete(held)) return;
    share.bytes -= held.bytes;
    sum -= held.bytes;
    if (share.held.size === 0) shares.delete(name);
  }

  function cutOne(): void {
    const [name, share] = [...shares].reduce((most, one) => (one[1].bytes > most[1].bytes ? one : most));
    const [longest] = share.held;
    drop(name, share, longest!);
    longest!.cut();
  }

  return {
    hold(whose, bytes, cut) {
      const name = nameOf(whose);
      let share = shares.get(name);
      if (!share) shares.set(name, (share = { bytes: 0, held: new Set() }));
      const [of, held] = [share, { bytes, cut }];
      of.held.add(held);
      of.bytes += bytes;
      sum += bytes;
      while (sum > maxBytes) cutOne();
      return () => drop(name, of, held);
    },
  };
}

/** Visitors are one: anybody can be any number of them. */
function nameOf({ key, user }: Owner): string {
  return key === visitorKey ? JSON.stringify([key]) : JSON.stringify([key, user]);
}
