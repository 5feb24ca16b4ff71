// How links are written: address, title, label, definition. Pure readers at a place of a text that may still grow: `open` means that
// the text ends within, so what follows decides. https://spec.commonmark.org/0.31.2/#links
import { unescaped } from "./entities.ts";

/** A longer label is none: CommonMark's own limit. */
export const maxLabelLength = 999;
/** A longer definition is none. */
export const maxDefinitionLength = 2000;
/** Deeper parentheses end an address: CommonMark's own limit is "at least three", that of the reference implementation this. */
const maxParentheses = 32;

export interface Target {
  readonly href: string;
  readonly title: string | null;
}

export interface Found<T> {
  readonly value: T;
  /** The place behind it. */
  readonly end: number;
}

type Reading<T> = Found<T> | "open" | null;

/** `(address "title")` with its parentheses. */
export function readTarget(text: string, at: number): Reading<Target> {
  const begin = afterSpace(text, at + 1);
  if (text[begin] === ")") return { value: { href: "", title: null }, end: begin + 1 };
  const address = readAddress(text, begin);
  if (address === null || address === "open") return address;
  const gap = afterSpace(text, address.end);
  const title = gap > address.end ? readTitle(text, gap) : null;
  if (title === "open") return "open";
  const end = title ? afterSpace(text, title.end) : gap;
  if (end >= text.length) return "open";
  if (text[end] !== ")") return null;
  return { value: { href: unescaped(address.value), title: title && unescaped(title.value) }, end: end + 1 };
}

/** `[label]` with its brackets. */
export function readLabel(text: string, at: number): Reading<string> {
  const label = /\[((?:[^\\[\]]|\\[^]){0,1000})(\]?)/y;
  label.lastIndex = at;
  const found = label.exec(text);
  if (!found || found[1]!.length > maxLabelLength) return null;
  if (found[2] === "]") return { value: found[1]!, end: label.lastIndex };
  const rest = text.slice(label.lastIndex, label.lastIndex + 2);
  return rest === "" || rest === "\\" ? "open" : null;
}

export interface Definition extends Target {
  readonly label: string;
}

/** A definition at the beginning of a paragraph's text, with its line's end. `isWhole`: no more of the paragraph comes. */
export function readDefinition(paragraph: string, isWhole: boolean): Reading<Definition> {
  const isCut = paragraph.length > maxDefinitionLength;
  const isEnded = isWhole && !isCut;
  const found = definitionIn(
    isCut ? paragraph.slice(0, maxDefinitionLength) : isEnded ? `${paragraph}\n` : paragraph,
    isEnded,
  );
  return found === "open" && (isWhole || isCut) ? null : found;
}

/** The same for every spelling of a label. */
export function labelKey(label: string): string {
  return label
    .trim()
    .replaceAll(/[ \t\r\n]+/g, " ")
    .toLowerCase()
    .toUpperCase();
}

function definitionIn(text: string, isWhole: boolean): Reading<Definition> {
  const label = readLabel(text, 0);
  if (label === null || label === "open") return label;
  if (label.end === text.length) return "open";
  // `[^1]:` is a footnote, whose text must not be taken for an address.
  if (text[label.end] !== ":" || /^\s*$|^\^/.test(label.value)) return null;
  const address = readAddress(text, afterSpace(text, label.end + 1));
  if (address === null || address === "open") return address;
  const definition = (title: string | null, end: number) => ({
    value: { label: label.value, href: unescaped(address.value), title: title && unescaped(title) },
    end,
  });
  const lineEnd = afterLine(text, address.end);
  if (lineEnd === "open") return "open";
  const titleAt = afterSpace(text, address.end);
  // A title may stand on the next line; what is none there belongs to the text behind the definition.
  if (titleAt === text.length && !isWhole) return "open";
  const title = titleAt > address.end ? readTitle(text, titleAt) : null;
  if (title === "open" && !isWhole) return "open";
  if (title !== null && title !== "open") {
    const end = afterLine(text, title.end);
    if (end === "open") return "open";
    if (end !== null) return definition(title.value, end);
  }
  return lineEnd === null ? null : definition(null, lineEnd);
}

/** `<address>` or a word; not empty, except within `<>`. */
function readAddress(text: string, at: number): Reading<string> {
  if (at >= text.length) return "open";
  if (text[at] === "<") {
    const pointed = /<((?:[^<>\n\\]|\\[^\n])*)(>?)/y;
    pointed.lastIndex = at;
    const found = pointed.exec(text)!;
    if (found[2] === ">") return { value: found[1]!, end: pointed.lastIndex };
    const rest = text.slice(pointed.lastIndex, pointed.lastIndex + 2);
    return rest === "" || rest === "\\" ? "open" : null;
  }
  let depth = 0;
  for (let end = at; ; end++) {
    const character = text[end];
    if (character === undefined) return "open";
    if (character === "\\" && isEscapable(text[end + 1])) end++;
    else if (character === "(" && ++depth > maxParentheses) return null;
    else if (character <= " " || character === "\u007f" || (character === ")" && --depth < 0))
      return end > at && depth <= 0 ? { value: text.slice(at, end), end } : null;
  }
}

const titlePatterns: Readonly<Record<string, RegExp>> = {
  '"': /"((?:[^"\\]|\\[^])*)("|\\?$)/y,
  "'": /'((?:[^'\\]|\\[^])*)('|\\?$)/y,
  "(": /\(((?:[^()\\]|\\[^])*)(\)|\\?$)/y,
};

function readTitle(text: string, at: number): Reading<string> {
  if (at >= text.length) return "open";
  const pattern = titlePatterns[text[at]!];
  if (!pattern) return null;
  pattern.lastIndex = at;
  const found = pattern.exec(text);
  if (!found) return null;
  return found[2] === "" || found[2] === "\\" ? "open" : { value: found[1]!, end: pattern.lastIndex };
}

export function isEscapable(character: string | undefined): boolean {
  return character !== undefined && /[!-/:-@[-`{-~]/.test(character);
}

function afterSpace(text: string, at: number): number {
  let end = at;
  while (text[end] === " " || text[end] === "\t" || text[end] === "\n") end++;
  return end;
}

/** Behind the line's end, where only spaces come before it. */
function afterLine(text: string, at: number): number | "open" | null {
  let end = at;
  while (text[end] === " " || text[end] === "\t") end++;
  if (end === text.length) return "open";
  return text[end] === "\n" ? end + 1 : null;
}
