import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, test } from "vitest";
import { routeScopes } from "../../../../gateway/http/auth/route-scopes.ts";
import { sseParser, type WireEvent } from "../../../support/reader.ts";
import { until } from "../../../support/wait.ts";
import { host, mainKey, openWholeApp, type WholeApp, type WholeAppOptions } from "../../../support/whole-app.ts";

const apps: WholeApp[] = [];
let app: WholeApp;
let clock = 0;
const open = async (options: WholeAppOptions = {}) => {
  clock = Date.parse("2026-05-10T12:00:00Z");
  apps.push((app = await openWholeApp({ now: () => clock, ...options })));
};
afterEach(async () => {
  for (const one of apps.splice(0)) await one.close();
});

const intranet = "https://intranet.example";

interface Scene {
  readonly token: string;
  readonly session: string;
  readonly turn: string;
  readonly ticket: string;
}

/** A user's session with a turn, and a ticket for it. */
async function begin(user = "ann", headers: Record<string, string> = {}): Promise<Scene> {
  const { token } = await app.json<{ token: string }>("/api/tokens", { key: mainKey, json: { user } });
  const turn = await app.json("/api/turns", { key: token, json: { prompt: "x", agent: "default" } });
  const init = { key: token, method: "POST", headers };
  const { ticket } = await app.json(`/api/sessions/${turn["session"]}/ticket`, init);
  return { token, session: turn["session"]!, turn: turn["turn"]!, ticket: ticket! };
}

async function statusOf(path: string, init: Parameters<WholeApp["request"]>[1] = {}): Promise<number> {
  const reply = await app.request(path, init);
  await reply.body?.cancel();
  return reply.status;
}

