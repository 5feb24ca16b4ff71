import type { Locator } from "playwright-core";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { openWidgetScene, type OpenOptions, type WidgetScene } from "../support/widget-page.ts";

// What a person sees of a tool call before they allow it: what a model writes must not make it look like another one.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
/** A turn that waits has a place among those that run: it ends with its test. */
const open: Locator[] = [];
afterEach(async () => {
  for (const widget of open.splice(0)) {
    const stop = widget.getByRole("button", { name: "Stop" });
    // It may end by itself just now.
    if (await stop.isVisible()) await stop.click({ timeout: 2000 }).catch(() => {});
    await stop.waitFor({ state: "detached" });
  }
});
afterAll(() => scene.close());

const narrow = { viewport: { width: 360, height: 640 } };

/** A page on which this call waits for a person. */
async function asked(tool: string, input: object, options: OpenOptions = narrow) {
  const opened = await scene.open(options);
  await opened.send(`demo:tool ${tool} ${JSON.stringify(input)}`);
  open.push(opened.widget);
  const card = opened.widget.locator(".approval");
  await card.waitFor();
  const allow = card.getByRole("button", { name: "Allow", exact: true });
  const allowAll = card.getByRole("button", { name: "in this session" });
  const part = card.getByRole("group", { name: "What would be allowed" });
  return { ...opened, card, allow, allowAll, part };
}

const isDisabled = (button: Locator) => button.getAttribute("aria-disabled");

/** Whether all of it is drawn within the panel's width. */
const isWithin = (part: Locator) => part.evaluate((element) => element.scrollWidth <= element.clientWidth);

const longCommand = `echo one ${"&& echo more ".repeat(150)}&& touch /tmp/the-tail`;

