// `npm run screenshots`: every state of the widget at three widths, light and dark, to be looked at. They lie in test/widget-browser/screenshots/,
// which is not kept; `--readme` makes the two that the README shows.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, BrowserContextOptions, Locator, Page } from "playwright-core";
import { openBrowser } from "../support/browser.ts";

const root = new URL("../..", import.meta.url).pathname;
const folder = join(root, "test/widget-browser/screenshots");
const readmeFolder = join(root, "test/fixtures/widget");
const sizes = [
  { width: 360, height: 740 },
  { width: 768, height: 900 },
  { width: 1440, height: 900 },
];
const schemes = ["light", "dark"] as const;

interface Shooting {
  readonly page: Page;
  readonly widget: Locator;
  readonly shoot: (name: string) => Promise<unknown>;
  readonly send: (text: string) => Promise<void>;
  readonly settled: () => Promise<void>;
}

const button = (widget: Locator, name: string) => widget.getByRole("button", { name, exact: true }).last();

/** A conversation from its beginning; each state is shot where it is reached. */
async function conversation({ page, widget, shoot, send, settled }: Shooting): Promise<void> {
  await widget.locator(".greeting").waitFor();
  await shoot("empty");
  await send("Show me a table and some code");
  await settled();
  await widget.locator(".hl-keyword").first().waitFor();
  await shoot("markdown");
  await send("demo:long words=300 rate=40");
  await widget.getByText("word30 ").waitFor();
  await send("demo:thinking A question of this kind wants a moment.");
  await widget.getByText("Waiting in line").waitFor();
  await shoot("streaming-and-queued");
  await button(widget, "Stop").click();
  await widget.locator(".answer").getByText("I have thought about it.").waitFor();
  await settled();
  await widget.locator(".thinking-head").last().click();
  await shoot("stopped-and-thinking");
  await send("make a plan");
  await widget.getByText("1 of 3 done").waitFor();
  await shoot("tasks");
  await settled();
  await send("run a command");
  await widget.locator(".approval").waitFor();
  await shoot("approval");
  await button(widget, "Allow").click();
  await widget.locator(".tool.running").waitFor();
  await shoot("tool-running");
  await settled();
  await widget.locator(".tool-head").last().click();
  await shoot("tool-output");
  await send("edit a file");
  await widget.locator(".approval").waitFor();
  await button(widget, "Allow").click();
  await widget.locator(".approval .diff .out").waitFor();
  await shoot("edit");
  await button(widget, "Deny").click();
  await shoot("deny");
  await button(widget, "Deny").click();
  await settled();
  await send("ask me something");
  await widget.getByText("Marseille").click();
  await shoot("question");
  await button(widget, "Do not answer").click();
  await settled();
  await send("use a subagent");
  await settled();
  await widget.locator(".tool-head", { hasText: "Count the files" }).click();
  await shoot("subagent");
  await send("fail");
  await widget.locator(".failure").waitFor();
  await shoot("failure");
  await button(widget, "Details").click();
  await button(widget, "More").click();
  await shoot("menu-and-details");
  await page.keyboard.press("Escape");
  await button(widget, "Conversations").click();
  await widget.locator(".session").first().waitFor();
  await shoot("sessions");
}

/** The modes on a page of somebody else's. */
async function modes(browser: Browser, address: string): Promise<void> {
  for (const mode of ["bubble", "sidebar", "fullscreen"]) {
    const context = await browser.newContext();
    await context.route("**/host", (route) => route.fulfill({ contentType: "text/html", body: hostPage(mode) }));
    const page = await context.newPage();
    await page.goto(`${address}/host`);
    if (mode !== "fullscreen") {
      await page.locator("sluice-chat .launcher").waitFor();
      if (mode === "bubble") await shootAll(page, "bubble-closed");
      await page.locator("sluice-chat .launcher").click();
    }
    await page.locator("sluice-chat .greeting").waitFor();
    await shootAll(page, mode);
    await context.close();
  }
}

