// Definitions of links, and the texts that wait for one: a definition may come long after the link that names it.
import type { Definition, Target } from "./link-syntax.ts";
import { labelKey } from "./link-syntax.ts";

/** A text is drawn anew for so many definitions; for what comes behind them once, at the end. */
const maxRedraws = 3;

export interface Waiting {
  /** Reads the whole text again. */
  redraw(): void;
}

export interface References {
  readonly definition: (key: string) => Target | undefined;
  /** The first definition of a label counts. */
  define(definition: Definition): void;
  /** The text would have a link if one of these were defined. */
  wait(text: Waiting, keys: readonly string[]): void;
  /** No definition comes any more. */
  end(): void;
}

export function createReferences(): References {
  const targets = new Map<string, Target>();
  const waiting = new Map<string, Waiting[]>();
  const redraws = new Map<Waiting, number>();
  const late = new Set<Waiting>();

  return {
    definition: (key) => targets.get(key),
    define({ label, href, title }) {
      const key = labelKey(label);
      if (targets.has(key)) return;
      targets.set(key, { href, title });
      const texts = waiting.get(key) ?? [];
      waiting.delete(key);
      for (const text of texts) {
        const count = redraws.get(text) ?? 0;
        redraws.set(text, count + 1);
        if (count < maxRedraws) text.redraw();
        else late.add(text);
      }
    },
    wait(text, keys) {
      for (const key of keys) {
        const texts = waiting.get(key);
        if (texts) texts.push(text);
        else waiting.set(key, [text]);
      }
    },
    end() {
      for (const text of late) text.redraw();
      late.clear();
      waiting.clear();
    },
  };
}