describe("[A3] a ticket", () => {
  test("is good for the session's streams and those of its turns, any number of times, until its end", async () => {
    await open();
    const { session, turn, ticket } = await begin();
    const paths = [`/api/sessions/${session}/events?ticket=${ticket}`, `/api/turns/${turn}/events?ticket=${ticket}`];
    for (let time = 0; time < 5; time++) {
      for (const path of paths) {
        expect(await statusOf(path)).toBe(200);
        expect(await statusOf(path, { headers: { "last-event-id": "1", accept: "text/event-stream" } })).toBe(200);
      }
    }
    clock += 899_000;
    for (const path of paths) expect(await statusOf(path)).toBe(200);
    clock += 1000;
    for (const path of paths) expect(await statusOf(path)).toBe(401);
  });

  test("lives as long as its token; a service key's lives 15 minutes", async () => {
    await open();
    const { token } = await app.json<{ token: string }>("/api/tokens", {
      key: mainKey,
      json: { user: "ann", expires_in: 3600 },
    });
    const turn = await app.json("/api/turns", { key: token, json: { prompt: "x", agent: "default" } });
    const path = `/api/sessions/${turn["session"]}/ticket`;
    const endOf = async (key: string) =>
      Date.parse((await app.json(path, { key, method: "POST" }))["expires_at"]!) - clock;
    expect([await endOf(token), await endOf(mainKey)]).toEqual([3_600_000, 900_000]);
  });

  test("opens nothing else: no other session, method, route or rendering of the same", async () => {
    await open();
    const [ann, amy] = [await begin(), await begin("amy")];
    const second = await app.json("/api/turns", { key: ann.token, json: { prompt: "x", agent: "default" } });
    const ticket = `ticket=${ann.ticket}`;
    for (const path of [
      `sessions/${amy.session}/events`,
      `turns/${amy.turn}/events`,
      `sessions/${second["session"]}/events`,
      `turns/${second["turn"]}/events`,
      `sessions/${randomUUID()}/events`,
    ])
      expect([path, await statusOf(`/api/${path}?${ticket}`)]).toEqual([path, 404]);
    const streams = new Set(["GET /api/sessions/:session/events", "GET /api/turns/:turn/events"]);
    for (const route of Object.keys(routeScopes).filter((one) => !streams.has(one))) {
      const [method, path] = route
        .replace(":session", ann.session)
        .replace(":turn", ann.turn)
        .replaceAll(/:\w+/g, randomUUID())
        .split(" ") as [string, string];
      const body = method === "GET" ? {} : { body: "{}", headers: { "content-type": "application/json" } };
      expect([route, await statusOf(`${path}?${ticket}`, { method, ...body })]).toEqual([route, 401]);
    }
    for (const method of ["POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
      expect([method, await statusOf(`/api/sessions/${ann.session}/events?${ticket}`, { method })]).toEqual([
        method,
        401,
      ]);
    // A path that only looks like a stream's.
    for (const path of ["/api/sessions/events", "/api/turns/events", "/api/attachments/events", "/api/events"])
      expect([path, await statusOf(`${path}?${ticket}`)]).toEqual([path, 404]);
    for (const path of [
      `/api/sessions/${ann.session}/transcript/events`,
      `/api/sessions/${ann.session}%2Ftranscript/events`,
    ])
      expect([path, await statusOf(`${path}?${ticket}`)]).toEqual([path, 404]);
  });

  test("[A2] compares its origin only where one is sent", async () => {
    await open({ allowedOrigins: [intranet, "https://shop.example"] });
    const onPage = await begin("ann", { origin: intranet });
    const path = `/api/sessions/${onPage.session}/events?ticket=${onPage.ticket}`;
    expect(await statusOf(path, { headers: { origin: intranet } })).toBe(200);
    expect(await statusOf(path)).toBe(200);
    expect(await statusOf(path, { headers: { "sec-fetch-site": "same-origin" } })).toBe(200);
    for (const origin of ["https://shop.example", `http://${host}`, "https://evil.example", "null"])
      expect([origin, await statusOf(path, { headers: { origin } })]).toEqual([origin, 403]);
    expect(await statusOf(path, { headers: { "sec-fetch-site": "cross-site" } })).toBe(403);
    const anywhere = await begin("ann");
    const free = `/api/sessions/${anywhere.session}/events?ticket=${anywhere.ticket}`;
    expect(await statusOf(free, { headers: { origin: "https://shop.example" } })).toBe(200);
  });

  test("[A4] is made for one's own sessions alone", async () => {
    await open();
    const [ann, amy] = [await begin(), await begin("amy")];
    const other = await app.addKey("b");
    for (const key of [amy.token, other])
      expect(await statusOf(`/api/sessions/${ann.session}/ticket`, { method: "POST", key })).toBe(404);
  });

  test("ends an open stream at its end", async () => {
    await open({ limits: { revocation_s: 0.15 } });
    const { session, ticket } = await begin();
    const stream = await app.request(`/api/sessions/${session}/events?ticket=${ticket}`);
    clock += 901_000;
    await expect(stream.text()).rejects.toThrow("cut");
  });

  test("of somebody else's is not renewed by being used: no reply carries a key, a token or another ticket", async () => {
    await open();
    const { session, ticket, token } = await begin();
    const reply = await app.request(`/api/sessions/${session}/events?ticket=${ticket}`);
    const said = JSON.stringify([...reply.headers]);
    await reply.body?.cancel();
    for (const secret of [ticket, token, mainKey]) expect(said).not.toContain(secret);
    expect(said).not.toContain("eyJ");
  });

  test("[A7] stands in no line of the request log", async () => {
    await open();
    const { session, ticket, token } = await begin();
    await statusOf(`/api/sessions/${session}/events?ticket=${ticket}`);
    await statusOf(`/api/sessions/${session}/events?ticket=${ticket}x`);
    await statusOf(`/sign-in?code=a-code-of-a-link`);
    const log = JSON.stringify(app.requestLog);
    expect(app.requestLog.length).toBeGreaterThan(5);
    for (const secret of [ticket, token, mainKey, "a-code-of-a-link"]) expect(log).not.toContain(secret);
  });
});

describe("[A3] events_url", () => {
  test("of a browser's turn and session carries a ticket, also in lists; a service key's does not", async () => {
    await open();
    const { token, session, turn } = await begin();
    const urls = async (key: string) => {
      const turns = await app.json<{ turns: { events_url: string }[] }>("/api/turns", { key });
      const sessions = await app.json<{ sessions: { events_url: string }[] }>("/api/sessions", { key });
      return [
        (await app.json(`/api/turns/${turn}`, { key }))["events_url"]!,
        (await app.json(`/api/sessions/${session}`, { key }))["events_url"]!,
        turns.turns[0]!.events_url,
        sessions.sessions[0]!.events_url,
      ];
    };
    for (const url of await urls(token)) {
      const { pathname, search } = new URL(url);
      expect(search).toMatch(/^\?ticket=eyJ/);
      expect(await statusOf(pathname + search)).toBe(200);
    }
    for (const url of await urls(mainKey)) expect(url).not.toContain("ticket");
  });

  test("without a key's header gives the turn to its end, and then 204", async () => {
    await open();
    const { token, session } = await begin();
    const turn = await app.json("/api/turns", { key: token, json: { prompt: "y", session, on_busy: "queue" } });
    const { pathname, search } = new URL(turn["events_url"]!);
    const stream = await app.request(pathname + search);
    const driver = app.drivers.get(session)!;
    driver.finish();
    await until("the second turn to run", () => driver.requests.length === 2);
    driver.finish();
    const events: WireEvent[] = [];
    sseParser((event) => events.push(event))(await stream.text());
    const last = events.at(-1)!;
    expect(last).toMatchObject({ type: "turn_completed", turn: turn["turn"] });
    expect(await statusOf(pathname + search, { headers: { "last-event-id": String(last.seq) } })).toBe(204);
  });
});

test("[A3] where no key is needed, a ticket and a token are good too", async () => {
  await open({ openCaller: { key: "main", user: null, reach: "all" } });
  const turn = await app.json("/api/turns", { json: { prompt: "x", agent: "default" } });
  const { ticket } = await app.json(`/api/sessions/${turn["session"]}/ticket`, { method: "POST" });
  expect(await statusOf(`/api/sessions/${turn["session"]}/events?ticket=${ticket}`)).toBe(200);
  const { token } = await app.json("/api/tokens", { json: { user: "ann" } });
  expect(await statusOf(`/api/turns/${turn["turn"]}`, { key: token! })).toBe(404);
  expect(await statusOf("/api/turns", { key: token! })).toBe(200);
});
