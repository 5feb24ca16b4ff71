// Readers that others wrote: the `eventsource` package, `eventsource-parser`, curl, and Chromium's own EventSource.
import { EventSource } from "eventsource";
import { EventSourceParserStream } from "eventsource-parser/stream";
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventTypes, terminalEventTypes } from "../../gateway/protocol/codes.ts";
import { openBrowser, watchInPage, type SeenByPage } from "../support/browser.ts";
import { curl } from "../support/curl.ts";
import { newFolder, openGateway, type OwnGateway } from "../support/gateway.ts";
import { lacksChromium, lacksCurl } from "../support/programs.ts";
import { startProxy } from "../support/proxy.ts";
import { joined, openReader, readAll, textOf, type WireEvent } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene);
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

const words = (length: number) => Array.from({ length }, (_, index) => `word${index + 1}`).join(" ");

test("[L4, S4] the eventsource package goes on by itself after a cut, and stops at 204 when the turn has ended", async () => {
  const proxy = await startProxy(gateway.address);
  const turn = await gateway.post("demo:long words=300 rate=60");
  const asked: (string | null)[] = [];
  const statuses: number[] = [];
  const source = new EventSource(new URL(new URL(turn.events_url).pathname, proxy.address), {
    async fetch(url, init) {
      const headers = { ...init.headers, ...gateway.headers };
      asked.push(new Headers(headers).get("last-event-id"));
      const reply = await fetch(url, { ...init, headers });
      statuses.push(reply.status);
      return reply;
    },
  });
  const events: WireEvent[] = [];
  for (const type of eventTypes)
    source.addEventListener(type, ({ data }) => events.push(JSON.parse(data as string) as WireEvent));
  await until("some deltas", () => events.length > 20, 30_000);
  proxy.cut();
  const cursor = events.at(-1)!.seq;
  await until("the end of it all", () => source.readyState === EventSource.CLOSED, 30_000);
  expect(statuses).toEqual([200, 200, 204]);
  expect(asked).toEqual([null, String(cursor), String(events.at(-1)!.seq)]);
  expect(joined(events)).toEqual(joined(await readAll(turn.events_url, gateway)));
  expect(textOf(events)).toBe(words(300));
  proxy.close();
});

test("eventsource-parser reads the body of a fetch", async () => {
  const turn = await gateway.post("demo:text Line one\u2028 and 🦥.");
  const reply = await fetch(turn.events_url, { headers: gateway.headers });
  const events: WireEvent[] = [];
  const frames = reply.body!.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
  for await (const { id, event, data } of frames) {
    if (event === "ping") continue;
    const wire = JSON.parse(data) as WireEvent;
    expect([id, event]).toEqual([String(wire.seq), wire.type]);
    events.push(wire);
  }
  expect(joined(events)).toEqual(joined(await readAll(turn.events_url, gateway)));
  expect(textOf(events)).toBe("Line one\u2028 and 🦥.");
});

test.skipIf(lacksCurl)("curl reads every rendering, and to the end that a shutdown gives them", async () => {
  const done = await gateway.post("demo:text Said.");
  await gateway.ended(done.turn);
  const path = `/api/turns/${done.turn}/events`;
  expect(await curl(gateway, path, { accept: "text/plain" })).toEqual(["Said.", 0]);
  const [ndjson, code] = await curl(gateway, path, { accept: "application/x-ndjson" });
  const lines = ndjson.trimEnd().split("\n");
  expect(code).toBe(0);
  expect((JSON.parse(lines.at(-1)!) as WireEvent).type).toBe("turn_completed");
  expect(
    await curl(gateway, `${path}?after=1000000000`, { accept: "text/event-stream", args: ["-m", "20"] }),
  ).toMatchObject([expect.stringContaining("event: gap\n"), 0]);

  const own = await openGateway(scene);
  const turn = await own.post("demo:long words=1000 rate=30");
  const reader = await openReader(turn.events_url, own);
  const cut = curl(own, `/api/turns/${turn.turn}/events`, { accept: "text/plain" });
  const sse = curl(own, `/api/sessions/${turn.session}/events`, { accept: "text/event-stream" });
  await reader.find("some text", (event) => textOf([event]).includes("word5"));
  await own.close();
  const [said, exitCode] = await cut;
  // The turn was cancelled by the shutdown: its text is whole as far as it goes.
  expect([said.startsWith("word1 word2 "), said.endsWith("\n[turn_cancelled]\n"), exitCode]).toEqual([true, true, 0]);
  expect(await sse).toMatchObject([expect.stringMatching(/\nretry: \d+\n\n$/), 0]);
});

