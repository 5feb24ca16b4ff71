import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createApi } from "../../widget/api.ts";
import { createChat, type ChatEvent } from "../../widget/chat.ts";
import type { Token } from "../../widget/options.ts";
import { completed, delta } from "../support/log-drafts.ts";
import { messageEvents } from "../support/transcript-drafts.ts";
import { until } from "../support/wait.ts";
import { isIdle, isLive, openChats, png, shows, turnsOf, type Chats } from "./chats.ts";
import { settle } from "./fake-browser.ts";
import { gateway, openScene, type Scene } from "./scene.ts";

let scene: Scene;
let chats: Chats;
beforeEach(async () => {
  scene = await openScene();
  chats = openChats(scene);
});
afterEach(async () => {
  chats.close();
  await scene.close();
});

describe("what comes in odd ways", () => {
  test("[L5] after a gap the page is fetched anew, and goes on", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    await isLive(opened);
    const pages = () => scene.requests.filter(({ path }) => path.includes("/transcript")).length;
    const before = pages();
    const [stream] = scene.streams;
    stream!.dispatchEvent(
      new MessageEvent("gap", { data: '{"type":"gap","turn":null,"oldest":3,"transcript_url":"/x"}' }),
    );
    await scene.advance(300);
    await until("another page", () => pages() === before + 1);
    await isLive(opened);
    await chats.say(opened, "two", "second");
    expect(opened.texts()).toEqual(["one", "first", "two", "second"]);
    expect(opened.chat.transcript.peek()!.hasGap).toBe(false);
  });

  test("a hole that nothing fills is mended from the transcript", async () => {
    const opened = chats.open();
    await opened.chat.send("one");
    const driver = await scene.running(opened.chat.session.peek()!);
    await isLive(opened);
    driver.say(...messageEvents("m1", "whole text").slice(0, 2));
    await shows(opened, ["one", ""]);
    const [stream] = scene.streams;
    stream!.isMute = true;
    driver.say(delta("whole ", 0));
    await settle();
    stream!.isMute = false;
    driver.say(delta("text", 6));
    await until("the hole", () => opened.chat.transcript.peek()!.hasHole);
    expect(opened.texts()).toEqual(["one", ""]);
    await scene.advance(1500);
    await shows(opened, ["one", "whole text"]);
  });

  test("a page that cannot be fetched is tried again, and what was written meanwhile is sent then", async () => {
    const first = chats.open();
    await chats.say(first, "one", "first");
    first.close();
    scene.isOnline = false;
    const opened = chats.open();
    await until("it to be offline", () => opened.chat.connection.peek() === "offline");
    void opened.chat.send("two");
    await scene.advance(5000);
    expect(opened.chat.pending.peek()).toMatchObject([{ text: "two", problem: null }]);
    scene.setOnline(true);
    await shows(opened, ["one", "first", "two"]);
  });

  test("signed out is said, and `reconnect` asks for a new token", async () => {
    let isSignedIn = false;
    const tab = scene.openTab();
    const refused = { token: "bad", expires_at: new Date(scene.time + 900_000).toISOString() };
    const api = createApi({
      gateway,
      agent: "default",
      browser: tab,
      getToken: async () => (isSignedIn ? scene.mint() : refused),
    });
    const first = chats.open();
    await chats.say(first, "one", "first");
    const chat = createChat({ api, agent: "default", browser: tab, session: first.chat.session.peek()! });
    await until("it to be said", () => chat.connection.peek() === "signed_out");
    expect(chat.problem.peek()).toBeNull();
    isSignedIn = true;
    chat.reconnect();
    await until("it to be live", () => chat.connection.peek() === "live");
    chat.destroy();
  });

  test("where it is forbidden, `reconnect` asks for a new token too", async () => {
    const first = chats.open();
    await chats.say(first, "one", "first");
    first.close();
    let given = 0;
    const tab = scene.openTab();
    const getToken = () => (given++, scene.mint());
    const api = createApi({ gateway, agent: "default", browser: tab, getToken });
    scene.intercept = () => new Response('{"code":"forbidden"}', { status: 403 });
    const opened = chats.open({ tab, api });
    await until("it to be said", () => opened.chat.connection.peek() === "forbidden");
    scene.intercept = () => undefined;
    opened.chat.reconnect();
    await shows(opened, ["one", "first"]);
    expect(given).toBe(2);
  });

  test("a page that the gateway cannot give now is not asked for before the time that it names", async () => {
    const first = chats.open();
    await chats.say(first, "one", "first");
    first.close();
    scene.intercept = () => new Response("{}", { status: 503, headers: { "Retry-After": "20" } });
    const opened = chats.open();
    const pages = () => scene.requests.filter(({ path }) => path.includes("/transcript")).length;
    const before = pages();
    await scene.advance(19_000);
    expect(pages() - before).toBe(1);
    scene.intercept = () => undefined;
    await scene.advance(2000);
    await shows(opened, ["one", "first"]);
  });

  test("an impatient person who tries again and again has one conversation and one stream", async () => {
    const first = chats.open();
    await chats.say(first, "one", "first");
    const session = first.chat.session.peek()!;
    first.close();
    scene.isOnline = false;
    const opened = chats.open({ session });
    await until("it to be offline", () => opened.chat.connection.peek() === "offline");
    scene.isOnline = true;
    // Nobody has answered the first press when the others come.
    const held = Promise.withResolvers<void>();
    scene.intercept = (request) => held.promise.then(() => scene.app.app.fetch(request));
    for (let press = 0; press < 3; press++) {
      opened.chat.reconnect();
      await new Promise(setImmediate);
    }
    scene.intercept = () => undefined;
    held.resolve();
    await isLive(opened);
    await scene.advance(60_000);
    await isLive(opened);
    expect(opened.texts()).toEqual(["one", "first"]);
    expect(scene.streams.size).toBe(1);
    expect(opened.events.filter(({ type }) => type === "session")).toHaveLength(1);
    opened.close();
    await settle();
    expect([scene.streams.size, scene.held.size, scene.channels.size]).toEqual([0, 0, 0]);
  });

  test.each([
    ["fails", () => Promise.reject(new Error("503"))],
    ["is none", async () => ({ code: "invalid_request" }) as never],
  ])("a token that %s is said, and asked for again", async (_, refusal) => {
    const tab = scene.openTab();
    let answer: () => Promise<Token> = refusal;
    const api = createApi({ gateway, agent: "default", browser: tab, getToken: () => answer() });
    const problems: string[] = [];
    const onEvent = (event: ChatEvent) => event.type === "error" && problems.push(event.code);
    const chat = createChat({ api, agent: "default", browser: tab, onEvent });
    await until("it to be said", () => chat.problem.peek()?.code === "no_token");
    await scene.advance(30_000);
    expect(problems).toEqual(["no_token"]);
    answer = () => scene.mint();
    await scene.advance(30_000);
    await until("it to be there", () => chat.connection.peek() === "idle");
    chat.destroy();
  });

  test("a visitor of an agent that is not public is signed out, and does not ask again and again", async () => {
    const tab = scene.openTab();
    const api = createApi({ gateway, agent: "other", browser: tab });
    const chat = createChat({ api, agent: "other", browser: tab });
    await until("it to be said", () => chat.connection.peek() === "signed_out");
    await scene.advance(120_000);
    expect(chats.posts(/tokens$/)).toHaveLength(1);
    chat.destroy();
  });

  test("a page whose token never comes is not waited for without end", async () => {
    const tab = scene.openTab();
    let isHanging = true;
    const getToken = () => (isHanging ? new Promise<never>(() => {}) : scene.mint());
    const api = createApi({ gateway, agent: "default", browser: tab, getToken });
    const chat = createChat({ api, agent: "default", browser: tab });
    await settle();
    expect(chat.connection.peek()).toBe("connecting");
    isHanging = false;
    await scene.advance(65_000);
    await until("it to be there", () => chat.connection.peek() === "idle");
    chat.destroy();
  });

  test("the back/forward cache: left with nothing held, and gone on with when it comes back", async () => {
    const opened = chats.open();
    await opened.chat.send("one");
    const driver = await scene.running(opened.chat.session.peek()!);
    await isLive(opened);
    opened.tab.leave();
    await settle();
    expect([scene.streams.size, scene.held.size, scene.channels.size]).toEqual([0, 0, 0]);
    driver.say(...messageEvents("m1", "meanwhile"));
    driver.finish(completed("meanwhile"));
    opened.tab.comeBack();
    await shows(opened, ["one", "meanwhile"]);
  });

  test("a hidden page keeps its stream while a turn runs, and not longer", async () => {
    const opened = chats.open();
    await opened.chat.send("one");
    const driver = await scene.running(opened.chat.session.peek()!);
    await isLive(opened);
    opened.tab.hide();
    driver.say(...messageEvents("m1", "unseen"));
    await shows(opened, ["one", "unseen"]);
    driver.finish(completed("unseen"));
    await isIdle(opened);
    await settle();
    expect(scene.streams.size).toBe(0);
    opened.tab.show();
    await isLive(opened);
  });
});

