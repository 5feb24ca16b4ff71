import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createApi, type Api, type ApiOptions } from "../../widget/api.ts";
import type { Token } from "../../widget/options.ts";
import { ApiProblem } from "../../widget/problem.ts";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import type { Browser } from "../../widget/browser.ts";
import { gateway, openScene, page, type Scene } from "./scene.ts";

let scene: Scene;
beforeEach(async () => {
  scene = await openScene();
});
afterEach(() => scene.close());

/** The page's server gives tokens at `/sluice-token`. */
function servePage(answer: () => Response | Promise<Response>): void {
  scene.intercept = (request) => (request.url === `${page}/sluice-token` ? answer() : undefined);
}

function open(more: Partial<ApiOptions> = {}, browser: Browser = scene.openTab()): Api {
  return createApi({ gateway, browser, ...more });
}

const asked = () => scene.requests.map(({ method, path }) => `${method} ${path}`);
const bearers = () =>
  scene.requests.filter(({ path }) => path.startsWith("/api/sess")).map(({ headers }) => headers.get("authorization"));
const sessions = (api: Api) => api.request("GET", "/api/sessions");
const problemOf = (request: Promise<unknown>): Promise<ApiProblem> =>
  request.then(
    () => Promise.reject(new Error("it was answered")),
    (error: unknown) => {
      if (!(error instanceof ApiProblem)) throw error;
      return error;
    },
  );

describe("a token of the page's server", () => {
  test("[A3] is asked for by POST with the page's cookies, once for all, and sent as bearer", async () => {
    servePage(async () => Response.json(await scene.mint()));
    const inits: (RequestInit | undefined)[] = [];
    const tab = scene.openTab();
    const api = open(
      { tokenUrl: "/sluice-token" },
      { ...tab, fetch: (url, init) => (inits.push(init), tab.fetch(url, init)) },
    );
    await Promise.all([sessions(api), sessions(api), sessions(api)]);
    expect(asked()).toEqual(["POST /sluice-token", ...Array(3).fill("GET /api/sessions")]);
    expect(inits[0]).toMatchObject({ method: "POST", credentials: "include" });
    expect(new Set(bearers()).size).toBe(1);
    expect(bearers()[0]).toMatch(/^Bearer ey/);
  });

  test("is renewed 60 s before it runs out, and not earlier", async () => {
    let given = 0;
    const api = open({ getToken: () => (given++, scene.mint("ann", { expires_in: 600 })) });
    await sessions(api);
    expect(api.renewsAt).toBe(Math.floor(scene.time / 1000) * 1000 + 540_000);
    await scene.advance(538_000);
    await sessions(api);
    expect(given).toBe(1);
    await scene.advance(2000);
    await sessions(api);
    expect(given).toBe(2);
    expect(new Set(bearers()).size).toBe(2);
  });

  test("that lives shorter than that is renewed at half its life", async () => {
    let given = 0;
    const api = open({ getToken: () => (given++, scene.mint("ann", { expires_in: 20 })) });
    await sessions(api);
    await scene.advance(8000);
    await sessions(api);
    expect(given).toBe(1);
    await scene.advance(3000);
    await sessions(api);
    expect(given).toBe(2);
  });

  test("that is refused is forgotten, another one asked for, and the request sent once more", async () => {
    const tokens = [
      { token: "not-good", expires_at: new Date(scene.time + 900_000).toISOString() },
      await scene.mint(),
    ];
    const api = open({ getToken: async () => tokens.shift()! });
    expect((await sessions(api)).status).toBe(200);
    expect(bearers()).toHaveLength(2);
  });

  test("the second refusal in a row is the caller's: there is no third try", async () => {
    const expires_at = new Date(scene.time + 900_000).toISOString();
    let given = 0;
    const api = open({ getToken: async () => ({ token: `bad-${given++}`, expires_at }) });
    expect(await problemOf(sessions(api))).toMatchObject({ code: "unauthorized", status: 401 });
    expect(bearers()).toEqual(["Bearer bad-0", "Bearer bad-1"]);
  });

  test("requests that are refused together renew it once", async () => {
    const expires_at = new Date(scene.time + 900_000).toISOString();
    const tokens: Token[] = [{ token: "bad", expires_at }, await scene.mint()];
    let given = 0;
    const api = open({ getToken: async () => tokens[Math.min(given++, 1)]! });
    await Promise.all([sessions(api), sessions(api), sessions(api)]);
    expect(given).toBe(2);
  });

  test("one that is refused when another one is there already takes that", async () => {
    const expires_at = new Date(scene.time + 900_000).toISOString();
    const tokens: Token[] = [{ token: "bad", expires_at }, await scene.mint()];
    let given = 0;
    const api = open({ getToken: async () => tokens[Math.min(given++, 1)]! });
    const late = Promise.withResolvers<void>();
    scene.intercept = (request) =>
      request.url.endsWith("?limit=7") && request.headers.get("authorization") === "Bearer bad"
        ? late.promise.then(() => new Response("{}", { status: 401 }))
        : undefined;
    const slow = api.request("GET", "/api/sessions?limit=7");
    await sessions(api);
    late.resolve();
    expect((await slow).status).toBe(200);
    expect(given).toBe(2);
  });

  test("that seems to have run out, by a clock that is wrong, is good until it is refused", async () => {
    let given = 0;
    const expires_at = new Date(scene.time - 3_600_000).toISOString();
    const api = open({ getToken: async () => (given++, { ...(await scene.mint()), expires_at }) });
    for (let request = 0; request < 3; request++) await sessions(api);
    expect([given, api.renewsAt]).toEqual([1, Infinity]);
  });

  test.each([
    [401, "unauthorized", 401],
    [403, "unauthorized", 401],
    [500, "no_token", 0],
  ])("the page's server answers %i: that is %s", async (status, code, said) => {
    servePage(() => new Response("no", { status }));
    const api = open({ tokenUrl: "/sluice-token" });
    expect(await problemOf(sessions(api))).toMatchObject({ code, status: said });
    expect(bearers()).toEqual([]);
  });

  test("a page's function that fails is said, and asked again with the next request", async () => {
    let isBroken = true;
    const api = open({ getToken: () => (isBroken ? Promise.reject(new Error("not yet")) : scene.mint()) });
    expect(await problemOf(sessions(api))).toMatchObject({ code: "no_token", status: 0 });
    isBroken = false;
    expect((await sessions(api)).status).toBe(200);
  });

  test("names the user: what one keeps in this browser another does not find", async () => {
    let user = "ann";
    const api = open({ getToken: () => scene.mint(user) });
    await api.identify();
    const anns = api.storageKey("session");
    user = "bob";
    api.forgetToken();
    await api.identify();
    expect(api.storageKey("session")).not.toBe(anns);
    const other = open({ getToken: () => scene.mint("ann"), agent: "other" });
    await other.identify();
    expect(other.storageKey("session")).not.toBe(anns);
    expect(anns).toContain("ann");
  });

  test("a name beyond ASCII is read as it is", async () => {
    const user = "Ännchen 你好 ???>>>";
    const given = await scene.mint(user);
    // What the two alphabets of base64 have different letters for.
    expect(given.token.split(".")[1]).toMatch(/-/);
    expect(given.token.split(".")[1]).toMatch(/_/);
    const api = open({ getToken: async () => given });
    await api.identify();
    expect(api.storageKey("x")).toContain(user);
  });
});

