// [T6] The rates of keys, users and addresses, over the whole app; over a socket where an address or an open stream is the subject.
import { createHash } from "node:crypto";
import type { Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { afterEach, describe, expect, test, vi } from "vitest";
import { gatewayCaller } from "../../../gateway/protocol/callers.ts";
import { routeScopes } from "../../../gateway/http/auth/route-scopes.ts";
import { createAddresses } from "../../../gateway/http/address.ts";
import { limits, visitorRate } from "../../../gateway/protocol/limits.ts";
import { scopes } from "../../../gateway/protocol/scopes.ts";
import { readAgent } from "../../support/real-cli.ts";
import { until } from "../../support/wait.ts";
import { mainKey, openWholeApp, type WholeApp, type WholeAppOptions } from "../../support/whole-app.ts";

const cleanups: (() => Promise<void>)[] = [];

afterEach(async () => {
  vi.useRealTimers();
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function open(rates: NonNullable<WholeAppOptions["limits"]>["rates"], more: WholeAppOptions = {}) {
  const app = await openWholeApp({ ...more, limits: { ...more.limits, rates } });
  cleanups.push(() => app.close());
  return app;
}

type Headers = Record<string, string>;

/** The app behind a socket; a GET, or with a body a POST. */
async function listen(app: WholeApp, host = "127.0.0.1") {
  const server = createAdaptorServer({ fetch: app.app.fetch }) as Server;
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  cleanups.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  const { port } = server.address() as AddressInfo;
  const address = host.includes(":") ? `http://[${host}]:${port}` : `http://${host}:${port}`;
  return (path: string, headers: Headers, json?: unknown) =>
    fetch(`${address}${path}`, {
      headers: { ...headers, ...(json === undefined ? {} : { "content-type": "application/json" }) },
      ...(json === undefined ? {} : { method: "POST", body: JSON.stringify(json) }),
    });
}

const bearer = (key: string, more: Headers = {}): Headers => ({ authorization: `Bearer ${key}`, ...more });
const turn = { prompt: "hello", agent: "default" };

async function tokenOf(app: WholeApp, user: string): Promise<string> {
  return (await app.json("/api/tokens", { key: mainKey, json: { user } }))["token"]!;
}

async function statuses(count: number, ask: () => Promise<Response>): Promise<number[]> {
  return (await Promise.all(Array.from({ length: count }, () => ask())))
    .map(({ status }) => status)
    .toSorted((a, b) => a - b);
}

describe("[T6] turns a minute", () => {
  test("one user's flood is refused before anything is stored or started, and takes nothing from another user of the key", async () => {
    const app = await open({ user: { turns_per_minute: 3 }, key: { turns_per_minute: 6 } });
    const [ann, bob] = [await tokenOf(app, "ann"), await tokenOf(app, "bob")];
    const asked = statuses(40, () => app.request("/api/turns", { key: ann, json: turn }));
    expect(await asked).toEqual([...Array<number>(3).fill(202), ...Array<number>(37).fill(429)]);
    const { turns } = await app.json<{ turns: unknown[] }>("/api/turns", { key: ann });
    const { sessions } = await app.json<{ sessions: unknown[] }>("/api/sessions", { key: ann });
    expect([turns.length, sessions.length]).toEqual([3, 3]);
    await until("three processes", () => app.drivers.size === 3);
    // Had the refused ones counted for the key, nothing would be left of it.
    for (const _ of [1, 2, 3]) expect((await app.request("/api/turns", { key: bob, json: turn })).status).toBe(202);
    expect((await app.request("/api/turns", { key: mainKey, json: turn })).status).toBe(429);
  });

  test("a user is the same one by a token, and by the key that speaks for them in query or body", async () => {
    const app = await open({ user: { turns_per_minute: 3 } });
    const ask = [
      { path: "/api/turns", key: await tokenOf(app, "ann"), json: turn },
      { path: "/api/turns?user=ann", key: mainKey, json: turn },
      { path: "/api/turns", key: mainKey, json: { ...turn, user: "ann" } },
    ];
    for (const { path, ...init } of ask) expect((await app.request(path, init)).status).toBe(202);
    for (const { path, ...init } of ask) expect((await app.request(path, init)).status).toBe(429);
    expect((await app.request("/api/turns", { key: mainKey, json: turn })).status).toBe(202);
    const other = await app.addKey("other");
    expect((await app.request("/api/turns?user=ann", { key: other, json: turn })).status).toBe(202);
  });

  test("what is left stands in the standard headers, and the minute that they name frees the rate again", async () => {
    vi.useFakeTimers({ toFake: ["Date"], now: Date.now() });
    const app = await open({ user: { turns_per_minute: 2 }, key: { turns_per_minute: 100 } });
    const ask = () => app.request("/api/turns?user=ann", { key: mainKey, json: turn });
    const first = await ask();
    expect(first.headers.get("ratelimit-policy")).toBe('"turns-key";q=100;w=60, "turns-user";q=2;w=60');
    expect(first.headers.get("ratelimit")).toBe('"turns-user";r=1;t=60');
    vi.setSystemTime(Date.now() + 20_500);
    await ask();
    const refused = await ask();
    expect(refused.headers.get("ratelimit")).toBe('"turns-user";r=0;t=40');
    expect(refused.headers.get("ratelimit-policy")).toBe(first.headers.get("ratelimit-policy"));
    expect(refused.headers.get("retry-after")).toBe("40");
    expect(await refused.json()).toMatchObject({
      status: 429,
      code: "too_many_requests",
      detail: "Too many turns a minute of this user. Try again later.",
    });
    vi.setSystemTime(Date.now() + 40_000);
    expect((await ask()).status).toBe(202);
  });

  test("an address has one rate for all its keys; a forwarded one counts only behind trusted proxies", async () => {
    const app = await open({ address: { turns_per_minute: 2 } });
    const ask = await listen(app);
    const other = await app.addKey("other");
    const from = (address: string) => ({ "x-forwarded-for": address });
    expect((await ask("/api/turns", bearer(mainKey, from("192.0.2.1")), turn)).status).toBe(202);
    expect((await ask("/api/turns", bearer(other, from("192.0.2.2")), turn)).status).toBe(202);
    expect((await ask("/api/turns", bearer(mainKey, from("192.0.2.3")), turn)).status).toBe(429);
  });

  test("behind one proxy the last forwarded address counts, of IPv6 its /64; none, or nonsense, is the proxy's own", async () => {
    const app = await open({ address: { turns_per_minute: 1 } }, { limits: { trusted_proxies: 1 } });
    const ask = await listen(app);
    const asked = async (forwarded?: string) =>
      (await ask("/api/turns", bearer(mainKey, forwarded === undefined ? {} : { "x-forwarded-for": forwarded }), turn))
        .status;
    expect(await asked("192.0.2.1")).toBe(202);
    expect(await asked("192.0.2.7, 192.0.2.1")).toBe(429);
    expect(await asked("::ffff:192.0.2.1")).toBe(429);
    expect(await asked("192.0.2.1, 192.0.2.2")).toBe(202);
    expect(await asked("2001:db8::1")).toBe(202);
    expect(await asked("2001:0db8:0:0:ffff::2")).toBe(429);
    expect(await asked("2001:db8:0:1::1")).toBe(202);
    expect(await asked()).toBe(202);
    expect(await asked("unknown")).toBe(429);
  });
});

describe("[T6] searches a minute", () => {
  const search = (app: WholeApp, key: string) => app.request("/api/sessions?q=harbour", { key });

  test("are counted, and lists are not; a refusal names the limit and what it is, in the configuration's words", async () => {
    const app = await open({ user: { searches_per_minute: 2 }, key: { searches_per_minute: 3 } });
    const [ann, bob] = [await tokenOf(app, "ann"), await tokenOf(app, "bob")];
    expect(await statuses(5, () => search(app, ann))).toEqual([200, 200, 429, 429, 429]);
    expect(await (await search(app, ann)).json()).toMatchObject({
      code: "too_many_requests",
      limit: "rates.user.searches_per_minute",
      value: 2,
    });
    for (let list = 0; list < 10; list++) expect((await app.request("/api/sessions", { key: ann })).status).toBe(200);
    expect((await search(app, bob)).status).toBe(200);
    expect(await (await search(app, mainKey)).json()).toMatchObject({
      limit: "rates.key.searches_per_minute",
      value: 3,
    });
  });
});

describe("[T6] proxies that are named by their addresses", () => {
  const addressOf = (proxies: string[] | number, socket: string, forwarded?: string) =>
    createAddresses(proxies)({
      env: { incoming: { socket: { remoteAddress: socket } } },
      req: { header: () => forwarded },
    } as unknown as Parameters<ReturnType<typeof createAddresses>>[0]);
  const proxies = ["10.0.0.0/8", "192.0.2.9", "2001:db8:ff::/48"];

  test.each([
    ["through two of them", "10.0.0.2", "198.51.100.7, 10.0.0.1", "198.51.100.7"],
    ["by a client who writes the header", "10.0.0.2", "203.0.113.1, 198.51.100.7, 10.0.0.1", "198.51.100.7"],
    ["past the proxies, with a header", "198.51.100.7", "203.0.113.1, 10.0.0.1", "198.51.100.7"],
    ["from a proxy itself", "192.0.2.9", undefined, "192.0.2.9"],
    ["with nonsense", "192.0.2.9", "203.0.113.1, unknown", "192.0.2.9"],
    ["through one with an IPv6 address", "2001:db8:ff::1", "::ffff:198.51.100.7", "198.51.100.7"],
    ["over a socket of both families", "::ffff:10.0.0.2", "198.51.100.7", "198.51.100.7"],
    ["where all are proxies", "10.0.0.2", "10.0.0.3", "10.0.0.3"],
  ])("a request %s counts for who sent it", (_, socket, forwarded, expected) => {
    expect(addressOf(proxies, socket, forwarded)).toBe(expected);
  });

  test("without any the header is not believed", () => {
    for (const none of [[], 0]) expect(addressOf(none, "198.51.100.7", "203.0.113.1")).toBe("198.51.100.7");
  });

  test.each(["10.0.0.0/33", "localhost", "", "10.0.0.1/", "::1/129"])("%j is refused", (proxy) => {
    expect(limits.safeParse({ trusted_proxies: [proxy] }).success).toBe(false);
  });
});

describe("[T6] what changes something", () => {
  const changing = Object.keys(routeScopes).filter((route) => !/^GET |^POST \/mcp$/.test(route));

  test.each(changing)(
    "%s refuses more than its caller's share of changes, before it looks at anything",
    async (route) => {
      const app = await open({ key: { changes_per_minute: 3 } });
      const [method, path] = route.split(" ") as [string, string];
      const send = (key = mainKey) => app.request(path.replaceAll(/:\w+/g, "x"), { method, key });
      const first = await statuses(3, () => send());
      expect(first).not.toContain(429);
      const refused = await send();
      expect([refused.status, await refused.json()]).toMatchObject([
        429,
        { code: "too_many_requests", limit: "rates.key.changes_per_minute", value: 3 },
      ]);
      expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
      // Reads, and other keys, are as they were.
      expect((await app.request("/api/turns", { key: mainKey })).status).toBe(200);
      expect((await send(await app.addKey("other", { scopes: [...scopes] }))).status).not.toBe(429);
    },
  );

  test("is one count, whatever it is: titles and ratings use up the same", async () => {
    const app = await open({ user: { changes_per_minute: 4 } });
    const ann = await tokenOf(app, "ann");
    const { session } = await app.json("/api/sessions", { key: ann, json: {} });
    const rename = () => app.request(`/api/sessions/${session}`, { method: "PATCH", key: ann, json: { title: "x" } });
    const ticket = () => app.request(`/api/sessions/${session}/ticket`, { method: "POST", key: ann });
    expect([...(await statuses(2, rename)), ...(await statuses(2, ticket)), ...(await statuses(1, rename))]).toEqual([
      200, 200, 201, 429, 429,
    ]);
  });

  test("attachments have a quota of bytes, ahead of a prompt and in it", async () => {
    const app = await open({ user: { upload_mb_per_day: 2 } });
    const ann = await tokenOf(app, "ann");
    let sent = 0;
    const image = (megabytes: number) =>
      Buffer.concat([Buffer.from("GIF89a"), Buffer.alloc(megabytes * 1024 * 1024 - 10, String(sent++))]);
    const upload = async (megabytes: number) => {
      const body = new Uint8Array(image(megabytes));
      const reply = await app.request("/api/attachments", {
        method: "POST",
        key: ann,
        body,
        headers: { "content-type": "image/gif" },
      });
      return [reply.status, await reply.json()] as const;
    };
    const inPrompt = async (megabytes: number) => {
      const source = { type: "base64", media_type: "image/gif", data: image(megabytes).toString("base64") };
      const reply = await app.request("/api/turns", {
        key: ann,
        json: { prompt: [{ type: "image", source }], agent: "default" },
      });
      return [reply.status, await reply.json()] as const;
    };
    expect((await upload(1))[0]).toBe(201);
    const refused = [429, { limit: "rates.user.upload_mb_per_day", value: 2 }];
    expect(await upload(1.5)).toMatchObject(refused);
    expect(await inPrompt(1.5)).toMatchObject(refused);
    expect((await inPrompt(0.9))[0]).toBe(202);
    expect(await upload(0.2)).toMatchObject(refused);
  });
});

describe("[T6] what costs room or a process beside turns", () => {
  test("attachments are counted before they are kept, and take nothing from turns", async () => {
    const app = await open({ user: { turns_per_minute: 3 } });
    const ann = await tokenOf(app, "ann");
    let sent = 0;
    const send = (text = String(sent++)) =>
      app.request("/api/attachments", {
        method: "POST",
        key: ann,
        body: new TextEncoder().encode(`%PDF-${text}`),
        headers: { "content-type": "application/pdf" },
      });
    expect(await statuses(5, () => send())).toEqual([201, 201, 201, 429, 429]);
    const refused = await send("refused");
    expect(refused.headers.get("ratelimit")).toMatch(/^"uploads-user";r=0;t=\d+$/);
    expect(await refused.json()).toMatchObject({ detail: "Too many uploads a minute of this user. Try again later." });
    const hash = createHash("sha256").update("%PDF-refused").digest("hex");
    expect(await app.store.attachmentHead(gatewayCaller, hash)).toBeUndefined();
    expect((await app.request("/api/turns", { key: ann, json: turn })).status).toBe(202);
  });

  test("sessions that are made, branched and warmed up share a count, and start no process beyond it", async () => {
    const app = await open({ user: { turns_per_minute: 3 } });
    const ann = await tokenOf(app, "ann");
    const { session } = await app.json("/api/sessions", { key: ann, json: { agent: "default" } });
    const post = (path: string, json: object = {}) => app.request(`/api/sessions${path}`, { key: ann, json });
    expect((await post(`/${session}/fork`)).status).toBe(201);
    expect((await post(`/${session}/warm`)).status).toBe(200);
    const { size } = app.drivers;
    for (const path of ["", `/${session}/fork`, `/${session}/warm`])
      expect((await post(path, path === "" ? { agent: "default" } : {})).status).toBe(429);
    // Of the key that speaks for her they are hers, too.
    expect((await app.request("/api/sessions", { key: mainKey, json: { agent: "default", user: "ann" } })).status).toBe(
      429,
    );
    const { sessions } = await app.json<{ sessions: unknown[] }>("/api/sessions", { key: ann });
    expect([sessions.length, app.drivers.size]).toEqual([2, size]);
  });
});

describe("[T6] tokens a minute", () => {
  test("are counted for the user that they are for", async () => {
    const app = await open({ user: { tokens_per_minute: 2 }, key: { tokens_per_minute: 3 } });
    const mint = (user: string) => app.request("/api/tokens", { key: mainKey, json: { user } });
    expect(await statuses(5, () => mint("ann"))).toEqual([201, 201, 429, 429, 429]);
    const refused = await mint("ann");
    expect(refused.headers.get("ratelimit-policy")).toContain('"tokens-user";q=2;w=60');
    expect(await statuses(2, () => mint("bob"))).toEqual([201, 429]);
  });

  test("a public agent's visitors have a tight rate of their own, by address and by visitor, whatever is configured", async () => {
    const origin = "https://page.example";
    const agents = [readAgent({ name: "default" }), readAgent({ name: "open", public: { origins: [origin] } })];
    const app = await open({}, { agents });
    const ask = await listen(app);
    const visit = () => ask("/api/tokens", { origin }, { agent: "open" });
    const { tokens_per_minute: tokens, turns_per_minute: turns } = visitorRate;
    const { token } = (await (await visit()).json()) as { token: string };
    expect(await statuses(tokens, visit)).toEqual([...Array<number>(tokens - 1).fill(201), 429]);
    const prompt = () => ask("/api/turns", bearer(token, { origin }), { prompt: "hello", agent: "open" });
    expect(await statuses(turns + 1, prompt)).toEqual([...Array<number>(turns).fill(202), 429]);
    // Visitors take nothing from those who are known.
    expect((await ask("/api/turns", bearer(mainKey), turn)).status).toBe(202);
    expect((await ask("/api/tokens", bearer(mainKey), { user: "ann" })).status).toBe(201);
  });
});

describe("[T6, S3] open streams", () => {
  async function scene() {
    const app = await open({ user: { streams: 2 } });
    const ask = await listen(app);
    const ann = await tokenOf(app, "ann");
    const { turn: id, session } = (await (await ask("/api/turns", bearer(ann), turn)).json()) as Record<string, string>;
    const stream = (accept: string, key = ann, path = `/api/sessions/${session}/events`) =>
      ask(path, bearer(key, { accept }));
    return { app, ask, ann, id: id!, session: session!, stream };
  }

  test("one too many is an SSE stream that says when to come back, and 429 in the other formats; a closed one frees its place", async () => {
    const { ask, ann, id, session, stream } = await scene();
    const readers = [await stream("text/event-stream"), await stream("application/x-ndjson")];
    for (const path of [undefined, `/api/turns/${id}/events`, `/api/turns/${id}`]) {
      const refused = await stream("text/event-stream", ann, path);
      expect([refused.status, refused.headers.get("content-type")]).toEqual([200, "text/event-stream; charset=utf-8"]);
      const retry = /^retry: (\d+)\n\n$/.exec(await refused.text());
      expect(Number(retry?.[1])).toBeGreaterThanOrEqual(5000);
    }
    for (const [accept, path] of [
      ["application/x-ndjson", undefined],
      ["text/plain", `/api/turns/${id}/events`],
    ] as const) {
      const refused = await stream(accept, ann, path);
      expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "5"]);
      expect(refused.headers.get("ratelimit")).toBe('"streams-user";r=0');
      expect(await refused.json()).toMatchObject({ code: "too_many_requests" });
    }
    expect((await ask(`/api/turns/${id}`, bearer(ann, { prefer: "wait=1" }))).status).toBe(429);
    // A whole transcript may be long, and read slowly; a page of it is neither.
    expect((await ask(`/api/sessions/${session}/transcript?format=md`, bearer(ann))).status).toBe(429);
    expect((await ask(`/api/sessions/${session}/transcript`, bearer(ann))).status).toBe(200);
    expect((await ask(`/api/turns/${id}`, bearer(ann))).status).toBe(200);
    await readers[0]!.body!.cancel();
    const again = await until("a free place", async () => {
      const reply = await stream("application/x-ndjson");
      return reply.ok ? reply : undefined;
    });
    await again.body!.cancel();
    await readers[1]!.body!.cancel();
  });

  test("a prompt whose answer would be one stream too many is not taken; another user's is", async () => {
    const { app, ask, ann, stream } = await scene();
    const readers = [await stream("text/event-stream"), await stream("text/event-stream")];
    for (const headers of [{ accept: "text/event-stream" }, { prefer: "wait=5" }] as Headers[]) {
      const refused = await ask("/api/turns", bearer(ann, headers), turn);
      expect([refused.status, refused.headers.get("content-type")]).toEqual([429, "application/problem+json"]);
    }
    const { turns } = await app.json<{ turns: unknown[] }>("/api/turns", { key: ann });
    expect(turns).toHaveLength(1);
    const bob = await tokenOf(app, "bob");
    const answer = await ask("/api/turns", bearer(bob, { accept: "text/event-stream" }), turn);
    expect(answer.status).toBe(200);
    for (const { body } of [...readers, answer]) await body!.cancel();
  });

  test("streams that ended or were refused leave no place taken", async () => {
    const { app, session, ann, id, ask, stream } = await scene();
    for (const _ of [1, 2, 3, 4]) {
      expect((await stream("text/event-stream", ann, `/api/sessions/${crypto.randomUUID()}/events`)).status).toBe(404);
      expect((await ask(`/api/turns/${id}/events?after=x`, bearer(ann))).status).toBe(400);
    }
    await until("the process", () => app.drivers.get(session)?.requests.length === 1);
    app.drivers.get(session)!.finish();
    for (const _ of [1, 2, 3, 4]) {
      const whole = await stream("application/x-ndjson", ann, `/api/turns/${id}/events`);
      expect(await whole.text()).toContain("turn_completed");
    }
  });
});
