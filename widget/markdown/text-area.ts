// The text of one block while it grows: reads its unsettled tail again with each piece, and settles what nothing can change any more.
import { parseInline } from "./inline.ts";
import type { References } from "./references.ts";
import type { Sink } from "./sink.ts";
import { createStretches } from "./stretches.ts";

/** A longer tail is not read again with each piece, but whenever it has grown by a quarter: so all reading together stays linear. */
export const eagerLength = 512;

export interface TextArea {
  add(piece: string): void;
  /** Puts another text in place of the tail. */
  replaceTail(text: string): void;
  /** The unsettled end of the text, as it was written. */
  readonly tail: string;
  readonly isEmpty: boolean;
  /** No more comes. */
  close(): void;
}

export interface TextAreaOptions {
  /** How much of the tail may be settled at most; by default all of it. */
  readonly maxSettled?: () => number;
  /** The tail has lost so much at its front. */
  readonly onSettled?: (length: number) => void;
  /** What of a text is to be read: a heading loses the marks behind it. */
  readonly visible?: (text: string) => string;
}

export function createTextArea<N>(
  { sink, references }: { readonly sink: Sink<N>; readonly references: References },
  node: N,
  { maxSettled, onSettled, visible = (text) => text }: TextAreaOptions = {},
): TextArea {
  const drawing = createStretches(sink, node);
  const { definition } = references;
  const settled: string[] = [];
  let tail = "";
  let lengthWhenRead = 0;
  let mayRefer = false;

  function read(): void {
    const limit = maxSettled?.() ?? Number.POSITIVE_INFINITY;
    const found = parseInline(visible(tail), { definition, isOpen: true, maxSettled: limit });
    drawing.draw(found.settled, found.rest);
    mayRefer ||= found.missing.length > 0;
    if (found.settledLength > 0) {
      settled.push(tail.slice(0, found.settledLength));
      tail = tail.slice(found.settledLength);
      onSettled?.(found.settledLength);
    }
    lengthWhenRead = tail.length;
  }

  /** The labels that it would refer to if they were defined. */
  function readWhole(): readonly string[] {
    const { rest, missing } = parseInline(withoutEndSpace(visible(settled.join("") + tail)), {
      definition,
      isOpen: false,
    });
    drawing.redraw(rest);
    return missing;
  }

  function readEnd(): void {
    const { rest, missing } = parseInline(withoutEndSpace(visible(tail)), { definition, isOpen: false });
    mayRefer ||= missing.length > 0;
    if (!mayRefer) drawing.draw(rest, []);
  }

  return {
    add(piece) {
      tail += piece;
      if (tail.length <= eagerLength || tail.length >= lengthWhenRead * 1.25) read();
      else drawing.addRaw(piece);
    },
    replaceTail(text) {
      tail = text;
      read();
    },
    get tail() {
      return tail;
    },
    get isEmpty() {
      return tail === "" && settled.length === 0;
    },
    close() {
      readEnd();
      if (mayRefer) references.wait({ redraw: readWhole }, readWhole());
    },
  };
}

function withoutEndSpace(text: string): string {
  let end = text.length;
  while (end > 0 && " \t\n".includes(text[end - 1]!)) end--;
  return text.slice(0, end);
}
