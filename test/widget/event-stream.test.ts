import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createApi, type Api } from "../../widget/api.ts";
import type { Connection } from "../../widget/connection.ts";
import { openEventStream, type EventStream } from "../../widget/event-stream.ts";
import type { WireEvent } from "../../widget/transcript.ts";
import { delta } from "../support/log-drafts.ts";
import { random, scaled, testSeed } from "../support/scale.ts";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import { settle, type Tab } from "./fake-browser.ts";
import { gateway, openScene, page, type Scene } from "./scene.ts";

let scene: Scene;
let open: Reader[] = [];
beforeEach(async () => {
  scene = await openScene();
});
afterEach(async () => {
  for (const reader of open) reader.close();
  open = [];
  await scene.close();
});

/** A page's view of one session, as the chat would have it. */
interface Reader {
  readonly tab: Tab;
  readonly api: Api;
  readonly stream: EventStream;
  readonly events: WireEvent[];
  /** Every state that was said, in order. */
  readonly states: Connection[];
  readonly state: Connection | undefined;
  /** Numbers of events, each once. */
  readonly seqs: () => number[];
  readonly text: () => string;
  is(state: Connection): Promise<unknown>;
  has(seq: number): Promise<unknown>;
  close(): void;
}

function read(session: string, { tab = scene.openTab(), after = 0, user = "ann" } = {}): Reader {
  const api = createApi({ gateway, browser: tab, getToken: () => scene.mint(user) });
  const events: WireEvent[] = [];
  const states: Connection[] = [];
  const texts: string[] = [];
  let stream: EventStream | undefined;
  let isClosed = false;
  const reader: Reader = {
    tab,
    api,
    get stream() {
      return stream!;
    },
    events,
    states,
    get state() {
      return states.at(-1);
    },
    seqs: () => [...new Set(events.flatMap(({ seq }) => (seq === undefined ? [] : [seq])))],
    text: () => texts.join(""),
    is: (state) => until(`the stream to be ${state}; it was ${states.join(", ")}`, () => states.at(-1) === state),
    has: (seq) => until(`event ${seq}`, () => events.some((event) => (event.seq ?? 0) >= seq)),
    close() {
      isClosed = true;
      stream?.close();
    },
  };
  const openIt = () =>
    (stream = openEventStream({
      api,
      browser: tab,
      session,
      after,
      onEvent(event) {
        events.push(event);
        if (event.type !== "content_block_delta") return;
        const offset = event["offset"] as number;
        const added = (event["delta"] as { text: string }).text;
        // It may have begun in the middle.
        if (after > 0 && texts.length === 0) texts.push(" ".repeat(offset));
        const text = texts.join("");
        if (offset > text.length) throw new Error(`a delta at ${offset} where ${text.length} is known`);
        if (offset + added.length > text.length) texts.push(added.slice(text.length - offset));
      },
      onConnection: (state) => states.push(state),
    }));
  void api.identify().then(() => isClosed || openIt());
  open.push(reader);
  return reader;
}

/** A session of ann's with a turn that runs. */
async function ask(user = "ann") {
  const { session } = await scene.app.json("/api/turns", {
    key: mainKey,
    json: { prompt: "p", user, agent: "default" },
  });
  const driver = await scene.running(session!);
  driver.say(
    { type: "message_start", message: { id: "m1", model: "m" } },
    { type: "content_block_start", message: "m1", index: 0, content_block: { type: "text", text: "" } },
  );
  let said = "";
  const say = (words: string) => {
    driver.say(delta(words, said.length));
    said += words;
  };
  const lastSeq = async () => {
    // What was said is stored first.
    await settle();
    const { last_seq } = await scene.app.json<{ last_seq: number }>(`/api/sessions/${session}`, { key: mainKey });
    return last_seq;
  };
  return { session: session!, driver, say, lastSeq, said: () => said };
}

const streamRequests = () => scene.requests.filter(({ headers }) => headers.get("accept") === "text/event-stream");
const afterOf = (path: string) => Number(new URL(path, gateway).searchParams.get("after"));

