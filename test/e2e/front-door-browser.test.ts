import { EventSource as NpmEventSource } from "eventsource";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openBrowser } from "../support/browser.ts";
import { openGateway, type OwnGateway } from "../support/gateway.ts";
import { openHostileSite, type HostileSite } from "../support/hostile-site.ts";
import { lacksChromium } from "../support/programs.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

// What a web page can do to a gateway on the same machine, tried by a real Chromium. Most of it against a gateway that wants no key, as the
// demo is: what is refused there is refused before any key is asked for.

let scene: Scene;
let site: HostileSite;
let browser: Browser;
let context: BrowserContext;
let open: OwnGateway;
let gateway: OwnGateway;

beforeAll(async () => {
  [scene, site, browser] = await Promise.all([openScene(), openHostileSite(), openBrowser()]);
  open = await openGateway(scene, { openCaller: { key: "demo", user: null, reach: "all" } });
  gateway = await openGateway(scene, {
    agents: [{ name: "default" }, { name: "helper", public: { origins: [site.origin("friend.example")] } }],
  });
});
afterAll(async () => {
  await browser.close();
  await site.close();
  await open.close();
  await gateway.close();
  await scene.close();
});
beforeEach(async () => {
  context = await browser.newContext();
  await context.addInitScript({ path: new URL("../support/page-acts.js", import.meta.url).pathname });
});
afterEach(() => context.close());

/** A page of this name of the site. */
async function visit(name: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(site.origin(name));
  return page;
}

/** The statuses of what a gateway answers from now on, once there are so many: a page is not told of those that it may not read. */
function watch({ requests }: OwnGateway): (count: number) => Promise<number[]> {
  const from = requests.length;
  return async (count) => {
    await until(`${count} answers`, () => requests.length >= from + count, 30_000);
    return requests.slice(from).map(({ status }) => status);
  };
}

const turnsOf = async (client: OwnGateway) =>
  ((await (await client.fetch("/api/turns")).json()) as { turns: { turn: string; session: string }[] }).turns;

type Request = { url: string } & RequestInit;

/** Does what `page-acts.js` has under this name. */
function act<Result = unknown>(page: Page, name: string, argument: object = {}): Promise<Result> {
  return page.evaluate<Result>(`acts.${name}(${JSON.stringify(argument)})`);
}
const tryRequests = (page: Page, requests: Request[]) => act<string[]>(page, "request", requests);

