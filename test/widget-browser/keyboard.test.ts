import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { scaled } from "../support/scale.ts";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// Everything by keys alone; where the focus is; and what a screen reader is told.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene.close());

/** A page of the gateway's origin with a bubble on it, a button, and a shortcut on every key. */
async function openBubble(): Promise<WidgetPage & { readonly keys: () => Promise<string[]> }> {
  const context = await scene.browser.newContext();
  await context.route("**/host", (route) =>
    route.fulfill({
      contentType: "text/html",
      body: `<!doctype html><title>A page</title><button id="mine">Mine</button><script src="/widget.js" data-session="new"></script>`,
    }),
  );
  await context.addInitScript(() => {
    const pressed: string[] = [];
    Object.assign(globalThis, { pressed });
    for (const type of ["keydown", "keyup", "keypress"])
      document.addEventListener(type, (event) => pressed.push((event as KeyboardEvent).key));
  });
  const opened = await scene.open({ url: `${scene.gateway.address}/host`, context });
  return {
    ...opened,
    keys: () => opened.page.evaluate(() => (globalThis as unknown as { pressed: string[] }).pressed.splice(0)),
  };
}

/** What has the focus, in the shadow tree where it is there: a label, or the element's name. */
const focused = ({ page }: WidgetPage) =>
  page.evaluate(() => {
    const outer = document.activeElement;
    const inner = outer?.shadowRoot?.activeElement ?? outer;
    return inner?.getAttribute("aria-label") ?? inner?.id ?? inner?.localName;
  });

/** By Shift+Tab from the composer: past what can be done with the newest answer. */
async function backToMessages({ page, widget }: WidgetPage): Promise<void> {
  for (let presses = 0; presses < 8; presses++) {
    await page.keyboard.press("Shift+Tab");
    if ((await widget.locator("article:focus").count()) > 0) return;
  }
  throw new Error("no message takes the focus");
}

test("opened by a key the focus is in the composer, Esc closes it and brings the focus back, and no key reaches the page", async () => {
  const opened = await openBubble();
  const { page, composer, widget, keys } = opened;
  await page.locator("#mine").focus();
  await page.keyboard.press("Tab");
  await expect.poll(() => focused(opened)).toBe("Open chat: Assistant");
  await keys();
  await page.keyboard.press("Enter");
  await widget.locator(".panel.is-open").waitFor();
  await expect.poll(() => focused(opened)).toBe("Message");
  await composer.pressSequentially("j/k?");
  expect(await composer.inputValue()).toBe("j/k?");
  await composer.fill("");
  await page.keyboard.press("Escape");
  await widget.locator(".panel.is-open").waitFor({ state: "detached" });
  await expect.poll(() => focused(opened)).toBe("Open chat: Assistant");
  // The Tab that led to it, which was pressed in the page, has been taken off before.
  expect(await keys()).toEqual([]);
});

test("keys typed in it reach no listener that the page has on their way down", async () => {
  const opened = await openBubble();
  const { page, widget, composer, ask } = opened;
  await page.evaluate(() => {
    const caught: string[] = [];
    Object.assign(globalThis, { caught });
    document.addEventListener("keydown", ({ key }) => caught.push(key), true);
  });
  await widget.locator(".launcher").click();
  await ask("demo:text said");
  // It is there by now.
  await page.evaluate(() => {
    const { caught } = globalThis as unknown as { caught: string[] };
    caught.length = 0;
    window.addEventListener("keydown", ({ key }) => caught.push(key), true);
  });
  await composer.pressSequentially("j/k?");
  await composer.press("Shift+Enter");
  await composer.press("Control+a");
  await composer.press("Backspace");
  await composer.press("ArrowUp");
  expect(await composer.inputValue()).toBe("demo:text said");
  await composer.press("Enter");
  await widget.locator(".answer").nth(1).locator(".actions").waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Escape");
  const caught = () => page.evaluate(() => (globalThis as unknown as { caught: string[] }).caught.splice(0));
  expect(await caught()).toEqual([]);
  await page.locator("#mine").focus();
  await page.keyboard.press("x");
  expect(await caught()).toEqual(["x", "x"]);
});

test("opened by the page it takes no focus", async () => {
  const opened = await openBubble();
  await opened.page.locator("#mine").focus();
  await opened.widget.locator(".launcher").waitFor();
  await opened.page.evaluate(() => document.querySelector("sluice-chat")!.setAttribute("open", ""));
  await opened.widget.locator(".panel.is-open .composer").waitFor();
  await expect.poll(() => focused(opened)).toBe("mine");
});

