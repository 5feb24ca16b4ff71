import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SluiceChatElement } from "../../widget/page.ts";
import { until } from "../support/wait.ts";
import { openWidgetScene, type WidgetScene } from "../support/widget-page.ts";

// The widget on pages of another site, by the snippets of the README, under a strict policy, and as a page's code sees it.

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
const snippet = (name: string) => new RegExp(`<!-- run: ${name} -->\\s*\`\`\`\\w+\\n([^]*?)\`\`\``).exec(readme)![1]!;

/** Runs in the page: notes what the widget listens to at its window, document and viewport. */
function countListeners(): void {
  const held: { type: string; listener: unknown; target: EventTarget }[] = [];
  for (const target of [window, document, window.visualViewport!]) {
    const { addEventListener: add, removeEventListener: remove } = target;
    const find = (type: string, listener: unknown) =>
      held.findIndex((one) => one.type === type && one.listener === listener && one.target === target);
    Object.assign(target, {
      addEventListener(...given: Parameters<typeof add>) {
        const isWidgets = new Error().stack!.includes("/widget/");
        if (isWidgets && find(given[0], given[1]) === -1) held.push({ type: given[0], listener: given[1], target });
        add.apply(target, given);
      },
      removeEventListener(...given: Parameters<typeof remove>) {
        const at = find(given[0], given[1]);
        if (at !== -1) held.splice(at, 1);
        remove.apply(target, given);
      },
    });
  }
  Object.assign(window, { listeners: () => held.map(({ type }) => type) });
}

let scene: WidgetScene;
/** A snippet of the README, with this gateway's address. */
const here = (text: string) => text.replaceAll("https://gateway.example", scene.gateway.address);
beforeAll(async () => {
  scene = await openWidgetScene({ openCaller: null, agents: [{ name: "default" }, { name: "other" }] });
});
afterAll(() => scene.close());

const policy = () => ({
  "content-security-policy":
    `default-src 'none'; script-src ${scene.gateway.address}; style-src 'self'; ` +
    `connect-src 'self' ${scene.gateway.address}; require-trusted-types-for 'script'; trusted-types 'none'`,
});

