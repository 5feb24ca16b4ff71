import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { createApi, type Api } from "../../widget/api.ts";
import { createChat, type Chat, type ChatEvent, type ChatOptions } from "../../widget/chat.ts";
import { ApiProblem } from "../../widget/problem.ts";
import type { Page, ToolBlock } from "../../widget/transcript.ts";
import { readAgent } from "../support/real-cli.ts";
import { requested } from "../support/approval-drafts.ts";
import { completed, delta } from "../support/log-drafts.ts";
import { messageEvents, storeTurn } from "../support/transcript-drafts.ts";
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
  const known = scene.app.drivers.get(opened.chat.session.peek() ?? "")?.requests.length ?? 0;
  const before = turnsOf(opened).length;
  await opened.chat.send(prompt);
  const driver = await scene.running(opened.chat.session.peek()!, known + 1);
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
    expect(turnsOf(again)[0]!.position).toBeNull();
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

  test("[T3] a second one does not begin another conversation while the first one's fate is not known", async () => {
    const opened = openChat();
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
      const opened = openChat();
      await isIdle(opened);
      scene.intercept = (request) => {
        if (!request.url.endsWith("/api/turns")) return undefined;
        if (when.includes("answer")) void scene.app.app.fetch(request);
        return new Promise<Response>(() => {});
      };
      void opened.chat.send("one");
      await until("the request", () => posts(/turns$/).length === 1);
      void opened.chat.send("two");
      opened.close();
      scene.intercept = () => undefined;
      const again = openChat({ tab: opened.tab });
      await shows(again, ["one", "two"]);
      expect(again.chat.pending.peek()).toEqual([]);
      const { turns } = await scene.app.json<{ turns: unknown[] }>("/api/turns", { key: mainKey });
      expect(turns).toHaveLength(2);
      again.close();
      const later = openChat({ tab: opened.tab });
      await isLive(later);
      expect(posts(/turns$/).length).toBe(3);
    },
  );

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
    expect(posts(/attachments$/)).toHaveLength(1);
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

/** A call of a tool that waits for a person. */
async function askForTool(opened: Opened, more: Parameters<typeof requested>[0] = {}) {
  await opened.chat.send("do it");
  const session = opened.chat.session.peek()!;
  const driver = await scene.running(session);
  driver.say(
    { type: "message_start", message: { id: "m1", model: "m" } },
    {
      type: "content_block_start",
      message: "m1",
      index: 0,
      content_block: { type: "tool_use", id: "toolu_1", name: "Bash" },
    },
    delta('{"command":"touch x"}', 0, { message: "m1", type: "input_json_delta" }),
    { type: "content_block_stop", message: "m1", index: 0 },
  );
  const { turn } = driver.requests[0]!;
  const { tool, tool_use_id, parent_tool_use_id, input, reason } = requested(more);
  const decided = scene.app.turns.approvals.ask(
    readAgent({ name: "default" }),
    session,
    { turn, tool, tool_use_id, parent_tool_use_id, input: input as Record<string, unknown>, reason, isPersonal: false },
    new AbortController().signal,
  );
  const approval = await until("the question", () => [...(opened.chat.transcript.peek()?.approvals.values() ?? [])][0]);
  return { approval, decided, driver };
}

describe("approvals", () => {
  test("are there as they are asked and after a reload, and the answer goes to the tool", async () => {
    const opened = openChat();
    const { approval, decided } = await askForTool(opened);
    expect(approval).toMatchObject({ tool: "Bash", input: { command: "touch x" }, decision: null });
    expect(turnsOf(opened)[0]!.state).toBe("waiting");
    const again = openChat();
    await until("the question", () => again.chat.transcript.peek()?.approvals.get(approval.id));
    const call = again.chat.transcript.peek()!.messages[1]!.blocks[0] as ToolBlock;
    expect(call.approval).toBe(approval.id);
    await again.chat.approve(approval.id, { decision: "allow", scope: "session" });
    expect(await decided).toMatchObject({ behavior: "allow" });
    for (const one of [opened, again])
      await until("the decision", () => one.chat.transcript.peek()!.approvals.get(approval.id)!.decision === "allow");
    expect(opened.chat.transcript.peek()!.approvals.get(approval.id)).toMatchObject({
      scope: "session",
      by: { key: "main", user: "ann" },
    });
  });

  test("a reason goes with a deny", async () => {
    const opened = openChat();
    const { approval, decided } = await askForTool(opened);
    await opened.chat.approve(approval.id, { decision: "deny", message: "not that file" });
    expect(await decided).toMatchObject({ behavior: "deny", message: "not that file" });
  });

  test("the second answer is told that somebody else was first", async () => {
    const opened = openChat();
    const { approval } = await askForTool(opened);
    await opened.chat.approve(approval.id, { decision: "allow" });
    const second = opened.chat.approve(approval.id, { decision: "deny" });
    await expect(second).rejects.toBeInstanceOf(ApiProblem);
    await expect(second).rejects.toMatchObject({ code: "conflict" });
    expect(opened.chat.problem.peek()).toMatchObject({ code: "conflict" });
  });
});

