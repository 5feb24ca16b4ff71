// The text inside a block → its inline elements. Exact where the text is whole; of a text that still grows it also says how much is
// settled whatever comes, and draws what has not closed as if it closed at the end. Pure.
// https://spec.commonmark.org/0.31.2/#inlines with GitHub's strikethrough and bare links. HTML is text. One pass over the text, which makes the file long.
import { bareLinksIn } from "./bare-links.ts";
import { codeSpansIn, codeText, runLength } from "./code-spans.ts";
import { createEmphasis, readRun, type Run } from "./emphasis.ts";
import { entityAt, entityText } from "./entities.ts";
import { plainText, treeOf, type Bracket, type Inline, type Token } from "./inline-tree.ts";
import {
  isEscapable,
  labelKey,
  maxLabelLength,
  readLabel,
  readTarget,
  type Found,
  type Target,
} from "./link-syntax.ts";
import { pointedIn } from "./pointed.ts";
import type { InlineShape } from "./sink.ts";

/** What opened longer ago and has not closed is drawn as it stands: by then it is rather a mistake than to be continued. */
const maxProvisionalLength = 400;
/** Of more open brackets the outer ones are text. */
const maxOpenBrackets = 32;

export interface InlineOptions {
  /** By `labelKey`. */
  readonly definition: (key: string) => Target | undefined;
  /** More of the text may come. */
  readonly isOpen: boolean;
  /** Nothing behind this place is called settled. */
  readonly maxSettled?: number;
}

export interface InlineResult {
  /** What stays whatever comes: the elements of the first `settledLength` units. */
  readonly settled: readonly Inline[];
  readonly settledLength: number;
  readonly rest: readonly Inline[];
  /** Labels without a definition that would be links with one. */
  readonly missing: readonly string[];
}