describe("the tag of the README", () => {
  test("chats with the token of the README's endpoint, under a strict policy, and leaves the page alone", async () => {
    const { site, gateway } = scene;
    const file = join(scene.scene.folder, "token-endpoint.mjs");
    writeFileSync(file, snippet("token-endpoint").replace("https://intranet.example", site.origin));
    process.env["SLUICE_URL"] = gateway.address;
    process.env["SLUICE_KEY"] = gateway.headers["authorization"]!.slice("Bearer ".length);
    const endpoint = (await import(pathToFileURL(file).href)) as { sluiceToken: typeof site.token };
    const ordinary = site.token;
    site.token = endpoint.sluiceToken;
    const bare = await scene.open({ url: site.serve("/bare", "<p>A page</p>", policy()) });
    const globals = await bare.page.evaluate(() => Object.getOwnPropertyNames(globalThis));
    const { page, widget, ask, send, settled, answer, complaints, requested } = await scene.open({
      url: site.serve("/tag", `<p>A page</p>${here(snippet("embed"))}`, policy()),
    });
    await widget.getByRole("button", { name: "Open chat: Assistant" }).click();
    await ask("demo:text Hello from **afar**");
    expect(await answer()).toBe("Hello from afar");
    await send('demo:tool Bash {"command":"touch strict"}\ndemo:markdown');
    await widget.getByRole("button", { name: "Allow", exact: true }).click();
    await widget.locator(".answer .hl-keyword").first().waitFor();
    await settled();
    await widget.getByRole("button", { name: "Details" }).last().click();
    await widget.getByRole("button", { name: "Conversations" }).click();
    await widget.locator(".session").first().waitFor();
    expect(complaints).toEqual([]);
    expect([...requested].toSorted()).toEqual([gateway.address, site.origin].toSorted());
    const added = await page.evaluate(
      (before) => Object.getOwnPropertyNames(globalThis).filter((name) => !before.includes(name)),
      globals,
    );
    expect(added).toEqual([]);
    expect(await page.evaluate("document.head.children.length")).toBe(2);
    expect(await page.evaluate("[...document.body.children].map(({ localName }) => localName)")).toEqual([
      "p",
      // The page's own tag.
      "script",
      "sluice-chat",
    ]);
    const { turns } = (await (await gateway.fetch("/api/turns?user=ann")).json()) as { turns: unknown[] };
    expect(turns).toHaveLength(2);
    site.token = ordinary;
    process.env["SLUICE_KEY"] = "another";
    await expect(endpoint.sluiceToken("ann")).rejects.toThrow(/^The gateway gives no token: 401 .*"unauthorized"/);
  });

  test("by its name that never changes, with its digest, chats as well; with another digest it does not run", async () => {
    const { gateway, site } = scene;
    const digests = (await (await fetch(`${gateway.address}/widget/integrity.json`)).json()) as Record<string, string>;
    const [name, digest] = Object.entries(digests).find(([name]) => /^widget-[0-9a-f]+\.js$/.test(name))!;
    const tag = (integrity: string) =>
      `<script src="${gateway.address}/widget/${name}" integrity="${integrity}" crossorigin data-mode="inline" data-agent="default" data-token-url="/sluice-token"></script>`;
    const { ask, answer, complaints } = await scene.open({ url: site.serve("/pinned", tag(digest), policy()) });
    await ask("demo:text Pinned");
    expect(await answer()).toBe("Pinned");
    expect(complaints).toEqual([]);
    const other = await scene.open({ url: site.serve("/tampered", tag(digests["widget.mjs"]!)) });
    expect(await other.widget.count()).toBe(0);
    expect(other.complaints.join("\n")).toContain("integrity");
  });

  test("says that somebody is signed out, and goes on once they are not", async () => {
    const { site } = scene;
    const ordinary = site.token;
    site.token = () => Promise.reject(new Error("nobody is signed in"));
    const { widget, ask, answer } = await scene.open({ url: site.serve("/out", here(snippet("embed"))) });
    await widget.getByRole("button", { name: "Open chat" }).click();
    await widget.getByText("You are signed out").waitFor();
    site.token = ordinary;
    await widget.getByRole("button", { name: "Try again" }).click();
    await ask("demo:text Back again");
    expect(await answer()).toBe("Back again");
  });
});

test("the README's page of one's own chats with the demo, as high as the page's CSS says", async () => {
  const demo = await openWidgetScene();
  try {
    const own = snippet("embed-demo").replaceAll("http://127.0.0.1:8787", demo.gateway.address);
    const { page, widget, ask, answer } = await demo.open({ url: demo.site.serve("/own", own) });
    await ask("demo:text Hello");
    expect(await answer()).toBe("Hello");
    const height = () => widget.evaluate((element) => element.getBoundingClientRect().height);
    expect(await height()).toBe(await page.evaluate("Math.min(640, innerHeight * 0.8)"));
    await page.addStyleTag({ content: "body { height: 300px } sluice-chat { height: 100% }" });
    expect(await height()).toBe(300);
  } finally {
    await demo.close();
  }
});

test("on a page without an address of its own, and where the gateway's is given in short, it chats", async () => {
  const { site, gateway } = scene;
  const element = (more: string) =>
    `<sluice-chat mode="inline" session="new" ${more}></sluice-chat><script type="module" src="${gateway.address}/widget.mjs"></script>`;
  const inner = element('token-url="/sluice-token"').replaceAll('"', "&quot;");
  const framed = await scene.open({
    url: site.serve("/framed", `<iframe srcdoc="${inner}" style="width: 400px; height: 500px"></iframe>`),
  });
  const own = await framed.context.newPage();
  await own.route("**/own", (route) => route.fulfill({ contentType: "text/html", body: element('gateway="/"') }));
  await own.route("**/api/**", (route) =>
    route.continue({ headers: { ...route.request().headers(), ...gateway.headers } }),
  );
  await own.goto(`${gateway.address}/own`);
  for (const place of [framed.page.frameLocator("iframe"), own]) {
    const chat = place.locator("sluice-chat");
    await chat.locator("textarea.input").fill("demo:text Hello from **here**");
    await chat.locator("textarea.input").press("Enter");
    await chat.locator(".answer .md strong", { hasText: "here" }).waitFor();
    await chat.locator(".stop").waitFor({ state: "detached" });
  }
  expect(framed.complaints).toEqual([]);
});

