// What a line begins: which open containers it goes on in, which it opens, and what its content is. Pure. Of a line that still grows it
// says `wait` until no later character can change the answer; that is a few characters, so the rest of the line is drawn as it comes.
// https://spec.commonmark.org/0.31.2/#container-blocks
import type { Align } from "./sink.ts";

/** Quotes and lists in more of them are text. */
const maxNesting = 48;
/** A longer line begins no fenced block: it would be withheld to its end. */
const maxFenceLine = 300;

export type Container =
  | { readonly kind: "document" }
  | { readonly kind: "quote" }
  | { readonly kind: "list"; readonly marker: string }
  /** `indent`: columns that its further lines begin with. */
  | { readonly kind: "item"; readonly indent: number; readonly hasChild: boolean };

/** The block of text that is open, as far as the next line depends on it. */
export type OpenLeaf =
  | {
      readonly kind: "paragraph";
      /** Cells of its last line if that may be the head of a table; else null. */
      readonly headCells: () => number | null;
      /** There is more than definitions, so an underline makes a heading of it. */
      readonly hasText: () => boolean;
    }
  | { readonly kind: "fenced"; readonly fence: string; readonly indent: number }
  | { readonly kind: "html"; readonly isEndedByBlank: boolean }
  | { readonly kind: "indented" | "table" };

export type Opening =
  | { readonly kind: "quote" }
  | { readonly kind: "item"; readonly marker: string; readonly start: number | null; readonly indent: number };

export type Content =
  /** Text of the open leaf; a lazy line of a paragraph too. */
  | { readonly kind: "more"; readonly text: string; readonly isIndented?: true }
  | { readonly kind: "paragraph"; readonly text: string }
  | { readonly kind: "indented"; readonly text: string }
  | { readonly kind: "blank" }
  | { readonly kind: "rule" }
  | { readonly kind: "fence-end" }
  | { readonly kind: "heading"; readonly level: number; readonly text: string }
  | { readonly kind: "underline"; readonly level: number }
  | { readonly kind: "fenced"; readonly fence: string; readonly indent: number; readonly language: string }
  /** `end`: what ends the block on its line; null: an empty line does. */
  | { readonly kind: "html"; readonly end: RegExp | null; readonly text: string }
  | { readonly kind: "table"; readonly aligns: readonly Align[] };

export interface LineStart {
  /** So many containers go on. */
  readonly matched: number;
  readonly opened: readonly Opening[];
  readonly content: Content;
}

interface Cursor {
  readonly text: string;
  at: number;
  /** Of the character at `at`. */
  column: number;
  /** Columns before it that belong to a tab of which only a part was taken. */
  pad: number;
}

/** `isWhole`: the line has ended. */
export function readLineStart(
  text: string,
  isWhole: boolean,
  containers: readonly Container[],
  leaf: OpenLeaf | null,
): LineStart | "wait" {
  const cursor: Cursor = { text, at: 0, column: 0, pad: 0 };
  const matched = matchContainers(cursor, isWhole, containers);
  if (matched === "wait") return matched;
  const openLeaf = matched === containers.length ? leaf : null;
  const more = openLeaf && goOn(cursor, isWhole, openLeaf);
  if (more === "wait") return more;
  if (more) return { matched, opened: [], content: more };

  const opened: Opening[] = [];
  for (;;) {
    const isFirst = opened.length === 0;
    const { indent, at } = spaceAt(cursor);
    if (at === text.length) return isWhole ? { matched, opened, content: { kind: "blank" } } : "wait";
    const isLazy = isFirst && leaf?.kind === "paragraph";
    if (indent >= 4) {
      if (isLazy) {
        const content = { kind: "more", text: text.slice(at), isIndented: true } as const;
        return { matched: containers.length, opened, content };
      }
      skip(cursor, 4);
      return { matched, opened, content: { kind: "indented", text: restOf(cursor) } };
    }
    const paragraph = isFirst && openLeaf?.kind === "paragraph" ? openLeaf : null;
    const content = readContent(cursor, isWhole, paragraph);
    if (content === "wait") return content;
    if (content) return { matched, opened, content };
    const canNest = containers.length + 2 * opened.length < maxNesting;
    const opening = canNest ? readOpening(cursor, isWhole, paragraph !== null) : null;
    if (opening === "wait") return opening;
    if (opening) opened.push(opening);
    else if (isLazy) return { matched: containers.length, opened, content: { kind: "more", text: text.slice(at) } };
    else {
      const kind = isFirst && openLeaf?.kind === "table" ? "more" : "paragraph";
      return { matched, opened, content: { kind, text: text.slice(at) } };
    }
  }
}