describe("the approval card", () => {
  test("a command's tail that is out of sight cannot be allowed before it was seen", async () => {
    const { page, widget, card, allow, allowAll, part } = await asked("Bash", { command: longCommand });
    const hint = card.getByText("Scroll to its end to allow it");
    await hint.waitFor();
    expect(await part.innerText()).toBe(longCommand);
    expect([await isDisabled(allow), await isDisabled(allowAll)]).toEqual(["true", "true"]);
    expect(await allow.getAttribute("aria-describedby")).toBe(await hint.getAttribute("id"));
    // Pressed all the same, it allows nothing and leads to what is to be read.
    const answered: string[] = [];
    page.on("request", (request) => request.url().includes("/api/approvals/") && answered.push(request.url()));
    await allow.dispatchEvent("click");
    await allow.focus();
    await page.keyboard.press("Enter");
    await expect.poll(() => part.evaluate((element) => element.matches(":focus"))).toBe(true);
    expect(answered).toEqual([]);
    // By the keyboard alone.
    await page.keyboard.press("End");
    await expect.poll(() => isDisabled(allow)).toBe("false");
    expect([await isDisabled(allowAll), await hint.count(), await allow.getAttribute("aria-describedby")]).toEqual([
      "false",
      0,
      null,
    ]);
    await allow.click();
    await widget.getByText("Allowed by demo").waitFor();
    expect(answered).toHaveLength(1);
  });

  test("spaces and empty lines push nothing out of sight", async () => {
    const tail = "touch /tmp/the-tail";
    for (const gap of [" ".repeat(4000), "\n".repeat(60), "\t".repeat(600)]) {
      const { allow, part, widget } = await asked("Bash", { command: `echo hello${gap}; ${tail}` });
      await widget.getByText("Scroll to its end to allow it").waitFor();
      expect(await isDisabled(allow)).toBe("true");
      expect(await isWithin(part)).toBe(true);
      await part.evaluate((element) => element.scrollTo(0, element.scrollHeight));
      await expect.poll(() => isDisabled(allow)).toBe("false");
    }
  });

  test("a path is shown whole, though the head has no room for it", async () => {
    const path = `/srv/${"a-very-long-folder-name/".repeat(12)}authorized_keys`;
    for (const [tool, input] of [
      ["Write", { file_path: path, content: "one\ntwo\n" }],
      ["Read", { file_path: path }],
    ] as const) {
      const { part } = await asked(tool, input);
      const first = part.locator("pre").first();
      expect(await first.innerText()).toBe(path);
      expect(await first.getAttribute("dir")).toBe("ltr");
      expect(await isWithin(part)).toBe(true);
    }
  });

  test.each([
    ["one that turns the direction of writing", "\u202e"],
    ["an isolate", "\u2066"],
    ["one without width", "\u200b"],
    ["a byte order mark", "\ufeff"],
    ["a space that is none", "\u00a0"],
    ["a filler", "\u3164"],
    ["a blank of Braille", "\u2800"],
    ["a variation selector", "\ufe0f"],
    ["a line separator", "\u2028"],
    ["a tag", "\u{e0041}"],
    ["a slash that is none", "\u2044"],
    ["a semicolon that is none", "\u037e"],
    ["a letter of another alphabet", "\u0430"],
  ])("a character that is not seen as it is stands as a sign: %s", async (_, character) => {
    const number = `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}`;
    const { part, widget } = await asked("Bash", { command: `touch a${character}b`, description: `x${character}y` });
    expect(await part.innerText()).toBe(`touch a${number}b`);
    expect(await part.locator(".sign").innerText()).toBe(number);
    for (const place of [".tool-target", ".model-words"])
      expect(await widget.locator(place).textContent()).not.toContain(character);
  });

  test("the end of a change is not seen while the view of it is fetched", async () => {
    const opened = await scene.open(narrow);
    const { promise: held, resolve: goOn } = Promise.withResolvers<void>();
    await opened.page.route(/\/diff-[^/]*\.mjs$/, async (route) => {
      await held;
      await route.continue();
    });
    // As JSON it is a few lines; as a change it is many.
    const input = { file_path: "/tmp/x", content: `${"\n".repeat(60)}the tail` };
    await opened.send(`demo:tool Write ${JSON.stringify(input)}`);
    open.push(opened.widget);
    const card = opened.widget.locator(".approval");
    const allow = card.getByRole("button", { name: "Allow", exact: true });
    await card.getByText("the tail").waitFor();
    // So long as an observer takes to say what is on the screen.
    await opened.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn, 100))));
    expect(await isDisabled(allow)).toBe("true");
    goOn();
    await card.locator(".diff").waitFor();
    await card.getByText("Scroll to its end to allow it").waitFor();
    expect(await isDisabled(allow)).toBe("true");
    await card.locator(".asked-for").evaluate((part) => part.scrollTo(0, part.scrollHeight));
    await expect.poll(() => isDisabled(allow)).toBe("false");
  });

  test("so does one in a change, within its line", async () => {
    const { part } = await asked("Write", { file_path: "/tmp/x", content: "one\u202etwo\n" });
    const line = part.locator(".diff .in").first();
    expect((await line.innerText()).trim()).toBe("+ oneU+202Etwo");
    expect(await line.locator(".sign").evaluate((sign) => getComputedStyle(sign).display)).toBe("inline");
  });

  test("words of other languages are left as they are", async () => {
    const words = "Привет, мир! Καλημέρα — «grün», \u5b8c\u4e86，no… 😀";
    const { part } = await asked("Bash", { command: `touch '${words}'` });
    expect(await part.innerText()).toBe(`touch '${words}'`);
    expect(await part.locator(".sign").count()).toBe(0);
  });

  test("the model's own words about a call stand below it, as the model's, and never in its place", async () => {
    const { card, widget } = await asked("Bash", { command: "rm -rf data", description: "Lists the files" });
    await expect.poll(() => widget.locator(".tool-target").innerText()).toBe("rm -rf data");
    expect(await card.locator("pre").allInnerTexts()).toEqual(["rm -rf data"]);
    expect(await card.locator(".model-words").innerText()).toMatch(/^The model says: .?Lists the files.?$/);
    const order = await card.evaluate((element) =>
      [...element.querySelectorAll(".asked-for, .model-words")].map((part) => part.className.split(" ").at(-1)),
    );
    expect(order).toEqual(["asked-for", "model-words"]);
  });

  test("what is allowed for the session says that it is every use of the tool", async () => {
    const run = await asked("Bash", { command: "touch x" });
    expect(await run.allowAll.innerText()).toBe("Allow every Bash command in this session");
    const write = await asked("Write", { file_path: "/tmp/x", content: "y" });
    expect(await write.allowAll.innerText()).toBe("Allow every Write call in this session");
  });

  test("what is short can be allowed as soon as it is on the screen", async () => {
    const { card, allow, widget } = await asked("Bash", { command: "touch short" });
    await expect.poll(() => isDisabled(allow)).toBe("false");
    expect(await card.getByText("Scroll to its end").count()).toBe(0);
    await allow.click();
    await widget.getByText("Allowed by demo").waitFor();
  });
});
