// Runs in the page of `markdown-page.ts`, and offers what its tests call.
import { createMarkdown, type MarkdownView } from "../../widget/markdown/markdown.ts";
import { copyText } from "../../widget/view/more/copy-text.ts";
import type { SeenNode } from "./markdown-page.ts";

interface Shown {
  readonly host: HTMLElement;
  readonly target: HTMLElement;
  readonly view: MarkdownView;
}

const texts = { copy: "Copy", copied: "Copied", image: "Image", task: "Task" };
const violations: string[] = [];
addEventListener("securitypolicyviolation", (event) =>
  violations.push(`${event.violatedDirective} ${event.blockedURI}`),
);

const shown: Shown[] = [];

function show({ inShadow = false, isColoured = false }: { inShadow?: boolean; isColoured?: boolean } = {}): number {
  const host = document.createElement("div");
  document.body.append(host);
  const target = document.createElement("div");
  target.className = "md";
  (inShadow ? host.attachShadow({ mode: "open" }) : host).append(target);
  const highlight = async (code: string, language: string) =>
    (await import("../../widget/markdown/highlight.ts")).highlight(code, language);
  const view = createMarkdown(target, {
    imageOrigins: [location.origin],
    texts,
    copy: copyText,
    ...(isColoured ? { highlight } : {}),
  });
  return shown.push({ host, target, view }) - 1;
}

function look(node: Node): SeenNode {
  if (!(node instanceof Element)) return (node as Text).data;
  const attributes = Object.fromEntries(Array.from(node.attributes, ({ name, value }) => [name, value]));
  return [node.localName, attributes, ...Array.from(node.childNodes, look)];
}

const markdown = {
  violations,
  show,
  append: (at: number, ...pieces: string[]) => pieces.forEach((piece) => shown[at]!.view.append(piece)),
  end: (at: number) => shown[at]!.view.end(),
  reset: (at: number) => shown[at]!.view.reset(),
  look: (at: number) => look(shown[at]!.target),
  target: (at: number) => shown[at]!.target,
  /** Draws each text, one after the other, and gives what came of it. */
  drawAll: (all: readonly (readonly string[])[]) =>
    all.map((pieces) => {
      const at = show();
      markdown.append(at, ...pieces);
      markdown.end(at);
      const seen = markdown.look(at);
      shown[at]!.host.remove();
      return seen;
    }),
};

export type MarkdownInPage = typeof markdown;
Object.assign(globalThis, { markdown });
