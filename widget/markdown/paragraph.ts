// A paragraph while it grows. It may turn out to be a heading (by an underline), to end in the head of a table, to begin with the box of
// a task, or to be nothing but definitions of links.
import type { OpenLeaf } from "./line-start.ts";
import { readDefinition, readLabel } from "./link-syntax.ts";
import type { Drawer, Leaf } from "./leaves.ts";
import { splitRow } from "./table.ts";
import { createTextArea, eagerLength, type TextArea } from "./text-area.ts";

/** A longer line is no head of a table, nor is one whose first `|` comes later than that: text that may be one cannot settle. */
const maxTableHead = 2000;
const maxBeforeBar = 128;

export interface Paragraph extends Leaf {
  toHeading(level: number): void;
  /** Takes away the last line, which is the head of a table. */
  takeHead(): string;
}

/** `onTask`: the paragraph is the first of a list's item, so it may begin with the box of a task. */
export function createParagraph<N>(
  drawer: Drawer<N>,
  parent: N,
  onTask: ((isDone: boolean) => void) | null,
): Paragraph {
  const { sink, references } = drawer;
  /** What has come while it may be a box or a definition; null: it is neither. */
  let beginning: string | null = "";
  let mayBeTask = onTask !== null;
  let nextReading = 0;
  let drawn: { readonly node: N; readonly area: TextArea } | null = null;
  let isNewLine = false;
  /** Of the last line: where it begins in the area's tail, its length, its first bar. */
  let lineStart = 0;
  let lineLength = 0;
  let barAt = -1;

  function area(): TextArea {
    if (!drawn) {
      const node = sink.add({ kind: "paragraph" }, parent, null);
      const maxSettled = () => (mayBeHead() ? lineStart : Number.POSITIVE_INFINITY);
      drawn = {
        node,
        area: createTextArea(drawer, node, { maxSettled, onSettled: (length) => (lineStart -= length) }),
      };
    }
    return drawn.area;
  }

  function add(piece: string, isIndented = false): void {
    const text = isNewLine && beginning !== "" ? `\n${piece}` : piece;
    if (isNewLine) startLine(beginning === null ? area().tail.length + 1 : 0);
    isNewLine = false;
    if (isIndented) barAt = maxBeforeBar;
    if (barAt < 0 && piece.includes("|")) barAt = lineLength + piece.indexOf("|");
    lineLength += piece.length;
    if (beginning === null) area().add(text);
    else {
      beginning += text;
      readBeginning(false);
    }
  }

  function startLine(at: number): void {
    lineStart = at;
    lineLength = 0;
    barAt = -1;
  }

  function readBeginning(isWhole: boolean): void {
    if (beginning === null) return;
    if (!isWhole && beginning.length > eagerLength && beginning.length < nextReading) return;
    nextReading = beginning.length * 1.25;
    if (mayBeTask) {
      if (!isWhole && /^\[(?:[ \txX]\]?[ \t]*)?$/.test(beginning)) return;
      mayBeTask = false;
      const box = /^\[([ \txX])\](?:[ \t]+(?=[^ \t\n])|[ \t]*(?=\n))/.exec(beginning);
      if (box) {
        onTask?.(/x/i.test(box[1]!));
        return release(beginning.slice(box[0].length).trimStart());
      }
    }
    while (beginning !== "") {
      const found: ReturnType<typeof readDefinition> = beginning.startsWith("[")
        ? readDefinition(beginning, isWhole)
        : null;
      if (found === null) return release(beginning);
      if (found === "open") return showOpenLabel(beginning);
      references.define(found.value);
      beginning = beginning.slice(found.end).trimStart();
    }
    drawn?.area.replaceTail("");
  }

  /** Until a colon comes, it looks like a link. */
  function showOpenLabel(text: string): void {
    const label = readLabel(text, 0);
    const isDefinition = label !== null && label !== "open" && text[label.end] === ":";
    if (!isDefinition) area().replaceTail(text);
    else drawn?.area.replaceTail("");
  }

  function release(text: string): void {
    beginning = null;
    lineStart = text.lastIndexOf("\n") + 1;
    area().replaceTail(text);
  }

  function mayBeHead(): boolean {
    return lineLength <= maxTableHead && (barAt < 0 ? lineLength : barAt) < maxBeforeBar;
  }

  const open: OpenLeaf = {
    kind: "paragraph",
    headCells: () =>
      beginning === null && barAt >= 0 && mayBeHead() ? splitRow(area().tail.slice(lineStart)).length : null,
    hasText() {
      readBeginning(true);
      return beginning === null;
    },
  };

  return {
    open,
    add,
    endLine: () => void (isNewLine = true),
    toHeading(level) {
      if (drawn) sink.set(drawn.node, { kind: "heading", level });
    },
    takeHead() {
      const head = area().tail.slice(lineStart);
      area().replaceTail(area().tail.slice(0, Math.max(0, lineStart - 1)));
      return head;
    },
    close() {
      readBeginning(true);
      if (drawn?.area.isEmpty) sink.remove(drawn.node);
      else drawn?.area.close();
    },
  };
}
