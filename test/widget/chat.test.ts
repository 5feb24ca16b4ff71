import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { completed, delta } from "../support/log-drafts.ts";
import { messageEvents } from "../support/transcript-drafts.ts";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import { createApi } from "../../widget/api.ts";
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

describe("a new conversation", () => {
  test("has no session and no stream before its first prompt", async () => {
    const opened = chats.open();
    await isIdle(opened);
    expect(opened.chat.session.peek()).toBeNull();
    expect(opened.chat.transcript.peek()).toBeNull();
    expect(opened.chat.isLoading.peek()).toBe(false);
    expect(scene.requests).toEqual([]);
  });

  test("becomes a session with it, and shows it at once and then the answer as it comes", async () => {
    const opened = chats.open();
    const { chat } = opened;
    await isIdle(opened);
    chat.draft.value = "hello";
    const sent = chat.send();
    expect(chat.draft.peek()).toBe("");
    expect(chat.pending.peek()).toMatchObject([{ text: "hello", problem: null }]);
    await sent;
    const session = chat.session.peek()!;
    const driver = await scene.running(session);
    await isLive(opened);
    expect(chat.pending.peek()).toEqual([]);
    const [start, block, whole, ...end] = messageEvents("m1", "Good day.");
    driver.say(start!, block!, delta("Good", 0));
    await shows(opened, ["hello", "Good"]);
    expect(chat.runningTurn.peek()).toBe(turnsOf(opened)[0]!.id);
    driver.say(whole!, ...end);
    driver.finish(completed("Good day."));
    await shows(opened, ["hello", "Good day."]);
    await until("the end", () => chat.runningTurn.peek() === null);
    expect(chat.history.peek()).toEqual(["hello"]);
    expect(chats.posts(/turns$/)[0]!.body).toEqual({ prompt: "hello", agent: "default" });
  });

  test("two prompts sent at once make one session, in their order; the second waits in the line", async () => {
    const opened = chats.open();
    await Promise.all([opened.chat.send("one"), opened.chat.send("two")]);
    await shows(opened, ["one", "two"]);
    expect(opened.events.filter(({ type }) => type === "session")).toHaveLength(2);
    expect(turnsOf(opened).map(({ state }) => state)).toEqual(["running", "queued"]);
    expect(turnsOf(opened)[1]!.position).toBe(1);
    expect(new Set(chats.posts(/turns$/).map(({ headers }) => headers.get("idempotency-key"))).size).toBe(2);
    const driver = await scene.running(opened.chat.session.peek()!);
    driver.finish();
    await until("the second to run", () => turnsOf(opened)[1]!.state === "running");
    expect(turnsOf(opened)[1]!.position).toBeNull();
  });

  test("whoever opens another one before theirs has its session stays there", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    const session = opened.chat.session.peek()!;
    opened.chat.newSession();
    const held = Promise.withResolvers<void>();
    scene.intercept = (request) =>
      request.url.endsWith("/api/turns") ? held.promise.then(() => scene.app.app.fetch(request)) : undefined;
    const sent = opened.chat.send("two");
    await until("the request", () => chats.posts(/turns$/).length === 2);
    await opened.chat.openSession(session);
    held.resolve();
    await sent;
    expect(opened.chat.session.peek()).toBe(session);
    await shows(opened, ["one", "first"]);
  });

  test("nothing to say is not sent", async () => {
    const opened = chats.open();
    await isIdle(opened);
    opened.chat.draft.value = "  \n ";
    await opened.chat.send();
    await opened.chat.send("");
    expect(scene.requests).toEqual([]);
    expect(opened.chat.draft.peek()).toBe("  \n ");
  });

  test("facts of the page go with the next prompt alone, and stand beside it", async () => {
    const opened = chats.open();
    opened.chat.context.value = { page: "/orders/7" };
    await opened.chat.send("what is this?");
    expect(opened.chat.context.peek()).toBeNull();
    await opened.chat.send("and that?");
    expect(chats.posts(/turns$/).map(({ body }) => (body as { context?: unknown }).context)).toEqual([
      { page: "/orders/7" },
      undefined,
    ]);
    await shows(opened, ["what is this?[context]", "and that?"]);
  });
});

