import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import { settle } from "./fake-browser.ts";
import { afterOf, openReaders, type Asked, type Readers } from "./readers.ts";
import { openScene, type Scene } from "./scene.ts";

let scene: Scene;
let readers: Readers;
beforeEach(async () => {
  // The page's user may have all places for turns.
  scene = await openScene({ limits: { caller_share: 1 } });
  readers = openReaders(scene);
});
afterEach(async () => {
  readers.close();
  await scene.close();
});

describe("a hidden page", () => {
  test("with nothing under way closes its stream, and opens it behind its place when shown", async () => {
    const { session, driver, lastSeq } = await readers.ask();
    driver.finish();
    const last = await lastSeq();
    const reader = readers.read(session, { after: last });
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
    expect(afterOf(readers.streamRequests().at(-1)!)).toBe(last);
  });

  test("keeps it while something is under way", async () => {
    const { session, say, said } = await readers.ask();
    const reader = readers.read(session);
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
    const { session } = await readers.ask();
    const tab = scene.openTab();
    tab.hide();
    const reader = readers.read(session, { tab });
    await scene.advance(5000);
    expect(readers.streamRequests()).toEqual([]);
    tab.show();
    await reader.is("live");
  });
});

describe("a page that is left", () => {
  test("holds no lock, stream, channel or timer, and takes them again when it comes back", async () => {
    const { session, say, said } = await readers.ask();
    const reader = readers.read(session);
    await reader.is("live");
    reader.tab.leave();
    await settle();
    expect([scene.streams.size, scene.held.size, scene.wishes.length, scene.channels.size, scene.timers.size]).toEqual([
      0, 0, 0, 0, 0,
    ]);
    say("while it was away");
    reader.tab.comeBack();
    await until("the words", () => reader.text() === said());
    const other = readers.read(session);
    await other.is("live");
    expect(scene.streams.size).toBe(1);
  });

  test("`close` leaves nothing, whatever was under way", async () => {
    const { session } = await readers.ask();
    const tab = scene.openTab();
    for (const ms of [0, 1, 100, 400, 1000]) {
      const reader = readers.read(session, { tab });
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
    const { session, say, said } = await readers.ask();
    const all = Array.from({ length: 8 }, () => readers.read(session));
    for (const reader of all) await reader.is("live");
    for (let word = 0; word < 20; word++) {
      say(`${word} `);
      await settle();
    }
    for (const reader of all) await until("the words", () => reader.text() === said());
    // Nobody takes it from the one that has it while that hears of the gateway.
    for (let ping = 0; ping < 8; ping++) {
      await scene.advance(15_000);
      for (const stream of scene.streams) stream.dispatchEvent(new MessageEvent("ping", { data: '{"type":"ping"}' }));
      await settle();
    }
    expect(scene.streams.size).toBe(1);
    expect(readers.streamRequests()).toHaveLength(1);
  });

  test("[L4] when the one with the stream is closed, or crashes, another goes on, and none misses a word", async () => {
    const { session, say, said } = await readers.ask();
    const all = Array.from({ length: 4 }, () => readers.read(session));
    for (const reader of all) await reader.is("live");
    for (let at = 0; at < 3; at++) {
      say(`${at} and `);
      if (at % 2 === 0) all[at]!.close();
      else all[at]!.tab.crash();
      say(`${at} again, `);
      await scene.advance(1000);
      for (const reader of all.slice(at + 1)) await until(`the words ${at}`, () => reader.text() === said());
      expect(scene.streams.size).toBe(1);
    }
    expect(all[3]!.states).toEqual(["connecting", "live"]);
  });

  test("one that joins in the middle fetches what it has missed", async () => {
    const { session, say, said, lastSeq } = await readers.ask();
    const first = readers.read(session);
    say("before, ");
    await first.has(await lastSeq());
    const second = readers.read(session);
    await until("the words", () => second.text() === said());
    say("after");
    for (const reader of [first, second]) await until("the words", () => reader.text() === said());
    expect(readers.streamRequests()).toHaveLength(1);
  });

  test("one that missed what another told it fetches that", async () => {
    const { session, say, said } = await readers.ask();
    const [first, second] = [readers.read(session), readers.read(session)];
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
    const { session, say, said } = await readers.ask();
    const [first, second] = [readers.read(session), readers.read(session)];
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
    const { session, say, said } = await readers.ask();
    const [first, second] = [readers.read(session), readers.read(session)];
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
    const anns = await readers.ask("ann");
    const bobs = await readers.ask("bob");
    const all = [
      readers.read(anns.session),
      readers.read(anns.session, { user: "bob" }),
      readers.read(bobs.session, { user: "bob" }),
    ];
    await all[0]!.is("live");
    await all[1]!.is("gone");
    anns.say("for ann alone");
    await until("the words", () => all[0]!.text() === "for ann alone");
    await settle();
    expect(all[1]!.events).toEqual([]);
  });

  test("say what is wrong in all of them, and a wish in any of them is heard", async () => {
    const { session } = await readers.ask();
    const all = [readers.read(session), readers.read(session)];
    for (const reader of all) await reader.is("live");
    scene.intercept = () => new Response('{"code":"unauthorized"}', { status: 401 });
    for (const stream of scene.streams) stream.cut();
    await scene.advance(1000);
    for (const reader of all) await reader.is("signed_out");
    const asked = scene.requests.length;
    await scene.advance(120_000);
    expect(scene.requests.length).toBe(asked);
    expect(scene.streams.size).toBe(0);
    scene.intercept = () => undefined;
    all[1]!.stream.reconnect();
    for (const reader of all) await reader.is("live");
  });

  test("the hidden one gives the stream to the one that is seen", async () => {
    const { session, driver, lastSeq } = await readers.ask();
    driver.finish();
    const last = await lastSeq();
    const [first, second] = [readers.read(session, { after: last }), readers.read(session, { after: last })];
    for (const reader of [first, second]) await reader.is("live");
    first.tab.hide();
    await first.is("idle");
    await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "PATCH", json: { title: "new" } });
    await second.has(last + 1);
    // It costs nothing to listen.
    await first.has(last + 1);
    expect(first.state).toBe("idle");
    expect(scene.streams.size).toBe(1);
  });
});

