// What an older version has left of a database, made findable beside everything else: a start does not wait for it.
import { setTimeout as wait } from "node:timers/promises";
import { StoreFull, type Store } from "./store/port.ts";

const pauseMs = 100;

/** Resolves when nothing is left, or `signal` says that it is enough. */
export async function markOldWords(store: Pick<Store, "markOldWords">, signal: AbortSignal): Promise<void> {
  while (!signal.aborted && (await someMarked(store))) await wait(pauseMs, undefined, { signal }).catch(() => {});
}

/** While there is no room for it, it is left for later. */
async function someMarked(store: Pick<Store, "markOldWords">): Promise<boolean> {
  try {
    return await store.markOldWords();
  } catch (error) {
    if (error instanceof StoreFull) return true;
    throw error;
  }
}