test("a conversation by keys: from message to message, into one and back, an approval, earlier prompts", async () => {
  const opened = await scene.open();
  const { page, widget, composer, ask, send, settled } = opened;
  await ask("demo:text first");
  await ask("demo:text second");
  await backToMessages(opened);
  await page.keyboard.press("Home");
  await expect.poll(() => widget.locator("article:focus").innerText()).toContain("demo:text first");
  await page.keyboard.press("ArrowDown");
  await expect.poll(() => widget.locator("article:focus").innerText()).toContain("first");
  await page.keyboard.press("Enter");
  await expect.poll(() => focused(opened)).toBe("Copy answer");
  await page.keyboard.press("Escape");
  await expect.poll(() => focused(opened)).toBe("Message");
  await backToMessages(opened);
  await page.keyboard.press("End");
  await expect.poll(() => widget.locator("article:focus").innerText()).toContain("second");
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowUp");
  expect(await composer.inputValue()).toBe("demo:text second");
  await page.keyboard.press("ArrowUp");
  expect(await composer.inputValue()).toBe("demo:text first");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowDown");
  expect(await composer.inputValue()).toBe("");
  await send('demo:tool Bash {"command":"touch by-key"}');
  await widget.locator(".approval").waitFor();
  await widget.getByRole("button", { name: "Allow", exact: true }).focus();
  await page.keyboard.press("Enter");
  await settled();
  await expect.poll(() => focused(opened)).toBe("Message");
});

test("the list of conversations by keys: what it covers is out of reach, and after a renaming the focus is where it was", async () => {
  const opened = await scene.open();
  const { page, widget, ask } = opened;
  await ask("demo:text to be renamed");
  await widget.getByRole("button", { name: "Conversations" }).press("Enter");
  await expect.poll(() => focused(opened)).toBe("Search");
  await widget.locator(".session").first().waitFor();
  await page.keyboard.press("Shift+Tab");
  expect(await widget.locator("article:focus").count()).toBe(0);
  await widget.getByRole("button", { name: "Rename: demo:text to be renamed" }).press("Enter");
  await expect.poll(() => focused(opened)).toBe("Rename");
  await page.keyboard.press("Escape");
  await expect.poll(() => focused(opened)).toBe("Rename: demo:text to be renamed");
  await page.keyboard.press("Enter");
  await expect.poll(() => focused(opened)).toBe("Rename");
  await page.keyboard.type("Renamed");
  await page.keyboard.press("Enter");
  await widget.locator(".session", { hasText: "Renamed" }).waitFor();
  await expect.poll(() => focused(opened)).toContain("Rename: ");
  await page.keyboard.press("Escape");
  await expect.poll(() => focused(opened)).toBe("Message");
});

test("what goes away with what it did leaves the focus where the next words are written", async () => {
  const opened = await scene.open();
  const { page, context, widget, send, ask, settled } = opened;
  const press = async (name: string) => {
    await widget.getByRole("button", { name, exact: true }).last().focus();
    await page.keyboard.press("Enter");
  };
  const comesBack = async () => {
    await expect.poll(() => focused(opened)).toBe("Message");
  };
  await ask("demo:long words=600");
  await widget.evaluate((chat) => (chat as unknown as { setContext(facts: unknown): void }).setContext({ page: 1 }));
  await press("Discard");
  await comesBack();
  await send("demo:long words=5000 rate=40");
  await widget.getByText("word20 ").last().waitFor();
  await send("demo:text waits");
  await widget.getByText("Waiting in line").waitFor();
  await press("Cancel");
  await comesBack();
  await widget.locator(".log").evaluate((log) => (log.scrollTop = 0));
  await widget.locator(".latest").focus();
  await page.keyboard.press("Enter");
  await comesBack();
  await press("Stop");
  await comesBack();
  await settled();
  await send('demo:tool Bash {"command":"touch back"}');
  await widget.locator(".approval").waitFor();
  await press("Deny");
  await expect.poll(() => focused(opened)).toBe("Why not? (optional)");
  await press("Back");
  await expect.poll(() => widget.locator("button:focus").innerText()).toBe("Deny");
  await press("Stop");
  await settled();
  await context.setOffline(true);
  await send("demo:text lost");
  await widget.getByText("Not sent", { exact: true }).waitFor();
  await press("Discard");
  await comesBack();
});

