// Blocks without blocks in them, by the beginning of their line: headings, fences, HTML, breaks, and what a line of marks makes of the
// paragraph before it. Pure. `wait`: the line may still become one.
import { restOf, spaceAt, type Cursor } from "./cursor.ts";
import type { Content, OpenLeaf } from "./line-start.ts";
import type { Align } from "./sink.ts";

/** A longer line begins no fenced block: it would be withheld to its end. */
const maxFenceLine = 300;

type Reading = Content | "wait" | null;
type OpenParagraph = Extract<OpenLeaf, { kind: "paragraph" }>;

/** A leaf that begins here, or is made of the paragraph before. */
export function readContent(cursor: Cursor, isWhole: boolean, paragraph: OpenParagraph | null): Reading {
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

function readHeading(rest: string, isWhole: boolean): Reading {
  const level = /^#{1,6}(?=[ \t]|$)/.exec(rest)?.[0].length;
  if (level === undefined) return null;
  return level === rest.length && !isWhole ? "wait" : { kind: "heading", level, text: rest.slice(level) };
}

function readFence(rest: string, isWhole: boolean, indent: number): Reading {
  const fence = /^(?:`+|~+)/.exec(rest)![0];
  const info = rest.slice(fence.length);
  if (fence.length < 3) return info === "" && !isWhole ? "wait" : null;
  if (rest.length > maxFenceLine || (fence.startsWith("`") && info.includes("`"))) return null;
  if (!isWhole) return "wait";
  return { kind: "fenced", fence, indent, language: info };
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

function readHtml(rest: string, isWhole: boolean, text: string): Reading {
  if (!isWhole && /^<(?:\/?[A-Za-z][A-Za-z0-9]{0,10}\/?|\/|!(?:-|\[[A-Z]{0,6})?)?$/.test(rest)) return "wait";
  const block = htmlBlocks.find(([begin]) => begin.test(rest));
  return block ? { kind: "html", end: block[1], text } : null;
}

/** Underlines of headings and of a table's head, and thematic breaks: they consist of marks alone. */
function readLineOfMarks(rest: string, isWhole: boolean, paragraph: OpenParagraph | null): Reading {
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