test.skipIf(lacksCurl)("[S3] a text whose turn waits when the gateway ends is cut: curl exits with 18", async () => {
  const own = await openGateway(scene);
  const turn = await own.post("demo:long words=1000 rate=30");
  const queued = await own.post("demo:text Waits.", { session: turn.session });
  const cut = curl(own, `/api/turns/${queued.turn}/events`, { accept: "text/plain" });
  const reader = await openReader(queued.events_url, own);
  await reader.find("the queue", ({ type }) => type === "turn_queued");
  await until("both to be heard", async () => (await own.turn(turn.turn)).state === "running");
  const first = await openReader(turn.events_url, own);
  await first.find("some text", ({ type }) => type === "content_block_delta");
  await own.close();
  expect(await cut).toEqual(["", 18]);
});

test.skipIf(lacksChromium)(
  "[L4, S1, S4] Chromium's EventSource sees all, goes on after a restart of the gateway, and ends at 204",
  { timeout: 120_000 },
  async () => {
    const settings = {
      dataFolder: newFolder(scene, "browser"),
      openCaller: { key: "demo", user: null, reach: "all" },
      limits: { ping_s: 0.5 },
    } as const;
    let own = await openGateway(scene, settings);
    let browser: Browser | undefined;
    try {
      browser = await openBrowser();
      const page = await browser.newPage();
      await page.route(`${own.address}/blank`, (route) =>
        route.fulfill({ contentType: "text/html", body: "<!doctype html><title>blank</title>" }),
      );
      const requests: string[] = [];
      page.on("request", (request) => requests.push(request.url()));
      await page.goto(`${own.address}/blank`);
      const look = () => page.evaluate(() => (globalThis as unknown as { look(): SeenByPage }).look());
      const first = await own.post("demo:long words=1000 rate=50");
      const url = `${own.address}/api/sessions/${first.session}/events`;
      await page.evaluate(watchInPage, { url, types: eventTypes });
      await until("words in the page", async () => textOf((await look()).events).includes("word20"), 30_000);
      const { port } = new URL(own.address);
      await own.close();
      own = await openGateway(scene, { ...settings, port: Number(port) });
      const second = await own.post("demo:long words=30 rate=30", { session: first.session });
      await until("the second turn's end", async () => (await look()).events.at(-1)?.type === "turn_completed", 30_000);
      const seen = await look();
      const { last_seq: last } = await own.session(first.session);
      const reader = await openReader(url);
      await reader.find("the newest event", ({ seq }) => seq === last);
      reader.leave();
      expect(joined(seen.events)).toEqual(joined(reader.events));
      expect(seen.opened).toBe(2);
      const endings = seen.events.filter(({ type }) => terminalEventTypes.some((ending) => ending === type));
      expect(endings.map(({ turn }) => turn)).toEqual([first.turn, second.turn]);
      await until("pings", async () => (await look()).pings >= 4);

      requests.length = 0;
      await page.evaluate(watchInPage, { url: second.events_url, types: eventTypes });
      await until("the EventSource to be closed", async () => (await look()).state === 2, 30_000);
      expect(joined((await look()).events)).toEqual(joined(await readAll(second.events_url)));
      // The stream itself, and one more that is answered by 204.
      expect(requests.filter((requested) => requested === second.events_url)).toHaveLength(2);
    } finally {
      await browser?.close();
      await own.close();
    }
  },
);