describe.skipIf(lacksChromium)("pages that may not call, against a gateway without any key", () => {
  test("[CVE-2025-59956] [CVE-2025-66414] [CVE-2025-49596] DNS rebinding: a page whose name leads here reads nothing", async () => {
    await open.ended((await open.post("a conversation")).turn);
    const page = await context.newPage();
    const rebound = `http://rebound.example:${new URL(open.address).port}`;
    // Even the page itself: by then the browser takes it and the gateway for one origin.
    const reply = await page.goto(`${rebound}/api/turns`);
    expect([reply!.status(), await reply!.json()]).toMatchObject([403, { code: "host_not_allowed" }]);
    const said = await tryRequests(page, [
      { url: "/api/turns" },
      { url: "/healthz" },
      { url: "/sign-in" },
      {
        url: "/api/turns",
        method: "POST",
        body: '{"prompt":"x"}',
        headers: { "content-type": "application/json" },
      },
    ]);
    for (const one of said) expect(one).toMatch(/^basic 403 .*"code":"host_not_allowed"/);
    expect(await turnsOf(open)).toHaveLength(1);
  });

  test("[CVE-2026-22812] [CVE-2026-25253] no request of another origin starts anything or is answered readably", async () => {
    const before = await turnsOf(open);
    const page = await visit("evil.example");
    const statuses = watch(open);
    const prompt = JSON.stringify({ prompt: "touch /tmp/owned" });
    const url = `${open.address}/api/turns`;
    const said = await tryRequests(page, [
      { url },
      { url, mode: "no-cors" },
      { url, credentials: "include" },
      { url, method: "POST", body: prompt },
      { url, method: "POST", body: prompt, mode: "no-cors" },
      { url, method: "POST", body: prompt, headers: { "content-type": "application/json" } },
      { url: `${url}?_method=DELETE`, method: "DELETE" },
    ] satisfies Request[]);
    expect(said).toEqual(["TypeError", "opaque 0 ", "TypeError", "TypeError", "opaque 0 ", "TypeError", "TypeError"]);
    const beacon = await act(page, "beacon", { url, body: prompt });
    expect(beacon).toBe(true);
    // By the gateway itself, not only by the browser's rules for reading.
    expect(await statuses(8)).toEqual(Array(8).fill(403));
    expect(await turnsOf(open)).toEqual(before);
  });

  test("a form that a foreign page sends as text/plain, and one of a sandboxed frame with Origin: null, start nothing", async () => {
    const before = await turnsOf(open);
    const page = await visit("evil.example");
    const form = { url: `${open.address}/api/turns`, field: '{"prompt":"owned","metadata":"', value: '"}' };
    const answered = page.waitForResponse((reply) => reply.url() === form.url);
    await act(page, "submit", form);
    expect((await answered).status()).toBe(403);
    await page.waitForURL(form.url);
    expect(await page.textContent("body")).toContain("origin_not_allowed");

    const fresh = await visit("evil.example");
    const statuses = watch(open);
    const framed = await act(fresh, "requestFromSandbox", { url: form.url });
    expect(framed).toEqual(["null", "fulfilled", "rejected"]);
    expect(await statuses(2)).toEqual([403, 403]);
    expect(await turnsOf(open)).toEqual(before);
  });

  test("images, scripts, styles and frames of it show a foreign page nothing", async () => {
    const [turn] = await turnsOf(open);
    const page = await visit("evil.example");
    const statuses = watch(open);
    const urls = [`${open.address}/api/turns`, `${open.address}/api/sessions/${turn!.session}/transcript`];
    const outcomes = await act<string[]>(page, "embed", { urls, tags: ["img", "script", "link"] });
    expect(new Set(outcomes)).toEqual(new Set(["error"]));
    expect(await statuses(6)).toEqual(Array(6).fill(403));
    // A frame loads something in any case: here the browser's own page of a refusal.
    await act(page, "embed", { urls: [`${open.address}/sign-in`], tags: ["iframe"] });
    expect(page.frames().map((one) => one.url())).not.toContain(`${open.address}/sign-in`);
  });

  test("[CVE-2023-26114] a stream that another origin opens is refused: EventSource, and a socket", async () => {
    const [turn] = await turnsOf(open);
    const page = await visit("evil.example");
    const statuses = watch(open);
    const url = `${open.address}/api/sessions/${turn!.session}/events`;
    const seen = await act(page, "listen", { url, types: ["ping", "turn_queued", "turn_completed"] });
    expect(seen).toEqual([2, 0]);
    expect(await statuses(1)).toEqual([403]);
    const socket = await act(page, "socket", { url: url.replace("http", "ws") });
    expect(socket).toBe("error");
  });

  test("its own pages may: without any Origin where a browser sends none", async () => {
    const page = await context.newPage();
    await page.goto(`${open.address}/healthz`);
    const said = await tryRequests(page, [
      { url: "/api/turns" },
      {
        url: "/api/turns",
        method: "POST",
        body: '{"prompt":"x"}',
        headers: { "content-type": "application/json" },
      },
    ]);
    expect(said.map((one) => one.slice(0, 9))).toEqual(["basic 200", "basic 202"]);
  });
});

describe.skipIf(lacksChromium)("a page that may call", () => {
  interface Talk {
    readonly token: string;
    readonly turn: { readonly turn: string; readonly events_url: string };
    readonly exposed: readonly string[];
    readonly events: readonly string[];
  }

  test("[A3] is served across origins: a visitor's token, a turn, and Chromium's EventSource with the ticket of events_url", async () => {
    const page = await visit("friend.example");
    const types = ["turn_queued", "turn_started", "turn_completed"];
    const { token, turn, exposed, events } = await act<Talk>(page, "talk", {
      address: gateway.address,
      agent: "helper",
      types,
    });
    expect(exposed).toEqual([`${gateway.address}/api/turns/${turn.turn}`, turn.turn]);
    expect(turn.events_url).toContain("?ticket=");
    expect(events.map((event) => event.split(" ")[1])).toEqual(types);
    // The same token, the same stream, on another page.
    const elsewhere = await visit("evil.example");
    const statuses = watch(gateway);
    const stolen = await tryRequests(elsewhere, [
      { url: `${gateway.address}/api/turns`, headers: { authorization: `Bearer ${token}` } },
      { url: turn.events_url },
      { url: turn.events_url, mode: "no-cors" },
    ] satisfies Request[]);
    expect(stolen).toEqual(["TypeError", "TypeError", "opaque 0 "]);
    expect(await statuses(3)).toEqual([403, 403, 403]);
  });

  test("[A3] npm's eventsource takes the same address, and comes back with its cursor", async () => {
    const minted = await gateway.fetch("/api/tokens", {
      method: "POST",
      body: '{"user":"ann"}',
      headers: { "content-type": "application/json" },
    });
    const { token } = (await minted.json()) as { token: string };
    const reply = await fetch(`${gateway.address}/api/turns`, {
      method: "POST",
      body: '{"prompt":"hello","agent":"default"}',
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
    });
    const { events_url: url } = (await reply.json()) as { events_url: string };
    const ids: number[] = [];
    const source = new NpmEventSource(url);
    for (const type of ["turn_queued", "content_block_delta", "turn_completed"])
      source.addEventListener(type, ({ lastEventId }) => ids.push(Number(lastEventId)));
    await until("EventSource to be told that it is over", () => source.readyState === NpmEventSource.CLOSED, 30_000);
    expect(ids.length).toBeGreaterThan(2);
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b));
  });
});

