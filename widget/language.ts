// The texts that an element speaks: its language's, with what the page has put in its own words.
import { computed, signal, type ReadonlySignal } from "@preact/signals";
import type { Options } from "./options.ts";
import { english, type Texts } from "./texts.ts";
import { createSay, type Say } from "./view/words.ts";

const german = signal<Texts | null>(null);
let asked = false;

/** Null until there are any; while others are on their way it is those that were there. */
export function wordsOf(options: ReadonlySignal<Options>): ReadonlySignal<Say | null> {
  const language = computed(() => options.value.language || document.documentElement.lang || navigator.language);
  const own = computed(() => options.value.texts);
  let last: Say | null = null;
  return computed(() => {
    const isGerman = /^de\b/i.test(language.value);
    const texts = isGerman ? germanTexts() : english;
    if (texts) last = createSay({ ...texts, ...own.value }, language.value);
    return last;
  });
}

function germanTexts(): Texts | null {
  if (!asked) {
    asked = true;
    // Without its chunk the widget speaks English.
    void import("./texts-de.ts").then(
      (chunk) => (german.value = chunk.german),
      () => (german.value = english),
    );
  }
  return german.value;
}
