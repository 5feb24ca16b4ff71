import type { Locator } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// Pages that make it hard: styles for everything, patched and frozen prototypes, an origin without TLS. Strict policies are in embed.test.ts.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene?.close());

const attributes = `data-token-url="/sluice-token" data-theme="light"`;

/** The loader's tag; `before` has the names of the globals that were there before it. */
const tag = () =>
  `<script>var before = []; before = Object.getOwnPropertyNames(globalThis);</script>
  <script src="${scene.gateway.address}/widget.js" data-mode="inline" ${attributes}></script>`;

let served = 0;

async function openPage(body: string, origin = scene.site.origin): Promise<WidgetPage> {
  const { pathname } = new URL(scene.site.serve(`/hostile-${served++}`, `<p>A page</p>${body}`));
  return scene.open({ url: origin + pathname });
}

describe("a page's scripts", () => {
  /** An image, a tool that asks, Markdown: what takes most of the browser. */
  async function converse({ widget, send, settled, answer }: WidgetPage): Promise<void> {
    await widget.locator('input[type="file"]').setInputFiles({
      name: "dot.png",
      mimeType: "image/png",
      buffer: Buffer.from(
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==",
        "base64",
      ),
    });
    await widget.locator(".draft-images .ready").waitFor();
    await send(`demo:tool Bash {"command":"touch it"}\ndemo:markdown`);
    await widget.getByRole("button", { name: "Allow", exact: true }).click();
    await widget.locator(".answer .md table").waitFor();
    await settled();
    await widget.locator(".hl-keyword").first().waitFor();
    await widget.locator(".tool.done").waitFor();
    expect(await answer()).toContain("A sample from the demo model");
  }

  /** What the widget has left in the page, and elsewhere. */
  async function traces({ page, complaints, requested }: WidgetPage): Promise<unknown> {
    const globals = "Object.getOwnPropertyNames(globalThis).filter((name) => !before.includes(name))";
    const known = new Set([scene.gateway.address, new URL(page.url()).origin]);
    return {
      complaints,
      globals: await page.evaluate(globals),
      head: await page.evaluate("[...document.head.children].map(({ localName }) => localName)"),
      elsewhere: [...requested].filter((origin) => !known.has(origin)),
    };
  }

  /** The page's own. */
  const none = { complaints: [], globals: [], head: ["meta", "title"], elsewhere: [] };

  test.each(Object.entries(scripts()))("with %s do no harm", async (_, script) => {
    const opened = await openPage(`<script>${script}</script>${tag()}`);
    await converse(opened);
    expect(await traces(opened)).toEqual(none);
    await opened.context.close();
  });

  test("on a page by plain http, which has neither locks nor random UUIDs, it chats and copies", async () => {
    const opened = await openPage(tag(), scene.site.plainOrigin);
    const { page, widget } = opened;
    expect(await page.evaluate("[isSecureContext, typeof crypto.randomUUID, typeof navigator.locks]")).toEqual([
      false,
      "undefined",
      "undefined",
    ]);
    await converse(opened);
    await widget.getByRole("button", { name: "Copy answer" }).click();
    await widget.getByRole("button", { name: "Copied" }).first().waitFor();
    expect(await traces(opened)).toEqual(none);
    await opened.context.close();
  });
});

function scripts(): Readonly<Record<string, string>> {
  return {
    "enumerable properties on the prototypes, and arrays that make strings of themselves": `
      for (const type of [Array, Function, String, Promise, Element]) {
        type.prototype.each = function () { throw new Error("nobody called it"); };
        type.prototype.extended = "yes";
      }
      Array.prototype.toJSON = function () { return "[" + this.map((item) => JSON.stringify(item)).join(", ") + "]"; };`,
    "enumerable properties on the prototype of all objects": `
      for (const prototype of [Object.prototype, Array.prototype]) {
        prototype.extended = function () { throw new Error("nobody called it"); };
        prototype.words = "yes";
        prototype.nested = { words: "yes" };
      }`,
    "wrappers around what the browser has": `
      const wrap = (on, name) => (on[name] = new Proxy(on[name], {}));
      wrap(Array.prototype, "map");
      wrap(Promise.prototype, "then");
      wrap(Element.prototype, "attachShadow");
      wrap(CustomElementRegistry.prototype, "define");
      wrap(EventTarget.prototype, "addEventListener");
      wrap(Node.prototype, "appendChild");
      wrap(Node.prototype, "insertBefore");
      wrap(JSON, "parse");
      wrap(window, "setTimeout");
      wrap(window, "requestAnimationFrame");
      wrap(window, "queueMicrotask");
      wrap(window, "EventSource");
      const native = window.fetch;
      window.fetch = (url, init) => {
        const headers = new Headers(init?.headers);
        headers.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
        return native(url, { ...init, headers });
      };`,
    "frozen prototypes": `
      for (const type of [Object, Array, Function, String, Number, Promise, Map, Set, Error, RegExp]) {
        Object.freeze(type.prototype);
        Object.freeze(type);
      }
      Object.freeze(JSON);`,
    "a browser that stores nothing and has neither locks nor channels": `
      for (const name of ["localStorage", "sessionStorage"])
        Object.defineProperty(window, name, { get() { throw new DOMException("The page may not store", "SecurityError"); } });
      Object.defineProperty(navigator, "locks", { value: undefined });
      Object.defineProperty(window, "BroadcastChannel", { value: undefined });`,
  };
}

