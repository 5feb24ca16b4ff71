import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openWidgetScene, type WidgetScene } from "../support/widget-page.ts";

// What a person can do with a conversation beside talking.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene.close());

test("follows the end of an answer; scrolled up it stays where it is, and leads back", async () => {
  const { page, widget, send, ask, settled } = await scene.open();
  await ask("demo:long words=1500");
  await send("demo:long words=900 rate=150");
  const log = widget.locator(".log");
  const last = widget.locator(".answer").last();
  await last.getByText("word60 ").waitFor();
  const fromEnd = () => log.evaluate((node) => node.scrollHeight - node.scrollTop - node.clientHeight);
  await expect.poll(fromEnd).toBeLessThan(48);
  await log.hover();
  await page.mouse.wheel(0, -300);
  await widget.getByRole("button", { name: "Jump to latest" }).waitFor();
  const top = await log.evaluate((node) => node.scrollTop);
  await last.getByText("word400 ").waitFor();
  expect(await log.evaluate((node) => node.scrollTop)).toBe(top);
  await widget.getByRole("button", { name: "Jump to latest" }).click();
  await expect.poll(fromEnd).toBeLessThan(1);
  await settled();
  await expect.poll(fromEnd).toBeLessThan(1);
  await page.mouse.wheel(0, -300);
  const { sessions } = (await (await scene.gateway.fetch("/api/sessions?limit=1")).json()) as {
    sessions: { session: string }[];
  };
  await scene.gateway.post("demo:text From elsewhere", { session: sessions[0]!.session });
  await widget.getByRole("button", { name: "Jump to latest (2)", exact: true }).click();
  await widget.getByText("From elsewhere", { exact: true }).waitFor();
  await expect.poll(fromEnd).toBeLessThan(1);
});

test("thoughts are folded until somebody wants to read them", async () => {
  const { widget, ask } = await scene.open();
  await ask("demo:thinking What is the tide?");
  const head = widget.getByRole("button", { name: "Thoughts" });
  expect(await head.getAttribute("aria-expanded")).toBe("false");
  expect(await widget.getByText("What is the tide?", { exact: true }).count()).toBe(0);
  await head.click();
  await widget.getByText("What is the tide?", { exact: true }).waitFor();
});

test("an image is picked, shown, taken out again, and sent", async () => {
  const { widget, ask } = await scene.open();
  const png = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
    "base64",
  );
  const picker = widget.locator("input[type=file]");
  const file = (name: string) => ({ name, mimeType: "image/png", buffer: png });
  await picker.setInputFiles([file("one.png"), file("two.png")]);
  await widget.locator(".draft-images .ready").nth(1).waitFor();
  await widget.getByRole("button", { name: "Remove one.png" }).click();
  await expect.poll(() => widget.locator(".draft-images li").count()).toBe(1);
  await ask("demo:text A dot");
  expect(await widget.locator(".draft-images").count()).toBe(0);
  await widget.locator(".prompt img.attached").waitFor();
  const sent = scene.scene.requests.filter(({ body }) => JSON.stringify(body.messages).includes("A dot"));
  expect(sent.length).toBeGreaterThan(0);
  for (const { body } of sent)
    expect(JSON.stringify(body.messages).match(/"media_type":"image\/png"/g) ?? []).toHaveLength(1);
});

/** Two answers, and the second prompt about to be written anew. */
async function openEditor() {
  const opened = await scene.open();
  const { widget, ask } = opened;
  await ask("demo:text first");
  await ask("demo:text second");
  const prompt = widget.locator(".prompt").nth(1);
  await prompt.hover();
  await prompt.getByRole("button", { name: "Edit" }).click();
  const field = widget.getByRole("textbox", { name: "Edit" });
  return { ...opened, field };
}

