import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createApi, type Api } from "../../widget/api.ts";
import { createChat, type Chat, type ChatEvent, type ChatOptions } from "../../widget/chat.ts";
import { ApiProblem } from "../../widget/problem.ts";
import type { ToolBlock } from "../../widget/transcript.ts";
import { requested } from "../support/approval-drafts.ts";
import { completed, delta } from "../support/log-drafts.ts";
import { messageEvents } from "../support/transcript-drafts.ts";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import { settle, type Tab } from "./fake-browser.ts";
import { gateway, openScene, type Scene } from "./scene.ts";

let scene: Scene;
let open: Opened[] = [];
beforeEach(async () => {
  scene = await openScene();
});
afterEach(async () => {
  for (const one of open) one.close();
  open = [];
  await scene.close();
});

interface Opened {
  readonly chat: Chat;
  readonly api: Api;
  readonly tab: Tab;
  readonly events: ChatEvent[];
  /** The prompts and answers that are shown, each as one text. */
  readonly texts: () => string[];
  close(): void;
}

function openChat(more: Partial<ChatOptions> & { tab?: Tab; user?: string } = {}): Opened {
  const { tab = scene.openTab(), user = "ann", agent = "default", ...options } = more;
  const api = createApi({ gateway, agent, browser: tab, getToken: () => scene.mint(user) });
  const events: ChatEvent[] = [];
  const chat = createChat({ api, agent, browser: tab, onEvent: (event) => events.push(event), ...options });
  const opened: Opened = {
    chat,
    api,
    tab,
    events,
    texts: () =>
      (chat.transcript.peek()?.messages ?? []).map(({ blocks }) =>
        blocks.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join(""),
      ),
    close() {
      chat.destroy();
      api.destroy();
    },
  };
  open.push(opened);
  return opened;
}

const isLive = ({ chat }: Opened) => until("it to be live", () => chat.connection.peek() === "live");
const isIdle = ({ chat }: Opened) => until("it to be idle", () => chat.connection.peek() === "idle");
const shows = (opened: Opened, texts: readonly string[]) =>
  until(
    `${JSON.stringify(texts)} where there is ${JSON.stringify(opened.texts())}`,
    () => JSON.stringify(opened.texts()) === JSON.stringify(texts),
  );
const turnsOf = ({ chat }: Opened) => [...(chat.transcript.peek()?.turns.values() ?? [])];
const posts = (path: RegExp) =>
  scene.requests.filter((request) => request.method === "POST" && path.test(request.path));

/** Sends it and lets it be answered. */
async function say(opened: Opened, prompt: string, answer: string): Promise<string> {
  const known = opened.chat.session.peek();
  const before = turnsOf(opened).length;
  await opened.chat.send(prompt);
  const session = opened.chat.session.peek()!;
  const driver = await scene.running(
    session,
    known === null ? 1 : (scene.app.drivers.get(session)?.requests.length ?? 0) + 1,
  );
  driver.say(...messageEvents(crypto.randomUUID(), answer));
  driver.finish(completed(answer));
  await until("the answer", () => turnsOf(opened)[before]?.state === "completed");
  return turnsOf(opened)[before]!.id;
}

describe("a new conversation", () => {
  test("has no session and no stream before its first prompt", async () => {
    const opened = openChat();
    await isIdle(opened);
    expect(opened.chat.session.peek()).toBeNull();
    expect(opened.chat.transcript.peek()).toBeNull();
    expect(opened.chat.isLoading.peek()).toBe(false);
    expect(scene.requests).toEqual([]);
  });

  test("becomes a session with it, and shows it at once and then the answer as it comes", async () => {
    const opened = openChat();
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
    expect(posts(/turns$/)[0]!.body).toEqual({ prompt: "hello", agent: "default" });
  });

  test("two prompts sent at once make one session, in their order; the second waits in the line", async () => {
    const opened = openChat();
    await Promise.all([opened.chat.send("one"), opened.chat.send("two")]);
    await shows(opened, ["one", "two"]);
    expect(turnsOf(opened).map(({ state }) => state)).toEqual(["running", "queued"]);
    expect(turnsOf(opened)[1]!.position).toBe(1);
    expect(new Set(posts(/turns$/).map(({ headers }) => headers.get("idempotency-key"))).size).toBe(2);
    const driver = await scene.running(opened.chat.session.peek()!);
    driver.finish();
    await until("the second to run", () => turnsOf(opened)[1]!.state === "running");
    expect(turnsOf(opened)[1]!.position).toBeNull();
  });

  test("nothing to say is not sent", async () => {
    const opened = openChat();
    await isIdle(opened);
    opened.chat.draft.value = "  \n ";
    await opened.chat.send();
    await opened.chat.send("");
    expect(scene.requests).toEqual([]);
    expect(opened.chat.draft.peek()).toBe("  \n ");
  });

  test("facts of the page go with the next prompt alone, and stand beside it", async () => {
    const opened = openChat();
    opened.chat.context.value = { page: "/orders/7" };
    await opened.chat.send("what is this?");
    expect(opened.chat.context.peek()).toBeNull();
    await opened.chat.send("and that?");
    expect(posts(/turns$/).map(({ body }) => (body as { context?: unknown }).context)).toEqual([
      { page: "/orders/7" },
      undefined,
    ]);
    await shows(opened, ["what is this?[context]", "and that?"]);
  });
});