describe("what outlives the page", () => {
  test("the last session of this agent and user is opened again, with all that was said, also in mid-answer", async () => {
    const first = chats.open();
    await chats.say(first, "one", "first");
    await first.chat.send("two");
    const session = first.chat.session.peek()!;
    const driver = await scene.running(session, 2);
    const [start, block, whole, ...end] = messageEvents("m2", "half and half");
    driver.say(start!, block!, delta("half", 0, { message: "m2" }));
    await shows(first, ["one", "first", "two", "half"]);
    first.close();
    const again = chats.open();
    await shows(again, ["one", "first", "two", "half"]);
    expect(again.chat.session.peek()).toBe(session);
    driver.say(whole!, ...end);
    driver.finish(completed("half and half"));
    await shows(again, ["one", "first", "two", "half and half"]);
    const others = [chats.open({ user: "bob" }), chats.open({ agent: "other" }), chats.open({ session: "new" })];
    for (const other of others) {
      await isIdle(other);
      expect(other.chat.session.peek()).toBeNull();
    }
  });

  test("a remembered session that is gone starts a new one; a named one is said to be gone", async () => {
    const first = chats.open();
    await chats.say(first, "one", "first");
    const session = first.chat.session.peek()!;
    first.close();
    await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "DELETE" });
    const again = chats.open();
    await isIdle(again);
    expect([again.chat.session.peek(), again.chat.problem.peek()]).toEqual([null, null]);
    const named = chats.open({ session });
    await until("it to be gone", () => named.chat.connection.peek() === "gone");
    expect(named.chat.problem.peek()).toMatchObject({ code: "not_found" });
  });

  test("a draft is kept for each session", async () => {
    const first = chats.open();
    await isIdle(first);
    first.chat.draft.value = "for a new one";
    first.close();
    const second = chats.open();
    await isIdle(second);
    expect(second.chat.draft.peek()).toBe("for a new one");
    const sent = second.chat.send();
    // What is written while the first prompt is under way is of its conversation already.
    second.chat.draft.value = "for this one";
    await sent;
    const session = second.chat.session.peek()!;
    second.chat.newSession();
    expect(second.chat.draft.peek()).toBe("");
    second.close();
    const third = chats.open({ session });
    await isLive(third);
    expect(third.chat.draft.peek()).toBe("for this one");
  });

  test("a draft that a page sets before anything is known stays", async () => {
    const opened = chats.open();
    opened.chat.draft.value = "set early";
    await isIdle(opened);
    expect(opened.chat.draft.peek()).toBe("set early");
  });

  test("where nothing may be stored everything works, and is forgotten", async () => {
    const storage = () => {
      throw new DOMException("denied", "SecurityError");
    };
    const tab = scene.openTab({ storage });
    const opened = chats.open({ tab });
    opened.chat.draft.value = "x";
    await chats.say(opened, "one", "first");
    opened.close();
    const again = chats.open({ tab });
    await isIdle(again);
    expect(again.chat.draft.peek()).toBe("");
  });

  test("[T2] a queued prompt's place is known after a reload as well", async () => {
    const first = chats.open();
    await Promise.all([first.chat.send("one"), first.chat.send("two")]);
    await shows(first, ["one", "two"]);
    first.close();
    const again = chats.open();
    await until("its place", () => turnsOf(again)[1]?.position === 1);
    expect(turnsOf(again)[0]!.position).toBeNull();
  });
});