describe.skipIf(lacksChromium)("the sign-in page [A1]", () => {
  const key = () => gateway.headers["authorization"]!.slice("Bearer ".length);
  /** A page that notes what its policy forbids, and every error. */
  async function openSignIn(path = "/sign-in"): Promise<{ page: Page; complaints: string[] }> {
    const page = await context.newPage();
    const complaints: string[] = [];
    page.on("console", (message) => void complaints.push(message.text()));
    page.on("pageerror", (error) => void complaints.push(error.message));
    await page.goto(`${gateway.address}${path}`);
    return { page, complaints };
  }

  test("signs a person in with a key, shows it, and out again, and its policy has nothing to complain of", async () => {
    const { page, complaints } = await openSignIn();
    expect(await page.evaluate("getComputedStyle(document.documentElement).colorScheme")).toBe("light dark");
    await page.fill("input[name=key]", key());
    await page.click("button");
    await page.waitForURL(`${gateway.address}/`);
    expect(await page.textContent("form")).toContain("Signed in as local");
    const [cookie] = await context.cookies();
    expect(cookie).toMatchObject({ name: "sluice_sign_in", httpOnly: true, sameSite: "Strict", path: "/" });
    expect(await act(page, "cookie")).toBe("");
    expect((await page.goto(`${gateway.address}/api/turns`))!.status()).toBe(200);
    await page.goto(`${gateway.address}/`);
    await page.click("button");
    await page.waitForURL(`${gateway.address}/sign-in`);
    expect(await context.cookies()).toEqual([]);
    expect((await page.goto(`${gateway.address}/api/turns`))!.status()).toBe(401);
    expect(complaints.filter((text) => !text.startsWith("Failed to load resource"))).toEqual([]);
  });

  test("by a link signs in once; a wrong key is said to be wrong, in words a reader speaks", async () => {
    const made = await gateway.fetch("/api/sign-in-links", { method: "POST" });
    const { url } = (await made.json()) as { url: string };
    const { page } = await openSignIn(url.slice(gateway.address.length));
    await page.click("button");
    await page.waitForURL(`${gateway.address}/`);
    const again = await openSignIn(url.slice(gateway.address.length));
    await again.page.click("button");
    expect(await again.page.textContent("[role=alert]")).toContain("not good");
    await again.page.fill("input[name=key]", "wrong");
    await again.page.press("input[name=key]", "Enter");
    expect(await again.page.textContent("[role=alert]")).toContain("not good");
  });

  test("[A2] a page of another port, to which the browser sends the cookie, does nothing with it", async () => {
    const { page } = await openSignIn();
    await page.fill("input[name=key]", key());
    await page.click("button");
    await page.waitForURL(`${gateway.address}/`);
    // Until the widget there has all it wants.
    await page.waitForLoadState("networkidle");
    const before = await turnsOf(gateway);
    const neighbour = await visit("127.0.0.1");
    const statuses = watch(gateway);
    const said = await tryRequests(neighbour, [
      { url: `${gateway.address}/api/turns`, credentials: "include", mode: "no-cors" },
      {
        url: `${gateway.address}/api/turns`,
        method: "POST",
        body: '{"prompt":"x"}',
        credentials: "include",
        mode: "no-cors",
      },
      { url: `${gateway.address}/sign-out`, method: "POST", credentials: "include", mode: "no-cors" },
    ] satisfies Request[]);
    expect(said).toEqual(["opaque 0 ", "opaque 0 ", "opaque 0 "]);
    expect(await statuses(3)).toEqual([403, 403, 403]);
    expect(await turnsOf(gateway)).toEqual(before);
    expect((await page.goto(`${gateway.address}/api/turns`))!.status()).toBe(200);
    // From another site the browser does not send it at all.
    const evil = await visit("evil.example");
    const asked = context.waitForEvent("request", (request) => request.url() === `${gateway.address}/api/turns`);
    await tryRequests(evil, [
      { url: `${gateway.address}/api/turns`, credentials: "include", mode: "no-cors" },
    ] satisfies Request[]);
    expect(await (await asked).headerValue("cookie")).toBeNull();
  });
});
