// Code spans: from a run of backticks to the next one of the same length. Pure.

export interface CodeSpans {
  /** The span that begins here, its place behind it; null: nothing closes it. */
  readAt(at: number): { readonly content: string; readonly end: number } | null;
}

export function codeSpansIn(text: string): CodeSpans {
  /** Where the last run of each length stands: behind that none is looked for. */
  const last = new Map<number, number>();
  if (text.includes("`")) for (const { 0: run, index } of text.matchAll(/`+/g)) last.set(run.length, index);

  return {
    readAt(at) {
      const length = runLength(text, at);
      const begin = at + length;
      if ((last.get(length) ?? -1) < begin) return null;
      let closer = text.indexOf("`", begin);
      for (let found; (found = runLength(text, closer)) !== length;) closer = text.indexOf("`", closer + found);
      return { content: codeText(text.slice(begin, closer)), end: closer + length };
    },
  };
}

/** One space on each side only keeps backticks apart. */
export function codeText(content: string): string {
  const line = content.replaceAll("\n", " ");
  return line.startsWith(" ") && line.endsWith(" ") && line.trim() !== "" ? line.slice(1, -1) : line;
}

/** How often the character at a place stands there in a row. */
export function runLength(text: string, at: number): number {
  let end = at + 1;
  while (text[end] === text[at]) end++;
  return end - at;
}
