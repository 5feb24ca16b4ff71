import { afterAll, beforeAll, expect, test } from "vitest";
import { openWidgetScene, type WidgetScene } from "../support/widget-page.ts";

// The gateway's own page, as a person meets it first.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene.close());

test("a first prompt streams its answer, drawn as Markdown while it grows", async () => {
  const { widget, send, settled, answer, complaints, requested } = await scene.open();
  await send("demo:markdown");
  await widget.locator(".answer .md h1").waitFor();
  await settled();
  expect(await answer()).toContain("A sample from the demo model");
  await expect
    .poll(() => widget.locator(".md table td").allInnerTexts())
    .toEqual(["gateway", "TypeScript", "4200", "widget", "Preact", "1900"]);
  await widget.locator(".md .hl-keyword").first().waitFor();
  expect(complaints).toEqual([]);
  expect([...requested]).toEqual([scene.gateway.address]);
});

test("[T4] stop ends the turn on the server, and what was said stays", async () => {
  const { widget, send, settled, answer } = await scene.open();
  await send("demo:long words=3000 rate=100");
  await widget.getByText("word20 ").waitFor();
  await widget.getByRole("button", { name: "Stop" }).click();
  await settled();
  await widget.getByText("Stopped by demo").waitFor();
  expect(await answer()).toMatch(/^word1 word2 /);
  const { turns } = (await (await scene.gateway.fetch("/api/turns?state=cancelled")).json()) as { turns: unknown[] };
  expect(turns).toHaveLength(1);
});

test("[L4] a reload in the middle of an answer goes on where it was, with nothing lost or doubled", async () => {
  const { page, widget, send, settled, answer } = await scene.open();
  await send("demo:long words=400 rate=150");
  await widget.getByText("word40 ").waitFor();
  await page.reload();
  await widget.getByText("word60 ").waitFor();
  await settled();
  const words = Array.from({ length: 400 }, (_, index) => `word${index + 1}`).join(" ");
  expect(await answer()).toBe(words);
});

test("[T2] a second prompt waits in line, visibly, and is answered after the first", async () => {
  const { widget, send, settled } = await scene.open();
  await send("demo:long words=100 rate=50");
  await widget.getByText("word5 ").waitFor();
  await send("demo:text the second answer");
  await widget.getByText("Waiting in line: next").waitFor();
  await send("demo:text the third answer");
  await widget.getByText("Waiting in line: 2").waitFor();
  await widget.getByText("the third answer", { exact: true }).waitFor();
  await settled();
  await expect
    .poll(() => widget.locator(".prompt .bubble").allInnerTexts())
    .toEqual(["demo:long words=100 rate=50", "demo:text the second answer", "demo:text the third answer"]);
});

test("a suggestion is sent with a press; a new conversation begins empty, and the old one is found again", async () => {
  const { widget, settled } = await scene.open();
  await widget.getByRole("button", { name: "Show me a table and some code" }).click();
  await widget.locator(".answer .actions").waitFor();
  await settled();
  await widget.getByRole("button", { name: "New conversation" }).click();
  await widget.getByText("How can I help?").waitFor();
  await widget.getByRole("button", { name: "Conversations" }).click();
  await widget.getByRole("searchbox").fill("nothing of the kind");
  await widget.locator(".sessions").getByText("Nothing here").waitFor();
  await widget.getByRole("searchbox").fill("table cod");
  await widget.locator(".session", { hasText: "Show me a table" }).click();
  await widget.locator(".answer table").waitFor();
  await expect.poll(() => widget.locator(".answer").count()).toBe(1);
});
