// The text inside a block → its inline elements. Exact where the text is whole; of a text that still grows it also says how much is
// settled whatever comes, and draws what has not closed as if it closed at the end. Pure.
// https://spec.commonmark.org/0.31.2/#inlines with GitHub's strikethrough and bare links. HTML is text.
import { bareLinksIn } from "./bare-links.ts";
import { createEmphasis, readRun, type Mark, type Run } from "./emphasis.ts";
import { entityAt, entityText } from "./entities.ts";
import { isEscapable, labelKey, readLabel, readTarget, type Target } from "./link-syntax.ts";
import type { InlineShape } from "./sink.ts";

/** What opened longer ago and has not closed is drawn as it stands: by then it is rather a mistake than to be continued. */
const maxProvisionalLength = 400;
/** Emphasis in more emphasis than this is drawn without its own. */
const maxDepth = 32;
/** Of more open brackets the outer ones are text. */
const maxOpenBrackets = 32;

export type Inline = InlineText | InlineElement;
export interface InlineText {
  readonly kind: "text";
  text: string;
}
export interface InlineElement {
  readonly kind: "element";
  readonly shape: InlineShape;
  readonly children: Inline[];
}

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

interface Bracket {
  readonly kind: "bracket";
  readonly isImage: boolean;
  /** Behind it. */
  readonly at: number;
  readonly token: number;
  readonly bottom: Run | undefined;
  /** No link may stand in a link. */
  isDead: boolean;
  /** Another one stands in it: its text is no label. */
  hasInner: boolean;
  isProvisional: boolean;
}

type Token = Inline | Run | Bracket;

const special = /[\\`*_~[\]!<&\n]/g;
const rawHtml =
  /<(?:[A-Za-z][A-Za-z0-9-]*(?:\s+[A-Za-z_:][\w.:-]*(?:\s*=\s*(?:[^\s"'=<>`]+|'[^']*'|"[^"]*"))?)*\s*\/?>|\/[A-Za-z][A-Za-z0-9-]*\s*>)/y;