describe("a visitor of a public agent", () => {
  const userOf = (api: Api) => api.storageKey("").split(" ")[3];

  test("[A3] gets a token without anybody's help, and is the same one after a reload and after it has run out", async () => {
    const api = open({ agent: "help" });
    await sessions(api);
    expect(asked()[0]).toBe("POST /api/tokens");
    const user = userOf(api);
    expect(user).toMatch(/^visitor:/);
    const reloaded = open({ agent: "help" });
    await sessions(reloaded);
    expect(userOf(reloaded)).toBe(user);
    await scene.advance(24 * 60 * 60 * 1000);
    await sessions(reloaded);
    expect(userOf(reloaded)).toBe(user);
    expect(asked().filter((request) => request === "POST /api/tokens")).toHaveLength(3);
  });

  test("where nothing can be stored is one all the same, until the page is left", async () => {
    const storage = () => {
      throw new DOMException("denied", "SecurityError");
    };
    const api = open({ agent: "help" }, scene.openTab({ storage }));
    await sessions(api);
    const user = userOf(api);
    await scene.advance(24 * 60 * 60 * 1000);
    await sessions(api);
    expect(userOf(api)).toBe(user);
  });

  test("of an agent that is not public is refused", async () => {
    expect(await problemOf(sessions(open({ agent: "default" })))).toMatchObject({ code: "unauthorized", status: 401 });
  });
});

