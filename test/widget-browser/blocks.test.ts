import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Page } from "playwright-core";
import { answerWith } from "../support/drawing/answers.ts";
import { openDrawingScene, type DrawingPage, type DrawingScene, type Pump } from "../support/drawing/page.ts";

// Where the blocks of an answer stand in the built widget.

declare const drawing: Pump;

let scene: DrawingScene;
beforeAll(async () => {
  scene = await openDrawingScene();
});
afterAll(() => scene.close());

async function draw(text: string): Promise<DrawingPage> {
  const opened = await scene.openWidget();
  await opened.page.setViewportSize({ width: 360, height: 800 });
  await opened.page.evaluate((parts) => drawing.take(parts), answerWith(text));
  await opened.page.evaluate(() => drawing.each());
  return opened;
}

/** Of each task its box, and the lines of its own first words. */
function boxesAndLines(page: Page) {
  return page.locator("sluice-chat li.task").evaluateAll((tasks) =>
    tasks.map((task) => {
      const words = document.createTreeWalker(task, NodeFilter.SHOW_TEXT).nextNode()!;
      const range = document.createRange();
      range.selectNodeContents(words);
      const plain = ({ left, right, top, bottom }: DOMRect) => ({ left, right, top, bottom });
      return {
        box: plain(task.querySelector("input")!.getBoundingClientRect()),
        lines: Array.from(range.getClientRects(), plain),
      };
    }),
  );
}

const long = "words that go on until they have to begin another line, and then another one";

describe("the box of a task stands beside its first line, and its other lines stand under that", () => {
  test.each([
    ["in a tight list", `- [ ] ${long}\n- [x] ${long}`, 2],
    ["in a loose list", `- [ ] ${long}\n\n- [x] ${long}\n\n  A second paragraph`, 2],
    ["in lists within lists", `- [ ] ${long}\n  - [x] ${long}\n    - [ ] ${long}\n- item\n  - [x] ${long}`, 4],
    ["in an ordered list", `1. [ ] ${long}\n2. [x] ${long}`, 2],
    ["in a quote", `> - [ ] ${long}`, 1],
  ])("%s", async (_, text, count) => {
    const { page, close } = await draw(text);
    const tasks = await boxesAndLines(page);
    expect(tasks).toHaveLength(count);
    for (const { box, lines } of tasks) {
      const [first, ...others] = lines;
      expect(others.length).toBeGreaterThan(0);
      expect(box.right).toBeLessThan(first!.left);
      expect(box.top).toBeGreaterThanOrEqual(first!.top);
      expect(box.bottom).toBeLessThanOrEqual(first!.bottom + 2);
      for (const { left } of others) expect(left).toBeCloseTo(first!.left, 0);
    }
    await close();
  });

  test("from right to left", async () => {
    const hebrew = "מילים שממשיכות עד שהן חייבות להתחיל שורה נוספת, ואז עוד אחת אחריה, וכן הלאה";
    const { page, close } = await draw(`- [ ] ${hebrew}\n- [x] ${hebrew}`);
    const tasks = await boxesAndLines(page);
    expect(tasks).toHaveLength(2);
    for (const { box, lines } of tasks) {
      const [first, ...others] = lines;
      expect(others.length).toBeGreaterThan(0);
      expect(box.left).toBeGreaterThan(first!.right);
      expect(box.bottom).toBeLessThanOrEqual(first!.bottom + 2);
      for (const { right } of others) expect(right).toBeCloseTo(first!.right, 0);
    }
    await close();
  });
});

test("the paragraphs of one task stand one under the other", async () => {
  const { page, close } = await draw("- [ ] one\n\n  two");
  const [one, two] = await page
    .locator("sluice-chat li.task p")
    .evaluateAll((all) => all.map((paragraph) => paragraph.getBoundingClientRect().top));
  expect(two).toBeGreaterThan(one! + 10);
  await close();
});

describe("where one group ends and the next begins there is the same room as elsewhere", () => {
  const many = (count: number, line: (index: number) => string, end: string) =>
    Array.from({ length: count }, (_, index) => line(index)).join(end);

  test.each([
    ["paragraphs", many(45, (index) => `paragraph ${index}`, "\n\n"), "p", 45],
    ["items", many(210, (index) => `- item ${index}`, "\n"), "li", 210],
    ["numbered items", many(210, (index) => `${index + 1}. item`, "\n"), "li", 210],
    ["loose items", many(105, (index) => `- item ${index}`, "\n\n"), "li", 105],
    ["items in a quote", many(105, (index) => `> - item ${index}`, "\n"), "li", 105],
  ])("between %s", async (_, text, selector, count) => {
    const { page, close } = await draw(text);
    const steps = await page.locator(`sluice-chat .md ${selector}`).evaluateAll((all) => {
      const tops = all.filter((one) => !one.closest("li p")).map((one) => one.getBoundingClientRect().top);
      return tops.slice(1).map((top, index) => Math.round((top - tops[index]!) * 10) / 10);
    });
    expect(steps).toHaveLength(count - 1);
    expect(Math.max(...steps) - Math.min(...steps)).toBeLessThan(0.2);
    await close();
  });
});

test("what is copied from around a block of code has the code, and nothing of its head", async () => {
  const { page, close } = await draw("before\n\n```ts\nconst one = 1;\n```\n\nafter\n");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.locator("sluice-chat .md").evaluate((text) => getSelection()!.selectAllChildren(text));
  await page.keyboard.press("Control+c");
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  expect(copied.split(/\n+/)).toEqual(["before", "const one = 1;", "after"]);
  await close();
});

test("what scrolls sideways takes the focus by keys, and shows that", async () => {
  const wide = "wide".repeat(40);
  const { page, close } = await draw(`\`\`\`\n${wide}\n\`\`\`\n\n| ${wide} |\n|---|\n| x |\n`);
  for (const [selector, below] of [
    [".md pre", "button.copy"],
    [".md .table", ".md pre"],
  ] as const) {
    const scroller = page.locator(`sluice-chat ${selector}`);
    await page.locator(`sluice-chat ${below}`).focus();
    await page.keyboard.press("Tab");
    const seen = await scroller.evaluate((element) => {
      const { outlineStyle, outlineWidth, outlineOffset } = getComputedStyle(element);
      const isFocused = (element.getRootNode() as ShadowRoot).activeElement === element;
      return {
        isFocused,
        ring: [outlineStyle, outlineWidth, outlineOffset],
        isWide: element.scrollWidth > element.clientWidth,
      };
    });
    // Inside of it: what stands around it would cut the ring off.
    expect(seen).toEqual({ isFocused: true, ring: ["solid", "2px", "-2px"], isWide: true });
    await page.keyboard.press("ArrowRight");
    await expect.poll(() => scroller.evaluate((element) => element.scrollLeft)).toBeGreaterThan(0);
  }
  await close();
});