describe("a page's styles", () => {
  let session: string;
  let plain: unknown;
  beforeAll(async () => {
    const { turn } = await scene.gateway.post(`demo:tool Bash {"command":"ls"}\ndemo:markdown`, { user: "ann" });
    ({ session } = await scene.gateway.ended(turn));
    const opened = await open("");
    plain = await look(opened);
    await opened.context.close();
  });

  const open = (styles: string, { mode = "bubble", around = "" } = {}) =>
    openPage(
      `<style>${styles}</style><main>${around}</main><script src="${scene.gateway.address}/widget.js" data-mode="${mode}"
        data-session="${session}" data-open ${attributes} ${around === "" ? "" : 'data-target="#place"'}></script>`,
    );

  const looked = ["color", "background-color", "display", "font-size", "font-family", "line-height", "letter-spacing"];

  /** What is seen of a conversation: where its parts are, and how they are drawn. */
  async function look({ widget }: WidgetPage): Promise<unknown> {
    await widget.locator(".hl-keyword").first().waitFor();
    await widget.locator(".tool.done").waitFor();
    const drawn = async (part: Locator) =>
      part.evaluate((node, names) => {
        const { x, y, width, height } = node.getBoundingClientRect();
        const style = getComputedStyle(node);
        return [x, y, width, height, ...names.map((name) => style.getPropertyValue(name))];
      }, looked);
    const seen: Record<string, unknown> = {};
    for (const part of [".panel", ".header h2", ".bubble", ".tool", ".md p", ".md pre", ".md td", ".input", ".send"])
      seen[part] = await drawn(widget.locator(part).first());
    return seen;
  }

  test.each([
    ["undo everything", "* { all: unset !important }"],
    [
      "say everything of everything",
      `* { box-sizing: content-box !important; font: 40px/3 fantasy !important; color: red !important; margin: 9px !important;
        padding: 9px !important; border: 5px solid red !important; text-transform: uppercase !important; letter-spacing: 9px !important;
        white-space: pre !important; cursor: wait !important; text-align: end !important; list-style: square !important; }`,
    ],
    [
      "hide what they know",
      "div, span, p, button, textarea, form, article, section, header, ul, li, pre, svg, h2 { display: none !important }",
    ],
    [
      "have an html of 40 pixels, and words of their own for size",
      "html { font-size: 40px } body { font: 3rem/3 serif; word-spacing: 1em }",
    ],
  ])("that %s change nothing of it", async (_, styles) => {
    const opened = await open(styles);
    expect(await look(opened)).toEqual(plain);
    expect(opened.complaints).toEqual([]);
    await opened.context.close();
  });

  test("from right to left it stands on the other side", async () => {
    const opened = await open("html { direction: rtl }");
    await look(opened);
    const { x } = (await opened.widget.locator(".launcher").boundingBox())!;
    expect(x).toBe(20);
    await opened.context.close();
  });

  test("that turn, scale and zoom the place it stands in leave it whole, and it can be used", async () => {
    const opened = await open(
      "main { transform: rotate(2deg) scale(0.8); zoom: 1.25; filter: grayscale(1); contain: paint }",
      {
        mode: "inline",
        around: '<div id="place" style="height: 500px; width: 500px"></div>',
      },
    );
    await look(opened);
    await opened.ask("demo:text turned");
    expect(await opened.answer()).toBe("turned");
    expect(opened.complaints).toEqual([]);
    await opened.context.close();
  });
});