describe("a page of the gateway's own", () => {
  test("sends no token where the person is signed in", async () => {
    await scene.close();
    scene = await openScene({ origin: gateway, openCaller: { key: "demo", user: null, reach: "key" } });
    const api = open({ agent: "help" });
    await api.identify();
    await sessions(api);
    expect(new Set(bearers())).toEqual(new Set([null]));
    expect(api.renewsAt).toBe(Infinity);
  });

  test("takes the person for a visitor where not, and knows that before anything is stored", async () => {
    await scene.close();
    scene = await openScene({ origin: gateway });
    const api = open({ agent: "help" });
    await api.identify();
    expect(api.storageKey("x")).toContain("visitor:");
    expect((await sessions(api)).status).toBe(200);
  });

  test("knows a person who signs in after having been refused", async () => {
    await scene.close();
    scene = await openScene({ origin: gateway });
    const api = open({ agent: "default" });
    expect(await problemOf(api.identify())).toMatchObject({ status: 401 });
    // With the cookie, which this browser has not.
    scene.intercept = ({ headers }) => (headers.get("authorization") === null ? Response.json({}) : undefined);
    await api.identify();
    expect((await sessions(api)).status).toBe(200);
  });

  test("without an agent to be a visitor of says that nobody is signed in", async () => {
    await scene.close();
    scene = await openScene({ origin: gateway });
    const api = open();
    await api.identify();
    expect(await problemOf(sessions(api))).toMatchObject({ code: "unauthorized", status: 401 });
  });
});

describe("what goes wrong", () => {
  const signedIn = () => open({ getToken: () => scene.mint() });

  test("a refusal has the gateway's code and words", async () => {
    const problem = await problemOf(signedIn().request("POST", "/api/turns", { body: { prompt: "" } }));
    expect(problem).toMatchObject({ code: "invalid_request", status: 400, retryAfterMs: null });
    expect(problem.message).toContain("prompt");
  });

  test("`Retry-After` is read, in seconds or as a date", async () => {
    const api = signedIn();
    await sessions(api);
    const later = (value: string) => {
      scene.intercept = () => new Response("{}", { status: 503, headers: { "Retry-After": value } });
      return problemOf(sessions(api));
    };
    expect(await later("7")).toMatchObject({ retryAfterMs: 7000 });
    const date = new Date(Math.ceil(scene.time / 1000) * 1000 + 5000);
    expect((await later(date.toUTCString())).retryAfterMs).toBe(date.getTime() - scene.time);
    expect(await later(new Date(scene.time - 60_000).toUTCString())).toMatchObject({ retryAfterMs: 0 });
    expect(await later("soon")).toMatchObject({ retryAfterMs: null });
  });

  test("what a proxy answers, and what nobody answers, is `unreachable`", async () => {
    const api = signedIn();
    await sessions(api);
    scene.intercept = () => new Response("<h1>Bad Gateway</h1>", { status: 502, statusText: "Bad Gateway" });
    expect(await problemOf(sessions(api))).toMatchObject({
      code: "unreachable",
      status: 502,
      message: "502 Bad Gateway",
    });
    scene.isOnline = false;
    expect(await problemOf(sessions(api))).toMatchObject({ code: "unreachable", status: 0 });
  });

  test("what is not answered within a minute is given up, but for a file, which may take its time", async () => {
    const api = signedIn();
    await sessions(api);
    scene.intercept = () => new Promise<Response>(() => {});
    const waiting = problemOf(sessions(api));
    const timer = await until("the request", () => [...scene.timers][0]);
    expect(timer.at).toBe(scene.time + 60_000);
    timer.act();
    expect(await waiting).toMatchObject({ code: "unreachable", status: 0 });
    const sending = problemOf(api.request("POST", "/api/attachments", { body: new Blob(["a large file"]) }));
    await until("the upload", () => scene.requests.at(-1)!.method === "POST");
    expect(scene.timers.size).toBe(0);
    api.destroy();
    await sending;
  });

  test("after `destroy` what is under way rejects", async () => {
    const api = signedIn();
    await sessions(api);
    scene.intercept = () => new Promise<Response>(() => {});
    const waiting = problemOf(sessions(api));
    api.destroy();
    expect(await waiting).toMatchObject({ code: "unreachable", status: 0 });
  });

  test("a file is sent with its own type", async () => {
    const png = new Blob([new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 1])], { type: "image/png" });
    const reply = await signedIn().request("POST", "/api/attachments", { body: png });
    expect(await reply.json()).toMatchObject({ media_type: "image/png", bytes: 9 });
  });

  test("[A3] no service key is anywhere in what a browser sends", async () => {
    await sessions(signedIn());
    expect(JSON.stringify(scene.requests.map(({ headers }) => [...headers]))).not.toContain(mainKey);
  });
});
