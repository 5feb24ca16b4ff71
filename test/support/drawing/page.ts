// The built widget in a real Chromium, in front of nothing but a few made-up replies: what it draws, and what that takes. The network is left out,
// so that what is measured is the widget.
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, CDPSession, Page } from "playwright-core";
import { openBrowser } from "../browser.ts";
import { session } from "./answers.ts";
import { pageOfLongTranscript } from "./transcripts.ts";

export interface DrawingScene {
  /** A page that shows an inline widget with an empty conversation that it listens to. */
  openWidget(): Promise<DrawingPage>;
  /** A page with this in its body; files of `folders` are at `/files/<name>/…`. */
  openPage(body: string): Promise<DrawingPage>;
  close(): Promise<void>;
}

export interface DrawingPage {
  readonly page: Page;
  /** How many times slower this page's main thread is. */
  throttle(times: number): Promise<void>;
  /** Milliseconds of the main thread during this. */
  during(act: () => Promise<unknown>): Promise<number>;
  /** With its longest task too; to watch it takes a little time itself. */
  watched(act: () => Promise<unknown>): Promise<Work>;
  /** Of the page's scripts, without what nobody holds any more. */
  heapBytes(): Promise<number>;
  close(): Promise<void>;
}

/** Milliseconds of the main thread. */
export interface Work {
  readonly taskMs: number;
  readonly longestMs: number;
}

/** What pump.js offers in the page. */
export interface Pump {
  settled(): Promise<void>;
  isListening(): boolean;
  take(parts: readonly unknown[]): void;
  each(options?: { readonly isLaidOut?: boolean; readonly limitMs?: number }): Promise<number>;
  paced(perSecond: number): Promise<void>;
  count(): void;
  counted(): { readonly added: number; readonly removed: number };
  start(mode: string): Promise<void>;
  open(session: string): Promise<number>;
  scrollUp(messages: number): Promise<void>;
  readonly others: Readonly<Record<"nothing" | "streamingMarkdown" | "marked" | "deepChat", () => Promise<void>>>;
}

const widgetFolder = new URL("../../../widget/dist/", import.meta.url).pathname;

declare const drawing: Pump;

/** The widget must have been built. `folders`: by the names that `/files` has them under. */
export async function openDrawingScene(folders: Readonly<Record<string, string>> = {}): Promise<DrawingScene> {
  const bodies = new Map<string, string>();
  const server = createServer((request, response) => {
    const [type, content] = replyTo(request.url!, bodies, folders);
    response.writeHead(content === null ? 404 : 200, { "Content-Type": `${type}; charset=utf-8` });
    response.end(content ?? "");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const browser = await openBrowser();
  const openPage = async (body: string) => {
    const path = `/page/${bodies.size}`;
    bodies.set(path, `<!doctype html><meta charset="utf-8"><title>A page</title><body>${body}`);
    return openDrawingPage(browser, origin + path);
  };
  return {
    openPage,
    async openWidget() {
      const opened = await openPage(
        `<script type="module" src="/widget.mjs"></script><sluice-chat mode="fullscreen" session="${session}"></sluice-chat>`,
      );
      await opened.page.waitForFunction(() => drawing.isListening());
      await chunksLoaded(opened.page);
      return opened;
    },
    async close() {
      await browser.close();
      await closed(server);
    },
  };
}

/** What the panel fetches ahead is there. */
export async function chunksLoaded(page: Page): Promise<void> {
  await page.waitForFunction(() => {
    const names = performance.getEntriesByType("resource").map(({ name }) => name);
    return ["text", "tools", "more"].every((chunk) => names.some((name) => name.includes(`/widget/${chunk}-`)));
  });
  await page.evaluate(() => drawing.settled());
}

async function openDrawingPage(browser: Browser, url: string): Promise<DrawingPage> {
  const context = await browser.newContext({ viewport: { width: 800, height: 900 } });
  const page = await context.newPage();
  await page.addInitScript({ path: new URL("pump.js", import.meta.url).pathname });
  const client = await context.newCDPSession(page);
  // What else runs on this machine is not counted.
  await client.send("Performance.enable", { timeDomain: "threadTicks" });
  await page.goto(url);
  return {
    page,
    async throttle(rate) {
      await client.send("Emulation.setCPUThrottlingRate", { rate });
    },
    during: (act) => during(client, act),
    watched: (act) => watched(client, act),
    async heapBytes() {
      await client.send("HeapProfiler.collectGarbage");
      return (await metrics(client))["JSHeapUsedSize"]!;
    },
    close: () => context.close(),
  };
}

async function during(client: CDPSession, act: () => Promise<unknown>): Promise<number> {
  const before = await metrics(client);
  await act();
  const after = await metrics(client);
  return (after["TaskDuration"]! - before["TaskDuration"]!) * 1000;
}

async function watched(client: CDPSession, act: () => Promise<unknown>): Promise<Work> {
  let longestUs = 0;
  const note = ({ value }: { value: readonly object[] }) => {
    for (const { name, tdur = 0 } of value as readonly { name?: string; tdur?: number }[])
      if (name === "RunTask") longestUs = Math.max(longestUs, tdur);
  };
  client.on("Tracing.dataCollected", note);
  await client.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline"], excludedCategories: ["*"] },
  });
  const taskMs = await during(client, act);
  const complete = new Promise((resolve) => client.once("Tracing.tracingComplete", resolve));
  await client.send("Tracing.end");
  await complete;
  client.off("Tracing.dataCollected", note);
  return { taskMs, longestMs: longestUs / 1000 };
}

async function metrics(client: CDPSession): Promise<Record<string, number>> {
  const { metrics: all } = await client.send("Performance.getMetrics");
  return Object.fromEntries(all.map(({ name, value }) => [name, value]));
}

function replyTo(
  url: string,
  bodies: ReadonlyMap<string, string>,
  folders: Readonly<Record<string, string>>,
): [type: string, content: string | Buffer | null] {
  const { pathname, searchParams } = new URL(url, "http://localhost");
  const body = bodies.get(pathname);
  if (body !== undefined) return ["text/html", body];
  const [, place = "", name = "", ...rest] = pathname.split("/");
  if (/^widget\.m?js$/.test(place)) return ["text/javascript", readFileSync(widgetFolder + place)];
  if (place === "widget") return ["text/javascript", readFileSync(widgetFolder + name)];
  if (place === "files") return ["text/javascript", readFileSync(`${folders[name]!}/${rest.join("/")}`)];
  const json = apiReply(pathname, searchParams);
  return ["application/json", json === undefined ? null : JSON.stringify(json)];
}

function apiReply(pathname: string, query: URLSearchParams): unknown {
  if (pathname === "/api/turns") return { turns: [], next_cursor: null };
  const [, , , id, what] = pathname.split("/");
  if (!pathname.startsWith("/api/sessions/") || id === undefined) return undefined;
  if (what === undefined) return { session: id, events_url: `/api/sessions/${id}/events?ticket=t` };
  if (what === "transcript") return pageOfLongTranscript(id, query.get("cursor"), Number(query.get("limit")));
  return undefined;
}

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  server.close();
  await once(server, "close");
}