const special = /[\\`*_~[\]!<&\n]/g;

/** Longer than others, because everything in it works on the one place and the one list of what was read. */
export function parseInline(
  text: string,
  { definition, isOpen, maxSettled = Number.POSITIVE_INFINITY }: InlineOptions,
): InlineResult {
  const tokens: Token[] = [];
  const brackets: Bracket[] = [];
  const emphasis = createEmphasis();
  const bareLinkFrom = bareLinksIn(text);
  const codeSpans = codeSpansIn(text);
  const pointedAt = pointedIn(text);
  const missing = new Set<string>();
  /** Something that stands before may still turn out to be the beginning of code, an address or HTML. */
  let isUnsure = false;
  let settledLength = 0;
  let settledTokens = 0;
  let at = 0;

  while (at < text.length) {
    special.lastIndex = at;
    const mark = special.exec(text)?.index ?? text.length;
    const link = brackets.length === 0 ? bareLinkFrom(at) : null;
    const stop = link && link.from < mark ? link.from : mark;
    if (stop > at) addPlain(at, stop);
    at = stop;
    if (link?.from === at) {
      at = link.to;
      addLink(isOpen && link.isOpen ? null : link.href, text.slice(link.from, link.to));
    } else if (at < text.length) at = readMark(text[at]!);
  }
  emphasis.pair();
  if (isOpen) drawOpenOnes();
  return {
    settled: treeOf(tokens.slice(0, settledTokens)),
    settledLength,
    rest: treeOf(tokens.slice(settledTokens)),
    missing: [...missing],
  };

  function addText(content: string): void {
    tokens.push({ kind: "text", text: content });
  }

  function addElement(shape: InlineShape, children: Inline[] = []): void {
    tokens.push({ kind: "element", shape, children });
  }

  function addLink(href: string | null, content: string): void {
    addElement({ kind: "link", href, title: null }, [{ kind: "text", text: content }]);
  }

  /** Text without marks. Before a space in it everything is decided, unless something is still open. */
  function addPlain(from: number, to: number): void {
    const plain = text.slice(from, to);
    let space = plain.slice(0, Math.max(0, maxSettled + 1 - from)).lastIndexOf(" ");
    while (plain[space - 1] === " ") space--;
    if (space >= 0 && isQuiet()) {
      if (space > 0) addText(plain.slice(0, space));
      settle(from + space);
      addText(plain.slice(space));
    } else addText(plain);
  }

  /** Nothing that was read waits for what comes. */
  function isQuiet(): boolean {
    if (!isOpen || isUnsure || brackets.length > 0) return false;
    emphasis.pair();
    return emphasis.open.length === 0;
  }

  function settle(place: number): void {
    settledLength = place;
    settledTokens = tokens.length;
  }

  /** Reads what begins with this character; returns the place behind it. */
  function readMark(character: string): number {
    switch (character) {
      case "\\":
        return readEscape();
      case "`":
        return readCode();
      case "[":
        return openBracket(at + 1, false);
      case "!":
        return text[at + 1] === "[" ? openBracket(at + 2, true) : literal(1);
      case "]":
        return closeBracket();
      case "<":
        return readPointed();
      case "&":
        return readEntity();
      case "\n":
        return readLineEnd();
      default:
        return readRunOfMarks();
    }
  }

  function literal(length: number): number {
    addText(text.slice(at, at + length));
    return at + length;
  }

  function readEscape(): number {
    const next = text[at + 1];
    if (next === "\n") {
      addElement({ kind: "break" });
      return behindSpace(at + 2);
    }
    // At the end what follows decides.
    if (next === undefined && isOpen) return at + 1;
    if (!isEscapable(next)) return literal(1);
    addText(next!);
    return at + 2;
  }

  function readEntity(): number {
    entityAt.lastIndex = at;
    const found = entityAt.exec(text);
    const content = found && entityText(found);
    if (content) {
      addText(content);
      return at + found[0].length;
    }
    if (/^&[#\w]{0,32}$/.test(text.slice(at, at + 34))) isUnsure = true;
    return literal(1);
  }

  /** Spaces around a line's end are none of the text; two before it break the line. */
  function readLineEnd(): number {
    let end = at;
    while (isSpace(text[end - 1])) end--;
    const last = tokens.at(-1);
    if (end < at && last?.kind === "text") last.text = last.text.slice(0, end - at);
    else if (at <= maxSettled && isQuiet()) settle(at);
    if (at - end > 1 && !text.slice(end, at).includes("\t")) addElement({ kind: "break" });
    else addText("\n");
    return behindSpace(at + 1);
  }

  function behindSpace(place: number): number {
    let end = place;
    while (isSpace(text[end])) end++;
    return end;
  }

  function readCode(): number {
    const span = codeSpans.readAt(at);
    if (span) return addCode(span.content, span.end);
    const length = runLength(text, at);
    isUnsure = true;
    if (!isOpen || text.length - at > maxProvisionalLength) return literal(length);
    return addCode(codeText(text.slice(at + length).replace(/`+$/, "")), text.length);
  }

  function addCode(content: string, end: number): number {
    if (content !== "") addElement({ kind: "code-span" }, [{ kind: "text", text: content }]);
    return end;
  }

  function readRunOfMarks(): number {
    const run = readRun(text, at);
    const end = at + run.length;
    // At the end what follows decides whether it opens or closes.
    if (isOpen && end === text.length) return end;
    if (run.character === "~" && run.length > 2) return literal(run.length);
    tokens.push(run);
    if (run.canOpen || run.canClose) emphasis.add(run);
    return end;
  }

  function readPointed(): number {
    const found = pointedAt(at);
    if (!found) {
      if (/[A-Za-z/!?]/.test(text[at + 1] ?? "a")) isUnsure = true;
      return literal(1);
    }
    if (found.link) addLink(found.link.href, found.link.text);
    else literal(found.end - at);
    return found.end;
  }

  function openBracket(behind: number, isImage: boolean): number {
    const outer = brackets.at(-1);
    if (outer) outer.hasInner = true;
    const bracket: Bracket = {
      kind: "bracket",
      isImage,
      at: behind,
      index: tokens.length,
      bottom: emphasis.last,
      isDead: false,
      hasInner: false,
      isProvisional: false,
    };
    tokens.push(bracket);
    brackets.push(bracket);
    if (brackets.length > maxOpenBrackets) brackets.shift();
    return behind;
  }

  function closeBracket(): number {
    const bracket = brackets.pop();
    const found = bracket && !bracket.isDead ? readLinkEnd(bracket) : null;
    if (!bracket || !found) return literal(1);
    emphasis.pair(bracket.bottom);
    emphasis.drop(bracket.bottom);
    const children = treeOf(tokens.splice(bracket.index).slice(1));
    if (found === "open") {
      // Its text is known, its address is still to come.
      addElement({ kind: "link", href: null, title: null }, children);
      return text.length;
    }
    const { href, title } = found.value;
    if (bracket.isImage) addElement({ kind: "image", src: href, title, alt: plainText(children) });
    else {
      addElement({ kind: "link", href, title }, children);
      for (const outer of brackets) outer.isDead ||= !outer.isImage;
    }
    return found.end;
  }

  /** What `](…)`, `][…]`, `][]` or `]` makes of the bracket. */
  function readLinkEnd(bracket: Bracket): Found<Target> | "open" | null {
    const behind = at + 1;
    if (isOpen && behind === text.length) return "open";
    const target = text[behind] === "(" ? readTarget(text, behind) : null;
    if (target && (target !== "open" || isOpen)) return target;
    const label = text[behind] === "[" ? readLabel(text, behind) : null;
    if (label === "open" && isOpen) return label;
    const explicit = label === "open" ? null : label;
    const own = bracket.hasInner || at - bracket.at > maxLabelLength ? "" : text.slice(bracket.at, at);
    const key = labelKey(explicit?.value || own);
    if (key === "") return null;
    const value = definition(key);
    if (!value) missing.add(key);
    return value ? { value, end: explicit?.end ?? behind } : null;
  }

  function drawOpenOnes(): void {
    const isRecent = (place: number) => text.length - place <= maxProvisionalLength;
    for (const run of emphasis.open) if (run.canOpen && !run.isInWord && isRecent(run.at)) drawOpen(run);
    const bracket = brackets.at(-1);
    if (bracket && !bracket.isDead && isRecent(bracket.at)) bracket.isProvisional = true;
  }
}

/** Marks the run as opening what it would open if as many marks closed it. */
function drawOpen(run: Run): void {
  if (run.character === "~") {
    // A single one stands for "about" rather.
    if (run.rest < 2) return;
    run.opens.push("strike");
  } else {
    if (run.rest > 3) return;
    if (run.rest !== 2) run.opens.push("emphasis");
    if (run.rest !== 1) run.opens.push("strong");
  }
  run.rest = 0;
}

function isSpace(character: string | undefined): boolean {
  return character === " " || character === "\t";
}