test("on a page that the gateway does not allow, who embeds it reads in the console where to look", async () => {
  const { site } = scene;
  const url = site.serve("/elsewhere", here(snippet("embed"))).replace("localhost", "127.0.0.1");
  const { page, widget, send, complaints } = await scene.open({ url });
  await widget.getByRole("button", { name: "Open chat" }).click();
  await send("demo:text Not from here");
  await widget.locator(".failure", { hasText: "Not sent: The service cannot be reached" }).waitFor();
  expect(complaints.join("\n")).toContain(`may pages of ${new URL(page.url()).origin} ask it?`);
});

test("mount of the README: facts of the page go with the next prompt, and the page hears the answer", async () => {
  const { page, widget, ask } = await scene.open({ url: scene.site.serve("/mount", here(snippet("mount"))) });
  const logged = page.waitForEvent("console", (message) => message.text() === "Heard");
  await widget.getByRole("button", { name: "Sent along" }).click();
  await expect.poll(() => widget.locator(".along pre").innerText()).toContain('"/mount"');
  await ask("demo:text Heard");
  await logged;
  expect(await widget.locator(".along").count()).toBe(0);
  expect(JSON.stringify(scene.scene.requests.at(-1)!.body.messages)).toContain("/mount");
});

test("[A6] of an answer's images those of the page's own origin are loaded, and others are links", async () => {
  const { site, gateway } = scene;
  const tag = `<script src="${gateway.address}/widget.js" data-gateway="${gateway.address}" data-mode="inline" data-token-url="/sluice-token"></script>`;
  const { widget, ask } = await scene.open({ url: site.serve("/images", tag) });
  const addresses = [`${site.origin}/own.png`, `${gateway.address}/theirs.png`, "https://other.example/x.png"];
  const before = gateway.requests.length;
  await ask(`demo:text ${addresses.map((address) => `![a chart](${address})`).join(" ")}`);
  const images = widget.locator(".answer .md img");
  expect(await images.evaluateAll((all) => all.map((image) => (image as HTMLImageElement).src))).toEqual([
    addresses[0],
  ]);
  const links = widget.locator(".answer .md a");
  expect(await links.evaluateAll((all) => all.map((link) => (link as HTMLAnchorElement).href))).toEqual(
    addresses.slice(1),
  );
  await until("it to be asked for", () => site.asked.includes("/own.png"));
  expect(gateway.requests.slice(before).filter(({ path }) => path.includes("theirs"))).toEqual([]);
});

