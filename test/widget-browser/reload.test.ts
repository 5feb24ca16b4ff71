import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openWidgetScene, type WidgetPage, type WidgetScene } from "../support/widget-page.ts";
import type { Transcript } from "../../gateway/protocol/transcript.ts";

// What was seen as it happened is seen as well when the page is loaded anew.

let scene: WidgetScene;
beforeAll(async () => {
  scene = await openWidgetScene({ environment: { CLAUDE_CODE_MAX_RETRIES: "10" } });
});
afterAll(() => scene?.close());

const command = (words: string) => `demo:tool Bash ${JSON.stringify({ command: words })}`;

/** The lines of the newest answer that say what became of it; how long a call took a page knows less exactly. */
const seen = async ({ widget }: WidgetPage) => {
  const lines = widget.locator(".answer").last().locator(".tool-head, .decision, .notice, .failure");
  return (await lines.allInnerTexts()).map((line) => line.replace(/\d+\.\d s/, "… s"));
};

async function reload({ page, widget }: WidgetPage): Promise<void> {
  await page.reload();
  await widget.locator(".answer").last().locator(".tool-head, .notice, .failure, .working").first().waitFor();
}

test("who allowed or denied a call, and why", async () => {
  const opened = await scene.open();
  const { widget, send, settled } = opened;
  await send(`${command("touch one")}\n${command("touch two")}\n${command("touch three")}`);
  await widget.getByRole("button", { name: "Allow", exact: true }).click();
  await widget.getByText("Allowed by demo").waitFor();
  await widget.getByRole("button", { name: "Deny", exact: true }).click();
  await widget.getByRole("textbox", { name: "Why not? (optional)" }).fill("Not this one");
  await widget.getByRole("textbox", { name: "Why not? (optional)" }).press("Enter");
  await widget.getByText("Denied by demo: Not this one").waitFor();
  await widget.getByRole("button", { name: "Allow every Bash command in this session" }).click();
  await settled();
  const before = await seen(opened);
  const decisions = ["Allowed by demo", "Denied by demo: Not this one", "Allowed for this session by demo"];
  await expect.poll(() => widget.locator(".decision").allInnerTexts()).toEqual(decisions);
  await reload(opened);
  await expect.poll(() => widget.locator(".decision").allInnerTexts()).toEqual(decisions);
  await expect.poll(() => widget.locator(".tool.denied").count()).toBe(1);
  expect(await seen(opened)).toEqual(before);
});

test("a notice: the CLI wrote what nobody understands", async () => {
  // In a box no tool reaches the CLI's output.
  const unboxed = await openWidgetScene({ file: { isolation: "off" } });
  onTestFinished(() => unboxed.close());
  const opened = await unboxed.open();
  const { widget, send, settled } = opened;
  await send(command("echo what is this > /proc/$PPID/fd/1"));
  await widget.getByRole("button", { name: "Allow", exact: true }).click();
  const notice = widget.getByText("The CLI wrote a line that is not part of its protocol.");
  await notice.waitFor();
  await settled();
  const before = await seen(opened);
  await reload(opened);
  await notice.waitFor();
  await expect.poll(() => seen(opened)).toEqual(before);
});

test("a retry that is under way, also where no event comes to tell of it", async () => {
  const opened = await scene.open();
  const { page, widget, send } = opened;
  await send("demo:error status=500 times=20");
  const words = (attempt: string) => new RegExp(`^The model does not answer; trying again \\(${attempt} of 10\\)$`);
  // From the fourth on there are some seconds between them.
  await widget.locator(".working").getByText(words("4")).waitFor();
  await page.route("**/api/sessions/*/events*", (route) => route.abort());
  await reload(opened);
  await widget.locator(".working").getByText(words("[4-6]")).waitFor();
  await page.unroute("**/api/sessions/*/events*");
  await widget.getByRole("button", { name: "Stop" }).click();
  await widget.getByText("Stopped by demo").waitFor();
  expect(await widget.locator(".working").count()).toBe(0);
});

interface Sessions {
  readonly sessions: readonly { readonly session: string }[];
}

test.each([
  ["allowed_warning", "Limit almost reached"],
  ["rejected", "Limit reached"],
])("a limit that is %s, and when it resets", async (status, words) => {
  const tag = `<script src="${scene.gateway.address}/widget.js" data-mode="inline" data-token-url="/sluice-token"></script>`;
  const url = scene.site.serve("/limited", tag);
  const opened = await scene.open({ url, locale: "en-GB", timezoneId: "UTC" });
  const { widget, ask } = opened;
  await ask(`demo:limit status=${status} resets_in=60\ndemo:text Said.`);
  const { sessions } = (await (await scene.gateway.fetch("/api/sessions?limit=1")).json()) as Sessions;
  const { turns } = (await (
    await scene.gateway.fetch(`/api/sessions/${sessions[0]!.session}/transcript`)
  ).json()) as Transcript;
  const time = turns[0]!.rate_limit!.resets_at!.slice(11, 16).replace(/^0/, "0?");
  const said = new RegExp(`^${words}, resets at (.*, )?${time}$`);
  await widget.getByText(said).waitFor();
  const before = await seen(opened);
  await reload(opened);
  await widget.getByText(said).waitFor();
  await expect.poll(() => seen(opened)).toEqual(before);
});
