import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openDrawingScene, type DrawingScene, type Pump } from "../support/drawing/page.ts";
import { longSession, oneTurnSession } from "../support/drawing/transcripts.ts";

// What a page takes before anybody has opened the panel, and in which order a long conversation comes to be there.

declare const drawing: Pump;

let scene: DrawingScene;
beforeAll(async () => {
  scene = await openDrawingScene();
});
afterAll(() => scene.close());

const scripts = (page: Page) =>
  page.evaluate(() =>
    performance
      .getEntriesByType("resource")
      .flatMap(({ name }) => /\/widget(?:\.js|\/([\w-]+)-[0-9a-f]{8}\.mjs)$/.exec(name)?.[1] ?? [])
      .toSorted(),
  );

test("a closed bubble fetches nothing but the main module; what its panel wants comes when the pointer is on it", async () => {
  const { page, close } = await scene.openPage("<p>A page</p>");
  await page.evaluate(() => drawing.start("bubble"));
  await page.evaluate(() => drawing.settled());
  expect(await scripts(page)).toEqual(["embed"]);
  await page.locator("sluice-chat .launcher").hover();
  await expect.poll(() => scripts(page)).toEqual(["embed", "more", "text", "tools"]);
  expect(await page.locator("sluice-chat .panel").count()).toBe(0);
  await close();
});

test("a long conversation is drawn from its end, then what stands above it; its end stays in sight", async () => {
  const { page, close } = await scene.openWidget();
  const seen = page.evaluate(
    () =>
      new Promise<{ articles: number; isBusy: boolean }[]>((resolve) => {
        const log = document.querySelector("sluice-chat")!.shadowRoot!.querySelector(".log")!;
        const states: { articles: number; isBusy: boolean }[] = [];
        const observer = new MutationObserver(() => {
          const state = {
            articles: log.querySelectorAll("article").length,
            isBusy: log.getAttribute("aria-busy") === "true",
          };
          if (state.articles > 0 && state.articles !== states.at(-1)?.articles) states.push(state);
          if (state.articles < 40) return;
          observer.disconnect();
          resolve(states);
        });
        observer.observe(log, { childList: true, subtree: true, attributes: true });
      }),
  );
  await page.evaluate((session) => drawing.open(session), longSession);
  const states = await seen;
  expect(states[0]!.articles).toBeLessThan(20);
  expect(states.slice(0, -1).every(({ isBusy }) => isBusy)).toBe(true);
  await page.evaluate(() => drawing.settled());
  const log = page.locator("sluice-chat .log");
  expect(await log.getAttribute("aria-busy")).toBe("false");
  expect(await log.evaluate((it) => it.scrollHeight - it.scrollTop - it.clientHeight)).toBeLessThan(2);
  await expect.poll(() => page.locator("sluice-chat article").last().textContent()).toContain("Message 1000.");
  await close();
});

test("the keys reach the first message of a conversation that was drawn from its end", async () => {
  const { page, close } = await scene.openWidget();
  await page.evaluate((session) => drawing.open(session), longSession);
  await page.locator('sluice-chat .log[aria-busy="false"]').waitFor();
  await page.locator("sluice-chat article").last().focus();
  await page.keyboard.press("Home");
  const focused = await page.evaluate(
    () => document.querySelector("sluice-chat")!.shadowRoot!.activeElement!.textContent,
  );
  // Of forty.
  expect(focused).toContain("What about 961?");
  await close();
});

test("what is open in a long answer stays so, in the same elements, when the messages before it come", async () => {
  const { page, close } = await scene.openWidget();
  await page.evaluate((session) => drawing.open(session), oneTurnSession);
  const steps = page.locator('sluice-chat [part="tool"]');
  await expect.poll(() => steps.count()).toBe(40);
  const card = steps.nth(20);
  await card.locator(".tool-head").click();
  const output = await page.locator("sluice-chat").getByText("output 981").elementHandle();
  const log = page.locator("sluice-chat .log");
  await log.evaluate((it) => (it.scrollTop = 0));
  await expect.poll(() => steps.count()).toBe(80);
  expect(await output?.evaluate((it) => it.isConnected)).toBe(true);
  await expect.poll(() => page.locator("sluice-chat .messages").first().innerText()).toContain("Step 921");
  await close();
});

test("held at its very top it goes on to older and older messages", async () => {
  const { page, close } = await scene.openWidget();
  await page.evaluate((session) => drawing.open(session), longSession);
  await page.evaluate(() => drawing.scrollUp(200));
  const oldest = await page.locator("sluice-chat article").first().textContent();
  expect(Number(/What about (\d+)\?/.exec(oldest!)![1])).toBeLessThanOrEqual(801);
  await close();
});