describe("prompts that do not arrive", () => {
  test("[T3] one whose answer was lost is sent again under the same key, and made once", async () => {
    const opened = chats.open();
    await isIdle(opened);
    scene.intercept = (request) => {
      if (!request.url.endsWith("/api/turns")) return undefined;
      scene.intercept = () => undefined;
      // The gateway gets it, and the answer is lost.
      return Promise.resolve(scene.app.app.fetch(request)).then(() => Promise.reject(new TypeError("reset")));
    };
    await opened.chat.send("once");
    const [pending] = opened.chat.pending.peek();
    expect(pending).toMatchObject({ text: "once", problem: { code: "unreachable" } });
    await opened.chat.resend(pending!.id);
    await shows(opened, ["once"]);
    expect(opened.chat.pending.peek()).toEqual([]);
    expect(chats.posts(/turns$/)).toHaveLength(2);
    const { turns } = await scene.app.json<{ turns: unknown[] }>("/api/turns", { key: mainKey });
    expect(turns).toHaveLength(1);
  });

  test("[T3] one whose answer was lost is not called unsent once the conversation shows it", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    await isLive(opened);
    scene.intercept = (request) => {
      if (!request.url.endsWith("/api/turns")) return undefined;
      scene.intercept = () => undefined;
      return Promise.resolve(scene.app.app.fetch(request)).then(() => Promise.reject(new TypeError("reset")));
    };
    await chats.say(opened, "two", "second");
    await until("nothing is pending", () => opened.chat.pending.peek().length === 0);
    await shows(opened, ["one", "first", "two", "second"]);
    const { turns } = await scene.app.json<{ turns: unknown[] }>("/api/turns", { key: mainKey });
    expect(turns).toHaveLength(2);
  });

  test("those sent while offline go out by themselves when the connection is back", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    await isLive(opened);
    scene.setOnline(false);
    await opened.chat.send("two");
    expect(opened.chat.pending.peek()).toMatchObject([{ problem: { code: "unreachable" } }]);
    scene.setOnline(true);
    await shows(opened, ["one", "first", "two"]);
    expect(opened.chat.pending.peek()).toEqual([]);
  });

  test("those that found no gateway, and those without a token, go out when the stream is back", async () => {
    let isSignedIn = true;
    const tab = scene.openTab();
    const getToken = () => (isSignedIn ? scene.mint() : Promise.reject(new Error("not now")));
    const api = createApi({ gateway, agent: "default", browser: tab, getToken });
    const opened = chats.open({ tab, api });
    await chats.say(opened, "one", "first");
    await isLive(opened);
    scene.intercept = () => new Response("", { status: 502 });
    for (const stream of scene.streams) stream.cut();
    await opened.chat.send("two");
    isSignedIn = false;
    api.forgetToken();
    await opened.chat.send("three");
    expect(opened.chat.pending.peek()).toMatchObject([
      { text: "two", problem: { code: "unreachable" } },
      { text: "three", problem: { code: "no_token" } },
    ]);
    isSignedIn = true;
    scene.intercept = () => undefined;
    await scene.advance(5000);
    await shows(opened, ["one", "first", "two", "three"]);
  });

  test("[T3] a second one does not begin another conversation while the first one's fate is not known", async () => {
    const opened = chats.open();
    await isIdle(opened);
    let requests = 0;
    scene.intercept = (request) => {
      if (!request.url.endsWith("/api/turns") || requests++ > 0) return undefined;
      return Promise.resolve(scene.app.app.fetch(request)).then(() => Promise.reject(new TypeError("reset")));
    };
    await Promise.all([opened.chat.send("one"), opened.chat.send("two")]);
    expect(opened.chat.pending.peek()).toMatchObject([
      { text: "one", problem: { code: "unreachable" } },
      { text: "two", problem: { code: "unreachable" } },
    ]);
    await opened.chat.resend(opened.chat.pending.peek()[1]!.id);
    await shows(opened, ["one", "two"]);
    const { turns } = await scene.app.json<{ turns: unknown[] }>("/api/turns", { key: mainKey });
    expect(turns).toHaveLength(2);
  });

  test.each(["before it reaches the gateway", "before its answer comes back"])(
    "[T3] one whose page is reloaded %s is there after that, and made once",
    async (when) => {
      const opened = chats.open();
      await isIdle(opened);
      scene.intercept = (request) => {
        if (!request.url.endsWith("/api/turns")) return undefined;
        if (when.includes("answer")) void scene.app.app.fetch(request);
        return new Promise<Response>(() => {});
      };
      void opened.chat.send("one");
      await until("the request", () => chats.posts(/turns$/).length === 1);
      void opened.chat.send("two");
      opened.close();
      scene.intercept = () => undefined;
      const again = chats.open({ tab: opened.tab });
      await shows(again, ["one", "two"]);
      // The stream may be sooner than the reply.
      await until("nothing to be under way", () => again.chat.pending.peek().length === 0);
      const { turns } = await scene.app.json<{ turns: unknown[] }>("/api/turns", { key: mainKey });
      expect(turns).toHaveLength(2);
      again.close();
      const later = chats.open({ tab: opened.tab });
      await isLive(later);
      expect(chats.posts(/turns$/).length).toBe(3);
    },
  );

  test("one whose images are still on their way is not sent without them after a reload", async () => {
    const opened = chats.open();
    await isIdle(opened);
    scene.intercept = ({ url }) => (url.endsWith("/attachments") ? new Promise<Response>(() => {}) : undefined);
    void opened.chat.addImages([png()]);
    opened.chat.draft.value = "look";
    void opened.chat.send();
    opened.close();
    const again = chats.open({ tab: opened.tab });
    await isIdle(again);
    await settle();
    expect(again.chat.pending.peek()).toEqual([]);
    expect(chats.posts(/turns$/)).toEqual([]);
  });

  test("one that is refused says why, is not sent again after a reload, and can be dropped", async () => {
    const opened = chats.open({ agent: "nobody" });
    await opened.chat.send("hello?");
    const [pending] = opened.chat.pending.peek();
    expect(pending!.problem!.code).toMatch(/not_found|invalid_request/);
    const again = chats.open({ agent: "nobody", tab: opened.tab });
    await isIdle(again);
    expect(again.chat.pending.peek()).toEqual([]);
    expect(chats.posts(/turns$/)).toHaveLength(1);
    opened.chat.dropPending(pending!.id);
    expect(opened.chat.pending.peek()).toEqual([]);
    expect(opened.chat.session.peek()).toBeNull();
  });

  test("what was sent to one conversation is not shown in another, and arrives where it belongs", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    const session = opened.chat.session.peek()!;
    scene.setOnline(false);
    await opened.chat.send("two");
    opened.chat.newSession();
    expect(opened.chat.pending.peek()).toEqual([]);
    scene.setOnline(true);
    await opened.chat.openSession(session);
    await shows(opened, ["one", "first", "two"]);
  });
});
