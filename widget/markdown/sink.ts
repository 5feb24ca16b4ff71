// What the parser tells whoever draws: a tree that grows at its end. It knows no DOM; `dom.ts` makes nodes of it, tests make objects.

/** An element without its children. */
export type Shape = BlockShape | InlineShape;

export type BlockShape =
  | { readonly kind: "paragraph" | "quote" | "rule" | "html" | "line" }
  /** A part of a very long text of a block, which ends its line there. */
  | { readonly kind: "stretch" }
  | { readonly kind: "heading"; readonly level: number }
  /** Lines in a row; `language` is the first word behind the fence, or empty. */
  | { readonly kind: "code"; readonly language: string }
  /** `start`: of an ordered list. In a loose list there is room between the items. */
  | { readonly kind: "list"; readonly start: number | null; readonly isLoose: boolean }
  /** `isDone`: of a task; null: it is none. */
  | { readonly kind: "item"; readonly isDone: boolean | null }
  | { readonly kind: "table" }
  | { readonly kind: "row"; readonly isHeader: boolean }
  | { readonly kind: "cell"; readonly isHeader: boolean; readonly align: Align };

export type Align = "left" | "right" | "center" | null;

export type InlineShape =
  | { readonly kind: "emphasis" | "strong" | "strike" | "code-span" | "break" }
  /** `href` as it was written, without escapes; null while it is not whole. Whoever draws decides whether it may be followed. */
  | { readonly kind: "link"; readonly href: string | null; readonly title: string | null }
  | { readonly kind: "image"; readonly src: string; readonly title: string | null; readonly alt: string };

/** `N` is whatever stands for a node; the parser gives it back and never looks into it. */
export interface Sink<N> {
  /** At the end of `parent`, or in front of `before`. */
  add(shape: Shape, parent: N, before: N | null): N;
  addText(text: string, parent: N, before: N | null): N;
  /** Keeps the first `keep` UTF-16 units of a text, and puts `text` behind them. */
  edit(node: N, keep: number, text: string): void;
  /** Other properties; a paragraph may also become a heading. The children stay. */
  set(node: N, shape: Shape): void;
  remove(node: N): void;
  /** A block of code has closed. */
  finish(node: N): void;
}
