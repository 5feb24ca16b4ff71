import { createAdaptorServer } from "@hono/node-server";
import { randomUUID } from "node:crypto";
import type { AddressInfo } from "node:net";
import { createParser } from "eventsource-parser";
import * as fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { completed, delta } from "../../support/log-drafts.ts";
import { openApp, secrets, type AppRequest, type AppScene } from "../../support/app-scene.ts";
import { cases } from "../../support/property.ts";

const scenes: AppScene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.close();
});

async function open(options?: Parameters<typeof openApp>[0]): Promise<AppScene> {
  const scene = await openApp(options);
  scenes.push(scene);
  return scene;
}

const post = (body: unknown, headers: Record<string, string> = {}): AppRequest => ({ method: "POST", body, headers });
const json = async (reply: Response) => (await reply.json()) as Record<string, unknown>;

interface Frame {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: Record<string, unknown>;
}

/** The frames of a stream that has ended. */
async function framesOf(reply: Response): Promise<Frame[]> {
  const frames: Frame[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) => frames.push({ id, event, data: JSON.parse(data) as Record<string, unknown> }),
  });
  parser.feed(await reply.text());
  return frames;
}

/** A turn that has said "Hi" and ended. */
async function saidTurn(scene: AppScene) {
  const turn = await scene.create();
  const driver = await scene.running(turn.turn);
  driver.say(delta("H", 0), delta("i", 1));
  driver.finish(completed("Hi"));
  return scene.inState(turn.turn, "completed");
}

describe("POST /api/turns", () => {
  test("is 202 with the turn, its addresses, and who it is in headers", async () => {
    const scene = await open({ isQuick: true });
    const reply = await scene.request("/api/turns", post({ prompt: "x" }));
    const body = await json(reply);
    const { turn, session } = body as { turn: string; session: string };
    expect(reply.status).toBe(202);
    expect(reply.headers.get("location")).toBe(`http://localhost/api/turns/${turn}`);
    expect([reply.headers.get("sluice-turn"), reply.headers.get("sluice-session")]).toEqual([turn, session]);
    expect(body).toMatchObject({
      agent: "tester",
      events_url: `http://localhost/api/turns/${turn}/events`,
      ended_at: null,
    });
  });

  test("with Prefer: wait is the finished turn, or 202 when the time is over", async () => {
    const scene = await open();
    const waiting = scene.request("/api/turns", post({ prompt: "x" }, { prefer: "respond-async, wait=30" }));
    const late = await scene.request("/api/turns", post({ prompt: "y" }, { prefer: "wait=0" }));
    expect([late.status, (await json(late))["ended_at"]]).toEqual([202, null]);
    const [first] = (await scene.turns.list({ key: "alice", user: null, reach: "key" }, { limit: 10 })).toReversed();
    (await scene.running(first!.turn)).finish(completed("Hi"));
    const reply = await waiting;
    expect(reply.status).toBe(200);
    expect(await json(reply)).toMatchObject({ turn: first!.turn, state: "completed", text: "Hi" });
    const again = await scene.request(`/api/turns/${first!.turn}`, { headers: { prefer: "wait=30" } });
    expect(again.status).toBe(200);
  });

  test.each([
    ["text/event-stream", "text/event-stream; charset=utf-8"],
    ["application/x-ndjson", "application/x-ndjson; charset=utf-8"],
    ["text/plain", "text/plain; charset=utf-8"],
  ])("as %s streams the turn to its end", async (accept, contentType) => {
    const scene = await open({ isQuick: true });
    const reply = await scene.request("/api/turns", post({ prompt: "x" }, { accept }));
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, contentType]);
    expect(reply.headers.get("location")).toBe(`http://localhost/api/turns/${reply.headers.get("sluice-turn")}/events`);
    const text = await reply.text();
    expect(text.includes("turn_completed")).toBe(accept !== "text/plain");
  });
});

describe("Accept", () => {
  test.each<[string, string, string]>([
    ["", "application/json", "text/event-stream"],
    ["*/*", "application/json", "text/event-stream"],
    ["application/json", "application/json", "406"],
    ["text/event-stream", "text/event-stream", "text/event-stream"],
    ["application/x-ndjson;q=0.5, text/plain;q=0.9", "text/plain", "text/plain"],
    ["text/html, application/x-ndjson", "application/x-ndjson", "application/x-ndjson"],
    ["TEXT/Event-Stream", "text/event-stream", "text/event-stream"],
    ["text/html", "406", "406"],
    ["text/event-stream;q=0, application/json;q=0", "406", "406"],
    ["nonsense", "406", "406"],
    [",;;,=", "406", "406"],
  ])("%j gets a turn as %s and its events as %s", async (accept, ofTurn, ofEvents) => {
    const scene = await open({ isQuick: true });
    const { turn } = await scene.create();
    await scene.inState(turn, "completed");
    for (const [path, expected] of [
      [`/api/turns/${turn}`, ofTurn],
      [`/api/turns/${turn}/events`, ofEvents],
    ] as const) {
      const reply = await scene.request(path, { headers: { accept } });
      const type = reply.status === 406 ? "406" : reply.headers.get("content-type")?.split(";")[0];
      await reply.body?.cancel();
      expect(type).toBe(expected);
    }
  });
});

