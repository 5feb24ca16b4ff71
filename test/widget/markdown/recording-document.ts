// A document that is only as much DOM as the renderer may use: elements by name, texts, a list of attributes. Whatever else it does to a
// node (a property of HTML, a handler, an unknown attribute) is an error at once, so a test needs no browser to see it.

import { createMarkdown, type MarkdownView } from "../../../widget/markdown/markdown.ts";

export interface RecordedText {
  readonly data: string;
}

/** What a text of a model may become. */
const elements = new Set(
  "p h1 h2 h3 h4 h5 h6 ul ol li blockquote hr div span pre code button table thead tbody tr th td em strong del br a img input".split(
    " ",
  ),
);
const attributes = new Set(
  "dir part tabindex aria-label type disabled checked start href title rel target alt src loading referrerpolicy".split(
    " ",
  ),
);

class RecordedNode {
  parent: RecordedElement | null = null;
  readonly ownerDocument: RecordedDocument;

  constructor(document: RecordedDocument) {
    this.ownerDocument = document;
  }

  remove(): void {
    const siblings = this.parent?.childNodes;
    siblings?.splice(siblings.indexOf(this), 1);
    this.parent = null;
  }

  after(node: RecordedNode): void {
    const siblings = this.parent!.childNodes;
    this.parent!.insertBefore(node, siblings[siblings.indexOf(this) + 1] ?? null);
  }

  get parentNode(): RecordedElement | null {
    return this.parent;
  }

  replaceWith(node: RecordedNode): void {
    this.parent!.insertBefore(node, this);
    this.remove();
  }
}

export class RecordedTextNode extends RecordedNode {
  data: string;

  constructor(document: RecordedDocument, data: string) {
    super(document);
    this.data = data;
  }

  get length(): number {
    return this.data.length;
  }

  appendData(text: string): void {
    this.data += text;
  }

  replaceData(at: number, count: number, text: string): void {
    this.data = this.data.slice(0, at) + text + this.data.slice(at + count);
  }
}

export class RecordedElement extends RecordedNode {
  readonly localName: string;
  readonly attributes = new Map<string, string>();
  readonly childNodes: RecordedNode[] = [];
  className = "";

  constructor(document: RecordedDocument, name: string) {
    super(document);
    this.localName = name;
  }

  get children(): RecordedElement[] {
    return this.childNodes.filter((child) => child instanceof RecordedElement);
  }

  get classList(): { add(name: string): void } {
    const names = this.className.split(" ").filter(Boolean);
    return { add: (name) => void (this.className = [...new Set([...names, name])].join(" ")) };
  }

  get nextElementSibling(): RecordedElement | null {
    const siblings = this.parent!.children;
    return siblings[siblings.indexOf(this) + 1] ?? null;
  }

  get lastElementChild(): RecordedElement | null {
    return this.children.at(-1) ?? null;
  }

  get childElementCount(): number {
    return this.children.length;
  }

  get lastChild(): RecordedNode | null {
    return this.childNodes.at(-1) ?? null;
  }

  get textContent(): string {
    return this.childNodes
      .map((child) => (child instanceof RecordedTextNode ? child.data : (child as RecordedElement).textContent))
      .join("");
  }

  setAttribute(name: string, value: string): void {
    if (!attributes.has(name)) throw new Error(`the attribute ${name} is not allowed`);
    if (typeof value !== "string") throw new Error(`${name} is no text`);
    this.attributes.set(name, value);
  }

  getAttribute(name: string): string | null {
    return this.attributes.get(name) ?? null;
  }

  removeAttribute(name: string): void {
    this.attributes.delete(name);
  }

  hasAttribute(name: string): boolean {
    return this.attributes.has(name);
  }

  addEventListener(): void {
    if (this.localName !== "button") throw new Error(`a listener on ${this.localName}`);
  }

  append(...nodes: RecordedNode[]): void {
    for (const node of nodes) this.insertBefore(node, null);
  }

  prepend(node: RecordedNode): void {
    this.insertBefore(node, this.childNodes[0] ?? null);
  }

  appendChild<N extends RecordedNode>(node: N): N {
    this.insertBefore(node, null);
    return node;
  }

  insertBefore(node: RecordedNode, before: RecordedNode | null): void {
    node.remove();
    const at = before === null ? this.childNodes.length : this.childNodes.indexOf(before);
    if (at < 0) throw new Error("the node to insert before is not here");
    this.childNodes.splice(at, 0, node);
    node.parent = this;
  }

  replaceChildren(...nodes: RecordedNode[]): void {
    while (this.childNodes.length > 0) this.childNodes[0]!.remove();
    this.append(...nodes);
  }
}

export class RecordedDocument {
  /** Every element that was ever made. */
  readonly made: RecordedElement[] = [];

  createElement(name: string): RecordedElement {
    if (!elements.has(name)) throw new Error(`<${name}> is not allowed`);
    const element = new RecordedElement(this, name);
    this.made.push(element);
    // An unknown property, such as innerHTML or onclick, is a mistake of the renderer.
    return Object.preventExtensions(element);
  }

  createTextNode(text: string): RecordedTextNode {
    return new RecordedTextNode(this, text);
  }
}

/** Markdown that is drawn in such a document. */
export interface RecordedMarkdown {
  readonly view: MarkdownView;
  /** Where it is drawn. */
  readonly root: RecordedElement;
  readonly document: RecordedDocument;
}

export function recordedMarkdown(imageOrigins: readonly string[] = []): RecordedMarkdown {
  const document = new RecordedDocument();
  const root = new RecordedElement(document, "div");
  const view = createMarkdown(root as unknown as Element, {
    imageOrigins,
    texts: { copy: "Copy", copied: "Copied", image: "Image", task: "Task" },
    copy: () => Promise.reject(new Error("nobody has pressed a button")),
  });
  return { view, root, document };
}