function matchContainers(cursor: Cursor, isWhole: boolean, containers: readonly Container[]): number | "wait" {
  let matched = 1;
  for (; matched < containers.length; matched++) {
    const container = containers[matched]!;
    if (container.kind === "document" || container.kind === "list") continue;
    const { indent, at } = spaceAt(cursor);
    const isEnd = at === cursor.text.length;
    if (isEnd && !isWhole) return "wait";
    if (container.kind === "quote") {
      if (indent >= 4 || cursor.text[at] !== ">") break;
      if (!isWhole && at + 1 === cursor.text.length) return "wait";
      takeQuoteMark(cursor, at);
    } else if (isEnd ? container.hasChild : indent >= container.indent)
      skip(cursor, Math.min(indent, container.indent));
    else break;
  }
  return matched;
}

/** The line's content where an open leaf takes it whatever it is. */
function goOn(cursor: Cursor, isWhole: boolean, leaf: OpenLeaf): Content | "wait" | null {
  const { indent, at } = spaceAt(cursor);
  const isEnd = at === cursor.text.length;
  if (isEnd && !isWhole) return "wait";
  switch (leaf.kind) {
    case "fenced": {
      const rest = cursor.text.slice(at);
      if (indent < 4 && rest[0] === leaf.fence[0] && /^(?:`+|~+)[ \t]*$/.test(rest)) {
        if (!isWhole) return "wait";
        if (rest.trimEnd().length >= leaf.fence.length) return { kind: "fence-end" };
      }
      skip(cursor, Math.min(indent, leaf.indent));
      return { kind: "more", text: restOf(cursor) };
    }
    case "indented":
      if (!isEnd && indent < 4) return null;
      skip(cursor, Math.min(indent, 4));
      return { kind: "more", text: restOf(cursor) };
    case "html":
      return isEnd && leaf.isEndedByBlank ? null : { kind: "more", text: restOf(cursor) };
    case "paragraph":
    case "table":
      return null;
  }
}

const htmlBlocks: readonly [begin: RegExp, end: RegExp | null][] = [
  [/^<(?:script|pre|textarea|style)(?:\s|>|$)/i, /<\/(?:script|pre|textarea|style)>/i],
  [/^<!--/, /-->/],
  [/^<\?/, /\?>/],
  [/^<![A-Za-z]/, />/],
  [/^<!\[CDATA\[/, /\]\]>/],
  [
    /^<\/?(?:address|article|aside|base|basefont|blockquote|body|caption|center|col|colgroup|dd|details|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header|hr|html|iframe|legend|li|link|main|menu|menuitem|nav|noframes|ol|optgroup|option|p|param|search|section|summary|table|tbody|td|tfoot|th|thead|title|tr|track|ul)(?:\s|\/?>|$)/i,
    null,
  ],
];

/** A leaf that begins here, or is made of the paragraph before. */
function readContent(
  cursor: Cursor,
  isWhole: boolean,
  paragraph: (OpenLeaf & { kind: "paragraph" }) | null,
): Content | "wait" | null {
  const { indent, at } = spaceAt(cursor);
  const rest = cursor.text.slice(at);
  switch (rest[0]) {
    case "#":
      return readHeading(rest, isWhole);
    case "`":
    case "~":
      return readFence(rest, isWhole, indent);
    case "<":
      return readHtml(rest, isWhole, restOf(cursor));
    case "=":
    case "-":
    case "*":
    case "_":
    case "|":
    case ":":
      return readLineOfMarks(rest, isWhole, paragraph);
    default:
      return null;
  }
}

function readHeading(rest: string, isWhole: boolean): Content | "wait" | null {
  const level = /^#{1,6}(?=[ \t]|$)/.exec(rest)?.[0].length;
  if (level === undefined) return null;
  return level === rest.length && !isWhole ? "wait" : { kind: "heading", level, text: rest.slice(level) };
}

function readFence(rest: string, isWhole: boolean, indent: number): Content | "wait" | null {
  const fence = /^(?:`+|~+)/.exec(rest)![0];
  const info = rest.slice(fence.length);
  if (fence.length < 3) return info === "" && !isWhole ? "wait" : null;
  if (rest.length > maxFenceLine || (fence.startsWith("`") && info.includes("`"))) return null;
  if (!isWhole) return "wait";
  return { kind: "fenced", fence, indent, language: info };
}

function readHtml(rest: string, isWhole: boolean, text: string): Content | "wait" | null {
  if (!isWhole && /^<(?:\/?[A-Za-z][A-Za-z0-9]{0,10}\/?|\/|!(?:-|\[[A-Z]{0,6})?)?$/.test(rest)) return "wait";
  const block = htmlBlocks.find(([begin]) => begin.test(rest));
  return block ? { kind: "html", end: block[1], text } : null;
}

/** Underlines of headings and of a table's head, and thematic breaks: they consist of marks alone. */
function readLineOfMarks(
  rest: string,
  isWhole: boolean,
  paragraph: (OpenLeaf & { kind: "paragraph" }) | null,
): Content | "wait" | null {
  if (!isWhole) {
    const mayEnd = /^(?:([-*_])(?:[ \t]*\1)*|=+)[ \t]*$/.test(rest) || (paragraph && /^[-:| \t]+$/.test(rest));
    return mayEnd ? "wait" : null;
  }
  if (paragraph) {
    if (/^(?:=+|-+)[ \t]*$/.test(rest) && paragraph.hasText())
      return { kind: "underline", level: rest[0] === "=" ? 1 : 2 };
    const aligns = readAligns(rest);
    if (aligns && aligns.length === paragraph.headCells() && !/^-[ \t]/.test(rest)) return { kind: "table", aligns };
  }
  return /^(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/.test(rest) ? { kind: "rule" } : null;
}

function readAligns(rest: string): Align[] | null {
  if (!/^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/.test(rest) || !/[|:]/.test(rest)) return null;
  return Array.from(rest.matchAll(/(:?)-+(:?)/g), ([, left, right]) => {
    if (left && right) return "center";
    return left ? "left" : right ? "right" : null;
  });
}

/** A quote or a list's item that begins here; the cursor goes behind its mark. */
function readOpening(cursor: Cursor, isWhole: boolean, isInParagraph: boolean): Opening | "wait" | null {
  const { indent, at } = spaceAt(cursor);
  const rest = cursor.text.slice(at);
  if (rest[0] === ">") {
    if (rest.length === 1 && !isWhole) return "wait";
    takeQuoteMark(cursor, at);
    return { kind: "quote" };
  }
  if (!isWhole && /^\d{1,9}[.)]?$/.test(rest)) return "wait";
  const found = /^(?:[-+*]|(\d{1,9})[.)])(?=[ \t]|$)/.exec(rest);
  if (!found) return null;
  const [{ length }, number] = found;
  const isEmpty = rest.slice(length).trim() === "";
  if (isEmpty && !isWhole) return "wait";
  if (isInParagraph && (isEmpty || (number !== undefined && Number(number) !== 1))) return null;
  skip(cursor, indent);
  cursor.at += length;
  cursor.column += length;
  const gap = spaceAt(cursor).indent;
  const padding = isEmpty || gap > 4 ? 1 : gap;
  skip(cursor, padding);
  const start = number === undefined ? null : Number(number);
  return { kind: "item", marker: rest[length - 1]!, start, indent: indent + length + padding };
}

function takeQuoteMark(cursor: Cursor, at: number): void {
  skip(cursor, spaceAt(cursor).indent);
  cursor.at = at + 1;
  cursor.column++;
  skip(cursor, 1);
}

/** Columns of white space at the cursor, and the place behind it. */
function spaceAt({ text, at, column, pad }: Cursor): { indent: number; at: number } {
  let end = at;
  let endColumn = column;
  for (; text[end] === " " || text[end] === "\t"; end++) endColumn += text[end] === "\t" ? 4 - (endColumn % 4) : 1;
  return { indent: pad + endColumn - column, at: end };
}

/** Takes at most so many columns of white space. */
function skip(cursor: Cursor, columns: number): void {
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

function restOf({ text, at, pad }: Cursor): string {
  return " ".repeat(pad) + text.slice(at);
}