describe("what a page is told", () => {
  test("sessions, turns, tools, approvals, answers and states, as they happen, and nothing of what was before", async () => {
    const opened = chats.open();
    const { approval, driver } = await chats.askForTool(opened);
    await opened.chat.approve(approval.id, { decision: "allow" });
    await until("the decision", () => turnsOf(opened)[0]!.state === "running");
    driver.say({
      type: "tool_result",
      tool_use_id: "toolu_1",
      content: "ok",
      is_error: false,
      parent_tool_use_id: null,
    });
    driver.say(...messageEvents("m2", "Done."));
    driver.finish(completed("Done."));
    await until("the end", () => turnsOf(opened)[0]!.state === "completed");
    const session = opened.chat.session.peek()!;
    const of = { session, turn: turnsOf(opened)[0]!.id };
    const told = opened.events.filter(({ type }) => type !== "status" && type !== "session");
    expect(told).toEqual([
      { type: "turn", ...of, state: "queued" },
      { type: "tool", ...of, id: "toolu_1", name: "Bash", state: "started" },
      { type: "approval", ...of, approval: approval.id, tool: "Bash", decision: null },
      { type: "turn", ...of, state: "waiting" },
      { type: "approval", ...of, approval: approval.id, tool: "Bash", decision: "allow" },
      { type: "turn", ...of, state: "running" },
      { type: "tool", ...of, id: "toolu_1", name: "Bash", state: "done" },
      { type: "turn", ...of, state: "completed" },
      { type: "answer", ...of, text: "Done." },
    ]);
    expect(opened.events.filter(({ type }) => type === "session")).toEqual([
      { type: "session", session: null },
      { type: "session", session },
    ]);
    expect(opened.events.flatMap((event) => (event.type === "status" ? [event.connection] : []))).toEqual([
      "idle",
      "connecting",
      "live",
    ]);
    // What comes once more, beside something new, is no news.
    const before = opened.events.length;
    const [stream] = scene.streams;
    const again = { type: "turn_completed", turn: of.turn, seq: 5, answer: "Done." };
    for (const event of [again, { type: "session_changed", turn: null, seq: 1000, title: "new" }])
      stream!.dispatchEvent(new MessageEvent(event.type, { data: JSON.stringify(event) }));
    await until("the news", () => opened.chat.transcript.peek()!.title === "new");
    expect(opened.events).toHaveLength(before);
    const later = chats.open();
    await isLive(later);
    expect(later.events.filter(({ type }) => !["status", "session"].includes(type))).toEqual([]);
  });
});

test("`destroy` leaves nothing: no timer, listener, lock, channel, stream or blob: address", async () => {
  const opened = chats.open();
  await isIdle(opened);
  await opened.chat.addImages([png()]);
  await opened.chat.send("one");
  await isLive(opened);
  await opened.chat.addImages([png()]);
  expect(scene.urls.size).toBe(2);
  opened.close();
  await settle();
  const { streams, held, channels, timers, urls } = scene;
  expect([streams, held, channels, timers, urls].map(({ size }) => size)).toEqual([0, 0, 0, 0, 0]);
  expect(scene.wishes).toEqual([]);
  expect(opened.tab.listeners()).toBe(0);
  const asked = scene.requests.length;
  await scene.advance(600_000);
  scene.setOnline(true);
  await settle();
  expect(scene.requests.length).toBe(asked);
});