describe("a turn's stream", () => {
  test("[S1, S4] begins with a ping, has every event of its turn with its id, and ends after the terminal one", async () => {
    const scene = await open();
    const turn = await saidTurn(scene);
    const reply = await scene.request(`/api/turns/${turn.turn}/events`);
    expect(reply.headers.get("cache-control")).toBe("no-cache, no-transform");
    expect(reply.headers.get("x-accel-buffering")).toBe("no");
    const frames = await framesOf(reply);
    expect(frames[0]).toEqual({ id: undefined, event: "ping", data: { type: "ping" } });
    // Its deltas may come merged.
    expect([...new Set(frames.slice(1).map(({ event }) => event))]).toEqual([
      "turn_queued",
      "turn_moved",
      "content_block_delta",
      "turn_completed",
    ]);
    expect(frames.at(-1)?.id).toBe(String(turn.lastSeq));
  });

  test("[L4, S4] at its end a cursor is 204; before it the rest comes; beyond the log a gap and all again", async () => {
    const scene = await open();
    const turn = await saidTurn(scene);
    const last = turn.lastSeq!;
    const get = (headers: Record<string, string>, query = "") =>
      scene.request(`/api/turns/${turn.turn}/events${query}`, { headers });
    expect((await get({ "last-event-id": String(last) })).status).toBe(204);
    expect((await get({}, `?after=${last}`)).status).toBe(204);
    expect(
      (
        await scene.request(`/api/turns/${turn.turn}/events`, {
          method: "HEAD",
          headers: { "last-event-id": String(last) },
        })
      ).status,
    ).toBe(204);
    const rest = await framesOf(await get({ "last-event-id": String(last - 1) }, "?after=0"));
    expect(rest.map(({ event }) => event)).toEqual(["ping", "turn_completed"]);
    const all = await framesOf(await get({}, `?after=${last + 1}`));
    expect(all.map(({ event }) => event).slice(0, 3)).toEqual(["ping", "gap", "turn_queued"]);
    expect(all[1]).toMatchObject({ id: undefined, data: { oldest: 1 } });
    expect(all[1]?.data["transcript_url"]).toBe(`http://localhost/api/sessions/${turn.session}/transcript`);
  });

  test("[L4] shows nothing of the session's other turns, and begins with its own first event", async () => {
    const scene = await open({ isQuick: true });
    const first = await scene.create();
    await scene.inState(first.turn, "completed");
    const second = await scene.create({ session: first.session });
    const frames = await framesOf(await scene.request(`/api/turns/${second.turn}/events`));
    expect(new Set(frames.slice(1).map(({ data }) => data["turn"]))).toEqual(new Set([second.turn]));
    expect(frames[1]?.id).toBe(String(second.firstSeq));
  });

  test("[S3] a stream that ends with the gateway says when to come back, as SSE, and is cut in the other formats", async () => {
    const scene = await open({ limits: { running_turns: 1 } });
    const running = await scene.running((await scene.create()).turn);
    const turn = await scene.create();
    const replies = await Promise.all(
      ["text/event-stream", "application/x-ndjson", "text/plain"].map((accept) =>
        scene.request(`/api/turns/${turn.turn}/events`, { headers: { accept } }),
      ),
    );
    const texts = replies.map((reply) => reply.text().then(String, () => "cut"));
    running.finish();
    await scene.turns.drain(0);
    await scene.log.close();
    const [sse, ...others] = await Promise.all(texts);
    expect(sse).toMatch(/retry: \d{4}\n\n$/);
    expect(others).toEqual(["cut", "cut"]);
  });
});