describe("images", () => {
  test("are uploaded as they are added, sent by their hash, and shown without being fetched again", async () => {
    const opened = openChat();
    await isIdle(opened);
    const adding = opened.chat.addImages([png("one.png"), png("two.png")]);
    expect(opened.chat.images.peek()).toMatchObject([
      { name: "one.png", state: "uploading", attachment: null },
      { name: "two.png", state: "uploading" },
    ]);
    await adding;
    const [first, second] = opened.chat.images.peek();
    expect(first).toMatchObject({ state: "ready", attachment: expect.stringMatching(/^[0-9a-f]{64}$/) as string });
    opened.chat.removeImage(second!.id);
    await opened.chat.send();
    expect(opened.chat.images.peek()).toEqual([]);
    await shows(opened, ["[image]"]);
    expect(opened.chat.transcript.peek()!.messages[0]!.blocks).toMatchObject([
      { attachment: first!.attachment, mediaType: "image/png" },
    ]);
    expect(await opened.chat.attachmentUrl(first!.attachment!)).toBe(first!.preview);
  });

  test("a prompt waits for those that are still on their way", async () => {
    const opened = openChat();
    await isIdle(opened);
    void opened.chat.addImages([png()]);
    opened.chat.draft.value = "look";
    const sent = opened.chat.send();
    expect(opened.chat.pending.peek()).toMatchObject([{ text: "look", images: [{ state: "uploading" }] }]);
    await sent;
    await shows(opened, ["look[image]"]);
  });

  test("one that fails is said, and tried again with the prompt", async () => {
    const opened = openChat();
    await isIdle(opened);
    scene.intercept = () => new Response("", { status: 502 });
    await opened.chat.addImages([png()]);
    expect(opened.chat.images.peek()).toMatchObject([{ state: "failed" }]);
    expect(opened.chat.problem.peek()).toMatchObject({ code: "unreachable" });
    scene.intercept = () => undefined;
    await opened.chat.send();
    await shows(opened, ["[image]"]);
  });

  test("what no model can read is refused here, and what only pretends to be an image there", async () => {
    const opened = openChat();
    await isIdle(opened);
    await opened.chat.addImages([new File(["x"], "notes.txt", { type: "text/plain" })]);
    expect(opened.chat.problem.peek()).toMatchObject({ code: "unsupported_media_type", detail: "notes.txt" });
    expect(opened.chat.images.peek()).toEqual([]);
    await opened.chat.addImages([new File(["not a png"], "fake.png", { type: "image/png" })]);
    expect(opened.chat.images.peek()).toMatchObject([{ state: "failed" }]);
  });

  test("attachments of the transcript are fetched once, as address and as text", async () => {
    const opened = openChat();
    await isIdle(opened);
    const file = png();
    const { attachment } = (await (await opened.api.request("POST", "/api/attachments", { body: file })).json()) as {
      attachment: string;
    };
    const [one, two] = await Promise.all([
      opened.chat.attachmentUrl(attachment),
      opened.chat.attachmentUrl(attachment),
    ]);
    expect(one).toBe(two);
    expect(await scene.urls.get(one)!.bytes()).toEqual(await file.bytes());
    expect(await opened.chat.attachmentText(attachment)).toContain("PNG");
    await expect(opened.chat.attachmentUrl("0".repeat(64))).rejects.toMatchObject({ code: "not_found" });
    await expect(opened.chat.attachmentUrl("0".repeat(64))).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("sessions", () => {
  test("are listed, searched, renamed, opened again, and left for a new one", async () => {
    const opened = openChat();
    await say(opened, "about apples", "yes");
    const apples = opened.chat.session.peek()!;
    opened.chat.newSession();
    expect([opened.chat.session.peek(), opened.chat.transcript.peek()]).toEqual([null, null]);
    await scene.advance(1000);
    await say(opened, "about pears", "no");
    const pears = opened.chat.session.peek()!;
    const names = async (query: string) =>
      (await opened.chat.listSessions(query)).sessions.map(({ session, title, state }) => [session, title, state]);
    expect(await names("")).toEqual([
      [pears, "about pears", "completed"],
      [apples, "about apples", "completed"],
    ]);
    expect(await names("apples")).toEqual([[apples, "about apples", "completed"]]);
    await opened.chat.openSession(apples);
    await isLive(opened);
    expect(opened.texts()).toEqual(["about apples", "yes"]);
    await opened.chat.renameSession(apples, "fruit");
    await until("the new title", () => opened.chat.transcript.peek()!.title === "fruit");
    await expect(opened.chat.renameSession(apples, " ")).rejects.toMatchObject({ code: "invalid_request" });
    const bobs = openChat({ user: "bob" });
    expect(await bobs.chat.listSessions("")).toEqual({ sessions: [], next: null });
  });

  test("a long list comes in pages", async () => {
    const { mint } = scene;
    const { token } = await mint();
    for (let index = 0; index < 35; index++)
      await scene.app.json("/api/sessions", { key: token, json: { agent: "default", title: `s${index}` } });
    const { chat } = openChat();
    const first = await chat.listSessions("");
    const second = await chat.listSessions("", first.next!);
    expect([first.sessions.length, second.sessions.length, second.next]).toEqual([30, 5, null]);
  });

  test("one that is opened before it is known who asks is opened then", async () => {
    const first = openChat();
    await say(first, "one", "first");
    const session = first.chat.session.peek()!;
    first.chat.newSession();
    const second = openChat();
    await second.chat.openSession(session);
    expect(second.texts()).toEqual(["one", "first"]);
    const third = openChat();
    third.chat.newSession();
    await isIdle(third);
    expect(third.chat.session.peek()).toBeNull();
  });

  test("[S4] one that is removed while it is shown is said to be gone, and what was said stays", async () => {
    const opened = openChat();
    await say(opened, "one", "first");
    await isLive(opened);
    await scene.app.request(`/api/sessions/${opened.chat.session.peek()}`, { key: mainKey, method: "DELETE" });
    await until("it to be gone", () => opened.chat.connection.peek() === "gone");
    expect(opened.texts()).toEqual(["one", "first"]);
    expect(opened.chat.transcript.peek()!.isDeleted).toBe(true);
  });
});

describe("a long conversation", () => {
  const count = 130;
  async function openLong(): Promise<Opened> {
    const { token } = await scene.mint();
    const { session } = await scene.app.json("/api/sessions", { key: token, json: { agent: "default" } });
    for (let index = 0; index < count; index++)
      await storeTurn(scene.app.store, session!, { prompt: `p${index}`, texts: [`a${index}`] });
    return openChat({ session: session! });
  }
  const all = Array.from({ length: count }, (_, index) => [`p${index}`, `a${index}`]).flat();

  test("shows its newest page, and older ones as they are wanted", async () => {
    const opened = await openLong();
    await isLive(opened);
    expect(opened.texts()).toEqual(all.slice(-100));
    await Promise.all([opened.chat.loadOlder(), opened.chat.loadOlder()]);
    expect(opened.texts()).toEqual(all.slice(-200));
    await opened.chat.loadOlder();
    expect(opened.texts()).toEqual(all);
    await opened.chat.loadOlder();
    expect(opened.texts()).toEqual(all);
    expect(scene.requests.filter(({ path }) => path.includes("/transcript"))).toHaveLength(3);
    expect([...opened.chat.transcript.peek()!.turns.values()].map(({ state }) => state)).toEqual(
      Array(count).fill("completed"),
    );
  });

  test("is exported whole, as Markdown and as JSON", async () => {
    const opened = await openLong();
    await isLive(opened);
    const markdown = await (await opened.chat.exportTranscript("md")).text();
    expect(markdown).toContain("p0");
    expect(markdown).toContain(`a${count - 1}`);
    const json = JSON.parse(await (await opened.chat.exportTranscript("json")).text()) as Page;
    expect(json.messages.map(({ id }) => id)).toEqual([...new Set(json.messages.map(({ id }) => id))]);
    expect(json.messages).toHaveLength(2 * count);
    expect(json.turns).toHaveLength(count);
    expect(json.next_cursor).toBeNull();
  });
});

describe("what comes in odd ways", () => {
  test("[L5] after a gap the page is fetched anew, and goes on", async () => {
    const opened = openChat();
    await say(opened, "one", "first");
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
    await say(opened, "two", "second");
    expect(opened.texts()).toEqual(["one", "first", "two", "second"]);
    expect(opened.chat.transcript.peek()!.hasGap).toBe(false);
  });

  test("a hole that nothing fills is mended from the transcript", async () => {
    const opened = openChat();
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
    const first = openChat();
    await say(first, "one", "first");
    first.close();
    scene.isOnline = false;
    const opened = openChat();
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
    const first = openChat();
    await say(first, "one", "first");
    const chat = createChat({ api, agent: "default", browser: tab, session: first.chat.session.peek()! });
    await until("it to be said", () => chat.connection.peek() === "signed_out");
    expect(chat.problem.peek()).toBeNull();
    isSignedIn = true;
    chat.reconnect();
    await until("it to be live", () => chat.connection.peek() === "live");
    chat.destroy();
  });

  test("the back/forward cache: left with nothing held, and gone on with when it comes back", async () => {
    const opened = openChat();
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
    const opened = openChat();
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
    const opened = openChat();
    const { approval, driver } = await askForTool(opened);
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
    const again = openChat();
    await isLive(again);
    expect(again.events.filter(({ type }) => !["status", "session"].includes(type))).toEqual([]);
  });
});

test("`destroy` leaves nothing: no timer, listener, lock, channel, stream or blob: address", async () => {
  const opened = openChat();
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
