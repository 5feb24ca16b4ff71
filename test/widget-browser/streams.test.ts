import { setTimeout as wait } from "node:timers/promises";
import type { BrowserContext, Request } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { spawnGateway } from "../support/gateway.ts";
import { startProxy, type Proxy } from "../support/proxy.ts";
import { random, scaled, testSeed } from "../support/scale.ts";
import { until } from "../support/wait.ts";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// A conversation does not lose its place: in several tabs, on a bad line, in the back/forward cache, over the gateway's end. All on HTTP/1.1,
// where a browser has six connections for one host. A reload in the middle of an answer is in first-chat.test.ts.

let scene: WidgetScene;
let proxy: Proxy;
beforeAll(async () => {
  scene = await openWidgetScene();
  proxy = await startProxy(scene.gateway.address);
});
afterAll(async () => {
  proxy?.close();
  await scene?.close();
});

/** Two seconds are promised; the rest is for a machine under load. */
const resumedMs = 2000 + 3000;

const words = (count: number) => Array.from({ length: count }, (_, index) => `word${index + 1}`).join(" ");

/** The text of the newest answer; empty while there is none. */
async function said({ widget, answer }: WidgetPage): Promise<string> {
  return (await widget.locator(".answer").count()) === 0 ? "" : answer();
}

function hasSaid(page: WidgetPage, text: string, withinMs = 30_000): Promise<unknown> {
  return until(`the answer to have "${text.slice(-30)}"`, async () => (await said(page)).includes(text), withinMs);
}

async function newestTurn(): Promise<{ state: string; text: string }> {
  const { turns } = (await (await scene.gateway.fetch("/api/turns?limit=1")).json()) as {
    turns: { state: string; text: string }[];
  };
  return turns[0]!;
}

/** The requests of each EventSource that is opened from now on, in order. */
function streamsOf(context: BrowserContext): Request[] {
  const streams: Request[] = [];
  context.on("request", (request) => {
    if (request.resourceType() === "eventsource") streams.push(request);
  });
  return streams;
}

test("eight tabs have one stream for one conversation, also those that join in mid-answer, and four for eight conversations", async () => {
  const context = await scene.browser.newContext();
  const streams = streamsOf(context);
  const first = await scene.open({ context });
  await first.send("demo:long words=9000 rate=20");
  await hasSaid(first, "word5 ");
  const others = await Promise.all(Array.from({ length: 7 }, () => scene.open({ context })));
  for (const tab of others) await hasSaid(tab, "word5 ");
  const seen = await said(others[6]!);
  await until("more words", async () => (await said(others[6]!)).length > seen.length);
  await others[6]!.widget.getByRole("button", { name: "Stop" }).click();
  for (const tab of [first, ...others]) await tab.settled();
  const { text } = await newestTurn();
  expect(words(9000).startsWith(text)).toBe(true);
  for (const tab of [first, ...others])
    await until("all that was said", async () => (await tab.answer()) === text.trimEnd());
  expect(streams.map((stream) => stream.frame().page())).toEqual([first.page]);
  await first.page.close();
  await others[3]!.send("demo:text without the first tab");
  for (const tab of others) await hasSaid(tab, "without the first tab");
  expect(streams).toHaveLength(2);
  const tabs = [...others, await scene.open({ context })];
  const { pathname: shared } = new URL(streams[0]!.url());
  for (const [index, tab] of tabs.entries()) {
    await tab.widget.getByRole("button", { name: "New conversation" }).click();
    await tab.send(`demo:text answer number ${index}`);
  }
  for (const [index, tab] of tabs.entries()) await hasSaid(tab, `answer number ${index}`);
  const streamed = new Set(streams.map((stream) => new URL(stream.url()).pathname));
  streamed.delete(shared);
  expect(streamed.size).toBe(4);
  for (const tab of tabs) expect(tab.complaints).toEqual([]);
  await context.close();
}, 120_000);

test("[L4] a connection that breaks at random points costs no word, and is mended within two seconds", async () => {
  const cuts = scaled({ short: 10, long: 50 });
  const seed = testSeed();
  const next = random(seed);
  const tab = await scene.open({ url: `${proxy.address}/` });
  await tab.send(`demo:long words=${cuts * 50} rate=60`);
  await hasSaid(tab, "word5 ");
  const mendedMs: number[] = [];
  for (let cut = 0; cut < cuts; cut++) {
    const grows = (length: number, withinMs: number) =>
      until(
        `words after cut ${cut}; SLUICE_TEST_SEED=${seed}`,
        async () => (await said(tab)).length > length,
        withinMs,
      );
    await grows((await said(tab)).length + next() * 150, 30_000);
    const { length } = await said(tab);
    proxy.cut();
    const cutAt = performance.now();
    // What had arrived may still be drawn.
    await grows(length + 60, resumedMs);
    mendedMs.push(performance.now() - cutAt);
  }
  // A busy machine may take its time once.
  expect(mendedMs.toSorted((a, b) => a - b)[Math.floor(cuts / 2)]).toBeLessThan(2000);
  await tab.settled();
  // A very long text ends its line here and there.
  expect((await tab.answer()).replaceAll("\n", " ") === words(cuts * 50)).toBe(true);
  await tab.context.close();
}, 300_000);

