import axe, { type AxeResults } from "axe-core";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openWidgetScene, type OpenOptions, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";

// axe over the states that a person meets, in each look. Keys and announcements: keyboard.test.ts.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene.close());

const looks: Readonly<Record<string, OpenOptions>> = {
  light: { viewport: { width: 1280, height: 900 }, colorScheme: "light" },
  dark: { viewport: { width: 1280, height: 900 }, colorScheme: "dark" },
  "forced colours": { viewport: { width: 1280, height: 900 }, forcedColors: "active" },
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
  "the list of conversations": async ({ ask, widget }) => {
    await ask("hello");
    await widget.getByRole("button", { name: "Conversations" }).click();
    await widget.getByRole("searchbox").waitFor();
  },
};

/** The rules that the findings break, with what breaks them. */
async function findings({ page }: WidgetPage): Promise<string[]> {
  await page.evaluate(axe.source);
  // Of a page in the middle of a fade axe reads colours that nobody rests on.
  await page.evaluate(`Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {})))`);
  const { violations } = (await page.evaluate("axe.run()")) as AxeResults;
  return violations.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id}: ${target.flat().join(" ")}: ${failureSummary ?? ""}`),
  );
}

describe.each(Object.entries(looks))("in the look: %s", (_, look) => {
  test("axe finds nothing in any state", async () => {
    const found: Record<string, string[]> = {};
    for (const [name, bring] of Object.entries(states)) {
      const opened = await scene.open({ ...look, bypassCSP: true });
      await bring(opened);
      found[name] = await findings(opened);
      await opened.context.close();
    }
    expect(found).toEqual(Object.fromEntries(Object.keys(states).map((name) => [name, []])));
  }, 180_000);
});