function hostPage(mode: string): string {
  const words = "Ships that enter the harbour report by radio, wait for the pilot, and moor where they are told to. ";
  return `<!doctype html><meta name="viewport" content="width=device-width"><title>Handbook</title>
    <body style="max-width: 42em; margin: 40px; font: 18px/1.6 Georgia, serif"><h1>Harbour handbook</h1>${`<p>${words.repeat(3)}</p>`.repeat(5)}
    <script src="/widget.js" data-mode="${mode}" data-title="Harbour desk" data-session="new" data-greeting="What do you want to know?"
      data-suggestions="How deep is basin 3?\nWho is on duty?" defer></script>`;
}

/** The same state at every width, in both colour schemes. */
async function shootAll(page: Page, name: string): Promise<void> {
  for (const size of sizes)
    for (const colorScheme of schemes) {
      await page.setViewportSize(size);
      await page.emulateMedia({ colorScheme });
      await calm(page);
      await page.screenshot({ path: join(folder, `${name}-${size.width}-${colorScheme}.png`) });
    }
}

/** Two frames after everything that moves has come to rest. */
async function calm(page: Page): Promise<void> {
  await page.evaluate(
    () =>
      new Promise((resolve) => {
        const { requestAnimationFrame: next } = globalThis as unknown as {
          requestAnimationFrame: (act: () => void) => void;
        };
        setTimeout(() => next(() => next(() => resolve(undefined))), 250);
      }),
  );
}

async function openPage(browser: Browser, address: string, options: BrowserContextOptions = {}): Promise<Shooting> {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  await page.goto(`${address}/`);
  const widget = page.locator("sluice-chat");
  const composer = widget.locator("textarea.input");
  return {
    page,
    widget,
    shoot: (name) => shootAll(page, name),
    async send(text) {
      await composer.fill(text);
      await composer.press("Enter");
      await widget.locator(".pending").waitFor({ state: "detached" });
    },
    async settled() {
      await widget.locator(".stop").waitFor({ state: "detached" });
    },
  };
}

/** What the README shows: an answer in the light, an approval in the dark. */
async function readmeShots(browser: Browser, address: string): Promise<void> {
  mkdirSync(readmeFolder, { recursive: true });
  for (const scheme of schemes) {
    const viewport = { width: 1120, height: 720 };
    const { page, widget, send, settled } = await openPage(browser, address, { viewport, colorScheme: scheme });
    await send(scheme === "light" ? "Show me a table and some code" : "make a plan");
    await settled();
    if (scheme === "dark") {
      await send("run a command");
      await widget.locator(".approval").waitFor();
    } else await widget.locator(".hl-keyword").first().waitFor();
    await calm(page);
    await page.screenshot({ path: join(readmeFolder, `${scheme}.png`) });
  }
}

async function startDemo(): Promise<{ address: string; stop: () => void }> {
  const data = mkdtempSync(join(tmpdir(), "sluice-screenshots-"));
  const child = spawn(process.execPath, [join(root, "gateway/bin.js"), "demo"], {
    env: { ...process.env, SLUICE_DATA: data, SLUICE_PORT: "0", SLUICE_LOG: "warn" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", (text: Buffer) => {
      const found = /listening on (\S+)/.exec(text.toString())?.[1];
      if (found !== undefined) resolve(found);
    });
    child.once("exit", (code) => reject(new Error(`the demo ended with ${code}`)));
  });
  const stop = () => {
    child.once("exit", () => rmSync(data, { recursive: true, force: true }));
    child.kill();
  };
  return { address, stop };
}

const browser = await openBrowser();
const demo = await startDemo();
try {
  if (process.argv.includes("--readme")) await readmeShots(browser, demo.address);
  else {
    rmSync(folder, { recursive: true, force: true });
    await modes(browser, demo.address);
    await conversation(await openPage(browser, demo.address));
  }
} finally {
  await browser.close();
  demo.stop();
}
