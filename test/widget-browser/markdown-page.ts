// The renderer in a real page: built for the browser, under the strictest policy that a page may have.
import { createServer, type Server } from "node:http";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { AddressInfo } from "node:net";
import type { Browser, Page } from "playwright-core";
import { build, type Rolldown } from "vite";
import { openBrowser } from "../support/browser.ts";

const root = resolve(import.meta.dirname, "../..");
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; require-trusted-types-for 'script'";

/** A node as the page reports it: an element with its name, class, attributes and children, or a text. */
export type SeenNode =
  string | readonly [name: string, attributes: Readonly<Record<string, string>>, ...children: SeenNode[]];

export interface MarkdownScene {
  readonly browser: Browser;
  /** A page with `draw` and `look` (see `markdown-page-script.ts`), and what it must not do. */
  open(): Promise<MarkdownPage>;
  close(): Promise<void>;
}

export interface MarkdownPage {
  readonly page: Page;
  /** Addresses that were asked for since the page had loaded. */
  readonly requested: readonly string[];
  /** Errors, dialogs and violations of the policy. */
  readonly complaints: readonly string[];
}

export async function openMarkdownScene(): Promise<MarkdownScene> {
  const files = await bundle();
  const server = createServer((request, response) => {
    const name = request.url!.slice(1) || "index.html";
    const content = files.get(name);
    const type = name.endsWith(".css") ? "text/css" : name.endsWith(".js") ? "text/javascript" : "text/html";
    response.writeHead(content === undefined ? 404 : 200, {
      "Content-Type": `${type}; charset=utf-8`,
      "Content-Security-Policy": policy,
    });
    response.end(content ?? "");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const browser = await openBrowser();
  return {
    browser,
    open: () => openPage(browser, `http://127.0.0.1:${(server.address() as AddressInfo).port}/`),
    async close() {
      await browser.close();
      await closed(server);
    },
  };
}

async function openPage(browser: Browser, url: string): Promise<MarkdownPage> {
  const context = await browser.newContext({ permissions: ["clipboard-read", "clipboard-write"] });
  const page = await context.newPage();
  const requested: string[] = [];
  const complaints: string[] = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("dialog", (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  await page.goto(url);
  await page.waitForFunction(() => "markdown" in globalThis);
  page.on("request", (request) => requested.push(request.url()));
  return { page, requested, complaints };
}

async function bundle(): Promise<Map<string, string>> {
  const built = (await build({
    configFile: false,
    logLevel: "error",
    root,
    build: {
      write: false,
      modulePreload: false,
      rolldownOptions: {
        input: resolve(root, "test/widget-browser/markdown-page-script.ts"),
        output: { entryFileNames: "page.js", chunkFileNames: "[name].js", format: "es" },
      },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = built.output.flatMap((file): [string, string][] =>
    file.type === "chunk" ? [[file.fileName, file.code]] : [],
  );
  const style = readFileSync(resolve(root, "widget/markdown/markdown.css"), "utf8");
  return new Map([
    ...chunks,
    ["markdown.css", style],
    [
      "index.html",
      '<!doctype html><meta charset="utf-8"><title>Markdown</title><link rel="stylesheet" href="markdown.css"><script type="module" src="page.js"></script>',
    ],
  ]);
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}