test("what goes away after the focus has left it takes it from nobody", async () => {
  const opened = await openBubble();
  const { page, widget, send, settled } = opened;
  await widget.locator(".launcher").click();
  await send("demo:long words=5000 rate=40");
  await widget.getByText("word20 ").waitFor();
  await widget.getByRole("button", { name: "Stop" }).focus();
  await page.locator("#mine").focus();
  await page.mouse.click(5, 400);
  await page.evaluate('document.querySelector("sluice-chat").stop()');
  await settled();
  // Whatever would take it does so two frames later.
  await page.evaluate(async () => {
    for (let frames = 0; frames < 5; frames++) await new Promise(requestAnimationFrame);
  });
  expect(await page.evaluate("document.activeElement.localName")).toBe("body");
});

test("Enter in the middle of an input method's word sends nothing; Shift+Enter begins a line", async () => {
  const { page, widget, composer } = await scene.open();
  await composer.fill("にほん");
  await composer.dispatchEvent("keydown", { key: "Enter", isComposing: true });
  await composer.dispatchEvent("keydown", { key: "Enter", keyCode: 229 });
  expect(await composer.inputValue()).toBe("にほん");
  await composer.press("Shift+Enter");
  await composer.pressSequentially("x");
  expect(await composer.inputValue()).toBe("にほん\nx");
  expect(await widget.locator(".prompt").count()).toBe(0);
  expect(await page.evaluate("document.activeElement.localName")).toBe("sluice-chat");
});

describe("a screen reader", () => {
  /** Everything that the two hidden regions have said. */
  async function listen({ widget }: WidgetPage): Promise<() => Promise<string[]>> {
    await widget.locator(".root").evaluate((root) => {
      const said: string[] = [];
      Object.assign(globalThis, { said });
      for (const region of root.querySelectorAll("[role=status], [role=alert]")) {
        // The same words again, and none, are not read out.
        let last = "";
        const look = () => {
          if (region.textContent !== last && region.textContent !== "") said.push(region.textContent);
          last = region.textContent;
        };
        new MutationObserver(look).observe(region, { childList: true, characterData: true, subtree: true });
      }
    });
    return () => widget.page().evaluate(() => (globalThis as unknown as { said: string[] }).said);
  }

  test("hears that an answer begins and the whole of it once, and never the words as they come", async () => {
    const opened = await scene.open();
    const said = await listen(opened);
    await opened.ask("demo:text The tide is **out**.");
    await expect.poll(said).toContain("Answer: The tide is out.");
    expect(await said()).toEqual(["Answering", "Answer: The tide is out."]);
    await opened.context.grantPermissions(["clipboard-write"]);
    await opened.widget.getByRole("button", { name: "Copy answer" }).press("Enter");
    await expect.poll(said).toContain("Copied");
    await opened.widget.getByRole("button", { name: "Conversations" }).press("Enter");
    await opened.widget.getByRole("searchbox").fill("words that nobody has said");
    await expect.poll(said).toContain("Nothing here");
    await opened.page.keyboard.press("Escape");
    expect(await opened.widget.locator(".log").getAttribute("aria-live")).toBeNull();
    const words = scaled({ short: 2000, long: 12_500 });
    await opened.ask(`demo:long words=${words}`);
    await expect.poll(said).toContain(`Answer complete, ${words} words`);
    expect((await said()).length).toBeLessThanOrEqual(20);
  });

  test("hears the answer as it is drawn, also where the code for that comes late", async () => {
    const context = await scene.browser.newContext();
    const late = Promise.withResolvers<void>();
    await context.route("**/widget/text-*.mjs", (route) => void late.promise.then(() => route.continue()));
    const opened = await scene.open({ context });
    const said = await listen(opened);
    await opened.ask("demo:text The tide is **out**.");
    await opened.widget.locator(".answer .plain", { hasText: "**out**" }).waitFor();
    await expect.poll(said).toEqual(["Answering"]);
    late.resolve();
    await expect.poll(said).toEqual(["Answering", "Answer: The tide is out."]);
    await context.close();
  });

  test("hears of approvals and failures at once", async () => {
    const opened = await scene.open();
    const said = await listen(opened);
    await opened.send('demo:tool Bash {"command":"touch heard"}');
    await opened.widget.locator(".approval").waitFor();
    await expect.poll(said).toContain("May this command run?");
    await opened.widget.getByRole("button", { name: "Stop" }).click();
    await opened.settled();
    // Not that it goes on to answer.
    expect((await said()).filter((words) => words === "Answering")).toHaveLength(1);
    await expect.poll(said).toContain("Stopped");
    await opened.ask("demo:error status=400");
    await expect.poll(said).toContain("The model could not answer");
    await opened.context.setOffline(true);
    await opened.send("demo:text lost");
    await expect.poll(said).toContain("Not sent: The service cannot be reached");
  });
});
