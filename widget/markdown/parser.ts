// Markdown that comes in pieces → blocks drawn on a sink. What is drawn of a text depends on the text alone, never on its pieces: each
// line is read once, as soon as its beginning says what it is; from then on its rest goes straight to the block that it belongs to.
// CommonMark with GitHub's tables, tasks, strikethrough and bare links; where it differs is said in this folder's README.
import { createHeading, createVerbatim, type Leaf } from "./leaves.ts";
import { readLineStart, type Content, type LineStart, type Opening } from "./line-start.ts";
import { createParagraph, type Paragraph } from "./paragraph.ts";
import { createReferences } from "./references.ts";
import type { BlockShape, Sink } from "./sink.ts";
import { createTable } from "./table.ts";

/** The beginning of a line that is longer is not read again with each piece, but whenever it has grown by a quarter. */
const eagerLength = 256;

export interface Parser {
  append(text: string): void;
  /** No more comes. */
  end(): void;
}

type NewLeaf = Extract<Content, { kind: "rule" | "heading" | "fenced" | "html" | "indented" | "paragraph" }>;

type Level<N> =
  | { readonly kind: "document"; readonly node: N }
  | { readonly kind: "quote"; readonly node: N }
  | {
      readonly kind: "list";
      readonly node: N;
      readonly marker: string;
      readonly start: number | null;
      isLoose: boolean;
    }
  | { readonly kind: "item"; readonly node: N; readonly indent: number; hasChild: boolean };

export function createParser<N>(sink: Sink<N>, root: N): Parser {
  const references = createReferences();
  const drawer = { sink, references };
  /** The containers that are open, outer ones first. */
  const levels: Level<N>[] = [{ kind: "document", node: root }];
  let leaf: Leaf | null = null;
  /** The leaf if it is a paragraph. */
  let paragraph: Paragraph | null = null;
  /** The beginning of a line, until it says what the line is. */
  let line = "";
  let nextReading = 0;
  /** The line's beginning was read: its rest belongs to the leaf. */
  let isInLeaf = false;
  let isAfterCarriageReturn = false;
  /** The line before was empty, and not part of a block of code or a quote. */
  let isAfterBlank = false;

  function append(text: string): void {
    if (text === "") return;
    // A line's end of two characters may come in two pieces.
    const lines = (isAfterCarriageReturn && text.startsWith("\n") ? text.slice(1) : text)
      .replaceAll("\0", "\ufffd")
      .split(/\r\n|[\r\n]/);
    isAfterCarriageReturn = text.endsWith("\r");
    for (const [index, piece] of lines.entries()) {
      if (index > 0) endLine();
      if (piece !== "") addToLine(piece);
    }
  }

  function addToLine(piece: string): void {
    if (isInLeaf) return leaf!.add(piece);
    line += piece;
    if (line.length <= eagerLength || line.length >= nextReading) readStart(false);
  }

  function endLine(): void {
    if (!isInLeaf) readStart(true);
    if (isInLeaf) leaf!.endLine();
    if (leaf && !leaf.open) closeLeaf();
    isInLeaf = false;
    line = "";
  }

  function readStart(isWhole: boolean): void {
    const start = readLineStart(line, isWhole, levels, leaf?.open ?? null);
    nextReading = line.length * 1.25;
    if (start === "wait") return;
    begin(start);
    line = "";
  }

  function begin({ matched, opened, content }: LineStart): void {
    const wasAfterBlank = isAfterBlank;
    isAfterBlank = false;
    switch (content.kind) {
      case "more":
        // An empty line behind an indented block of code is part of it only if more of it comes.
        isAfterBlank = leaf!.open?.kind === "indented" && content.text.trim() === "";
        isInLeaf = true;
        return leaf!.add(content.text, content.isIndented);
      case "fence-end":
        return closeLeaf();
      case "underline":
        paragraph!.toHeading(content.level);
        return closeLeaf();
      case "table": {
        const head = paragraph!.takeHead();
        closeLeaf();
        leaf = createTable(drawer, levels.at(-1)!.node, content.aligns, head);
        return;
      }
      case "blank":
        closeLeaf();
        levels.length = matched;
        isAfterBlank = opened.length === 0 && levels.at(-1)!.kind !== "quote";
        break;
      default:
        closeLeaf();
        levels.length = matched;
    }
    if (content.kind !== "blank" || opened.length > 0) makeRoom(opened[0], wasAfterBlank);
    for (const opening of opened) open(opening);
    if (content.kind !== "blank") addLeaf(content);
  }

  function closeLeaf(): void {
    leaf?.close();
    leaf = null;
    paragraph = null;
  }

  /** Something new comes: an item into its list, or whatever else, which ends a list. */
  function makeRoom(opening: Opening | undefined, wasAfterBlank: boolean): void {
    const last = levels.at(-1)!;
    const marker = opening?.kind === "item" ? opening.marker : null;
    if (last.kind === "list" && last.marker !== marker) levels.pop();
    const parent = levels.at(-1)!;
    if (!wasAfterBlank) return;
    if (parent.kind === "list") loosen(parent);
    else if (parent.kind === "item" && parent.hasChild) loosen(levels.at(-2)!);
  }

  /** An empty line between its parts makes a list a loose one. */
  function loosen(list: Level<N>): void {
    if (list.kind !== "list" || list.isLoose) return;
    list.isLoose = true;
    sink.set(list.node, { kind: "list", start: list.start, isLoose: true });
  }

  function open(opening: Opening): void {
    if (opening.kind === "quote") {
      levels.push({ kind: "quote", node: addBlock({ kind: "quote" }) });
      return;
    }
    const { marker, start, indent } = opening;
    if (levels.at(-1)!.kind !== "list") {
      const node = addBlock({ kind: "list", start, isLoose: false });
      levels.push({ kind: "list", node, marker, start, isLoose: false });
    }
    levels.push({ kind: "item", node: addBlock({ kind: "item", isDone: null }), indent, hasChild: false });
  }

  function addBlock(shape: BlockShape): N {
    return sink.add(shape, parentOfNext().node, null);
  }

  function parentOfNext(): Level<N> {
    const parent = levels.at(-1)!;
    if (parent.kind === "item") parent.hasChild = true;
    return parent;
  }

  function addLeaf(content: NewLeaf): void {
    const last = levels.at(-1)!;
    const isFirstInItem = last.kind === "item" && !last.hasChild;
    const { node } = parentOfNext();
    if (content.kind === "rule") {
      sink.add(content, node, null);
      return;
    }
    if (content.kind === "paragraph") {
      const onTask = (isDone: boolean) => sink.set(node, { kind: "item", isDone });
      leaf = paragraph = createParagraph(drawer, node, isFirstInItem ? onTask : null);
    } else if (content.kind === "heading") leaf = createHeading(drawer, node, content.level);
    else leaf = createVerbatim(drawer, node, content);
    if (content.kind === "fenced") return;
    leaf.add(content.text);
    isInLeaf = true;
  }

  return {
    append,
    end() {
      if (line !== "" || isInLeaf) endLine();
      closeLeaf();
      references.end();
    },
  };
}
