import { afterAll, beforeAll, expect, test } from "vitest";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// A conversation that is longer than what a page brings: what is older comes when it is gone back to, and what is read stays in its place.

let scene: WidgetScene;
let session: string;
beforeAll(async () => {
  scene = await openWidgetScene();
  for (let number = 1; number <= turns; number++) {
    const of = number === 1 ? {} : { session };
    const { turn, session: made } = await scene.gateway.post(
      `demo:text ${number} ${"of a long conversation ".repeat(20)}`,
      of,
    );
    session = made;
    await scene.gateway.ended(turn);
  }
});
afterAll(() => scene?.close());

/** Two messages each, of which a page has forty. */
const turns = 50;

interface Older extends WidgetPage {
  /** Resolves when the page of older messages has been asked for; its answer waits until it is called for. */
  readonly asked: () => Promise<() => void>;
}

/** The conversation at its end, with the oldest message of its first page out of sight. */
async function open(): Promise<Older> {
  const context = await scene.browser.newContext();
  await context.route("**/host", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><title>A page</title><script src="/widget.js" data-mode="fullscreen" data-session="${session}"></script>`,
    }),
  );
  let asked = Promise.withResolvers<() => void>();
  await context.route("**/transcript?*cursor=*", (route) => asked.resolve(() => void route.continue()));
  const opened = await scene.open({ url: `${scene.gateway.address}/host`, context });
  await opened.widget.locator("article").nth(39).waitFor();
  await opened.widget.locator(".older").waitFor({ state: "attached" });
  return {
    ...opened,
    async asked() {
      const release = await asked.promise;
      asked = Promise.withResolvers();
      return release;
    },
  };
}

const messages = ({ widget }: WidgetPage) => widget.locator("article").count();

/** Where this message is seen, from the log's upper edge, at every frame from now on: what `placesSeen` gives. */
function watchPlace({ widget }: WidgetPage, message: string): Promise<void> {
  return widget.locator(".log").evaluate((log, selector) => {
    const places = new Set<number>();
    Object.assign(globalThis, { places });
    const look = () => {
      const seen = log.querySelector(selector)!.getBoundingClientRect().top - log.getBoundingClientRect().top;
      places.add(seen);
      requestAnimationFrame(look);
    };
    look();
  }, message);
}
const placesSeen = ({ page }: WidgetPage) =>
  page.evaluate(() => [...(globalThis as unknown as { places: Set<number> }).places]);

/** Lets the older page come, and looks where the message that is read stands meanwhile. */
async function staysWhileOlderComes(opened: Older, message: string, release: () => void): Promise<void> {
  const { widget } = opened;
  const before = await messages(opened);
  await watchPlace(opened, message);
  release();
  await expect.poll(() => messages(opened), { timeout: 10_000 }).toBeGreaterThan(before);
  // Some frames later all is where it will be.
  await widget.evaluate(async () => {
    for (let frames = 0; frames < 10; frames++) await new Promise(requestAnimationFrame);
  });
  const places = await placesSeen(opened);
  // Of a line of twenty pixels, since what browsers scroll by is rounded.
  expect(Math.max(...places) - Math.min(...places)).toBeLessThanOrEqual(4);
}

/** A selector of the message that is read: the first one whose upper edge is seen. */
const read = ({ widget }: WidgetPage) =>
  widget.locator(".log").evaluate((log) => {
    const seen = [...log.querySelectorAll(".answer")].find(
      (answer) => answer.getBoundingClientRect().top > log.getBoundingClientRect().top,
    );
    return `[data-turn="${seen!.getAttribute("data-turn")}"]`;
  });

test("scrolled up, older messages come, and what is read stays where it is", async () => {
  const opened = await open();
  const { page, widget } = opened;
  await widget.locator(".log").hover();
  const asked = opened.asked();
  let isAsked = false;
  void asked.then(() => (isAsked = true));
  while (!isAsked) {
    await page.mouse.wheel(0, -200);
    await widget.evaluate(() => new Promise(requestAnimationFrame));
  }
  expect(await widget.locator(".log").evaluate((log) => log.scrollTop)).toBeGreaterThan(0);
  await staysWhileOlderComes(opened, await read(opened), await asked);
  expect(await messages(opened)).toBe(80);
});

test("scrolled to the very top, too", async () => {
  const opened = await open();
  const { widget } = opened;
  await widget.locator(".log").evaluate((log) => (log.scrollTop = 0));
  const release = await opened.asked();
  await widget.locator(".log").evaluate((log) => (log.scrollTop = 0));
  await staysWhileOlderComes(opened, await read(opened), release);
  expect(await messages(opened)).toBe(80);
});

test("by keys, to the first of all messages: the focus stays with the message that is read", async () => {
  const opened = await open();
  const { page, widget } = opened;
  await widget.locator("article").last().focus();
  for (const count of [80, 100]) {
    await page.keyboard.press("Home");
    const focused = await widget.locator("article:focus").elementHandle();
    await staysWhileOlderComes(opened, "article:focus", await opened.asked());
    expect(await messages(opened)).toBe(count);
    expect(await focused?.evaluate((article) => article.matches(":focus"))).toBe(true);
  }
  await page.keyboard.press("Home");
  await expect.poll(() => widget.locator("article:focus").innerText()).toMatch(/^demo:text 1 of/);
  expect(await widget.locator(".older").count()).toBe(0);
});

test("by its button, where they did not come by themselves; the focus stays in the conversation", async () => {
  const opened = await open();
  const { page, widget, context } = opened;
  const older = widget.getByRole("button", { name: "Show older messages" });
  let failures = 0;
  await context.route("**/transcript?*cursor=*", (route) => {
    failures++;
    return route.abort();
  });
  await widget.locator(".log").evaluate((log) => (log.scrollTop = 0));
  await widget.locator(".failure.problem").waitFor();
  // It stays in sight, and is not asked for again by itself.
  await widget.evaluate(async () => {
    for (let frames = 0; frames < 150; frames++) await new Promise(requestAnimationFrame);
  });
  expect(failures).toBe(1);
  expect(await messages(opened)).toBe(40);
  await context.unroute("**/transcript?*cursor=*");
  for (const count of [80, 100]) {
    await older.focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => messages(opened), { timeout: 10_000 }).toBe(count);
  }
  await older.waitFor({ state: "detached" });
  await widget.locator("article:focus").waitFor();
});
