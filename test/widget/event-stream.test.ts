import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { random, scaled, testSeed } from "../support/scale.ts";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import { settle } from "./fake-browser.ts";
import { afterOf, openReaders, type Readers } from "./readers.ts";
import { gateway, openScene, page, type Scene } from "./scene.ts";

let scene: Scene;
let readers: Readers;
beforeEach(async () => {
  scene = await openScene();
  readers = openReaders(scene);
});
afterEach(async () => {
  readers.close();
  await scene.close();
});

describe("one page", () => {
  test("[L4] gets what is behind its place with a ticket, and is live from the first ping on", async () => {
    const { session, say, lastSeq } = await readers.ask();
    say("hello");
    const last = await lastSeq();
    const reader = readers.read(session, { after: last });
    await reader.is("live");
    expect(reader.states).toEqual(["connecting", "live"]);
    expect(reader.events).toEqual([]);
    say(" there");
    await reader.has(last + 1);
    expect(reader.seqs()).toEqual([last + 1]);
    const [{ path, headers } = { path: "", headers: new Headers() }] = readers.streamRequests();
    expect(path).toMatch(/\?ticket=ey.*&after=\d+$/);
    expect(headers.get("authorization")).toBeNull();
  });

  test("an event of the model's, which has no time, is given that of its arrival", async () => {
    const { session, say } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    say("x");
    const event = await until("the delta", () => reader.events.find(({ type }) => type === "content_block_delta"));
    expect(event.at).toBe(new Date(scene.time).toISOString());
    const began = scene.time;
    await scene.advance(10_000);
    const other = readers.read(session);
    await until("the same, fetched", () => other.text() === "x");
    expect(other.events.find(({ type }) => type === "turn_queued")!.at).toBe(new Date(began).toISOString());
    expect(other.events.every(({ at }) => typeof at === "string")).toBe(true);
  });

  test("[S1] 45 s without a word are the end of a stream; a new one goes on behind the last event", async () => {
    const { session, say, lastSeq } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    say("one");
    await reader.has(await lastSeq());
    const [stream] = scene.streams;
    stream!.isMute = true;
    say(" two");
    await scene.advance(44_000);
    expect([...scene.streams]).toEqual([stream]);
    await scene.advance(1500);
    await reader.is("live");
    expect([...scene.streams]).not.toContain(stream);
    expect(scene.streams.size).toBe(1);
    await until("the rest", () => reader.text() === "one two");
    expect(afterOf(readers.streamRequests().at(-1)!)).toBe((await lastSeq()) - 1);
    expect(reader.states).toEqual(["connecting", "live", "reconnecting", "live"]);
  });

  test("[L4] cut at random places it goes on within two seconds, and has every event", async () => {
    const cuts = scaled({ short: 10, long: 50 });
    const seed = testSeed();
    const next = random(seed);
    const { session, say, said, lastSeq } = await readers.ask();
    const reader = readers.read(session);
    for (let cut = 0; cut < cuts; cut++) {
      for (let word = 0; word < 5; word++) {
        say(`${cut}.${word} `);
        if (next() < 0.4) for (const stream of scene.streams) stream.cut();
        if (next() < 0.5) await settle();
      }
      await scene.advance(2000);
      await until(`all after cut ${cut}; SLUICE_TEST_SEED=${seed}`, () => reader.text() === said());
    }
    const last = await lastSeq();
    await reader.has(last);
    // Merged frames leave numbers out.
    expect(reader.seqs()).toEqual(reader.seqs().toSorted((a, b) => a - b));
    expect(reader.seqs().at(-1)).toBe(last);
  });

  test("[A3] a ticket that has run out is replaced, with its token, before the stream notices", async () => {
    const { session, say, said } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    for (let minute = 0; minute < 60; minute++) {
      say(`${minute} `);
      await scene.advance(60_000 / 3);
      for (const stream of scene.streams) stream.dispatchEvent(new MessageEvent("ping", { data: '{"type":"ping"}' }));
      await settle();
    }
    await until("all words", () => reader.text() === said());
    expect(reader.states).toEqual(["connecting", "live"]);
    expect(new Set(readers.streamRequests().map(({ path }) => path.split("&")[0])).size).toBeGreaterThan(1);
  });

  test("a stream that was closed with 401 asks why, and comes back with a new token and ticket", async () => {
    const { session, say, said } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    scene.intercept = (request) =>
      request.headers.get("accept") === "text/event-stream" ? new Response("{}", { status: 401 }) : undefined;
    for (const stream of scene.streams) stream.cut();
    await scene.advance(300);
    expect(scene.streams.size).toBe(0);
    scene.intercept = () => undefined;
    say("again");
    await scene.advance(1000);
    await reader.is("live");
    await until("the words", () => reader.text() === said());
  });

  test("only a second 401 in a row is `signed_out`, and nothing is tried then until a person wishes it", async () => {
    const { session } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    const refuse = () => new Response('{"code":"unauthorized"}', { status: 401 });
    scene.intercept = refuse;
    for (const stream of scene.streams) stream.cut();
    await scene.advance(1000);
    await reader.is("signed_out");
    const asked = scene.requests.length;
    await scene.advance(600_000);
    expect(scene.requests.length).toBe(asked);
    scene.intercept = () => undefined;
    reader.stream.reconnect();
    await reader.is("live");
  });

  test.each([
    ["somebody else's session", "bob", "gone"],
    ["a session that was removed", "ann", "gone"],
  ] as const)("%s is said and not tried again", async (_, owner, state) => {
    const { session } = await readers.ask(owner);
    if (owner === "ann") await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "DELETE" });
    const reader = readers.read(session);
    await reader.is(state);
    const asked = scene.requests.length;
    await scene.advance(600_000);
    expect(scene.requests.length).toBe(asked);
  });

  test("403 is said and not tried again", async () => {
    const { session } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    scene.intercept = () => new Response('{"code":"origin_not_allowed"}', { status: 403 });
    for (const stream of scene.streams) stream.cut();
    await scene.advance(1000);
    await reader.is("forbidden");
    const asked = scene.requests.length;
    await scene.advance(600_000);
    expect(scene.requests.length).toBe(asked);
  });

  test("what a proxy answers is tried again, later and later, but never later than half a minute", async () => {
    const { session } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    const tries: number[] = [];
    scene.intercept = () => (tries.push(scene.time), new Response("", { status: 502 }));
    for (const stream of scene.streams) stream.cut();
    for (let step = 0; step < 300; step++) await scene.advance(1000);
    const waits = tries.map((at, index) => at - (tries[index - 1] ?? tries[0]!)).slice(1);
    expect(waits.slice(0, 5)).toEqual(waits.slice(0, 5).toSorted((a, b) => a - b));
    expect(Math.max(...waits)).toBeLessThanOrEqual(30_000);
    expect(Math.max(...waits)).toBeGreaterThan(15_000);
    expect(tries.length).toBeLessThan(30);
    scene.intercept = () => undefined;
    scene.setOnline(true);
    await reader.is("live");
  });

  test("one that breaks right behind its first ping is tried later and later", async () => {
    const { session } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    let tries = 0;
    scene.intercept = (request) => {
      if (request.headers.get("accept") !== "text/event-stream") return undefined;
      tries += 1;
      const headers = { "content-type": "text/event-stream" };
      return new Response('event: ping\ndata: {"type":"ping"}\n\n', { headers });
    };
    for (const stream of scene.streams) stream.cut();
    await scene.advance(300_000);
    expect(tries).toBeGreaterThan(5);
    expect(tries).toBeLessThan(30);
  });

  test("`Retry-After` is heeded", async () => {
    const { session } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    const tries: number[] = [];
    scene.intercept = () => {
      tries.push(scene.time);
      return new Response("{}", { status: 503, headers: { "Retry-After": "20" } });
    };
    for (const stream of scene.streams) stream.cut();
    await scene.advance(50_000);
    expect(tries.slice(1).map((at, index) => at - tries[index]!)).toEqual([20_000, 20_000]);
  });

  test("where the network is said to be gone and the gateway is still there, it goes on", async () => {
    const { session, say, said } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    const [stream] = scene.streams;
    stream!.isMute = true;
    say("on this machine");
    await settle();
    reader.tab.window.dispatchEvent(new Event("offline"));
    await until("the words", () => reader.text() === said());
    expect(reader.states).toEqual(["connecting", "live"]);
    expect(scene.streams.size).toBe(1);
  });

  test("offline is said, and the network's return is noticed at once", async () => {
    const { session, say, said } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    scene.setOnline(false);
    await reader.is("offline");
    say("meanwhile");
    await scene.advance(30_000);
    expect(reader.state).toBe("offline");
    scene.setOnline(true);
    await until("the words", () => reader.text() === said());
    expect(reader.state).toBe("live");
  });

  test("a machine that has slept reconnects when its page is looked at", async () => {
    const { session, say, said } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    reader.stream.setBusy(true);
    const [stream] = scene.streams;
    stream!.isMute = true;
    say("in its sleep");
    await settle();
    scene.time += 3_600_000;
    reader.tab.show();
    await until("the words", () => reader.text() === said());
    expect([...scene.streams]).not.toContain(stream);
  });

  test("[S4] a session that is removed meanwhile is told as such", async () => {
    const { session } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "DELETE" });
    await until("the end", () => reader.events.some(({ type }) => type === "session_deleted"));
    await scene.advance(1000);
    await reader.is("gone");
    expect(scene.streams.size).toBe(0);
  });
});

test("[A2] the page's origin is the one that its ticket is for", async () => {
  const { session } = await readers.ask();
  await readers.read(session).is("live");
  const [{ path } = { path: "" }] = readers.streamRequests();
  const elsewhere = await scene.app.app.request(`${gateway}${path}`, {
    headers: { host: new URL(gateway).host, origin: gateway },
  });
  expect(elsewhere.status).toBe(403);
  expect(page).not.toBe(gateway);
});