describe("the element", () => {
  const element = (attributes = "") =>
    `<script type="module" src="${scene.gateway.address}/widget.mjs"></script>` +
    `<sluice-chat token-url="/sluice-token" ${attributes.includes("mode=") ? "" : 'mode="inline"'} ${attributes}></sluice-chat><div id="elsewhere"></div>`;

  test("heeds every change of its attributes and properties while it lives", async () => {
    const { page, widget } = await scene.open({
      url: scene.site.serve("/live", element('title="Helpdesk" greeting="Ask away" suggestions="One\nTwo"')),
    });
    await widget.getByRole("heading", { name: "Helpdesk" }).waitFor();
    await expect.poll(() => widget.locator(".suggestion").allInnerTexts()).toEqual(["One", "Two"]);
    await page.evaluate(() => {
      const chat: SluiceChatElement = document.querySelector("sluice-chat")!;
      chat.setAttribute("title", "Support");
      chat.setAttribute("placeholder", "Here");
      Object.assign(chat, {
        greeting: "Good day",
        suggestions: ["Three"],
        theme: "dark",
        texts: { send: "Off you go" },
      });
    });
    await widget.getByRole("heading", { name: "Support" }).waitFor();
    await widget.getByText("Good day").waitFor();
    await expect.poll(() => widget.locator(".suggestion").allInnerTexts()).toEqual(["Three"]);
    await expect.poll(() => widget.getByPlaceholder("Here").count()).toBe(1);
    await expect.poll(() => widget.getByRole("button", { name: "Off you go" }).count()).toBe(1);
    expect(await widget.locator(".root").evaluate((root) => getComputedStyle(root).colorScheme)).toBe("dark");
    await page.evaluate(() => Object.assign(document.querySelector("sluice-chat")!, { language: "de" }));
    await widget.getByRole("button", { name: "Neue Unterhaltung" }).waitFor();
    await page.evaluate(() => document.querySelector("sluice-chat")!.setAttribute("mode", "bubble"));
    await widget.getByRole("button", { name: "Chat öffnen: Support" }).waitFor();
    expect(await widget.locator(".panel.is-open").count()).toBe(0);
    await page.evaluate(() => document.querySelector("sluice-chat")!.setAttribute("open", ""));
    await widget.locator(".panel.is-open").waitFor();
  });

  test("goes to the session and to the agent that it is given while it lives", async () => {
    const { page, widget, ask, hear, heard } = await scene.open({
      url: scene.site.serve("/elsewhere", element('agent="default"')),
    });
    await hear("sluice:session");
    await ask("demo:text of the first");
    const set = (name: "session" | "agent", value: string) =>
      page.evaluate(([name, value]) => document.querySelector("sluice-chat")!.setAttribute(name, value), [
        name,
        value,
      ] as const);
    const { session } = (await heard()).at(-1)!.detail as { session: string };
    await set("session", "new");
    await widget.locator(".greeting").waitFor();
    await set("session", session);
    await widget.getByText("of the first", { exact: true }).waitFor();
    await set("agent", "other");
    await set("session", "new");
    await widget.locator(".greeting").waitFor();
    await ask("demo:text of the other");
    const { sessions } = (await (await scene.gateway.fetch("/api/sessions?agent=other")).json()) as {
      sessions: { session: string }[];
    };
    expect(sessions.map(({ session }) => session)).toEqual([
      ((await heard()).at(-1)!.detail as { session: string }).session,
    ]);
  });

  test("in a tree of the page's own, too, tells the page when it is drawn and what goes wrong", async () => {
    const { page, hear, heard } = await scene.open({
      url: scene.site.serve(
        "/tree",
        `<script type="module" src="${scene.gateway.address}/widget.mjs"></script><main></main>`,
      ),
    });
    await hear("sluice:ready", "sluice:error");
    await page.evaluate(() => {
      const tree = document.querySelector("main")!.attachShadow({ mode: "open" });
      const chat = document.createElement("sluice-chat");
      Object.assign(chat, { mode: "inline", session: "new", tokenUrl: "/sluice-token" });
      tree.append(chat);
    });
    await page.locator("main .greeting").waitFor();
    await page.locator("main textarea.input").fill("demo:error status=400");
    await page.locator("main textarea.input").press("Enter");
    await page.locator("main .failure").waitFor();
    await expect.poll(heard).toEqual([
      { type: "sluice:ready", detail: null },
      { type: "sluice:error", detail: { code: "api_error", detail: expect.any(String) as string } },
    ]);
  });

  test("heeds properties that were set before it was defined", async () => {
    const early = `<sluice-chat></sluice-chat><script>
      Object.assign(document.querySelector("sluice-chat"), { mode: "sidebar", greeting: "Early", tokenUrl: "/sluice-token", open: true });
    </script><script type="module" src="${scene.gateway.address}/widget.mjs"></script>`;
    const { widget } = await scene.open({ url: scene.site.serve("/early", early) });
    await widget.getByText("Early").waitFor();
    await expect.poll(() => widget.locator(".panel.is-open").isVisible()).toBe(true);
  });

  test.each(["before", "after"])(
    "heeds what a framework writes %s it is defined, `open` too, which stays a method",
    async (when) => {
      // As React and Vue do: a property where the element has one, else an attribute.
      const bind = `const bind = (options) => {
      const chat = document.querySelector("sluice-chat");
      for (const [name, value] of Object.entries(options))
        if (name in chat) chat[name] = value;
        else chat.toggleAttribute(name, value !== false) && typeof value === "string" && chat.setAttribute(name, value);
    };`;
      const options = { tokenUrl: "/sluice-token", suggestions: '["One", "Two"]', texts: '{"send":"Off"}', open: true };
      const define = `await import("${scene.gateway.address}/widget.mjs");`;
      const first = `bind(${JSON.stringify(options)});`;
      const order = when === "before" ? first + define : define + first;
      const bound = `<sluice-chat session="new"></sluice-chat><script type="module">${bind} ${order} globalThis.bind = bind;</script>`;
      const { page, widget, ask, answer } = await scene.open({ url: scene.site.serve(`/bound-${when}`, bound) });
      await widget.locator(".panel.is-open").waitFor();
      await expect.poll(() => widget.locator(".suggestion").allInnerTexts()).toEqual(["One", "Two"]);
      await widget.getByRole("button", { name: "Off" }).waitFor();
      await ask("demo:text With a token");
      expect(await answer()).toBe("With a token");
      const isOpen = (act: string) =>
        page.evaluate(`{ const chat = document.querySelector("sluice-chat"); ${act}; chat.isOpen }`);
      expect([await isOpen("bind({ open: false })"), await isOpen('bind({ open: "" })')]).toEqual([false, true]);
      expect(await isOpen('chat.setAttribute("open", "false")')).toBe(false);
      expect([await isOpen("chat.open()"), await isOpen("chat.close()")]).toEqual([true, false]);
    },
  );

  test("asks the page's own function for a token from when it is given one, and the newest one", async () => {
    const { page, widget, ask } = await scene.open({
      url: scene.site.serve(
        "/late",
        `<script type="module" src="${scene.gateway.address}/widget.mjs"></script><sluice-chat mode="inline"></sluice-chat>`,
      ),
    });
    await widget.getByText("How can I help?").waitFor();
    await page.evaluate(() => {
      const chat: SluiceChatElement = document.querySelector("sluice-chat")!;
      chat.getToken = async () => ({ token: "an old one", expires_at: new Date(Date.now() + 900_000).toISOString() });
    });
    await widget.getByText("How can I help?").waitFor();
    await page.evaluate(() => {
      const chat: SluiceChatElement = document.querySelector("sluice-chat")!;
      chat.getToken = async () => (await fetch("/sluice-token", { method: "POST" })).json() as Promise<never>;
    });
    await ask("demo:text With a token");
    expect(await widget.locator(".failure").count()).toBe(0);
  });

  test("made from code in the text of a page it has a height and scrolls in it; as a bubble it takes no room", async () => {
    const made = `<div id="help"></div><script type="module">
      import { mount } from "${scene.gateway.address}/widget.mjs";
      globalThis.chat = mount({ target: document.getElementById("help"), mode: "inline", tokenUrl: "/sluice-token" });
    </script>`;
    const { page, widget, ask } = await scene.open({
      url: scene.site.serve("/made", made),
      viewport: { width: 800, height: 700 },
    });
    const height = () => page.locator("#help").evaluate((box) => box.getBoundingClientRect().height);
    await widget.locator(".panel").waitFor();
    expect(await height()).toBe(560);
    await ask("demo:markdown");
    expect(await height()).toBe(560);
    expect(await widget.locator(".log").evaluate((log) => log.scrollHeight > log.clientHeight)).toBe(true);
    await page.evaluate(() => Object.assign(document.querySelector("sluice-chat")!, { mode: "bubble" }));
    await widget.locator(".launcher").waitFor();
    expect(await height()).toBe(0);
    await page.evaluate(() => Object.assign(document.querySelector("sluice-chat")!, { mode: undefined }));
    expect(await page.evaluate('document.querySelector("sluice-chat").getAttribute("mode")')).toBeNull();
  });

  test("closed, it tells of an answer that has come meanwhile, until it is opened", async () => {
    const { page, widget, send } = await scene.open({
      url: scene.site.serve("/news", element('mode="bubble" session="new" open')),
    });
    await send("demo:long words=60 rate=20");
    await page.evaluate(() => document.querySelector("sluice-chat")!.close());
    const launcher = widget.getByRole("button", { name: "Open chat: Assistant, New answer" });
    await launcher.waitFor();
    await expect.poll(() => widget.locator(".badge").isVisible()).toBe(true);
    await launcher.click();
    await widget.getByRole("button", { name: "Close: Assistant", exact: true }).waitFor();
    await page.evaluate(() => document.querySelector("sluice-chat")!.close());
    await widget.getByRole("button", { name: "Open chat: Assistant", exact: true }).waitFor();
    expect(await widget.locator(".badge").count()).toBe(0);
  });

  test("goes on with its stream when it is moved, and leaves nothing when it is destroyed", async () => {
    const { page, widget, send, settled, answer } = await scene.open({
      url: scene.site.serve("/move", `<script>(${countListeners.toString()})()</script>${element()}`),
    });
    await send("demo:long words=200 rate=80");
    await widget.getByText("word10 ").waitFor();
    const streams: string[] = [];
    page.on("request", (request) => request.url().includes("/events") && streams.push(request.url()));
    await page.evaluate(() => document.querySelector("#elsewhere")!.append(document.querySelector("sluice-chat")!));
    await widget.getByText("word60 ").waitFor();
    await settled();
    expect((await answer()).split(" ")).toHaveLength(200);
    expect(streams).toEqual([]);
    const left = () =>
      page.evaluate(async () => {
        const { held = [], pending = [] } = await navigator.locks.query();
        return {
          listeners: (globalThis as unknown as { listeners: () => string[] }).listeners(),
          locks: [...held, ...pending].length,
        };
      });
    const before = await left();
    expect(before.listeners).toContain("keydown");
    expect(before.locks).toBeGreaterThan(0);
    const drawn = await page.evaluate(() => {
      const chat: SluiceChatElement = document.querySelector("sluice-chat")!;
      chat.destroy();
      return [document.querySelectorAll("sluice-chat").length, chat.shadowRoot!.childElementCount];
    });
    expect(drawn).toEqual([0, 0]);
    await expect.poll(left).toEqual({ listeners: [], locks: 0 });
  });

  test("tells the page what happens, and does what it is told", async () => {
    const { page, widget, hear, heard, send, settled, composer } = await scene.open({
      url: scene.site.serve("/told", element('agent="default"')),
    });
    await widget.locator(".greeting").waitFor();
    await hear("sluice:turn", "sluice:answer", "sluice:tool", "sluice:approval", "sluice:session", "sluice:error");
    await page.evaluate(() => {
      const chat: SluiceChatElement = document.querySelector("sluice-chat")!;
      chat.setDraft('demo:tool Bash {"command":"touch told"}');
      return chat.send();
    });
    await widget.locator(".approval").waitFor();
    const asked = (await heard()).find(({ type }) => type === "sluice:approval")!.detail as { approval: string };
    expect(asked).toMatchObject({ tool: "Bash", decision: null });
    await page.evaluate((id) => document.querySelector("sluice-chat")!.approve(id), asked.approval);
    await settled();
    await send('demo:tool Bash {"command":"touch denied"}');
    await widget.locator(".approval").waitFor();
    const next = (await heard()).findLast(({ type }) => type === "sluice:approval")!.detail as { approval: string };
    await page.evaluate(
      (id) => document.querySelector("sluice-chat")!.approve(id, { decision: "deny", message: "Not now" }),
      next.approval,
    );
    // Not by a press in it.
    await widget.getByText("Denied by ann · elsewhere: Not now").waitFor();
    await settled();
    const events = await heard();
    expect(
      events.filter(({ type }) => type === "sluice:turn").map(({ detail }) => (detail as { state: string }).state),
    ).toEqual(expect.arrayContaining(["running", "waiting", "completed"]));
    expect(new Set(events.map(({ type }) => type))).toEqual(
      new Set(["sluice:session", "sluice:turn", "sluice:tool", "sluice:approval", "sluice:answer"]),
    );
    const file = await page.evaluate(async () => {
      const chat: SluiceChatElement = document.querySelector("sluice-chat")!;
      const text = await (await chat.exportTranscript("md")).text();
      JSON.parse(await (await chat.exportTranscript("json")).text());
      chat.newSession();
      chat.focusComposer();
      return text;
    });
    expect(file).toContain("touch told");
    await widget.locator(".greeting").waitFor();
    expect(await composer.evaluate((field) => (field.getRootNode() as ShadowRoot).activeElement === field)).toBe(true);
  });

  test("is opened, closed and stopped by the page, which hears of it; what the page puts into its slots stands there", async () => {
    const slots = ["launcher", "header", "empty", "footer"].map((name) => `<b slot="${name}">Own ${name}</b>`).join("");
    const bubble = element().replace("inline", "bubble").replace("></sluice-chat>", `>${slots}</sluice-chat>`);
    const { page, widget, hear, heard, send, settled } = await scene.open({
      url: scene.site.serve("/slots", `<main>A page</main>${bubble}`),
    });
    await widget.locator(".launcher").waitFor();
    await hear("sluice:open", "sluice:close", "sluice:status", "sluice:session");
    const slotted = (name: string) => page.locator("sluice-chat > b", { hasText: `Own ${name}` });
    await expect.poll(() => slotted("launcher").isVisible()).toBe(true);
    expect(await slotted("header").isVisible()).toBe(false);
    const tell = (act: "open" | "close" | "toggle") =>
      page.evaluate((act) => {
        const chat: SluiceChatElement = document.querySelector("sluice-chat")!;
        chat[act]();
        return chat.isOpen;
      }, act);
    expect(await tell("toggle")).toBe(true);
    for (const name of ["header", "empty", "footer"]) await slotted(name).waitFor();
    expect([await tell("toggle"), await tell("open"), await tell("open"), await tell("close")]).toEqual([
      false,
      true,
      true,
      false,
    ]);
    const opened = (await heard()).map(({ type }) => type).filter((type) => /:(?:open|close)$/.test(type));
    expect(opened).toEqual(["sluice:open", "sluice:close", "sluice:open", "sluice:close"]);
    await tell("open");
    await send("demo:long words=2000 rate=60");
    await widget.getByText("word5 ").waitFor();
    await page.evaluate(() => document.querySelector("sluice-chat")!.stop());
    await settled();
    await widget.locator(".notice", { hasText: "Stopped" }).waitFor();
    const events = await heard();
    const connections = events.flatMap(({ type, detail }) =>
      type === "sluice:status" ? [(detail as { connection: string }).connection] : [],
    );
    expect(connections.at(-1)).toBe("live");
    const { session } = events.find(({ type }) => type === "sluice:session")!.detail as { session: string };
    await page.evaluate(() => document.querySelector("sluice-chat")!.newSession());
    await slotted("empty").waitFor();
    await page.evaluate((session) => document.querySelector("sluice-chat")!.openSession(session), session);
    await widget.getByText("word5 ").waitFor();
  });

  test("is several to a page, each with its own conversation", async () => {
    const two = `${element('agent="default" session="new"')}<sluice-chat mode="inline" token-url="/sluice-token" agent="default" session="new"></sluice-chat>`;
    const { page } = await scene.open({ url: scene.site.serve("/two", two) });
    const [first, second] = [page.locator("sluice-chat").nth(0), page.locator("sluice-chat").nth(1)];
    await first.locator("textarea.input").fill("demo:text one");
    await first.locator("textarea.input").press("Enter");
    await second.locator("textarea.input").fill("demo:text two");
    await second.locator("textarea.input").press("Enter");
    await first.getByText("one", { exact: true }).waitFor();
    await second.getByText("two", { exact: true }).waitFor();
    expect(await first.getByText("two", { exact: true }).count()).toBe(0);
  });
});

test("its style works where a browser has no adopted sheets, with the page's nonce", async () => {
  const url = scene.site.serve(
    "/nonce",
    `<script nonce="n0nce" src="${scene.gateway.address}/widget.js" data-mode="inline" data-token-url="/sluice-token"></script>`,
    {
      "content-security-policy": `default-src 'none'; script-src 'nonce-n0nce' ${scene.gateway.address}; style-src 'nonce-n0nce'; connect-src 'self' ${scene.gateway.address}`,
    },
  );
  const context = await scene.browser.newContext();
  await context.addInitScript(() => {
    delete (ShadowRoot.prototype as { adoptedStyleSheets?: unknown }).adoptedStyleSheets;
    delete (Document.prototype as { adoptedStyleSheets?: unknown }).adoptedStyleSheets;
  });
  const { widget, complaints } = await scene.open({ url, context });
  await widget.locator(".greeting").waitFor();
  expect(await widget.locator(".panel").evaluate((panel) => getComputedStyle(panel).display)).toBe("flex");
  expect(complaints).toEqual([]);
  await context.close();
});