const webAddress = /<([A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>\u0000-\u001f]*)>/y;
const emailAddress =
  /<([\w.!#$%&'*+/=?^`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*)>/y;
/** HTML that ends with a mark of its own. */
const rawHtmlWithEnd: readonly [begin: string, end: string, skip: number][] = [
  ["<!-->", "", 5],
  ["<!--->", "", 6],
  ["<!--", "-->", 4],
  ["<?", "?>", 2],
  ["<![CDATA[", "]]>", 9],
];

export function parseInline(
  text: string,
  { definition, isOpen, maxSettled = Number.POSITIVE_INFINITY }: InlineOptions,
): InlineResult {
  const tokens: Token[] = [];
  const brackets: Bracket[] = [];
  const emphasis = createEmphasis();
  const bareLinkFrom = bareLinksIn(text);
  const lastBackticks = lastRuns(text);
  const missing = new Set<string>();
  /** Ends of HTML that were looked for in vain. */
  const absent = new Set<string>();
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
    if (stop > at) plain(at, stop);
    at = stop;
    if (link?.from === at) {
      at = link.to;
      addLink(isOpen && link.isOpen ? null : link.href, [{ kind: "text", text: text.slice(link.from, link.to) }]);
    } else if (at < text.length) at = readMark(text[at]!);
  }
  emphasis.pair();
  if (isOpen) drawOpenOnes();
  return {
    settled: build(tokens.slice(0, settledTokens)),
    settledLength,
    rest: build(tokens.slice(settledTokens)),
    missing: [...missing],
  };

  function plain(from: number, to: number): void {
    // Before a space everything is decided, unless something is still open.
    if (isOpen && !isUnsure && brackets.length === 0) {
      let space = from + text.slice(from, Math.min(to, maxSettled + 1)).lastIndexOf(" ");
      while (space > from && text[space - 1] === " ") space--;
      if (space >= from && isAllPaired()) {
        if (space > from) addText(text.slice(from, space));
        settle(space);
        addText(text.slice(space, to));
        return;
      }
    }
    addText(text.slice(from, to));
  }

  function settle(place: number): void {
    settledLength = place;
    settledTokens = tokens.length;
  }

  function isAllPaired(): boolean {
    emphasis.pair();
    return emphasis.open.length === 0;
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
        if (text[at + 1] === "[") return openBracket(at + 2, true);
        return isOpen && at + 1 === text.length ? at + 1 : literal(1);
      case "]":
        return closeBracket();
      case "<":
        return readPointed();
      case "&":
        return readEntity();
      case "\n":
        return readLineEnd();
      default:
        return readDelimiters();
    }
  }

  function addText(content: string): void {
    tokens.push({ kind: "text", text: content });
  }

  function addElement(shape: InlineShape, children: Inline[] = []): void {
    tokens.push({ kind: "element", shape, children });
  }

  function addLink(href: string | null, children: Inline[], title: string | null = null): void {
    addElement({ kind: "link", href, title }, children);
  }

  function literal(length: number): number {
    addText(text.slice(at, at + length));
    return at + length;
  }

  function readEscape(): number {
    const next = text[at + 1];
    if (next === "\n") {
      addElement({ kind: "break" });
      return afterSpaces(at + 2);
    }
    if (isEscapable(next)) {
      addText(next!);
      return at + 2;
    }
    return isOpen && next === undefined ? at + 1 : literal(1);
  }

  function readEntity(): number {
    entityAt.lastIndex = at;
    const found = entityAt.exec(text);
    const content = found && entityText(found);
    if (content) {
      addText(content);
      return at + found[0].length;
    }
    if (isOpen && /^&[#\w]{0,32}$/.test(text.slice(at, at + 34))) isUnsure = true;
    return literal(1);
  }

  /** Spaces around a line's end are none of the text; two before it break the line. */
  function readLineEnd(): number {
    let spaces = at;
    while (spaces > 0 && (text[spaces - 1] === " " || text[spaces - 1] === "\t")) spaces--;
    const last = tokens.at(-1);
    if (spaces < at && last?.kind === "text") last.text = last.text.slice(0, -(at - spaces) || undefined);
    const isHard = at - spaces >= 2 && !text.slice(spaces, at).includes("\t");
    if (spaces === at && isOpen && !isUnsure && brackets.length === 0 && at <= maxSettled && isAllPaired()) settle(at);
    if (isHard) addElement({ kind: "break" });
    else addText("\n");
    return afterSpaces(at + 1);
  }

  function afterSpaces(place: number): number {
    let end = place;
    while (text[end] === " " || text[end] === "\t") end++;
    return end;
  }

  function readCode(): number {
    const length = runLength(text, at);
    const begin = at + length;
    const closer = (lastBackticks.get(length) ?? -1) >= begin ? findBackticks(text, begin, length) : -1;
    if (closer >= 0) {
      addCode(text.slice(begin, closer));
      return closer + length;
    }
    if (!isOpen) return literal(length);
    isUnsure = true;
    if (text.length - at > maxProvisionalLength) return literal(length);
    const content = text.slice(begin).replace(/`+$/, "");
    if (content) addCode(content);
    return text.length;
  }

  function addCode(content: string): void {
    const line = content.replaceAll("\n", " ");
    const isPadded = line.startsWith(" ") && line.endsWith(" ") && line.trim() !== "";
    addElement({ kind: "code-span" }, [{ kind: "text", text: isPadded ? line.slice(1, -1) : line }]);
  }

  function readDelimiters(): number {
    const run = readRun(text, at);
    const end = at + run.length;
    if (run.character === "~" && run.length > 2) return literal(run.length);
    if (isOpen && end === text.length) {
      // What follows decides whether it opens or closes.
      isUnsure = true;
      return end;
    }
    tokens.push(run);
    if (run.canOpen || run.canClose) emphasis.add(run);
    return end;
  }

  /** What begins with `<`: an address, HTML as text, or just that character. */
  function readPointed(): number {
    for (const [pattern, prefix] of [
      [webAddress, ""],
      [emailAddress, "mailto:"],
    ] as const) {
      pattern.lastIndex = at;
      const address = pattern.exec(text)?.[1];
      if (address === undefined) continue;
      addLink(prefix + address, [{ kind: "text", text: address }]);
      return pattern.lastIndex;
    }
    rawHtml.lastIndex = at;
    if (rawHtml.test(text)) return literal(rawHtml.lastIndex - at);
    const end = endOfMarkedHtml();
    if (end > at) return literal(end - at);
    if (isOpen && /[A-Za-z/!?]/.test(text[at + 1] ?? "a")) isUnsure = true;
    return isOpen && at + 1 === text.length ? at + 1 : literal(1);
  }

  /** Behind a comment and its like; -1: none begins here, or it does not end. */
  function endOfMarkedHtml(): number {
    const marked = rawHtmlWithEnd.find(([begin]) => text.startsWith(begin, at));
    if (marked) return endAfter(marked[1], at + marked[2]);
    return /[A-Za-z]/.test(text[at + 2] ?? "") && text[at + 1] === "!" ? endAfter(">", at + 2) : -1;
  }

  function endAfter(mark: string, from: number): number {
    if (absent.has(mark)) return -1;
    const found = text.indexOf(mark, from);
    if (found < 0) absent.add(mark);
    return found < 0 ? -1 : found + mark.length;
  }

  function openBracket(behind: number, isImage: boolean): number {
    const outer = brackets.at(-1);
    if (outer) outer.hasInner = true;
    const bracket: Bracket = {
      kind: "bracket",
      isImage,
      at: behind,
      token: tokens.length,
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
    if (!bracket || bracket.isDead) return literal(1);
    const found = readLinkEnd(bracket);
    if (found === null) return literal(1);
    if (found === "open") {
      // Its text is known, its address is still to come.
      addLinkOf(bracket, { href: null, title: null });
      isUnsure = true;
      return text.length;
    }
    addLinkOf(bracket, found.target);
    return found.end;
  }

  function addLinkOf(bracket: Bracket, { href, title }: { href: string | null; title: string | null }): void {
    emphasis.pair(bracket.bottom);
    emphasis.drop(bracket.bottom);
    const children = build(tokens.splice(bracket.token).slice(1));
    if (bracket.isImage && href !== null) {
      addElement({ kind: "image", src: href, title, alt: plainText(children) });
      return;
    }
    addLink(href, children, title);
    if (!bracket.isImage) for (const outer of brackets) if (!outer.isImage) outer.isDead = true;
  }

  /** What `](…)`, `][…]`, `][]` or `]` makes of the bracket. */
  function readLinkEnd(bracket: Bracket): { target: Target; end: number } | "open" | null {
    const behind = at + 1;
    if (isOpen && behind === text.length) return "open";
    if (text[behind] === "(") {
      const target = readTarget(text, behind);
      if (target === "open" && isOpen) return "open";
      if (target !== null && target !== "open") return { target: target.value, end: target.end };
    }
    const label = text[behind] === "[" ? readLabel(text, behind) : null;
    if (label === "open" && isOpen) return "open";
    const explicit = label !== null && label !== "open" ? label : null;
    const own = bracket.hasInner || at - bracket.at > 999 ? "" : text.slice(bracket.at, at);
    const key = labelKey(explicit?.value || own);
    if (key === "") return null;
    const target = definition(key);
    if (!target) missing.add(key);
    return target ? { target, end: explicit ? explicit.end : behind } : null;
  }

  /** Whatever is still open is drawn as if it closed at the end. */
  function drawOpenOnes(): void {
    for (const run of emphasis.open) {
      const isLikely = run.canOpen && !run.isInWord && text.length - run.at <= maxProvisionalLength;
      if (!isLikely || run.rest > 3 || (run.character === "~" && run.rest < 2)) continue;
      if (run.character === "~") run.opens.push("strike");
      else {
        if (run.rest !== 2) run.opens.push("emphasis");
        if (run.rest !== 1) run.opens.push("strong");
      }
      run.rest = 0;
    }
    const bracket = brackets.at(-1);
    if (bracket && !bracket.isDead && text.length - bracket.at <= maxProvisionalLength) bracket.isProvisional = true;
  }
}

/** Tokens → a tree. Emphasis is well nested; a provisional link ends where the emphasis around it does. */
function build(tokens: readonly Token[]): Inline[] {
  const root: Inline[] = [];
  const stack: { mark: Mark | "link"; children: Inline[] }[] = [];
  let children = root;
  const open = (mark: Mark | "link", shape: InlineShape) => {
    const element: InlineElement = { kind: "element", shape, children: [] };
    if (stack.length < maxDepth) {
      children.push(element);
      children = element.children;
    }
    stack.push({ mark, children });
  };
  const close = (mark: Mark) => {
    while (stack.pop()!.mark !== mark);
    children = stack.at(-1)?.children ?? root;
  };
  for (const token of tokens) {
    if (token.kind === "run") {
      token.closes.forEach(close);
      if (token.rest > 0) addText(children, token.character.repeat(token.rest));
      for (const mark of token.opens.toReversed()) open(mark, { kind: mark });
    } else if (token.kind === "bracket") {
      if (token.isProvisional) open("link", { kind: "link", href: null, title: null });
      else addText(children, token.isImage ? "![" : "[");
    } else if (token.kind === "text") addText(children, token.text);
    else children.push(token);
  }
  return root;
}

function addText(children: Inline[], text: string): void {
  const last = children.at(-1);
  if (last?.kind === "text") last.text += text;
  else if (text !== "") children.push({ kind: "text", text });
}

function plainText(children: readonly Inline[]): string {
  return children
    .map((child) => {
      if (child.kind === "text") return child.text;
      if (child.shape.kind === "break") return "\n";
      return child.shape.kind === "image" ? child.shape.alt : plainText(child.children);
    })
    .join("");
}

function runLength(text: string, at: number): number {
  let end = at + 1;
  while (text[end] === text[at]) end++;
  return end - at;
}

/** Where the last run of each number of backticks stands. */
function lastRuns(text: string): ReadonlyMap<number, number> {
  const last = new Map<number, number>();
  if (text.includes("`")) for (const { 0: run, index } of text.matchAll(/`+/g)) last.set(run.length, index);
  return last;
}

/** There is one. */
function findBackticks(text: string, from: number, length: number): number {
  let at = text.indexOf("`", from);
  for (let found = runLength(text, at); found !== length; found = runLength(text, at))
    at = text.indexOf("`", at + found);
  return at;
}
