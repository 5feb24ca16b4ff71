// The sink that makes DOM nodes: only `createElement`, text nodes and a closed list of attributes, so that no text is ever HTML [A6].
//
// What a style sheet finds: plain elements (p, h1…, ul, ol, li, blockquote, hr, table, a, em, strong, del, code, br, img), and
//   .code [part=code] > .code-head (.language, button.copy [part=copy]) + pre > code > .lines > .line     all but the last line with its line end
//   .table [part=table] > table; th and td with .left, .right, .center                  the element that scrolls; as pre it takes the focus
//   table.long      one of several bodies
//   .raw > .lines > .line      HTML of the text, as text
//   .stretch      of a very long text, behind its first part: a block
//   ul.loose, ol.loose      room between the items;  li.task > input[type=checkbox]
//   .followed, .more      a list that goes on in the next one, and that one
//   a.image      an image that is not loaded;  a without href: an address that is not followed, or is not whole yet
// All of it in .blocks. Blocks that stand in no other have `dir=auto`; what stands inside them wants `unicode-bidi: plaintext`.
import { safeImage, safeLink } from "./links.ts";
import type { Shape, Sink } from "./sink.ts";

/** A node of the tree: its element, and the one inside that holds its children. */
export interface Piece {
  outer: Element | Text;
  inner: Element | Text;
}

export interface DomOptions {
  readonly imageOrigins: readonly string[];
  readonly texts: { readonly copy: string; readonly copied: string; readonly image: string; readonly task?: string };
  /** Puts a block's code on the clipboard, from the button `near`. Resolves to whether it did. */
  readonly copy: (code: string, near: Element) => Promise<boolean>;
  /** A block of code has closed: its lines stand in `code`. */
  readonly onCode?: (code: Element, language: string) => void;
}

const copiedMs = 2000;
/** A browser that lays out one more line or row looks at all that stand beside it, so they do not all stand in one element. */
const maxLinesTogether = 50;
const maxRowsTogether = 100;
const maxItemsTogether = 100;
const maxBlocksTogether = 20;