describe("one page", () => {
  test("[L4] gets what is behind its place with a ticket, and is live from the first ping on", async () => {
    const { session, say, lastSeq } = await ask();
    say("hello");
    const last = await lastSeq();
    const reader = read(session, { after: last });
    await reader.is("live");
    expect(reader.states).toEqual(["connecting", "live"]);
    expect(reader.events).toEqual([]);
    say(" there");
    await reader.has(last + 1);
    expect(reader.seqs()).toEqual([last + 1]);
    const [{ path, headers } = { path: "", headers: new Headers() }] = streamRequests();
    expect(path).toMatch(/\?ticket=ey.*&after=\d+$/);
    expect(headers.get("authorization")).toBeNull();
  });

  test("an event of the model's, which has no time, is given that of its arrival", async () => {
    const { session, say } = await ask();
    const reader = read(session);
    await reader.is("live");
    say("x");
    const event = await until("the delta", () => reader.events.find(({ type }) => type === "content_block_delta"));
    expect(event.at).toBe(new Date(scene.time).toISOString());
  });

  test("[S1] 45 s without a word are the end of a stream; a new one goes on behind the last event", async () => {
    const { session, say, lastSeq } = await ask();
    const reader = read(session);
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
    expect(afterOf(streamRequests().at(-1)!.path)).toBe((await lastSeq()) - 1);
    expect(reader.states).toEqual(["connecting", "live", "reconnecting", "live"]);
  });

  test("[L4] cut at random places it goes on within two seconds, and has every event", async () => {
    const cuts = scaled({ short: 10, long: 50 });
    const seed = testSeed();
    const next = random(seed);
    const { session, say, said, lastSeq } = await ask();
    const reader = read(session);
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
    const { session, say, said } = await ask();
    const reader = read(session);
    await reader.is("live");
    for (let minute = 0; minute < 60; minute++) {
      say(`${minute} `);
      await scene.advance(60_000 / 3);
      for (const stream of scene.streams) stream.dispatchEvent(new MessageEvent("ping", { data: '{"type":"ping"}' }));
      await settle();
    }
    await until("all words", () => reader.text() === said());
    expect(reader.states).toEqual(["connecting", "live"]);
    expect(new Set(streamRequests().map(({ path }) => path.split("&")[0])).size).toBeGreaterThan(1);
  });

  test("a stream that was closed with 401 asks why, and comes back with a new token and ticket", async () => {
    const { session, say, said } = await ask();
    const reader = read(session);
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
    const { session } = await ask();
    const reader = read(session);
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
    const { session } = await ask(owner);
    if (owner === "ann") await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "DELETE" });
    const reader = read(session);
    await reader.is(state);
    const asked = scene.requests.length;
    await scene.advance(600_000);
    expect(scene.requests.length).toBe(asked);
  });

  test("403 is said and not tried again", async () => {
    const { session } = await ask();
    const reader = read(session);
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
    const { session } = await ask();
    const reader = read(session);
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

  test("offline is said, and the network's return is noticed at once", async () => {
    const { session, say, said } = await ask();
    const reader = read(session);
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
    const { session, say, said } = await ask();
    const reader = read(session);
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
    const { session } = await ask();
    const reader = read(session);
    await reader.is("live");
    await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "DELETE" });
    await until("the end", () => reader.events.some(({ type }) => type === "session_deleted"));
    await scene.advance(1000);
    await reader.is("gone");
    expect(scene.streams.size).toBe(0);
  });
});

describe("a hidden page", () => {
  test("with nothing under way closes its stream, and opens it behind its place when shown", async () => {
    const { session, driver, lastSeq } = await ask();
    driver.finish();
    const last = await lastSeq();
    const reader = read(session, { after: last });
    await reader.is("live");
    reader.tab.hide();
    await reader.is("idle");
    await settle();
    expect(scene.streams.size).toBe(0);
    expect(scene.held.size).toBe(0);
    await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "PATCH", json: { title: "new" } });
    expect(reader.events).toEqual([]);
    reader.tab.show();
    await reader.has(last + 1);
    expect(afterOf(streamRequests().at(-1)!.path)).toBe(last);
  });

  test("keeps it while something is under way", async () => {
    const { session, say, said } = await ask();
    const reader = read(session);
    await reader.is("live");
    reader.stream.setBusy(true);
    reader.tab.hide();
    say("behind the curtain");
    await until("the words", () => reader.text() === said());
    reader.stream.setBusy(false);
    await reader.is("idle");
    expect(scene.streams.size).toBe(0);
  });

  test("opens none to begin with", async () => {
    const { session } = await ask();
    const tab = scene.openTab();
    tab.hide();
    const reader = read(session, { tab });
    await scene.advance(5000);
    expect(streamRequests()).toEqual([]);
    tab.show();
    await reader.is("live");
  });
});

