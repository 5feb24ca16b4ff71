// Markdown that grows, as DOM nodes: whoever shows an answer appends its text as it comes. Nothing of it is ever HTML [A6].
import { createDomSink } from "./dom.ts";
import { colour } from "./colours.ts";
import { createParser, type Parser } from "./parser.ts";

/** A piece of code in one colour; `kind` is highlight.js's scope (`keyword`, `title.function`), null for plain text. */
export interface Token {
  readonly text: string;
  readonly kind: string | null;
}

export interface MarkdownView {
  append(text: string): void;
  /** No more comes. */
  end(): void;
  /** Starts over: after a discarded or corrected text. */
  reset(): void;
  destroy(): void;
}

export interface MarkdownOptions {
  /** Whose images may be shown: origins. */
  readonly imageOrigins: readonly string[];
  readonly texts: { readonly copy: string; readonly copied: string; readonly image: string; readonly task?: string };
  /** Puts a block's code on the clipboard, from the button `near`. Resolves to whether it did. */
  readonly copy: (code: string, near: Element) => Promise<boolean>;
  /** Colours a block of code once it has closed; null: the language is not known. */
  readonly highlight?: ((code: string, language: string) => Promise<readonly Token[] | null>) | undefined;
}

/** `target` is empty, and nobody else's. */
export function createMarkdown(target: Element, options: MarkdownOptions): MarkdownView {
  const { highlight } = options;
  const onCode = (code: Element, language: string) => {
    if (highlight && language) void colour(code, (text) => highlight(text, language));
  };
  const sink = createDomSink(target, { ...options, onCode });
  let parser: Parser;

  function reset(): void {
    target.replaceChildren();
    parser = createParser(sink, { outer: target, inner: target });
  }

  reset();
  return {
    append: (text) => parser.append(text),
    end: () => parser.end(),
    reset,
    destroy: () => target.replaceChildren(),
  };
}
