// Texts of people, models and tools inside a Markdown document of ours [A6]: none can bring HTML, load an image, pass for one of the
// document's own headings, or end a fence or a folded part. Everything else of their Markdown stays. Pure.
// Where a fence or a code span begins and ends: https://spec.commonmark.org/0.31.2/
import { safeWords, withVisibleControls } from "./markdown-words.ts";

/**
 * Prose as it is, but outside of code with what `safeWords` makes text, headings two levels down, and every fenced block at the line's
 * beginning: an indented fence opens or closes by what is around it, one of ours never. What is not code beyond doubt is taken for text:
 * an escape too many is a blemish, one too few a hole.
 */
export function safeMarkdown(text: string): string {
  const lines: string[] = [];
  let prose: string[] = [];
  let block: FencedBlock | undefined;
  const endProse = () => {
    lines.push(...safeProse(prose));
    prose = [];
  };
  const endBlock = ({ content, language }: FencedBlock) => {
    lines.push(fenced(content.map((line) => `${line}\n`).join(""), language));
    block = undefined;
  };
  for (const said of withVisibleControls(text).split("\n")) {
    if (block) {
      if (closes(said, block)) endBlock(block);
      else block.content.push(dedented(said, block.indent));
      continue;
    }
    // Editors and some renderers end a line at these.
    const line = said.replaceAll(/[\u2028\u2029]/g, " ");
    const opened = openedBlock(line);
    if (opened) {
      // The marker of a list item that begins with the block.
      if (opened.before !== "") prose.push(opened.before);
      endProse();
      ({ block } = opened);
    } else if (/^[ \t]*$/.test(line)) {
      endProse();
      lines.push("");
    } else prose.push(line);
  }
  endProse();
  if (block) endBlock(block);
  return lines.join("\n");
}

/** A fenced block that nothing in its content can end. */
export function fenced(content: string, language = ""): string {
  const text = withVisibleControls(content);
  let fence = "```";
  for (const [run] of text.matchAll(/`{3,}/g)) if (run.length >= fence.length) fence = `${run}\``;
  return `${fence}${language}\n${text}${text.endsWith("\n") ? "" : "\n"}${fence}`;
}

interface FencedBlock {
  readonly fence: string;
  readonly language: string;
  /** How far the fence was indented, list markers included. */
  readonly indent: number;
  readonly content: string[];
}

function openedBlock(line: string): { block: FencedBlock; before: string } | undefined {
  const match = /^([ \t]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)(`{3,}|~{3,})([^\n]*)$/.exec(line);
  if (!match) return undefined;
  const [, before = "", fence = "", info = ""] = match;
  if (fence.startsWith("`") && info.includes("`")) return undefined;
  // Renderers make more of the rest: attributes, raw HTML.
  const [language = ""] = /^[\w+#.-]{1,40}/.exec(info.trim()) ?? [];
  return { block: { fence, language, indent: before.length, content: [] }, before: before.trim() };
}

function closes(line: string, { fence, indent }: FencedBlock): boolean {
  const [, before = "", marks] = /^([ \t]*)(`+|~+)[ \t]*$/.exec(line) ?? [];
  return marks !== undefined && marks[0] === fence[0] && marks.length >= fence.length && before.length <= indent + 3;
}

function dedented(line: string, indent: number): string {
  const own = /^[ \t]*/.exec(line)![0].length;
  return line.slice(Math.min(own, indent));
}

/** A line with more backtick runs is not looked into: that would take the square of their number. */
const maxRunsPerLine = 200;

/** Lines without an empty one between them: no code span reaches beyond. */
function safeProse(said: readonly string[]): string[] {
  const lines = said.map(withPlainQuotedFence);
  const spans = lines.map(codeSpans);
  // One backtick run without its like on the same line may pair with one on another: then nothing counts as code.
  const isSure = spans.every((found) => found !== undefined);
  return lines.flatMap((line, at) => {
    // In a table's row a code span ends with its cell.
    const code = isSure && !line.includes("|") ? spans[at]! : [];
    const safe = escapeAround(line, code).replace(
      /^( {0,3})(#{1,6})(?=\s|$)/,
      (_, indent: string, marks: string) => `${indent}${"#".repeat(Math.min(6, marks.length + 2))}`,
    );
    // Under a line of text these would make a heading of it.
    const isUnderline = at > 0 && /^ {0,3}(?:=+|-+)\s*$/.test(line);
    return isUnderline ? ["", safe] : [safe];
  });
}

/** In a quotation or a footnote a fence stays where it is; one whose opening line says more than a language is made text. */
function withPlainQuotedFence(line: string): string {
  const [, before, fence, info] =
    /^([ \t]*(?:(?:>|[-*+]|\d{1,9}[.)]|\[\^[^\]\n]{1,1000}\]:)[ \t]*)+)(`{3,}|~{3,})([^\n]*)$/.exec(line) ?? [];
  if (fence === undefined || /^[\w+#., \t-]*$/.test(info!) || (fence.startsWith("`") && info!.includes("`")))
    return line;
  return before! + (fence.startsWith("`") ? "&#96;" : "&#126;").repeat(fence.length) + info!;
}

/** The code spans that begin and end on this line; undefined where that cannot be said of every backtick on it. */
function codeSpans(line: string): [from: number, to: number][] | undefined {
  if (line.includes("\\`")) return undefined;
  const runs = [...line.matchAll(/`+/g)];
  if (runs.length > maxRunsPerLine) return undefined;
  const spans: [number, number][] = [];
  for (let at = 0; at < runs.length; at++) {
    const { length } = runs[at]![0];
    const end = runs.findIndex((run, index) => index > at && run[0].length === length);
    if (end < 0 || isInAddress(line.slice(0, runs[at]!.index))) return undefined;
    spans.push([runs[at]!.index, runs[end]!.index + length]);
    at = end;
  }
  return spans;
}

/** Some renderers make a link of a bare address first: then backticks right behind it are a part of that. */
function isInAddress(before: string): boolean {
  const word = before.slice(Math.max(before.lastIndexOf(" "), before.lastIndexOf("\t")) + 1);
  return /[a-z]:|www\.|@/i.test(word);
}

function escapeAround(line: string, code: readonly [number, number][]): string {
  let safe = "";
  let from = 0;
  for (const [begin, end] of code) {
    safe += safeWords(line.slice(from, begin), from === 0) + line.slice(begin, end);
    from = end;
  }
  return safe + safeWords(line.slice(from), from === 0);
}
