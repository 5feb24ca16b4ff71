// A table while it grows: rows of cells, each cell a text of its own.
import type { Drawer, Leaf } from "./leaves.ts";
import type { Align } from "./sink.ts";
import { createTextArea, type TextArea } from "./text-area.ts";

export function createTable<N>(drawer: Drawer<N>, parent: N, aligns: readonly Align[], head: string): Leaf {
  const { sink } = drawer;
  const table = sink.add({ kind: "table" }, parent, null);
  let isHeader = true;
  let row: N | null = null;
  /** Of the cell that is open or, between two cells, of the last one. */
  let column = -1;
  let isInCell = false;
  /** Null where the row has more cells than the head: those are not shown. */
  let area: TextArea | null = null;
  /** Whether a bar or text has come in this row. */
  let hasBegun = false;
  let isEscaped = false;

  function openCell(): N | null {
    isInCell = true;
    column++;
    if (column >= aligns.length) return null;
    row ??= sink.add({ kind: "row", isHeader }, table, null);
    return sink.add({ kind: "cell", isHeader, align: aligns[column]! }, row, null);
  }

  function closeCell(): void {
    area?.close();
    area = null;
    isInCell = false;
  }

  function addText(text: string): void {
    hasBegun = true;
    if (!isInCell) {
      const cell = openCell();
      area = cell === null ? null : createTextArea(drawer, cell);
    }
    area?.add(text);
  }

  function bar(): void {
    if (!isInCell && hasBegun) openCell();
    if (isInCell) closeCell();
    hasBegun = true;
  }

  function add(piece: string): void {
    for (const [part] of piece.matchAll(/[\\|]|[^\\|]+/g)) {
      if (isEscaped) {
        isEscaped = false;
        // A bar may be escaped even in code, and loses its backslash there too.
        if (part === "|") addText(part);
        else addText(`\\${part}`);
      } else if (part === "\\") isEscaped = true;
      else if (part === "|") bar();
      else {
        const text = isInCell ? part : part.trimStart();
        if (text !== "") addText(text);
      }
    }
  }

  function endLine(): void {
    if (isEscaped) addText("\\");
    isEscaped = false;
    if (isInCell) closeCell();
    while (column < aligns.length - 1) openCell();
    isInCell = false;
    row = null;
    column = -1;
    hasBegun = false;
    isHeader = false;
  }

  add(head);
  endLine();
  return { open: { kind: "table" }, add, endLine, close: () => undefined };
}

/** The cells of a whole row, as they were written. */
export function splitRow(row: string): string[] {
  const cells = [""];
  for (const [part] of row.trim().matchAll(/\\[^]|[|]|[^\\|]+|\\$/g)) {
    if (part === "|") cells.push("");
    else cells[cells.length - 1] += part;
  }
  if (cells.length > 1 && cells[0] === "") cells.shift();
  if (cells.length > 1 && cells.at(-1)!.trim() === "") cells.pop();
  return cells;
}