describe("more sessions than there are places for streams", () => {
  test("the fifth asks again and again, and gets the first place that is free", async () => {
    const sessions = [];
    for (let index = 0; index < 5; index++) sessions.push(await readers.ask());
    const all = sessions.map(({ session }) => readers.read(session));
    for (const reader of all.slice(0, 4)) await reader.is("live");
    await scene.advance(600);
    await all[4]!.is("live");
    expect(scene.streams.size).toBe(4);
    sessions[4]!.say("without a stream");
    await scene.advance(2500);
    await until("the words", () => all[4]!.text() === "without a stream");
    expect(scene.streams.size).toBe(4);
    all[0]!.close();
    await until("a fifth stream", () => readers.streamRequests().length === 5);
    sessions[4]!.say(", and with one");
    await until("the words", () => all[4]!.text() === "without a stream, and with one");
    expect(scene.streams.size).toBe(4);
    expect(all[4]!.states).toEqual(["connecting", "live"]);
    const asked = scene.requests.length;
    await scene.advance(10_000);
    expect(scene.requests.length).toBe(asked);
  });

  test("one that is refused asks no more, and one that is waiting for an answer does not ask beside it", async () => {
    const sessions: Asked[] = [];
    for (let index = 0; index < 5; index++) sessions.push(await readers.ask());
    const all = sessions.map(({ session }) => readers.read(session));
    // The first four have the places then.
    for (const reader of all.slice(0, 4)) await reader.is("live");
    await scene.advance(600);
    await all[4]!.is("live");
    const answer = Promise.withResolvers<Response>();
    scene.intercept = () => answer.promise;
    const questions = () => scene.requests.filter(({ path }) => path.includes(sessions[4]!.session)).length;
    const before = questions();
    for (let wish = 0; wish < 3; wish++) all[4]!.stream.reconnect();
    await until("a question", () => questions() > before);
    answer.resolve(new Response('{"code":"forbidden"}', { status: 403 }));
    await all[4]!.is("forbidden");
    await scene.advance(600_000);
    expect(questions()).toBe(before + 1);
  });

  test("[L4] one that asks misses nothing, also where asking fails, and others of its session hear it", async () => {
    const sessions = [];
    for (let index = 0; index < 5; index++) sessions.push(await readers.ask());
    const all = sessions.map(({ session }) => readers.read(session));
    const other = readers.read(sessions[4]!.session);
    await scene.advance(600);
    for (const reader of [...all, other]) await reader.is("live");
    const { say, said } = sessions[4]!;
    for (let round = 0; round < 6; round++) {
      say(`${round} `);
      scene.intercept = () => (round % 2 === 0 ? new Response("", { status: 502 }) : undefined);
      await scene.advance(2500);
    }
    scene.intercept = () => undefined;
    await scene.advance(4000);
    for (const reader of [all[4]!, other]) await until("the words", () => reader.text() === said());
    expect(scene.streams.size).toBe(4);
  });
});

describe("where locks or channels are missing", () => {
  test.each(["locks", "openChannel"] as const)("%s: every page has its own stream", async (missing) => {
    const { session, say, said } = await readers.ask();
    const all = [1, 2].map(() => readers.read(session, { tab: scene.openTab({ [missing]: undefined }) }));
    for (const reader of all) await reader.is("live");
    say("hello");
    for (const reader of all) await until("the words", () => reader.text() === said());
    expect(scene.streams.size).toBe(2);
    for (const reader of all) {
      reader.tab.leave();
      reader.tab.comeBack();
      await reader.is("live");
    }
    expect(scene.streams.size).toBe(2);
  });

  test("a page in a sandbox, which may have no locks, has its own stream", async () => {
    const { session, say, said } = await readers.ask();
    const locks = { request: () => Promise.reject(new DOMException("no", "SecurityError")) };
    const reader = readers.read(session, { tab: scene.openTab({ locks: locks as unknown as LockManager }) });
    say("hello");
    await until("the words", () => reader.text() === said());
    expect(scene.streams.size).toBe(1);
    reader.close();
    await settle();
    expect(scene.streams.size).toBe(0);
  });
});