test("a prompt is edited: the conversation goes on in a copy from before it", async () => {
  const { widget, settled, field } = await openEditor();
  await field.fill("demo:text another");
  await field.press("Enter");
  await widget.locator(".answer").getByText("another", { exact: true }).waitFor();
  await settled();
  await expect
    .poll(() => widget.locator(".prompt .bubble").allInnerTexts())
    .toEqual(["demo:text first", "demo:text another"]);
});

test("the words of an edit that could not be sent stay; input methods keep their keys", async () => {
  const { page, widget, field } = await openEditor();
  await field.fill("demo:text another");
  await field.dispatchEvent("keydown", { key: "Enter", keyCode: 229 });
  await field.dispatchEvent("keydown", { key: "Escape", isComposing: true });
  await page.route("**/fork", (route) => route.abort());
  await field.press("Enter");
  await widget.locator(".problem").getByText("The service cannot be reached").waitFor();
  expect(await field.inputValue()).toBe("demo:text another");
  await expect.poll(() => widget.locator(".prompt .bubble").allInnerTexts()).toEqual(["demo:text first"]);
  await page.unroute("**/fork");
  await field.press("Enter");
  await widget.locator(".answer").getByText("another", { exact: true }).waitFor();
});

test("an answer is asked for again, rated, and told what it has used", async () => {
  const { widget, ask, settled } = await scene.open();
  await ask("demo:text rated");
  const answer = widget.locator(".answer").last();
  await answer.getByRole("button", { name: "Good answer" }).click();
  await answer.locator('[aria-label="Good answer"][aria-pressed="true"]').waitFor();
  await answer.getByRole("button", { name: "Details" }).click();
  await expect.poll(() => answer.locator(".details").innerText()).toMatch(/tokens in, .* out · \$\d/);
  const { turns } = (await (await scene.gateway.fetch("/api/turns?limit=1")).json()) as {
    turns: { rating: string | null }[];
  };
  expect(turns[0]!.rating).toBe("up");
  await answer.getByRole("button", { name: "Try again" }).click();
  await widget.locator(".answer").nth(1).getByText("rated", { exact: true }).waitFor();
  await settled();
});

test("the conversation is taken along as a file", async () => {
  const { page, widget, ask } = await scene.open();
  await ask("demo:text to keep");
  await widget.getByRole("button", { name: "More", exact: true }).click();
  await expect.poll(() => widget.locator(".usage").innerText()).toMatch(/^1 answers, \S+ tokens, \$\S+ reported$/);
  const downloaded = page.waitForEvent("download");
  await widget.getByRole("menuitem", { name: "Download as Markdown" }).click();
  const file = await downloaded;
  expect(file.suggestedFilename()).toBe("conversation.md");
  expect(readFileSync(await file.path(), "utf8")).toContain("to keep");
});

test("a draft is kept over a reload, for its conversation alone", async () => {
  const { page, widget, composer, ask } = await scene.open();
  await ask("demo:text here");
  await composer.fill("half a thought");
  await page.reload();
  await widget.getByText("here", { exact: true }).waitFor();
  expect(await composer.inputValue()).toBe("half a thought");
  await widget.getByRole("button", { name: "New conversation" }).click();
  await expect.poll(() => composer.inputValue()).toBe("");
});

test("a prompt to a conversation that was deleted elsewhere can begin another one", async () => {
  const { widget, ask, send } = await scene.open();
  await ask("demo:text Soon deleted.");
  const { sessions } = (await (await scene.gateway.fetch("/api/sessions?limit=1")).json()) as {
    sessions: { session: string }[];
  };
  await scene.gateway.fetch(`/api/sessions/${sessions[0]!.session}`, { method: "DELETE" });
  await widget.locator(".status").getByText("This conversation is gone").waitFor();
  await send("demo:text Begun anew.");
  const unsent = widget.locator(".pending .failure");
  await unsent.getByText("This conversation is gone").waitFor();
  await unsent.getByRole("button", { name: "New conversation" }).click();
  await widget.locator(".answer").getByText("Begun anew.", { exact: true }).waitFor();
  expect(await widget.getByText("Soon deleted.").count()).toBe(0);
});
