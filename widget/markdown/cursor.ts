// A place in a line, by columns: a tab reaches to the next column that is a multiple of four, and may be taken in part.

export interface Cursor {
  readonly text: string;
  at: number;
  /** Of the character at `at`. */
  column: number;
  /** Columns before it that belong to a tab of which only a part was taken. */
  pad: number;
}

/** Columns of white space at the cursor, and the place behind it. */
export function spaceAt({ text, at, column, pad }: Cursor): { indent: number; at: number } {
  let end = at;
  let endColumn = column;
  for (; text[end] === " " || text[end] === "\t"; end++) endColumn += text[end] === "\t" ? 4 - (endColumn % 4) : 1;
  return { indent: pad + endColumn - column, at: end };
}

/** Takes at most so many columns of white space. */
export function skip(cursor: Cursor, columns: number): void {
  let left = columns;
  while (left > 0) {
    if (cursor.pad === 0) {
      const character = cursor.text[cursor.at];
      if (character !== " " && character !== "\t") return;
      cursor.pad = character === "\t" ? 4 - (cursor.column % 4) : 1;
      cursor.at++;
      cursor.column += cursor.pad;
    }
    const taken = Math.min(cursor.pad, left);
    cursor.pad -= taken;
    left -= taken;
  }
}

export function restOf({ text, at, pad }: Cursor): string {
  return " ".repeat(pad) + text.slice(at);
}
