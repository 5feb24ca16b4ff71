// Blocks of text: each takes its lines in pieces as they come, and draws them. A piece never holds a line's end: `endLine` says that.
import { unescaped } from "./entities.ts";
import type { Content, OpenLeaf } from "./line-start.ts";
import type { References } from "./references.ts";
import type { Sink } from "./sink.ts";
import { createTextArea } from "./text-area.ts";

/** A longer line of code goes on in a new text node: browsers copy a text whenever it grows. */
const maxTextLength = 2000;

export interface Leaf {
  /** What the reading of the next line depends on; null: no line can go on with it. */
  readonly open: OpenLeaf | null;
  /** `isIndented`: the line's beginning, by so much that outside of a paragraph it were code. */
  add(piece: string, isIndented?: boolean): void;
  endLine(): void;
  close(): void;
}

export interface Drawer<N> {
  readonly sink: Sink<N>;
  readonly references: References;
}

export function createHeading<N>(drawer: Drawer<N>, parent: N, level: number): Leaf {
  const node = drawer.sink.add({ kind: "heading", level }, parent, null);
  const area = createTextArea(drawer, node, { visible: withoutClosingMarks });
  return {
    open: null,
    add: (piece) => area.add(area.isEmpty ? piece.trimStart() : piece),
    endLine: () => undefined,
    close: () => area.close(),
  };
}

/** A fenced or indented block of code, or HTML, which is text too. */
export function createVerbatim<N>(
  { sink }: Drawer<N>,
  parent: N,
  content: Extract<Content, { kind: "fenced" | "indented" | "html" }>,
): Leaf {
  const language = content.kind === "fenced" ? unescaped(/^\s*(\S*)/.exec(content.language)![1]!) : "";
  const block = sink.add(content.kind === "html" ? { kind: "html" } : { kind: "code", language }, parent, null);
  let line: { readonly node: N; text: N | null; length: number } | null = null;
  /** Empty lines at the end of what is not fenced do not belong to it: they wait for one that is not empty. */
  const emptyLines: string[] = [];
  let space = "";
  let hasEnded = false;
  /** Of the line, as far as its end may be the block's. */
  let written = "";

  function draw(piece: string): void {
    line ??= { node: sink.add({ kind: "line" }, block, null), text: null, length: 0 };
    if (piece === "") return;
    if (line.text === null || line.length > maxTextLength) {
      line.text = sink.addText(piece, line.node, null);
      line.length = piece.length;
    } else {
      sink.edit(line.text, line.length, piece);
      line.length += piece.length;
    }
  }

  function drawLine(text: string): void {
    draw(text);
    line = null;
  }

  return {
    get open() {
      if (hasEnded) return null;
      if (content.kind === "html") return { kind: "html", isEndedByBlank: content.end === null } as const;
      return content.kind === "fenced" ? content : ({ kind: "indented" } as const);
    },
    add(piece) {
      if (content.kind === "html" && content.end) written += piece;
      if (content.kind === "fenced" || line) return draw(piece);
      space += piece;
      if (space.trim() === "") return;
      emptyLines.splice(0).forEach(drawLine);
      draw(space);
    },
    endLine() {
      if (content.kind === "fenced") draw("");
      else if (!line) emptyLines.push(space);
      if (content.kind === "html") hasEnded = content.end?.test(written) ?? false;
      line = null;
      space = "";
      written = "";
    },
    close() {
      if (content.kind !== "html") sink.finish(block);
    },
  };
}

/** Without the marks that may stand behind a heading. */
function withoutClosingMarks(text: string): string {
  let end = text.length;
  while (isSpace(text[end - 1])) end--;
  let begin = end;
  while (text[begin - 1] === "#") begin--;
  if (begin === end || (begin > 0 && !isSpace(text[begin - 1]))) return text;
  while (isSpace(text[begin - 1])) begin--;
  return text.slice(0, begin);
}

function isSpace(character: string | undefined): boolean {
  return character === " " || character === "\t";
}
