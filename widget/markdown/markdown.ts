// Markdown that grows, as DOM nodes: whoever shows an answer appends its text as it comes. Nothing of it is ever HTML [A6].

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
  readonly texts: { readonly copy: string; readonly copied: string; readonly image: string };
  /** Colours a block of code once it has closed; null: the language is not known. */
  readonly highlight?: ((code: string, language: string) => Promise<readonly Token[] | null>) | undefined;
}

export function createMarkdown(target: Element, _options: MarkdownOptions): MarkdownView {
  const text = target.ownerDocument.createTextNode("");
  target.append(text);
  return {
    append: (more) => text.appendData(more),
    end: () => undefined,
    reset: () => text.replaceData(0, text.length, ""),
    destroy: () => text.remove(),
  };
}