test("[S5] over a socket a stream has the headers that a JSON reply has", async () => {
  const scene = await open({ isQuick: true });
  const turn = await scene.create();
  await scene.inState(turn.turn, "completed");
  const server = createAdaptorServer({ fetch: scene.app.fetch });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const get = async (path: string, method = "GET") => {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${secrets.alice}`,
        origin: "https://intranet.example",
        "content-type": "application/json",
      },
      ...(method === "POST" ? { body: JSON.stringify({ prompt: "x" }) } : {}),
    });
    const text = await reply.text();
    return { reply, text, headers: Object.fromEntries(reply.headers) };
  };
  const ofTurn = await get(`/api/turns/${turn.turn}`);
  const ofStream = await get(`/api/turns/${turn.turn}/events`);
  expect(ofStream.reply.status).toBe(200);
  expect(ofStream.text).toContain("turn_completed");
  const shared = (headers: Record<string, string>) =>
    Object.keys(headers).filter(
      (name) =>
        ![
          "content-length",
          "transfer-encoding",
          "x-accel-buffering",
          "cache-control",
          "x-content-type-options",
        ].includes(name),
    );
  expect(shared(ofStream.headers).toSorted()).toEqual(shared(ofTurn.headers).toSorted());
  expect(ofStream.headers["access-control-allow-origin"]).toBe("https://intranet.example");
  expect(ofStream.headers).toMatchObject({
    "x-accel-buffering": "no",
    "content-type": "text/event-stream; charset=utf-8",
  });
  expect(ofStream.headers["set-cookie"]).toBeUndefined();
  // What a stream sends is also what is noted of it.
  expect(scene.requests.filter(({ path }) => path.endsWith("/events")).map(({ status }) => status)).toEqual([200]);
  await new Promise((resolve) => {
    server.close(resolve);
    server.on("close", resolve);
  });
});

test("no request, however odd, is answered with 500 or left without an answer", async () => {
  const scene = await open({ isQuick: true, limits: { body_bytes: 20_000, ping_s: 1 } });
  const made = await scene.create();
  await scene.inState(made.turn, "completed");
  const id = fc.oneof(
    fc.constantFrom(
      made.turn,
      made.session,
      made.turn.toUpperCase(),
      randomUUID(),
      "%00",
      "..",
      "%ff%fe",
      "a".repeat(3000),
    ),
    fc.string({ unit: "grapheme" }).map(encodeURIComponent),
  );
  const routes = scene.app.routes.filter(({ method }) => method !== "ALL").map(({ path }) => path);
  const path = fc
    .tuple(fc.constantFrom(...new Set(routes), "/x/:y", ...Array.from({ length: 5 }, () => "/api/turns")), id, id)
    .map(([route, one, two]) => {
      const ids = [one, two];
      return route.replaceAll(/:\w+/g, () => ids.shift() ?? "x").replaceAll("*", one);
    });
  const value = fc.oneof(
    fc.string(),
    fc.integer(),
    fc.constant(null),
    fc.boolean(),
    fc.constantFrom("x", "queue", "json", "asc", made.session, "1e999", "-0"),
    fc.array(
      fc.record(
        { type: fc.constantFrom("text", "image", "x"), text: fc.string(), source: fc.json() },
        { requiredKeys: ["type"] },
      ),
      { maxLength: 3 },
    ),
    fc.dictionary(fc.string(), fc.string(), { maxKeys: 3 }),
  );
  const field = fc.constantFrom(
    "prompt",
    "agent",
    "session",
    "user",
    "on_busy",
    "context",
    "metadata",
    "model",
    "permission_mode",
    "turn_timeout_s",
    "decision",
    "title",
    "limit",
    "cursor",
    "after",
    "order",
    "format",
    "rating",
    "turn",
    "state",
    "q",
    "since",
    "expires_in",
    "agents",
    "origins",
    "__proto__",
  );
  const body = fc.oneof(
    { weight: 4, arbitrary: fc.dictionary(field, value, { maxKeys: 4 }) },
    { weight: 3, arbitrary: fc.record({ prompt: fc.string({ minLength: 1 }) }) },
    { weight: 1, arbitrary: fc.string() },
    { weight: 1, arbitrary: fc.json() },
  );
  const header = fc.constantFrom(
    "accept",
    "prefer",
    "last-event-id",
    "idempotency-key",
    "content-type",
    "origin",
    "sec-fetch-site",
    "range",
    "if-none-match",
    "content-length",
    "host",
    "cookie",
    "expect",
  );
  const headerValue = fc.oneof(
    fc
      .string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) })
      .map((text) => text.trim()),
    fc.constantFrom(
      "application/json",
      "text/event-stream",
      "text/plain;q=0.5",
      "wait=0",
      "wait=999999999",
      "5",
      "0",
      "99999999999",
      "*",
      "bytes=0-5",
    ),
  );
  const request = fc.record({
    method: fc.constantFrom("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"),
    path,
    query: fc.dictionary(field, fc.string(), { maxKeys: 3 }),
    body: fc.option(body),
    headers: fc.dictionary(header, headerValue, { maxKeys: 3 }),
    key: fc.constantFrom("alice" as const, "bob" as const, "root" as const),
  });
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(request, async ({ query, headers, body: sent, ...rest }) => {
      const hasBody = sent !== null && !["GET", "HEAD"].includes(rest.method);
      const search = new URLSearchParams(query).toString();
      // What waits for its end would wait for nothing here.
      const { prefer, ...others } = headers;
      const reply = await scene.request(`${rest.path}${search === "" ? "" : `?${search}`}`, {
        method: rest.method,
        key: rest.key,
        headers: { ...others, ...(prefer === undefined || /wait\s*=\s*"?[1-9]/.test(prefer) ? {} : { prefer }) },
        ...(hasBody ? { body: sent } : {}),
      });
      await reply.body?.cancel();
      seen.add(reply.status);
      if (reply.status === 500 || scene.bugs.length > 0)
        throw new AggregateError(scene.bugs, `${rest.method} ${rest.path}: ${reply.status}`);
    }),
    { ...cases({ short: 2000, long: 50_000 }), endOnFailure: true },
  );
  // It went further than to the first check.
  for (const status of [200, 202, 400, 404, 405]) expect(seen).toContain(status);
});