export function createDomSink(target: Element, options: DomOptions): Sink<Piece> {
  const document = target.ownerDocument;
  const languages = new WeakMap<Piece, string>();

  function create<K extends keyof HTMLElementTagNameMap>(
    name: K,
    className = "",
    ...children: readonly Node[]
  ): HTMLElementTagNameMap[K] {
    const element = document.createElement(name);
    if (className) element.className = className;
    element.append(...children);
    return element;
  }

  function pieceOf(shape: Shape, parent: Piece): Piece {
    const [outer, inner = outer] = elementsOf(shape);
    const piece = { outer, inner };
    if (shape.kind === "code") {
      languages.set(piece, shape.language);
      outer.setAttribute("dir", "ltr");
    } else if (parent.inner === target) outer.setAttribute("dir", "auto");
    return piece;
  }

  function elementsOf(shape: Shape): [outer: Element, inner?: Element] {
    switch (shape.kind) {
      case "paragraph":
        return [create("p")];
      case "heading":
        return [create(`h${shape.level as 1 | 2 | 3 | 4 | 5 | 6}`)];
      case "quote":
        return [create("blockquote")];
      case "rule":
        return [create("hr")];
      case "html":
        return [create("div", "raw")];
      case "line":
      case "stretch":
        return [create("span", shape.kind)];
      case "code":
        return codeBlock(shape.language);
      case "list": {
        const list = create(shape.start === null ? "ul" : "ol", shape.isLoose ? "loose" : "");
        if (shape.start !== null && shape.start !== 1) list.setAttribute("start", String(shape.start));
        return [list];
      }
      case "item":
        return [create("li")];
      case "table": {
        const table = create("table");
        return [withPart(scrolling(create("div", "table", table)), "table"), table];
      }
      case "row":
        return [create("tr")];
      case "cell":
        return [create(shape.isHeader ? "th" : "td", shape.align ?? "")];
      case "emphasis":
        return [create("em")];
      case "strong":
        return [create("strong")];
      case "strike":
        return [create("del")];
      case "code-span":
        return [create("code")];
      case "break":
        return [create("br")];
      case "link":
        return [link(create("a"), shape)];
      case "image":
        return [image(shape)];
    }
  }

  function codeBlock(language: string): [Element, Element] {
    const code = create("code");
    const button = withPart(create("button", "copy", document.createTextNode(options.texts.copy)), "copy");
    button.setAttribute("type", "button");
    button.addEventListener("click", () => void copy(code, button));
    const head = create("div", "code-head", create("span", "language", document.createTextNode(language)), button);
    return [withPart(create("div", "code", head, scrolling(create("pre", "", code))), "code"), code];
  }

  async function copy(code: Element, button: Element): Promise<void> {
    if (!(await options.copy(code.textContent, button))) return;
    button.textContent = options.texts.copied;
    setTimeout(() => (button.textContent = options.texts.copy), copiedMs);
  }

  function link(
    element: Element,
    { href, title }: { readonly href: string | null; readonly title: string | null },
  ): Element {
    const address = href === null ? null : safeLink(href);
    const attributes = {
      href: address,
      title,
      rel: address && "noopener noreferrer nofollow",
      target: address && "_blank",
    };
    for (const [name, value] of Object.entries(attributes))
      if (value) element.setAttribute(name, value);
      else element.removeAttribute(name);
    return element;
  }

  function image(shape: Extract<Shape, { kind: "image" }>): Element {
    const address = safeImage(shape.src, options.imageOrigins);
    if (address === null) {
      const label = `${options.texts.image}: ${shape.alt || shape.src}`;
      return link(create("a", "image", document.createTextNode(label)), { href: shape.src, title: shape.title });
    }
    const element = create("img");
    element.setAttribute("alt", shape.alt);
    if (shape.title) element.setAttribute("title", shape.title);
    element.setAttribute("loading", "lazy");
    element.setAttribute("referrerpolicy", "no-referrer");
    element.setAttribute("src", address);
    return element;
  }

  /** Where an element of this shape goes: rows into the head or a body of their table, lines and an answer's blocks into groups. */
  function holderOf(shape: Shape, parent: Piece): Element {
    const element = parent.inner as Element;
    const last = element.lastElementChild;
    const isFull = (max: number) => !last || last.childElementCount >= max;
    if (element === target) return isFull(maxBlocksTogether) ? element.appendChild(create("div", "blocks")) : last!;
    if (shape.kind === "item") return element.childElementCount < maxItemsTogether ? element : continued(parent);
    if (shape.kind === "row") {
      const name = shape.isHeader ? "thead" : "tbody";
      const isSame = last?.localName === name;
      if (isSame && !isFull(maxRowsTogether)) return last;
      if (isSame) element.className = "long";
      return element.appendChild(create(name));
    }
    if (shape.kind !== "line") return element;
    last?.lastElementChild?.append(document.createTextNode("\n"));
    return isFull(maxLinesTogether) ? element.appendChild(create("span", "lines")) : last!;
  }

  /** A long list goes on in another one, with its numbers. */
  function continued(list: Piece): Element {
    const last = list.inner as Element;
    const next = create(last.localName as "ul" | "ol", last.className);
    last.classList.add("followed");
    next.classList.add("more");
    if (next.localName === "ol")
      next.setAttribute("start", String(Number(last.getAttribute("start") ?? 1) + maxItemsTogether));
    last.after(next);
    list.inner = next;
    return next;
  }

  function set({ outer, inner }: Piece, shape: Shape): Piece | null {
    const element = outer as Element;
    if (shape.kind === "link") link(element, shape);
    else if (shape.kind === "list") loosen(element, inner as Element);
    else if (shape.kind === "item") {
      const box = create("input");
      box.setAttribute("type", "checkbox");
      box.setAttribute("disabled", "");
      if (options.texts.task) box.setAttribute("aria-label", options.texts.task);
      if (shape.isDone) box.setAttribute("checked", "");
      element.className = "task";
      element.prepend(box);
    } else if (shape.kind === "heading") {
      const heading = create(`h${shape.level as 1 | 2}`, "", ...inner.childNodes);
      if (element.hasAttribute("dir")) heading.setAttribute("dir", "auto");
      element.replaceWith(heading);
      return { outer: heading, inner: heading };
    }
    return null;
  }

  return {
    add(shape, parent, before) {
      const piece = pieceOf(shape, parent);
      const holder = before?.outer.parentNode ?? holderOf(shape, parent);
      holder.insertBefore(piece.outer, before?.outer ?? null);
      return piece;
    },
    addText(text, parent, before) {
      const node = document.createTextNode(text);
      parent.inner.insertBefore(node, before?.outer ?? null);
      return { outer: node, inner: node };
    },
    edit({ outer }, keep, text) {
      const node = outer as Text;
      if (keep === node.length) node.appendData(text);
      else node.replaceData(keep, node.length - keep, text);
    },
    set: (piece, shape) => void Object.assign(piece, set(piece, shape)),
    remove: ({ outer }) => outer.remove(),
    finish: (piece) => options.onCode?.(piece.inner as Element, languages.get(piece) ?? ""),
  };
}

/** Of a list all the parts. */
function loosen(first: Element, last: Element): void {
  for (let part: Element | null = first; part; part = part === last ? null : part.nextElementSibling)
    part.classList.add("loose");
}

/** It may be wider than its place: by keys too it can then be scrolled. */
function scrolling<E extends Element>(element: E): E {
  element.setAttribute("tabindex", "0");
  return element;
}

function withPart<E extends Element>(element: E, part: string): E {
  element.setAttribute("part", part);
  return element;
}