describe("a page that is left", () => {
  test("holds no lock, stream, channel or timer, and takes them again when it comes back", async () => {
    const { session, say, said } = await ask();
    const reader = read(session);
    await reader.is("live");
    reader.tab.leave();
    await settle();
    expect([scene.streams.size, scene.held.size, scene.wishes.length, scene.channels.size, scene.timers.size]).toEqual([
      0, 0, 0, 0, 0,
    ]);
    say("while it was away");
    reader.tab.comeBack();
    await until("the words", () => reader.text() === said());
  });

  test("`close` leaves nothing, whatever was under way", async () => {
    const { session } = await ask();
    const tab = scene.openTab();
    for (const ms of [0, 1, 100, 400, 1000]) {
      const reader = read(session, { tab });
      await scene.advance(ms);
      reader.close();
      await settle();
      await scene.advance(100);
      expect([
        scene.streams.size,
        scene.held.size,
        scene.wishes.length,
        scene.channels.size,
        scene.timers.size,
      ]).toEqual([0, 0, 0, 0, 0]);
      expect(tab.listeners()).toBe(0);
    }
  });
});

describe("several pages of one browser", () => {
  test("have one stream between them, and all events", async () => {
    const { session, say, said } = await ask();
    const readers = Array.from({ length: 8 }, () => read(session));
    for (const reader of readers) await reader.is("live");
    for (let word = 0; word < 20; word++) {
      say(`${word} `);
      await settle();
    }
    for (const reader of readers) await until("the words", () => reader.text() === said());
    expect(scene.streams.size).toBe(1);
    expect(streamRequests()).toHaveLength(1);
  });

  test("[L4] when the one with the stream is closed, or crashes, another goes on, and none misses a word", async () => {
    const { session, say, said } = await ask();
    const readers = Array.from({ length: 4 }, () => read(session));
    for (const reader of readers) await reader.is("live");
    for (let at = 0; at < 3; at++) {
      say(`${at} and `);
      if (at % 2 === 0) readers[at]!.close();
      else readers[at]!.tab.crash();
      say(`${at} again, `);
      await scene.advance(1000);
      for (const reader of readers.slice(at + 1)) await until(`the words ${at}`, () => reader.text() === said());
      expect(scene.streams.size).toBe(1);
    }
    expect(readers[3]!.states).toEqual(["connecting", "live"]);
  });

  test("one that joins in the middle fetches what it has missed", async () => {
    const { session, say, said, lastSeq } = await ask();
    const first = read(session);
    say("before, ");
    await first.has(await lastSeq());
    const second = read(session);
    await until("the words", () => second.text() === said());
    say("after");
    for (const reader of [first, second]) await until("the words", () => reader.text() === said());
    expect(streamRequests()).toHaveLength(1);
  });

  test("one that missed what another told it fetches that", async () => {
    const { session, say, said } = await ask();
    const [first, second] = [read(session), read(session)];
    for (const reader of [first, second]) await reader.is("live");
    say("one ");
    await until("the words", () => second.text() === said());
    scene.isDelivered = (message) => (message as { kind: string }).kind !== "event";
    say("two ");
    await until("the words", () => first.text() === said());
    expect(second.text()).toBe("one ");
    scene.isDelivered = () => true;
    say("three ");
    await until("the words", () => second.text() === said());
    expect(second.seqs()).toEqual(first.seqs());
  });

  test("a fetch that fails is made again", async () => {
    const { session, say, said } = await ask();
    const [first, second] = [read(session), read(session)];
    for (const reader of [first, second]) await reader.is("live");
    scene.isDelivered = (message) => (message as { kind: string }).kind !== "event";
    say("lost ");
    await until("the words", () => first.text() === said());
    scene.isDelivered = () => true;
    let failures = 0;
    scene.intercept = (request) => {
      if (request.headers.get("accept") !== "application/x-ndjson" || failures >= 3) return undefined;
      failures += 1;
      return new Response("", { status: 502 });
    };
    say("found");
    await scene.advance(10_000);
    await until("the words", () => second.text() === said());
    expect(failures).toBe(3);
  });

  test("a sleeping one that has the stream loses it to one that hears nothing", async () => {
    const { session, say, said } = await ask();
    const [first, second] = [read(session), read(session)];
    for (const reader of [first, second]) await reader.is("live");
    // It still holds its lock, but does nothing any more.
    for (const timer of scene.timers) if (timer.tab === first.tab) scene.timers.delete(timer);
    const [stream] = scene.streams;
    stream!.isMute = true;
    say("unheard");
    await scene.advance(56_000);
    await until("the words", () => second.text() === said());
    expect(second.state).toBe("live");
    expect(scene.streams.size).toBe(1);
  });

  test("[A3] of two users have nothing of each other", async () => {
    const anns = await ask("ann");
    const bobs = await ask("bob");
    const readers = [read(anns.session), read(anns.session, { user: "bob" }), read(bobs.session, { user: "bob" })];
    await readers[0]!.is("live");
    await readers[1]!.is("gone");
    anns.say("for ann alone");
    await until("the words", () => readers[0]!.text() === "for ann alone");
    await settle();
    expect(readers[1]!.events).toEqual([]);
  });

  test("say what is wrong in all of them, and a wish in any of them is heard", async () => {
    const { session } = await ask();
    const readers = [read(session), read(session)];
    for (const reader of readers) await reader.is("live");
    scene.intercept = () => new Response('{"code":"unauthorized"}', { status: 401 });
    for (const stream of scene.streams) stream.cut();
    await scene.advance(1000);
    for (const reader of readers) await reader.is("signed_out");
    await scene.advance(120_000);
    expect(scene.streams.size).toBe(0);
    scene.intercept = () => undefined;
    readers[1]!.stream.reconnect();
    for (const reader of readers) await reader.is("live");
  });

  test("the hidden one gives the stream to the one that is seen", async () => {
    const { session, driver, lastSeq } = await ask();
    driver.finish();
    const last = await lastSeq();
    const [first, second] = [read(session, { after: last }), read(session, { after: last })];
    for (const reader of [first, second]) await reader.is("live");
    first.tab.hide();
    await first.is("idle");
    await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "PATCH", json: { title: "new" } });
    await second.has(last + 1);
    // It costs nothing to listen.
    await first.has(last + 1);
    expect(scene.streams.size).toBe(1);
  });
});

