// What is being written, kept for each session over reloads.
import { effect, signal, type Signal } from "@preact/signals";
import type { Api } from "./api.ts";
import type { Browser } from "./browser.ts";
import { readStored, writeStored } from "./storage.ts";

export interface Draft {
  readonly text: Signal<string>;
  /** From now on it is this session's; null: one that has not begun. What was written before the first call is kept. */
  show(session: string | null): void;
  /** The session that had not begun has: the draft goes with it. */
  adopt(session: string): void;
  destroy(): void;
}

export function createDraft(api: Api, browser: Browser): Draft {
  const text = signal("");
  let key: string | null = null;
  const keyOf = (session: string | null) => api.storageKey(`draft ${session ?? "new"}`);
  const keep = (words: string) => key !== null && writeStored(browser.storage, key, words === "" ? null : words);
  const stop = effect(() => void keep(text.value));
  return {
    text,
    show(session) {
      const isFirst = key === null;
      key = keyOf(session);
      if (!isFirst || text.peek() === "") text.value = readStored(browser.storage, key) ?? "";
      keep(text.peek());
    },
    adopt(session) {
      if (key !== null) writeStored(browser.storage, key, null);
      key = keyOf(session);
      keep(text.peek());
    },
    destroy: stop,
  };
}
