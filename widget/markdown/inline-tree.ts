// Inline elements as a tree, and how it is built of what was read one after the other.
import type { Mark, Run } from "./emphasis.ts";
import type { InlineShape } from "./sink.ts";

/** Emphasis in more emphasis than this is drawn without its own. */
const maxDepth = 32;

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

/** An opening bracket, text unless a link was made of it. */
export interface Bracket {
  readonly kind: "bracket";
  readonly isImage: boolean;
  /** The place behind it. */
  readonly at: number;
  /** Its own index among what was read. */
  readonly index: number;
  /** The last run before it. */
  readonly bottom: Run | undefined;
  /** No link may stand in a link. */
  isDead: boolean;
  /** Another one stands in it, so its text is no label. */
  hasInner: boolean;
  /** Drawn as a link up to the end, or the end of the emphasis around it. */
  isProvisional: boolean;
}

export type Token = Inline | Run | Bracket;

export function treeOf(tokens: readonly Token[]): Inline[] {
  const root: Inline[] = [];
  const stack: { readonly mark: Mark | "link"; readonly children: Inline[] }[] = [];
  let children = root;
  const open = (mark: Mark | "link", shape: InlineShape) => {
    if (stack.length < maxDepth) {
      const element: InlineElement = { kind: "element", shape, children: [] };
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
      addText(children, token.character.repeat(token.rest));
      for (const mark of token.opens.toReversed()) open(mark, { kind: mark });
    } else if (token.kind === "bracket") {
      if (token.isProvisional) open("link", { kind: "link", href: null, title: null });
      else addText(children, token.isImage ? "![" : "[");
    } else if (token.kind === "text") addText(children, token.text);
    else children.push(token);
  }
  return root;
}

export function plainText(children: readonly Inline[]): string {
  return children
    .map((child) => {
      if (child.kind === "text") return child.text;
      if (child.shape.kind === "break") return "\n";
      return child.shape.kind === "image" ? child.shape.alt : plainText(child.children);
    })
    .join("");
}

function addText(children: Inline[], text: string): void {
  const last = children.at(-1);
  if (last?.kind === "text") last.text += text;
  else if (text !== "") children.push({ kind: "text", text });
}