describe("more sessions than there are places for streams", () => {
  test("the fifth asks again and again, and gets the first place that is free", async () => {
    const sessions = [];
    for (let index = 0; index < 5; index++) sessions.push(await ask());
    const readers = sessions.map(({ session }) => read(session));
    for (const reader of readers.slice(0, 4)) await reader.is("live");
    await scene.advance(600);
    await readers[4]!.is("live");
    expect(scene.streams.size).toBe(4);
    sessions[4]!.say("without a stream");
    await scene.advance(2500);
    await until("the words", () => readers[4]!.text() === "without a stream");
    expect(scene.streams.size).toBe(4);
    readers[0]!.close();
    await until("a fifth stream", () => streamRequests().length === 5);
    sessions[4]!.say(", and with one");
    await until("the words", () => readers[4]!.text() === "without a stream, and with one");
    expect(scene.streams.size).toBe(4);
    expect(readers[4]!.states).toEqual(["connecting", "live"]);
  });

  test("[L4] one that asks misses nothing, also where asking fails, and others of its session hear it", async () => {
    const sessions = [];
    for (let index = 0; index < 5; index++) sessions.push(await ask());
    const readers = sessions.map(({ session }) => read(session));
    const other = read(sessions[4]!.session);
    await scene.advance(600);
    for (const reader of [...readers, other]) await reader.is("live");
    const { say, said } = sessions[4]!;
    for (let round = 0; round < 6; round++) {
      say(`${round} `);
      scene.intercept = () => (round % 2 === 0 ? new Response("", { status: 502 }) : undefined);
      await scene.advance(2500);
    }
    scene.intercept = () => undefined;
    await scene.advance(4000);
    for (const reader of [readers[4]!, other]) await until("the words", () => reader.text() === said());
    expect(scene.streams.size).toBe(4);
  });
});

describe("where locks or channels are missing", () => {
  test.each(["locks", "openChannel"] as const)("%s: every page has its own stream", async (missing) => {
    const { session, say, said } = await ask();
    const readers = [1, 2].map(() => read(session, { tab: scene.openTab({ [missing]: undefined }) }));
    for (const reader of readers) await reader.is("live");
    say("hello");
    for (const reader of readers) await until("the words", () => reader.text() === said());
    expect(scene.streams.size).toBe(2);
    for (const reader of readers) {
      reader.tab.leave();
      reader.tab.comeBack();
      await reader.is("live");
    }
    expect(scene.streams.size).toBe(2);
  });

  test("a page in a sandbox, which may have no locks, has its own stream", async () => {
    const { session, say, said } = await ask();
    const locks = { request: () => Promise.reject(new DOMException("no", "SecurityError")) };
    const reader = read(session, { tab: scene.openTab({ locks: locks as unknown as LockManager }) });
    say("hello");
    await until("the words", () => reader.text() === said());
    expect(scene.streams.size).toBe(1);
    reader.close();
    await settle();
    expect(scene.streams.size).toBe(0);
  });
});

test("[A2] the page's origin is the one that its ticket is for", async () => {
  const { session } = await ask();
  await read(session).is("live");
  const [{ path } = { path: "" }] = streamRequests();
  const elsewhere = await scene.app.app.request(`${gateway}${path}`, {
    headers: { host: new URL(gateway).host, origin: gateway },
  });
  expect(elsewhere.status).toBe(403);
  expect(page).not.toBe(gateway);
});
