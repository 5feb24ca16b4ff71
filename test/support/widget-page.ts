// The built widget in a real Chromium, in front of the real gateway and CLI: on the gateway's own page, or on pages of another site.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { Browser, BrowserContext, BrowserContextOptions, Locator, Page } from "playwright-core";
import { openBrowser } from "./browser.ts";
import { openGateway, type GatewaySettings, type OwnGateway } from "./gateway.ts";
import { openScene, type Scene } from "./real-cli.ts";

export interface WidgetScene {
  readonly scene: Scene;
  readonly browser: Browser;
  readonly gateway: OwnGateway;
  /** Another site on this machine: it serves what `serve` was given, and its `/sluice-token` hands out tokens of the user `ann`. */
  readonly site: Site;
  /** A page of its own context, so with a storage of its own; closed by `close`. */
  open(options?: OpenOptions): Promise<WidgetPage>;
  close(): Promise<void>;
}

export interface OpenOptions extends BrowserContextOptions {
  /** Default: the gateway's own page. */
  readonly url?: string;
  /** Another page of the same browser profile. */
  readonly context?: BrowserContext;
}

export interface Site {
  /** `http://localhost:<port>`: another host than the gateway's 127.0.0.1. */
  readonly origin: string;
  /** The same under a name that browsers do not trust without TLS. */
  readonly plainOrigin: string;
  /** Serves this page from now on, and returns its address. */
  serve(path: string, body: string, headers?: Readonly<Record<string, string>>): string;
  /** The paths that were asked for, in order. */
  readonly asked: readonly string[];
  /** What `/sluice-token` answers; a test may put another in its place. */
  token(user: string): Promise<unknown>;
}

export interface WidgetPage {
  readonly page: Page;
  readonly context: BrowserContext;
  /** The element; what is in its shadow tree is found through it. */
  readonly widget: Locator;
  readonly composer: Locator;
  /** Errors of the page and of its console, with violations of its policy; those of refused requests too. */
  readonly complaints: readonly string[];
  /** The origins of all requests that the page made. */
  readonly requested: ReadonlySet<string>;
  /** Writes this and sends it. */
  send(text: string): Promise<void>;
  /** Sends, and waits until everything is answered. */
  ask(text: string): Promise<void>;
  /** Nothing runs, and the last turn has ended. */
  settled(): Promise<void>;
  /** The text of the newest answer, without its tools and buttons. */
  answer(): Promise<string>;
  /** Notes the element's events of these types from now on. */
  hear(...types: string[]): Promise<void>;
  heard(): Promise<{ type: string; detail: unknown }[]>;
}

const waitMs = 30_000;

/** `settings.openCaller` is the demo's caller unless it is set to null: then people have to sign in, or bring a token. */
export async function openWidgetScene({
  openCaller = { key: "demo", user: null, reach: "all" },
  ...settings
}: Omit<GatewaySettings, "openCaller"> & {
  openCaller?: GatewaySettings["openCaller"] | null;
} = {}): Promise<WidgetScene> {
  const [scene, browser] = await Promise.all([openScene(), openBrowser()]);
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const [origin, plainOrigin] = [`http://localhost:${port}`, `http://intranet.example:${port}`];
  const gateway = await openGateway(scene, {
    agents: [{ name: "default" }],
    ...settings,
    ...(openCaller === null ? {} : { openCaller }),
    environment: { SLUICE_ALLOWED_ORIGINS: `${origin},${plainOrigin}`, ...settings.environment },
  });
  const site = openSite(server, { origin, plainOrigin, gateway });
  const contexts: BrowserContext[] = [];
  return {
    scene,
    browser,
    gateway,
    site,
    async open({ url = `${gateway.address}/`, context: shared, ...options } = {}) {
      const context = shared ?? (await browser.newContext(options));
      if (!shared) contexts.push(context);
      context.setDefaultTimeout(waitMs);
      return openPage(context, url);
    },
    async close() {
      for (const context of contexts) await context.close();
      await browser.close();
      server.closeAllConnections();
      server.close();
      await gateway.close();
      await scene.close();
    },
  };
}

function openSite(
  server: Server,
  { origin, plainOrigin, gateway }: { origin: string; plainOrigin: string; gateway: OwnGateway },
): Site {
  const pages = new Map<string, { body: string; headers: Readonly<Record<string, string>> }>();
  const asked: string[] = [];
  const site: Site = {
    origin,
    plainOrigin,
    asked,
    async token(user) {
      const reply = await gateway.fetch("/api/tokens", {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ user, origins: [origin, plainOrigin] }),
      });
      return reply.json();
    },
    serve(path, body, headers = {}) {
      pages.set(path, { body: `<!doctype html><meta charset="utf-8"><title>A page</title>${body}`, headers });
      return origin + path;
    },
  };
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? "/";
    asked.push(path);
    if (path === "/sluice-token") {
      const token = await site.token("ann").catch(() => undefined);
      if (token === undefined) return void response.writeHead(401).end();
      return void response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(token));
    }
    // Browsers ask for it by themselves.
    if (path === "/favicon.ico") return void response.writeHead(204).end();
    const page = pages.get(path);
    if (!page) return void response.writeHead(404).end();
    response.writeHead(200, { "content-type": "text/html; charset=utf-8", ...page.headers }).end(page.body);
  };
  server.on("request", (request, response) => void answer(request, response).catch(() => response.destroy()));
  return site;
}

async function openPage(context: BrowserContext, url: string): Promise<WidgetPage> {
  const page = await context.newPage();
  const complaints: string[] = [];
  const requested = new Set<string>();
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("request", (request) => requested.add(new URL(request.url()).origin));
  await page.goto(url);
  const widget = page.locator("sluice-chat");
  const composer = widget.locator("textarea.input");
  const settled = async () => {
    await widget.locator(".pending").waitFor({ state: "detached" });
    // What waits in line can be cancelled, what runs can be stopped.
    await widget.locator(".answer .notice button").waitFor({ state: "detached" });
    await widget.locator(".stop").waitFor({ state: "detached" });
  };
  const send = async (text: string) => {
    await composer.fill(text);
    await composer.press("Enter");
  };
  return {
    page,
    context,
    widget,
    composer,
    complaints,
    requested,
    send,
    settled,
    async ask(text) {
      const answers = await widget.locator(".answer").count();
      await send(text);
      await widget
        .locator(".answer")
        .nth(answers)
        .locator(".actions, .failure, .notice:not(:has(button))")
        .first()
        .waitFor();
      await settled();
    },
    answer: async () =>
      (await widget.locator(".answer").last().locator('.messages > [part="text"]').allInnerTexts()).join("\n\n"),
    hear: (...types) =>
      page.evaluate((names) => {
        const noted: { type: string; detail: unknown }[] = [];
        Object.assign(globalThis, { noted });
        const scope = globalThis as unknown as { addEventListener(type: string, listen: (event: never) => void): void };
        for (const name of names)
          scope.addEventListener(name, ({ type, detail }: { type: string; detail: unknown }) =>
            noted.push({ type, detail }),
          );
      }, types),
    heard: () => page.evaluate(() => (globalThis as unknown as { noted: { type: string; detail: unknown }[] }).noted),
  };
}