describe("what outlives the page", () => {
  test("the last session of this agent and user is opened again, with all that was said, also in mid-answer", async () => {
    const first = openChat();
    await say(first, "one", "first");
    await first.chat.send("two");
    const session = first.chat.session.peek()!;
    const driver = await scene.running(session, 2);
    const [start, block, whole, ...end] = messageEvents("m2", "half and half");
    driver.say(start!, block!, delta("half", 0, { message: "m2" }));
    await shows(first, ["one", "first", "two", "half"]);
    first.close();
    const again = openChat();
    await shows(again, ["one", "first", "two", "half"]);
    expect(again.chat.session.peek()).toBe(session);
    driver.say(whole!, ...end);
    driver.finish(completed("half and half"));
    await shows(again, ["one", "first", "two", "half and half"]);
    const others = [openChat({ user: "bob" }), openChat({ agent: "other" }), openChat({ session: "new" })];
    for (const other of others) {
      await isIdle(other);
      expect(other.chat.session.peek()).toBeNull();
    }
  });

  test("a remembered session that is gone starts a new one; a named one is said to be gone", async () => {
    const first = openChat();
    await say(first, "one", "first");
    const session = first.chat.session.peek()!;
    first.close();
    await scene.app.request(`/api/sessions/${session}`, { key: mainKey, method: "DELETE" });
    const again = openChat();
    await isIdle(again);
    expect([again.chat.session.peek(), again.chat.problem.peek()]).toEqual([null, null]);
    const named = openChat({ session });
    await until("it to be gone", () => named.chat.connection.peek() === "gone");
    expect(named.chat.problem.peek()).toMatchObject({ code: "not_found" });
  });

  test("a draft is kept for each session", async () => {
    const first = openChat();
    await isIdle(first);
    first.chat.draft.value = "for a new one";
    first.close();
    const second = openChat();
    await isIdle(second);
    expect(second.chat.draft.peek()).toBe("for a new one");
    await second.chat.send();
    second.chat.draft.value = "for this one";
    second.chat.newSession();
    expect(second.chat.draft.peek()).toBe("");
    second.close();
    expect([...scene.storage.values()]).toContain("for this one");
  });

  test("a draft that a page sets before anything is known stays", async () => {
    const opened = openChat();
    opened.chat.draft.value = "set early";
    await isIdle(opened);
    expect(opened.chat.draft.peek()).toBe("set early");
  });

  test("where nothing may be stored everything works, and is forgotten", async () => {
    const storage = () => {
      throw new DOMException("denied", "SecurityError");
    };
    const tab = scene.openTab({ storage });
    const opened = openChat({ tab });
    opened.chat.draft.value = "x";
    await say(opened, "one", "first");
    opened.close();
    const again = openChat({ tab });
    await isIdle(again);
    expect(again.chat.draft.peek()).toBe("");
  });

  test("[T2] a queued prompt's place is known after a reload as well", async () => {
    const first = openChat();
    await Promise.all([first.chat.send("one"), first.chat.send("two")]);
    await shows(first, ["one", "two"]);
    first.close();
    const again = openChat();
    await until("its place", () => turnsOf(again)[1]?.position === 1);
  });
});

