import { afterAll, beforeAll, expect, test } from "vitest";
import type { BrowserContextOptions, Page } from "playwright-core";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// Small and large screens, zoom, touch, an on-screen keyboard, the other direction of writing, another language.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene.close());

/** A page of the gateway's origin with this in its body. */
async function openHost(body: string, { html = "", ...options }: BrowserContextOptions & { html?: string } = {}) {
  const context = await scene.browser.newContext(options);
  await context.route("**/host", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><html ${html}><meta name="viewport" content="width=device-width"><title>A page</title>${body}`,
    }),
  );
  return scene.open({ url: `${scene.gateway.address}/host`, context });
}

const bubble = '<script src="/widget.js" data-session="new"></script>';

/** All that stands in the panel and is wider than what holds it, or that cannot scroll to be seen. */
const overflowing = ({ widget }: WidgetPage) =>
  widget.locator(".panel").evaluate((panel) => {
    const { left, right } = panel.getBoundingClientRect();
    return [...panel.querySelectorAll("*")]
      .filter((element) => !element.closest(".sr, pre, .table, svg"))
      .filter((element) => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && (box.left < left - 1 || box.right > right + 1);
      })
      .map((element) => element.outerHTML.slice(0, 80));
  });

/** Whatever can be pressed and is smaller than 24 × 24 pixels; links in a text may be as high as its lines. */
const smallTargets = ({ widget }: WidgetPage) =>
  widget.locator(".panel").evaluate((panel) =>
    [...panel.querySelectorAll("button, input:not([type=file], [disabled]), textarea, [role=menuitem]")]
      .filter((element) => {
        const { width, height } = (element.closest("label") ?? element).getBoundingClientRect();
        const isInText = element.matches(".link");
        return width > 0 && !isInText && (width < 24 || height < 24);
      })
      .map((element) => element.outerHTML.slice(0, 80)),
  );

const box = async ({ widget }: WidgetPage, selector: string) => (await widget.locator(selector).first().boundingBox())!;

/** Twice as large, as a browser's zoom makes it, is the same screen with half as many pixels of CSS. */
test.each([
  ["320 pixels", { viewport: { width: 320, height: 568 } }],
  ["a zoom of 200 %", { viewport: { width: 640, height: 400 }, deviceScaleFactor: 2 }],
])("on %s nothing is cut off, and everything can be pressed", async (_, options) => {
  const opened = await scene.open(options);
  const { widget, ask, send } = opened;
  await ask("show me a table and some code");
  await ask(`demo:text ${"averylongwordwithoutanyspace".repeat(20)}`);
  await send('demo:tool Bash {"command":"touch small","description":"A file with quite a long description"}');
  await widget.locator(".approval").waitFor();
  expect([await overflowing(opened), await smallTargets(opened)]).toEqual([[], []]);
  await widget.getByRole("button", { name: "Deny", exact: true }).click();
  expect([await overflowing(opened), await smallTargets(opened)]).toEqual([[], []]);
  await widget.getByRole("button", { name: "Stop" }).click();
  await widget.getByRole("button", { name: "Conversations" }).click();
  await widget.locator(".session").first().waitFor();
  expect([await overflowing(opened), await smallTargets(opened)]).toEqual([[], []]);
});

test("on a phone the panel fills the screen, leaves room for the on-screen keyboard, and a tap sends", async () => {
  const opened = await openHost(bubble, { viewport: { width: 390, height: 700 }, hasTouch: true, isMobile: true });
  const { page, widget, composer } = opened;
  await widget.locator(".launcher").tap();
  await expect.poll(() => box(opened, ".panel")).toEqual({ x: 0, y: 0, width: 390, height: 700 });
  await widget.locator(".greeting").waitFor();
  await keyboardTakes(page, 300);
  await expect.poll(() => box(opened, ".panel")).toEqual({ x: 0, y: 0, width: 390, height: 400 });
  const { y, height } = await box(opened, ".composer-box");
  expect(y + height).toBeLessThanOrEqual(400);
  await composer.tap();
  await composer.fill("demo:text tapped");
  await composer.press("Enter");
  expect(await composer.inputValue()).toBe("demo:text tapped\n");
  await widget.getByRole("button", { name: "Send" }).tap();
  await widget.locator(".answer").getByText("tapped", { exact: true }).waitFor();
  // What stands there only under a pointer elsewhere.
  await widget.getByRole("button", { name: "Copy answer" }).waitFor();
});

test("by touch no act but a tap into a field brings up the on-screen keyboard", async () => {
  const opened = await openHost(bubble, { viewport: { width: 390, height: 700 }, hasTouch: true, isMobile: true });
  const { page, widget, composer, settled } = opened;
  const fields: string[] = [];
  await page.exposeFunction("noteField", (name: string) => fields.push(name));
  await page.evaluate(() =>
    addEventListener("focusin", (event) => {
      const target = event.composedPath()[0] as Element;
      const { noteField } = globalThis as unknown as { noteField(name: string): void };
      if (target.matches("input, textarea")) noteField(target.getAttribute("aria-label") ?? "");
    }),
  );
  await widget.locator(".launcher").tap();
  await expect.poll(() => widget.locator(".panel :focus").count()).toBe(1);
  expect(fields).toEqual([]);
  await composer.tap();
  await composer.fill('demo:tool Bash {"command":"touch tapped"}');
  await widget.getByRole("button", { name: "Send" }).tap();
  await widget.locator(".approval").waitFor();
  await composer.blur();
  fields.length = 0;
  await widget.getByRole("button", { name: "Allow", exact: true }).tap();
  await settled();
  await expect.poll(() => widget.locator("article:focus").count()).toBe(1);
  await widget.getByRole("button", { name: "Conversations" }).tap();
  await widget.locator(".session").first().tap();
  await widget.locator(".sessions").waitFor({ state: "detached" });
  await widget.getByRole("button", { name: "Close" }).tap();
  await widget.locator(".panel.is-open").waitFor({ state: "detached" });
  expect(fields).toEqual([]);
});

test("in a low window a long draft leaves room for the conversation and for its buttons", async () => {
  const opened = await scene.open({ viewport: { width: 320, height: 256 } });
  const { widget, composer, ask } = opened;
  await ask("demo:text one");
  await composer.fill("a line\n".repeat(40));
  const [panel, log, send] = [await box(opened, ".panel"), await box(opened, ".log"), await box(opened, ".send")];
  expect(log.height).toBeGreaterThanOrEqual(48);
  expect(send.y + send.height).toBeLessThanOrEqual(panel.y + panel.height);
  const first = await widget.locator(".input").evaluate((field) => {
    field.scrollTop = 0;
    return field.clientHeight;
  });
  expect(first).toBeGreaterThan(30);
});

test("printed, a conversation that stands in the page is there whole, and one that lies over it is not", async () => {
  const opened = await scene.open({ viewport: { width: 800, height: 600 } });
  const { page, widget, ask } = opened;
  await ask("demo:long words=900");
  await ask("demo:markdown");
  await page.emulateMedia({ media: "print" });
  const cut = await widget.locator(".panel").evaluate((panel) => {
    const lowest = Math.max(...[...panel.querySelectorAll(".md *")].map((one) => one.getBoundingClientRect().bottom));
    return [panel, ...panel.querySelectorAll("*")]
      .filter((one) => !one.closest(".sr, svg") && getComputedStyle(one).overflow !== "visible")
      .filter((one) => one.scrollHeight > one.clientHeight + 1 || one.scrollWidth > one.clientWidth + 1)
      .map((one) => one.className)
      .concat(lowest + scrollY > document.documentElement.scrollHeight ? ["page"] : []);
  });
  expect(cut).toEqual([]);
  expect(await widget.locator(".panel").evaluate((panel) => panel.clientHeight)).toBeGreaterThan(1000);
  expect(await widget.locator(".composer, .header-buttons, .actions").locator("visible=true").count()).toBe(0);
  const over = await openHost(bubble);
  await over.widget.locator(".launcher").click();
  await over.ask("demo:text over the page");
  await over.page.emulateMedia({ media: "print" });
  expect(await over.widget.locator(".panel").isVisible()).toBe(false);
});

/** Chromium without a screen has no on-screen keyboard: the page is told what it would be told. */
async function keyboardTakes(page: Page, pixels: number): Promise<void> {
  await page.evaluate((taken) => {
    const { visualViewport: viewport, innerHeight } = globalThis as unknown as {
      visualViewport: EventTarget;
      innerHeight: number;
    };
    Object.defineProperty(viewport, "height", { configurable: true, value: innerHeight - taken });
    viewport.dispatchEvent(new Event("resize"));
  }, pixels);
}

test("in a page from right to left it stands at the left, and each text runs its own way", async () => {
  const opened = await openHost(bubble, { html: 'dir="rtl"', viewport: { width: 1000, height: 800 } });
  const { widget, ask } = opened;
  await widget.locator(".launcher").click();
  const panel = await box(opened, ".panel");
  expect(panel.x).toBeLessThan(50);
  await ask("demo:text مرحبا بالعالم");
  await ask("demo:text Hello world");
  const directions = await widget
    .locator(".answer .md .blocks > p")
    .evaluateAll((texts) => texts.map((text) => getComputedStyle(text).direction));
  expect(directions).toEqual(["rtl", "ltr"]);
  expect(await overflowing(opened)).toEqual([]);
});

test("speaks the page's language; words of the page's own go before", async () => {
  const { widget, ask } = await openHost(
    '<script src="/widget.js" data-mode="inline" data-session="new" data-texts=\'{"copy_answer":"Mitnehmen"}\'></script>',
    { html: 'lang="de"' },
  );
  await widget.getByText("Wie kann ich helfen?").waitFor();
  await ask("demo:text Guten Tag");
  const labels = widget.locator(".answer .actions button");
  await expect
    .poll(() => labels.evaluateAll((buttons) => buttons.map((button) => button.getAttribute("aria-label"))))
    .toEqual(["Mitnehmen", "Gute Antwort", "Schlechte Antwort", "Noch einmal", "Einzelheiten"]);
});

test("images are pasted and dropped", async () => {
  const { widget, composer } = await scene.open();
  const give = (type: "paste" | "drop") =>
    composer.evaluate((field, name) => {
      const pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
      const transfer = new DataTransfer();
      transfer.items.add(
        new File([Uint8Array.from(atob(pixel), (char) => char.charCodeAt(0))], `${name}.png`, { type: "image/png" }),
      );
      const how = { bubbles: true, composed: true, cancelable: true };
      field.dispatchEvent(
        name === "paste"
          ? new ClipboardEvent(name, { ...how, clipboardData: transfer })
          : new DragEvent(name, { ...how, dataTransfer: transfer }),
      );
    }, type);
  await give("paste");
  await widget.getByRole("img", { name: "paste.png" }).waitFor();
  await give("drop");
  await widget.getByRole("img", { name: "drop.png" }).waitFor();
  await expect.poll(() => widget.locator(".draft-images .ready").count()).toBe(2);
  // Copied cells and formatted words bring a picture of themselves along: they are text.
  const isKept = await composer.evaluate((field) => {
    const transfer = new DataTransfer();
    for (const type of ["text/plain", "text/html"]) transfer.setData(type, "cells");
    transfer.items.add(new File(["x"], "cells.png", { type: "image/png" }));
    const how = { bubbles: true, composed: true, cancelable: true, clipboardData: transfer };
    return field.dispatchEvent(new ClipboardEvent("paste", how));
  });
  expect([isKept, await widget.locator(".draft-images li").count()]).toEqual([true, 2]);
  // A text that is dropped goes where the browser puts it; a file that cannot be sent is said.
  const isTaken = (text: string, type: string) =>
    composer.evaluate(
      (field, [text, type]) => {
        const transfer = new DataTransfer();
        if (type === "") transfer.setData("text/plain", text!);
        else transfer.items.add(new File([text!], "notes", { type: type! }));
        const drop = new DragEvent("drop", { bubbles: true, composed: true, cancelable: true, dataTransfer: transfer });
        return !field.dispatchEvent(drop);
      },
      [text, type],
    );
  expect(await isTaken("some words", "")).toBe(false);
  expect(await isTaken("some words", "application/pdf")).toBe(true);
  await widget.locator(".problem", { hasText: "Files of this kind cannot be sent" }).waitFor();
});
