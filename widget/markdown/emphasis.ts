// Runs of `*`, `_` and `~`: which of them open and close emphasis, strong emphasis and strikethrough.
// The algorithm of https://spec.commonmark.org/0.31.2/#phase-2-inline-structure, made to go on where it stopped.

export type Mark = "emphasis" | "strong" | "strike";

export interface Run {
  readonly kind: "run";
  readonly character: string;
  /** Its place in the text; grows from run to run. */
  readonly at: number;
  readonly length: number;
  readonly canOpen: boolean;
  readonly canClose: boolean;
  /** Whether a word goes on right before it, as in 2*3. */
  readonly isInWord: boolean;
  /** What is left of it. */
  rest: number;
  /** In the order they were found: inner ones first. */
  readonly opens: Mark[];
  readonly closes: Mark[];
}

export interface Emphasis {
  add(run: Run): void;
  /** The last run that may still open something. */
  readonly last: Run | undefined;
  /** Pairs what came since, above `bottom`. */
  pair(bottom?: Run): void;
  /** Everything above `bottom` opens nothing any more. */
  drop(bottom: Run | undefined): void;
  /** Those that are left, outer ones first. */
  readonly open: readonly Run[];
}

export function createEmphasis(): Emphasis {
  /** Runs that may open something, and behind them those that have not been looked at. */
  const active: Run[] = [];
  let unseen = 0;
  /** By kind of closer: no opener for it stands at or before this place. */
  const floors = new Map<string, number>();

  function pair(bottom?: Run): void {
    const base = bottom ? lastIndexUpTo(active, bottom) + 1 : 0;
    const known = bottom ? new Map<string, number>() : floors;
    const waiting = active.splice(bottom ? base : unseen);
    for (const run of waiting) {
      if (run.canClose) close(run, base, known);
      if (run.rest > 0 && run.canOpen) active.push(run);
    }
    if (!bottom) unseen = active.length;
  }

  function close(closer: Run, base: number, known: Map<string, number>): void {
    const kind =
      closer.character + (closer.character === "~" ? closer.length : `${closer.canOpen} ${closer.length % 3}`);
    while (closer.rest > 0) {
      const floor = known.get(kind) ?? -1;
      let index = active.length - 1;
      while (index >= base && active[index]!.at > floor && !matches(active[index]!, closer)) index--;
      const opener = index >= base && active[index]!.at > floor ? active[index] : undefined;
      if (!opener) {
        known.set(kind, active.at(-1)?.at ?? -1);
        return;
      }
      const isDouble = opener.rest > 1 && closer.rest > 1;
      const mark = closer.character === "~" ? "strike" : isDouble ? "strong" : "emphasis";
      opener.opens.push(mark);
      closer.closes.push(mark);
      const used = closer.character === "~" ? closer.length : isDouble ? 2 : 1;
      opener.rest -= used;
      closer.rest -= used;
      active.length = opener.rest > 0 ? index + 1 : index;
    }
  }

  return {
    add: (run) => void active.push(run),
    get last() {
      return active.at(-1);
    },
    pair,
    drop(bottom) {
      active.length = bottom ? lastIndexUpTo(active, bottom) + 1 : 0;
      unseen = Math.min(unseen, active.length);
    },
    open: active,
  };
}

function matches(opener: Run, closer: Run): boolean {
  if (opener.character !== closer.character || !opener.canOpen) return false;
  if (closer.character === "~") return opener.length === closer.length;
  const isEither = opener.canClose || closer.canOpen;
  return !isEither || closer.length % 3 === 0 || (opener.length + closer.length) % 3 !== 0;
}

/** By place: the run itself may be gone. */
function lastIndexUpTo(runs: readonly Run[], run: Run): number {
  let index = runs.length - 1;
  while (index >= 0 && runs[index]!.at > run.at) index--;
  return index;
}

/** What the characters around a run allow: https://spec.commonmark.org/0.31.2/#left-flanking-delimiter-run */
export function readRun(text: string, at: number): Run {
  const character = text[at]!;
  let end = at + 1;
  while (text[end] === character) end++;
  const next = String.fromCodePoint(text.codePointAt(end) ?? 0x20);
  const previous = lastCharacter(text, at);
  const before = kindOf(previous);
  const after = kindOf(next);
  // Beside `~` a run may always open or close: so a**~~b~~** is both, as on GitHub.
  const isTilde = character === "~";
  const isLeft = after === "word" || (after === "mark" && before !== "word") || (!isTilde && next === "~");
  const isRight = before === "word" || (before === "mark" && after !== "word") || (!isTilde && previous === "~");
  const isUnderscore = character === "_";
  return {
    kind: "run",
    character,
    at,
    length: end - at,
    canOpen: isLeft && (!isUnderscore || before !== "word" || !isRight),
    canClose: isRight && (!isUnderscore || after !== "word" || !isLeft),
    isInWord: before === "word",
    rest: end - at,
    opens: [],
    closes: [],
  };
}

function lastCharacter(text: string, at: number): string {
  if (at === 0) return " ";
  const unit = text.charCodeAt(at - 1);
  return unit >= 0xdc00 && unit <= 0xdfff && at > 1 ? text.slice(at - 2, at) : text[at - 1]!;
}

function kindOf(character: string): "space" | "mark" | "word" {
  if (/^\s/.test(character)) return "space";
  return /^[\p{P}\p{S}]/u.test(character) ? "mark" : "word";
}
