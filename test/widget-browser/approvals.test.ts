import { afterAll, beforeAll, expect, test } from "vitest";
import { openWidgetScene, type WidgetScene } from "../support/widget-page.ts";

// What waits for a person, in the widget.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene();
});
afterAll(() => scene.close());

const command = (words: string) =>
  `demo:tool Bash ${JSON.stringify({ command: words, description: "A harmless file" })}`;

test("an approval shows what will run, and runs it when it is allowed", async () => {
  const { widget, send, settled } = await scene.open();
  const run = "touch here && printf 'it is \\033[32mmade\\033[0m'";
  await send(command(run));
  const card = widget.locator(".approval");
  await card.getByText("May this command run?").waitFor();
  await expect.poll(() => card.locator("pre").innerText()).toBe(run);
  await card.getByText(/^(10:00|9:5\d) left to decide$/).waitFor();
  await card.getByRole("button", { name: "Allow", exact: true }).click();
  await widget.getByText("Allowed by demo").waitFor();
  await settled();
  expect(await widget.locator(".tool").getAttribute("class")).toBe("tool done");
  await expect.poll(() => widget.locator(".tool-time").innerText()).toMatch(/^\d+\.\d s$/);
  await widget.locator(".tool-head").click();
  await expect.poll(() => widget.locator(".tool-details pre").allInnerTexts()).toEqual([run, "it is made"]);
});

test("an approval is seen within 200 ms of its event, while another answer streams", async () => {
  const busy = await scene.open();
  await busy.send("demo:long words=2000 rate=100");
  const { page, widget, send } = await scene.open({ context: busy.context });
  await widget.getByRole("button", { name: "New conversation" }).click();
  await page.evaluate(() => {
    const { shadowRoot } = document.querySelector("sluice-chat")!;
    document.addEventListener("sluice:approval", () => {
      const told = performance.now();
      const look = () => {
        const isSeen = shadowRoot!.querySelector(".approval") !== null;
        if (isSeen) Object.assign(globalThis, { waitedMs: performance.now() - told });
        else requestAnimationFrame(look);
      };
      look();
    });
  });
  await send(command("touch soon"));
  await widget.locator(".approval").waitFor();
  expect(await page.evaluate(() => (globalThis as unknown as { waitedMs: number }).waitedMs)).toBeLessThan(200);
  await widget.getByRole("button", { name: "Deny", exact: true }).click();
});

test("an answer that was given cannot be given again before it is known to have come", async () => {
  const { page, widget, send } = await scene.open();
  await send(command("touch once"));
  const allow = widget.getByRole("button", { name: "Allow", exact: true });
  await allow.waitFor();
  // What the gateway makes of it does not come.
  await page.route("**/api/approvals/*", (route) => route.fulfill({ json: {} }));
  const answered = page.waitForResponse("**/api/approvals/*");
  await allow.click();
  await (await answered).finished();
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  expect(await allow.isDisabled()).toBe(true);
  await widget.getByRole("button", { name: "Stop" }).click();
  await allow.waitFor({ state: "detached" });
});

test("an approval shows all that is asked for; a denial tells the model why", async () => {
  const { widget, send, settled } = await scene.open();
  await send('demo:tool Bash {"command":"touch there","timeout":7000}');
  await widget.locator(".approval").waitFor();
  await expect
    .poll(() => widget.locator(".approval pre").allInnerTexts())
    .toEqual(["touch there", '{\n  "timeout": 7000\n}']);
  await widget.getByRole("button", { name: "Deny", exact: true }).click();
  await widget.getByRole("textbox", { name: "Why not? (optional)" }).fill("Not in this folder");
  await widget.getByRole("textbox", { name: "Why not? (optional)" }).press("Enter");
  await settled();
  await widget.getByText("Denied by demo: Not in this folder").waitFor();
  expect(JSON.stringify(scene.scene.requests.at(-1)?.body.messages)).toContain("Not in this folder");
});

test("allowed for the session, the tool asks no more in it", async () => {
  const { widget, send, settled, ask } = await scene.open();
  await send(command("touch one"));
  await widget.getByRole("button", { name: "Allow every Bash command in this session" }).click();
  await settled();
  await ask(command("touch two"));
  await expect.poll(() => widget.locator(".tool.done").count()).toBe(2);
});

test("an approval is there after a reload, and says when it was decided elsewhere", async () => {
  const { page, widget, send, settled } = await scene.open();
  await send(command("touch later"));
  await widget.locator(".approval").waitFor();
  await page.reload();
  await widget.locator(".approval").waitFor();
  const { approvals } = (await (await scene.gateway.fetch("/api/approvals")).json()) as {
    approvals: { approval: string }[];
  };
  await scene.gateway.fetch(`/api/approvals/${approvals[0]!.approval}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ decision: "deny", message: "From afar" }),
  });
  await widget.getByText("Denied by demo · elsewhere: From afar").waitFor();
  await settled();
  expect(await widget.locator(".approval").count()).toBe(0);
});

test("a question of the model is answered with its choices", async () => {
  const { widget, send, settled } = await scene.open();
  await send("ask me something");
  const card = widget.locator(".question");
  await card.getByText("Marseille").click();
  expect(await card.getByRole("button", { name: "Answer", exact: true }).isDisabled()).toBe(true);
  await card.getByText("Depth").click();
  await card.getByText("Tides").click();
  await card.getByRole("button", { name: "Answer", exact: true }).click();
  await settled();
  await expect.poll(() => card.locator("dd").allInnerTexts()).toEqual(["Marseille", "Depth, Tides"]);
  expect(JSON.stringify(scene.scene.requests.at(-1)?.body.messages)).toContain("Depth, Tides");
});

test("an edit shows what it changes; the list of tasks shows progress; a subagent's calls stand inside its own", async () => {
  const { widget, send, settled, ask } = await scene.open();
  await send("edit a file");
  await widget.locator(".approval .diff .in").first().waitFor();
  await widget.getByRole("button", { name: "Allow every Write call in this session" }).click();
  await widget.locator(".approval .diff .out").waitFor();
  await widget.getByRole("button", { name: "Allow every Edit call in this session" }).click();
  await settled();
  await ask("make a plan");
  await widget.getByText("3 of 3 done").first().waitFor();
  await ask("use a subagent");
  await widget.locator(".tool", { hasText: "Count the files" }).locator(".tool-head").first().click();
  await widget.locator(".tool-inner .tool.done").waitFor();
  await expect.poll(() => widget.locator(".tasks").count()).toBe(1);
});
