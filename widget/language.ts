// The texts that an element speaks: its language's, with what the page has put in its own words.
import { computed, signal, type ReadonlySignal } from "@preact/signals";
import type { Options } from "./options.ts";
import { english, type Texts } from "./texts.ts";
import { createSay, type Say } from "./view/words.ts";

/** All that has come so far: a chunk brings what its views say. */
const spoken = signal<Partial<Texts>>(english);
const german = signal<Texts | "unknown" | "missing">("unknown");
let isAsked = false;

export function addTexts(texts: Partial<Texts>): void {
  spoken.value = { ...spoken.peek(), ...texts };
}

/** Null until there are any; while others are on their way it is those that were there. */
export function wordsOf(options: ReadonlySignal<Options>): ReadonlySignal<Say | null> {
  const language = computed(() => options.value.language || document.documentElement.lang || navigator.language);
  const own = computed(() => options.value.texts);
  let last: Say | null = null;
  return computed(() => {
    const isGerman = /^de\b/i.test(language.value);
    const texts = isGerman ? german.value : "missing";
    if (texts === "unknown") askForGerman();
    else {
      const translated = texts === "missing" ? {} : texts;
      last = createSay({ ...spoken.value, ...translated, ...own.value }, language.value);
    }
    return last;
  });
}

function askForGerman(): void {
  if (isAsked) return;
  isAsked = true;
  void import("./texts-de.ts").then(
    (chunk) => (german.value = chunk.german),
    // Without its chunk the widget speaks English.
    () => (german.value = "missing"),
  );
}
