// Web Locks: https://www.w3.org/TR/web-locks/. A page that is closed or crashes gives up its locks by itself.
import type { Browser } from "./browser.ts";

export type Locks = NonNullable<Browser["locks"]>;

export interface Wish {
  readonly onHeld: () => void;
  /** Another page has taken it by force. */
  readonly onStolen?: () => void;
  /** This page may have no locks: it is in a sandbox. */
  readonly onRefused?: () => void;
  /** Takes it by force. */
  readonly isForced?: boolean;
}

/** Holds the lock as soon as it is free; what it returns gives it up, or the wish for it. */
export function holdLock(
  locks: Locks,
  name: string,
  { onHeld, onStolen, onRefused, isForced = false }: Wish,
): () => void {
  const wish = new AbortController();
  const held = Promise.withResolvers<void>();
  let isOver = false;
  const hold = async () => {
    if (isOver) return;
    onHeld();
    await held.promise;
  };
  locks.request(name, isForced ? { steal: true } : { signal: wish.signal }, hold).catch((error: unknown) => {
    // Given up while it waited: nobody's loss.
    if (isOver) return;
    isOver = true;
    if (error instanceof DOMException && error.name === "AbortError") onStolen?.();
    else onRefused?.();
  });
  return () => {
    isOver = true;
    wish.abort();
    held.resolve();
  };
}

/** The same with whichever of these locks is free first. */
export function holdOneOf(locks: Locks, names: readonly string[], onHeld: () => void): () => void {
  const wishes = new Map<string, () => void>();
  let taken: string | undefined;
  for (const name of names) {
    const onFree = () => {
      const isFirst = taken === undefined;
      taken ??= name;
      for (const [other, giveUp] of wishes) if (other !== taken) giveUp();
      if (isFirst) onHeld();
    };
    wishes.set(name, holdLock(locks, name, { onHeld: onFree }));
  }
  return () => {
    for (const giveUp of wishes.values()) giveUp();
  };
}