test("[L7] events that come doubled and in disorder make the same conversation", async () => {
  const seed = testSeed();
  const context = await scene.browser.newContext();
  await context.addInitScript(disorder, seed);
  const tab = await scene.open({ context });
  await tab.ask("demo:long words=200 rate=200");
  expect(await tab.answer(), `SLUICE_TEST_SEED=${seed}`).toBe(words(200));
  await tab.send('demo:tool Bash {"command":"echo two"}\ndemo:text three');
  const shown = async () => {
    await tab.widget.getByText("three", { exact: true }).waitFor();
    await tab.settled();
    return (await tab.widget.locator(".answer").last().innerText()).replace(/\d+(\.\d)? s/, "");
  };
  const before = await shown();
  await tab.page.reload();
  expect(await shown(), `SLUICE_TEST_SEED=${seed}`).toBe(before);
  await context.close();
});

/** Runs in the page: its EventSource gives every event twice, among others of the same 50 ms. */
function disorder(seed: number): void {
  let state = seed;
  const next = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0);
  let held: (() => void)[] = [];
  const release = () => {
    for (const act of held.splice(0)) act();
  };
  const add = EventTarget.prototype.addEventListener;
  Object.defineProperty(EventSource.prototype, "addEventListener", {
    value(this: EventSource, type: string, listen: (event: Event) => void) {
      add.call(this, type, (event) => {
        if (held.length === 0) setTimeout(release, 50);
        for (let time = 0; time < 2; time++) held.splice(next() % (held.length + 1), 0, () => listen(event));
      });
    },
  });
}

test("offline is said; what was written meanwhile is sent when the network is back, and no word is missing", async () => {
  const tab = await scene.open();
  await tab.send("demo:long words=200 rate=80");
  await hasSaid(tab, "word5 ");
  await tab.context.setOffline(true);
  await tab.widget.getByText("Offline").first().waitFor();
  await tab.send("demo:text written offline");
  await tab.widget.locator(".pending").waitFor();
  await until("the first answer on the gateway", async () => (await newestTurn()).state === "completed");
  await wait(scaled({ short: 0, long: 30_000 }));
  await tab.context.setOffline(false);
  const first = tab.widget.locator(".answer").first().locator('.messages > [part="text"]');
  await until("what came meanwhile", async () => (await first.innerText()) === words(200), resumedMs);
  await hasSaid(tab, "written offline");
  await tab.settled();
  await expect.poll(() => tab.widget.locator(".answer").count()).toBe(2);
  await tab.context.close();
}, 120_000);

test("a page out of the back/forward cache is as it was, and goes on", async () => {
  const tab = await scene.open();
  await tab.send("demo:long words=150 rate=50");
  await hasSaid(tab, "word5 ");
  await tab.page.evaluate(() =>
    addEventListener("pageshow", ({ persisted }) => Object.assign(globalThis, { persisted })),
  );
  await tab.page.goto(scene.site.serve("/elsewhere", "<p>elsewhere"));
  await tab.page.goBack({ waitUntil: "commit" });
  expect(await tab.page.evaluate(() => (globalThis as { persisted?: boolean }).persisted)).toBe(true);
  await tab.settled();
  expect(await tab.answer()).toBe(words(150));
  await tab.context.close();
});

test.each([
  ["[S3] over a restart of the gateway", "SIGTERM"],
  ["[L3] over its sudden death", "SIGKILL"],
] as const)("%s the conversation stays, with what had been said, and goes on", async (_, signal) => {
  const settings = { limits: { shutdown_grace_s: 0 }, environment: { TMPDIR: scene.scene.folder } };
  const before = await spawnGateway(scene.scene, settings, { command: "demo" });
  const tab = await scene.open({ url: `${before.address}/` });
  await tab.ask("demo:text the first answer");
  await tab.send("demo:long words=2000 rate=60");
  await hasSaid(tab, "word5 ");
  await before.kill(signal);
  await tab.widget.getByText("Reconnecting …").waitFor();
  const port = Number(new URL(before.address).port);
  const again = await spawnGateway(
    scene.scene,
    { ...settings, dataFolder: before.dataFolder, port },
    { command: "demo" },
  );
  await tab.settled();
  expect(await tab.answer()).toMatch(/^word1 word2 word3 word4 word5/);
  await tab.ask("demo:text and after that");
  await expect
    .poll(() => tab.widget.locator(".answer").allInnerTexts())
    .toEqual([
      expect.stringContaining("the first answer"),
      expect.stringContaining("word5"),
      expect.stringContaining("and after that"),
    ]);
  await tab.context.close();
  await again.kill("SIGTERM");
});

test("[A3] a token that has run out unnoticed is replaced, and the answer goes on with a ticket of the new one", async () => {
  const { site, gateway } = scene;
  const tokens: string[] = [];
  const ordinary = site.token;
  site.token = async (user) => {
    const reply = await gateway.fetch("/api/tokens", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ user, origins: [site.origin], expires_in: 10 }),
    });
    const { token } = (await reply.json()) as { token: string };
    tokens.push(token);
    // What a machine believes whose clock is wrong.
    return { token, expires_at: new Date(Date.now() + 3_600_000).toISOString() };
  };
  const tag = `<script src="${proxy.address}/widget.js" data-mode="inline" data-token-url="/sluice-token"></script>`;
  const tab = await scene.open({ url: site.serve("/expiring", tag) });
  await tab.send("demo:long words=200 rate=20");
  await hasSaid(tab, "word5 ");
  const isRefused = async () =>
    (await fetch(`${gateway.address}/api/sessions`, { headers: { authorization: `Bearer ${tokens[0]}` } })).status ===
    401;
  await until("the token's end", isRefused, 15_000);
  expect(tokens).toHaveLength(1);
  proxy.cut();
  await tab.settled();
  expect(await tab.answer()).toBe(words(200));
  expect(tokens.length).toBeGreaterThan(1);
  expect(await tab.widget.getByText("You are signed out").count()).toBe(0);
  site.token = ordinary;
  await tab.context.close();
});
