import axe, { type AxeResults } from "axe-core";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// axe over the states that a person meets, in each look. Keys and announcements: keyboard.test.ts.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene.close());

type Media = NonNullable<Parameters<Page["emulateMedia"]>[0]>;

const wide = { width: 1280, height: 900 };
const looks: Readonly<Record<string, Media & { readonly viewport: typeof wide }>> = {
  light: { viewport: wide, colorScheme: "light" },
  dark: { viewport: wide, colorScheme: "dark" },
  "forced colours": { viewport: wide, colorScheme: "light", forcedColors: "active" },
  "narrow, dark": { viewport: { width: 360, height: 740 }, colorScheme: "dark" },
};

/** Brings a page to its state. */
const states: Readonly<Record<string, (page: WidgetPage) => Promise<void>>> = {
  "before the first prompt": async ({ composer }) => composer.waitFor(),
  "an answer with every kind of Markdown": async ({ ask, widget }) => {
    await ask("show me a table and some code");
    await widget.locator("pre code span").first().waitFor();
  },
  "thoughts and a failure": async ({ ask }) => {
    await ask("think");
    await ask("demo:error status=400");
  },
  "an approval that waits": async ({ send, widget }) => {
    await send(`demo:tool Bash ${JSON.stringify({ command: "touch seen", description: "A file" })}`);
    await widget.locator(".approval").waitFor();
  },
  "a question with choices": async ({ send, widget }) => {
    await send("ask me something");
    await widget.locator(".approval").waitFor();
  },
  "the menu, over an answer and what it has used": async ({ ask, widget }) => {
    await ask("hello");
    await widget.getByRole("button", { name: "Details" }).click();
    await widget.getByRole("button", { name: "More", exact: true }).click();
    await widget.getByRole("menuitem").first().waitFor();
  },
  "a prompt that is written anew, and one with an image and facts of the page": async ({ page, ask, widget }) => {
    await ask("hello");
    await widget.locator(".prompt").hover();
    await widget.getByRole("button", { name: "Edit" }).click();
    const buffer = Buffer.from(
      "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
      "base64",
    );
    await widget.locator("input[type=file]").setInputFiles({ name: "dot.png", mimeType: "image/png", buffer });
    await widget.locator(".draft-images .ready").waitFor();
    await page.evaluate(() => document.querySelector("sluice-chat")!.setContext({ page: "/orders/7" }));
    await widget.getByRole("button", { name: "Sent along" }).click();
  },
  "what tools have done, and a list of tasks": async ({ send, ask, settled, widget }) => {
    await send("edit a file");
    await widget.getByRole("button", { name: "Allow every Write call in this session" }).click();
    await widget.locator(".approval .diff .out").waitFor();
    await widget.getByRole("button", { name: "Allow every Edit call in this session" }).click();
    await settled();
    await ask("make a plan");
    const closed = widget.locator('.tool-head[aria-expanded="false"]');
    while ((await closed.count()) > 0) await closed.first().click();
    await widget.locator(".tool-details .diff").first().waitFor();
  },
  "a denial with its reason, and a prompt that waits in line": async ({ send, widget }) => {
    await send('demo:tool Bash {"command":"touch denied"}');
    await widget.getByRole("button", { name: "Deny", exact: true }).click();
    await widget.getByRole("textbox", { name: "Why not? (optional)" }).waitFor();
    await send("hello");
    await widget.getByText("Waiting in line: next").waitFor();
  },
  "offline, with a prompt that was not sent": async ({ context, send, ask, widget }) => {
    await ask("hello");
    await context.setOffline(true);
    await widget.getByText("Offline").waitFor();
    await send("is anybody there?");
    await widget.locator(".pending .failure").waitFor();
  },
  "the list of conversations": async ({ ask, widget }) => {
    await ask("hello");
    await widget.getByRole("button", { name: "Conversations" }).click();
    await widget.getByRole("searchbox").waitFor();
  },
};

/** The rules that the findings break, with what breaks them. */
async function findings({ page }: WidgetPage): Promise<string[]> {
  const { violations } = (await page.evaluate("axe.run()")) as AxeResults;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.flat().join(" ")}: ${failureSummary ?? ""}`),
  );
}

test.each(Object.entries(states))("axe finds nothing in any look: %s", async (_, bring) => {
  const opened = await scene.open({ viewport: wide, bypassCSP: true });
  await bring(opened);
  await opened.page.evaluate(axe.source);
  const found: Record<string, string[]> = {};
  for (const [look, { viewport, ...media }] of Object.entries(looks)) {
    await opened.page.setViewportSize(viewport);
    // In the middle of a fade axe would read colours that nobody rests on.
    await opened.page.emulateMedia({ forcedColors: "none", reducedMotion: "reduce", ...media });
    found[look] = await findings(opened);
  }
  expect(found).toEqual(Object.fromEntries(Object.keys(looks).map((look) => [look, []])));
  await opened.context.close();
});
