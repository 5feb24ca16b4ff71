// One form for our tree and for the HTML of another renderer, so that they can be compared: arrays of a name, properties and children.
import { isText, type TreeElement, type TreeNode } from "./tree.ts";

export type Normal = string | readonly (string | Property | Normal)[];
type Property = { readonly [name: string]: string | number | boolean | null };

/** Our tree. Texts side by side are one, and what has neither text nor children because nothing came of it is left out. */
export function normalTree(root: TreeElement): Normal[] {
  return blocks(root);
}

function blocks(parent: TreeElement): Normal[] {
  return joinedTexts("html", merged(parent.children.flatMap((child) => normal(child))));
}

/** In a tight list HTML cannot tell a paragraph's text from HTML that is shown as text. */
function textAsParagraphs(children: readonly Normal[], list: TreeElement): Normal[] {
  if (list.shape.kind === "list" && list.shape.isLoose && list.children.some(hasParagraph)) return [...children];
  return joinedTexts(
    "p",
    children.map((child) => (nameOf(child) === "html" ? ["p", child[1]!] : child)),
  );
}

/** Blocks of a kind side by side as one, with a line's end between them. */
function joinedTexts(name: string, nodes: readonly Normal[]): Normal[] {
  const result: Normal[] = [];
  for (const node of nodes) {
    const last = result.at(-1);
    if (last !== undefined && nameOf(last) === name && nameOf(node) === name)
      result[result.length - 1] = [
        name,
        ...merged([...(last.slice(1) as Normal[]), "\n", ...(node.slice(1) as Normal[])]),
      ];
    else result.push(node);
  }
  return result;
}

function nameOf(node: Normal): string | undefined {
  return typeof node === "string" ? undefined : (node[0] as string);
}

function normal(node: TreeNode): Normal[] {
  if (isText(node)) return [node.text];
  const { shape } = node;
  const children = () => blocks(node);
  switch (shape.kind) {
    case "paragraph":
      return [["p", ...children()]];
    case "heading":
      return [[`h${shape.level}`, ...children()]];
    case "quote":
      return [["blockquote", ...children()]];
    case "rule":
      return [["hr"]];
    case "html":
      return [
        [
          "html",
          linesOf(node)
            .trim()
            .replaceAll(/\n[ \t]+/g, "\n"),
        ],
      ];
    case "code":
      return [["pre", { language: shape.language }, linesOf(node)]];
    case "list": {
      const hasParagraphs = node.children.some((item) => hasParagraph(item));
      const start = shape.start === null ? {} : { start: shape.start };
      return [
        [shape.start === null ? "ul" : "ol", { ...start, isLoose: shape.isLoose && hasParagraphs }, ...children()],
      ];
    }
    case "item": {
      const box: Normal[] = shape.isDone === null ? [] : [["input", { checked: shape.isDone }]];
      return [["li", ...box, ...textAsParagraphs(children(), node.parent!)]];
    }
    case "table":
      return [["table", ...children()]];
    case "row":
      return [["tr", ...children()]];
    case "cell":
      return [[shape.isHeader ? "th" : "td", { align: shape.align }, ...children()]];
    case "emphasis":
      return [["em", ...children()]];
    case "strong":
      return [["strong", ...children()]];
    case "strike":
      return [["del", ...children()]];
    case "code-span":
      return [["code", ...children()]];
    case "break":
      return [["br"]];
    case "link":
      return [
        [
          "a",
          { href: shape.href === null ? null : normalAddress(shape.href), title: shape.title || null },
          ...children(),
        ],
      ];
    case "image":
      return [["img", { src: normalAddress(shape.src), alt: shape.alt, title: shape.title || null }]];
    case "stretch":
      return [["stretch", ...children()]];
    case "line":
    case "document":
      throw new Error(`${shape.kind} is out of place`);
  }
}

function linesOf(block: TreeElement): string {
  return block.children.map((line) => `${isText(line) ? line.text : blocks(line).map(String).join("")}\n`).join("");
}

function hasParagraph(item: TreeNode): boolean {
  return !isText(item) && item.children.some((child) => !isText(child) && child.shape.kind === "paragraph");
}

export function merged(nodes: readonly Normal[]): Normal[] {
  const result: Normal[] = [];
  for (const node of nodes) {
    const last = result.at(-1);
    if (typeof node === "string" && typeof last === "string") result[result.length - 1] = last + node;
    else result.push(node);
  }
  return result;
}

/** As browsers write an address: what has no place in it is percent-encoded. */
export function normalAddress(address: string): string {
  return address
    .toWellFormed()
    .replaceAll(/%[0-9A-Fa-f]{2}|[^]/gu, (part) =>
      part.length > 1 && part.startsWith("%") ? part : /[!#$&-;=?-Z_a-z~]/.test(part) ? part : encodeURIComponent(part),
    );
}
