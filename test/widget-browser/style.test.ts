import { readFileSync } from "node:fs";
import type { Locator } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// What a page may style: custom properties, parts and slots.

let scene: WidgetScene;
let opened: WidgetPage;
beforeAll(async () => {
  scene = await openWidgetScene();
  const context = await scene.browser.newContext();
  await context.route("**/host", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><script type="module" src="/widget.mjs"></script>
        <sluice-chat open session="new"><b slot="footer">Mine</b><b slot="launcher">Ask</b></sluice-chat>`,
    }),
  );
  opened = await scene.open({ url: `${scene.gateway.address}/host`, context });
  await opened.ask('demo:tool Bash {"command":"ls","description":"Look"}\ndemo:markdown');
  await opened.ask("demo:limit status=allowed_warning\ndemo:text Slowly");
  await opened.ask("demo:error status=400");
  await opened.widget.locator(".hl-keyword").first().waitFor();
});
afterAll(() => scene.close());

/** Of every custom property: another value, and what it is seen at. */
const seenAt: Readonly<Record<string, readonly [value: string, selector: string, property: string]>> = {
  "--sluice-accent": ["rgb(1, 2, 3)", ".launcher", "background-color"],
  "--sluice-accent-text": ["rgb(1, 2, 3)", ".launcher", "color"],
  "--sluice-surface": ["rgb(1, 2, 3)", ".panel", "background-color"],
  "--sluice-surface-raised": ["rgb(1, 2, 3)", ".icon-button[aria-expanded=true]", "background-color"],
  "--sluice-text": ["rgb(1, 2, 3)", ".panel", "color"],
  "--sluice-text-muted": ["rgb(1, 2, 3)", ".header-buttons .icon-button", "color"],
  "--sluice-border": ["rgb(1, 2, 3)", ".header", "border-bottom-color"],
  "--sluice-prompt": ["rgb(1, 2, 3)", ".bubble", "background-color"],
  "--sluice-prompt-text": ["rgb(1, 2, 3)", ".bubble", "color"],
  "--sluice-code": ["rgb(1, 2, 3)", ".md .code", "background-color"],
  "--sluice-danger": ["rgb(1, 2, 3)", ".failure .icon", "color"],
  "--sluice-warning": ["rgb(1, 2, 3)", ".notice.warning", "color"],
  "--sluice-success": ["rgb(1, 2, 3)", ".tool.done .mark", "background-color"],
  "--sluice-font": ["fantasy", ".panel", "font-family"],
  "--sluice-font-mono": ["fantasy", ".md code", "font-family"],
  "--sluice-font-size": ["19px", ".panel", "font-size"],
  "--sluice-line-height": ["2", ".panel", "line-height"],
  "--sluice-radius": ["3px", ".bubble", "border-top-left-radius"],
  "--sluice-shadow": ["0 0 3px red", ".panel", "box-shadow"],
  "--sluice-width": ["333px", ".panel", "width"],
  "--sluice-height": ["444px", ".panel", "height"],
  "--sluice-offset": ["7px", ".launcher", "bottom"],
  "--sluice-launcher-size": ["77px", ".launcher", "height"],
  "--sluice-z-index": ["7", ".panel", "z-index"],
  "--sluice-gap": ["70px", ".log-content", "row-gap"],
  "--sluice-padding": ["3px", ".log-content", "padding-top"],
  "--sluice-text-width": ["100px", ".log-content", "max-width"],
  "--sluice-speed": ["777ms", ".panel", "transition-duration"],
};

const computed = (element: Locator, property: string) =>
  element.evaluate((node, name) => getComputedStyle(node).getPropertyValue(name), property);

test("every custom property that is described is tried here", () => {
  const manifest = JSON.parse(readFileSync(new URL("../../widget/custom-elements.json", import.meta.url), "utf8")) as {
    modules: { declarations: { cssProperties: { name: string }[] }[] }[];
  };
  const described = manifest.modules[0]!.declarations[0]!.cssProperties.map(({ name }) => name);
  expect(Object.keys(seenAt).toSorted()).toEqual(described.toSorted());
});

test.each(Object.entries(seenAt))("%s changes what is seen", async (name, [value, selector, property]) => {
  const { page, widget } = opened;
  if (selector.includes("aria-expanded")) await widget.getByRole("button", { name: "More", exact: true }).click();
  // Without a transition on its way.
  await page.addStyleTag({ content: "sluice-chat { --sluice-speed: 0s }" });
  const element = widget.locator(selector).first();
  const before = await computed(element, property);
  const style = await page.addStyleTag({ content: `html sluice-chat { ${name}: ${value} }` });
  await expect.poll(() => computed(element, property)).not.toBe(before);
  await style.evaluate((tag) => (tag as HTMLElement).remove());
  await expect.poll(() => computed(element, property)).toBe(before);
  if (selector.includes("aria-expanded")) await page.keyboard.press("Escape");
});

test("a page's rules for parts reach them", async () => {
  const { page, widget } = opened;
  const parts = [
    "launcher",
    "panel",
    "header",
    "title",
    "log",
    "prompt",
    "bubble",
    "answer",
    "text",
    "code",
    "tool",
    "failure",
    "composer",
    "input",
    "send",
  ];
  await page.addStyleTag({
    content: parts.map((part) => `sluice-chat::part(${part}) { outline: 3px solid red }`).join("\n"),
  });
  for (const part of parts)
    expect([part, await computed(widget.locator(`[part~="${part}"]`).first(), "outline-style")]).toEqual([
      part,
      "solid",
    ]);
});

test("a page puts its own into the slots", async () => {
  const { page, widget } = opened;
  await page.getByText("Mine").waitFor();
  expect(await widget.locator(".launcher .icon").isVisible()).toBe(false);
  await expect.poll(() => page.getByText("Ask", { exact: true }).isVisible()).toBe(true);
});
