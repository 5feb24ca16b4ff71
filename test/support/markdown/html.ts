// Reads the HTML that micromark writes, which is well formed, into the form of `normal.ts`.
import { merged, type Normal } from "./normal.ts";

interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: (Element | string)[];
}

const inline = new Set(["em", "strong", "del", "code", "a", "img", "br", "input"]);
const empty = new Set(["hr", "br", "img", "input"]);

/** Undefined where elements overlap: micromark writes that for crossing `*` and `~`. */
export function normalHtml(html: string): Normal[] | undefined {
  const root = read(html);
  return root && blocksOf(root.children, false);
}

function read(html: string): Element | undefined {
  const root: Element = { name: "", attributes: new Map(), children: [] };
  const stack = [root];
  for (const [token, closing, name, attributes] of html.matchAll(/<(\/?)([a-z][a-z0-9]*)((?: [^<>]*)?)>|[^<]+/g)) {
    const parent = stack.at(-1)!;
    if (name === undefined) parent.children.push(decoded(token));
    else if (closing) {
      if (stack.pop()!.name !== name) return undefined;
    } else {
      const element: Element = { name, attributes: attributesOf(attributes!), children: [] };
      parent.children.push(element);
      if (!empty.has(name)) stack.push(element);
    }
  }
  return root;
}

function attributesOf(text: string): ReadonlyMap<string, string> {
  return new Map(Array.from(text.matchAll(/([a-z]+)="([^"]*)"/g), ([, name, value]) => [name!, decoded(value!)]));
}

function decoded(text: string): string {
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

/** Text between blocks is HTML that was shown as text, or the paragraph of a tight list's item. */
function blocksOf(children: readonly (Element | string)[], isTight: boolean): Normal[] {
  const blocks: Normal[] = [];
  let loose: (Element | string)[] = [];
  const flush = () => {
    const text = trimmed(inlinesOf(loose));
    if (text.length > 0) blocks.push([isTight ? "p" : "html", ...text.map(withoutIndent)]);
    loose = [];
  };
  for (const child of children) {
    if (typeof child === "string" || inline.has(child.name)) loose.push(child);
    else {
      flush();
      blocks.push(block(child));
    }
  }
  flush();
  return blocks;
}

/** HTML that is shown as text keeps its indent, which depends on the list around it. */
function withoutIndent(node: Normal): Normal {
  return typeof node === "string" ? node.replaceAll(/\n[ \t]+/g, "\n") : node;
}

function block(element: Element): Normal {
  const { name, attributes, children } = element;
  switch (name) {
    case "blockquote":
      return [name, ...blocksOf(children, false)];
    case "ul":
    case "ol": {
      const items = children.filter((child): child is Element => typeof child !== "string");
      const isLoose = items.some((item) =>
        item.children.some((child) => typeof child !== "string" && child.name === "p"),
      );
      const start = name === "ol" ? { start: Number(attributes.get("start") ?? 1) } : {};
      return [name, { ...start, isLoose }, ...items.map((item) => itemOf(item, isLoose))];
    }
    case "pre": {
      const code = children.find((child): child is Element => typeof child !== "string")!;
      const language = (code.attributes.get("class") ?? "").replace("language-", "");
      return [name, { language }, code.children.filter((child) => typeof child === "string").join("")];
    }
    case "table":
      return [name, ...rowsOf(children)];
    case "hr":
      return [name];
    default:
      return [name, ...trimmed(inlinesOf(children))];
  }
}

function itemOf({ children }: Element, isLoose: boolean): Normal {
  const content = [...children];
  const first = content.find((child) => typeof child !== "string" || child.trim() !== "");
  const holder = first && typeof first !== "string" && first.name === "p" ? first.children : content;
  const box = holder.find((child): child is Element => typeof child !== "string" && child.name === "input");
  if (box) holder.splice(holder.indexOf(box), 1);
  const checked: Normal[] = box ? [["input", { checked: box.attributes.has("checked") }]] : [];
  return ["li", ...checked, ...blocksOf(content, !isLoose)];
}

function rowsOf(children: readonly (Element | string)[]): Normal[] {
  return children.flatMap((child): Normal[] => {
    if (typeof child === "string") return [];
    if (child.name !== "tr") return rowsOf(child.children);
    return [["tr", ...child.children.flatMap((cell) => (typeof cell === "string" ? [] : [cellOf(cell)]))]];
  });
}

function cellOf({ name, attributes, children }: Element): Normal {
  return [name, { align: attributes.get("align") ?? null }, ...trimmed(inlinesOf(children))];
}

function inlinesOf(children: readonly (Element | string)[]): Normal[] {
  let isAfterBreak = false;
  return merged(
    children.map((child): Normal => {
      const wasAfterBreak = isAfterBreak;
      isAfterBreak = typeof child !== "string" && child.name === "br";
      if (typeof child === "string") return wasAfterBreak ? child.replace(/^\n/, "") : child;
      const { name, attributes } = child;
      const title = attributes.get("title") || null;
      if (name === "a") return ["a", { href: attributes.get("href")!, title }, ...inlinesOf(child.children)];
      if (name === "img") return ["img", { src: attributes.get("src")!, alt: attributes.get("alt")!, title }];
      return [name, ...inlinesOf(child.children)];
    }),
  ).filter((node) => node !== "");
}

function trimmed(nodes: readonly Normal[]): Normal[] {
  const result = [...nodes];
  if (typeof result[0] === "string") result[0] = result[0].trimStart();
  const last = result.at(-1);
  if (typeof last === "string") result[result.length - 1] = last.trimEnd();
  return result.filter((node) => node !== "");
}