describe("prompts that do not arrive", () => {
  test("[T3] one whose answer was lost is sent again under the same key, and made once", async () => {
    const opened = openChat();
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
    expect(posts(/turns$/)).toHaveLength(2);
    const { turns } = await scene.app.json<{ turns: unknown[] }>("/api/turns", { key: mainKey });
    expect(turns).toHaveLength(1);
  });

  test("those sent while offline go out by themselves when the connection is back", async () => {
    const opened = openChat();
    await say(opened, "one", "first");
    await isLive(opened);
    scene.setOnline(false);
    await opened.chat.send("two");
    expect(opened.chat.pending.peek()).toMatchObject([{ problem: { code: "unreachable" } }]);
    scene.setOnline(true);
    await shows(opened, ["one", "first", "two"]);
    expect(opened.chat.pending.peek()).toEqual([]);
  });

  test("one that is refused says why, and can be dropped", async () => {
    const opened = openChat({ agent: "nobody" });
    await opened.chat.send("hello?");
    const [pending] = opened.chat.pending.peek();
    expect(pending!.problem!.code).toMatch(/not_found|invalid_request/);
    opened.chat.dropPending(pending!.id);
    expect(opened.chat.pending.peek()).toEqual([]);
    expect(opened.chat.session.peek()).toBeNull();
  });

  test("what was sent to one conversation is not shown in another, and arrives where it belongs", async () => {
    const opened = openChat();
    await say(opened, "one", "first");
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

describe("what a person does with turns", () => {
  test("[T4] stop ends it on the gateway, and keeps what was said", async () => {
    const opened = openChat();
    await opened.chat.send("long");
    const driver = await scene.running(opened.chat.session.peek()!);
    driver.say(...messageEvents("m1", "so far"));
    await shows(opened, ["long", "so far"]);
    await opened.chat.stop();
    await until("the end", () => turnsOf(opened)[0]!.state === "cancelled");
    expect(turnsOf(opened)[0]!.by).toEqual({ key: "main", user: "ann" });
    expect(opened.texts()).toEqual(["long", "so far"]);
    await opened.chat.stop();
    expect(opened.chat.problem.peek()).toBeNull();
  });

  test("stop of a queued one takes that out of the line alone", async () => {
    const opened = openChat();
    await Promise.all([opened.chat.send("one"), opened.chat.send("two")]);
    await shows(opened, ["one", "two"]);
    await opened.chat.stop(turnsOf(opened)[1]!.id);
    await until("it to be cancelled", () => turnsOf(opened)[1]!.state === "cancelled");
    expect(turnsOf(opened)[0]!.state).toBe("running");
  });

  test("retry sends the prompt again, with its context and images", async () => {
    const opened = openChat();
    await isIdle(opened);
    await opened.chat.addImages([png()]);
    opened.chat.draft.value = "see";
    opened.chat.context.value = { page: 1 };
    await opened.chat.send();
    await shows(opened, ["see[image][context]"]);
    (await scene.running(opened.chat.session.peek()!)).finish();
    await opened.chat.retry(turnsOf(opened)[0]!.id);
    await shows(opened, ["see[image][context]", "see[image][context]"]);
  });

  test("edit goes on in a branch behind the turn before, with the new words; the old session stays as it was", async () => {
    const opened = openChat();
    await say(opened, "one", "first");
    await opened.chat.send("two");
    const session = opened.chat.session.peek()!;
    await shows(opened, ["one", "first", "two"]);
    const [, two] = turnsOf(opened);
    await opened.chat.edit(two!.id, "another two");
    expect(opened.chat.session.peek()).not.toBe(session);
    await shows(opened, ["one", "first", "another two"]);
    await opened.chat.openSession(session);
    await shows(opened, ["one", "first", "two"]);
    // What it was to answer is not wanted any more.
    expect(turnsOf(opened)[1]!.state).toBe("cancelled");
  });

  test("edit of the first one begins anew", async () => {
    const opened = openChat();
    await say(opened, "one", "first");
    const session = opened.chat.session.peek()!;
    await opened.chat.edit(turnsOf(opened)[0]!.id, "another");
    await shows(opened, ["another"]);
    expect(opened.chat.session.peek()).not.toBe(session);
    expect(posts(/fork$/)).toEqual([]);
  });

  test("an edit that cannot be is said, and nothing is lost", async () => {
    const opened = openChat();
    await Promise.all([opened.chat.send("one"), opened.chat.send("two")]);
    await shows(opened, ["one", "two"]);
    await opened.chat.edit(turnsOf(opened)[1]!.id, "another");
    expect(opened.chat.problem.peek()).toMatchObject({ code: "conflict" });
    expect(opened.texts()).toEqual(["one", "two"]);
  });

  test("a rating is shown at once, kept with the turn, there after a reload, and taken back where it failed", async () => {
    const opened = openChat();
    const turn = await say(opened, "one", "first");
    const rated = opened.chat.rate(turn, "up");
    expect(turnsOf(opened)[0]!.rating).toBe("up");
    await rated;
    expect(await scene.app.json(`/api/turns/${turn}`, { key: mainKey })).toMatchObject({ rating: "up" });
    const again = openChat();
    await until("the rating", () => turnsOf(again)[0]?.rating === "up");
    scene.intercept = () => new Response("", { status: 502 });
    await again.chat.rate(turn, "down");
    expect(turnsOf(again)[0]!.rating).toBe("up");
    expect(again.chat.problem.peek()).toMatchObject({ code: "unreachable" });
  });
});

function png(name = "dot.png"): File {
  const bytes = new Uint8Array([
    0x89,
    0x50,
    0x4e,
    0x47,
    0x0d,
    0x0a,
    0x1a,
    0x0a,
    ...crypto.getRandomValues(new Uint8Array(8)),
  ]);
  return new File([bytes], name, { type: "image/png" });
}
