import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ApiProblem } from "../../widget/problem.ts";
import type { Page, ToolBlock } from "../../widget/transcript.ts";
import { completed } from "../support/log-drafts.ts";
import { messageEvents, storeTurn } from "../support/transcript-drafts.ts";
import { until } from "../support/wait.ts";
import { mainKey } from "../support/whole-app.ts";
import { isIdle, isLive, openChats, png, shows, turnsOf, type Chats, type Opened } from "./chats.ts";
import { settle } from "./fake-browser.ts";
import { openScene, type Scene } from "./scene.ts";

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

describe("what a person does with turns", () => {
  test("[T4] stop ends it on the gateway, and keeps what was said", async () => {
    const opened = chats.open();
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
    const opened = chats.open();
    await Promise.all([opened.chat.send("one"), opened.chat.send("two")]);
    await shows(opened, ["one", "two"]);
    await opened.chat.stop(turnsOf(opened)[1]!.id);
    await until("it to be cancelled", () => turnsOf(opened)[1]!.state === "cancelled");
    expect(turnsOf(opened)[0]!.state).toBe("running");
  });

  test("retry sends the prompt again, with its context and images", async () => {
    const opened = chats.open();
    await isIdle(opened);
    await opened.chat.addImages([png()]);
    opened.chat.draft.value = "see";
    opened.chat.context.value = { page: 1 };
    await opened.chat.send();
    await shows(opened, ["see[image][context]"]);
    (await scene.running(opened.chat.session.peek()!)).finish();
    await opened.chat.retry(turnsOf(opened)[0]!.id);
    await shows(opened, ["see[image][context]", "see[image][context]"]);
    expect(chats.posts(/attachments$/)).toHaveLength(1);
  });

  test("edit goes on in a branch behind the turn before, with the new words; the old session stays as it was", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
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

  test("edit behind one that was taken out of the line branches behind the last one that ran", async () => {
    const opened = chats.open();
    const first = await chats.say(opened, "one", "first");
    await opened.chat.send("two");
    await opened.chat.send("three");
    await until("three turns", () => turnsOf(opened).length === 3);
    const driver = await scene.running(opened.chat.session.peek()!, 2);
    await opened.chat.stop(turnsOf(opened)[2]!.id);
    await until("the third to be gone", () => turnsOf(opened)[2]!.state === "cancelled");
    driver.finish(completed("second"));
    await until("the second to end", () => turnsOf(opened)[1]!.state === "completed");
    const fourth = await chats.say(opened, "four", "fourth");
    const second = turnsOf(opened)[1]!.id;
    await opened.chat.edit(fourth, "another");
    expect(chats.posts(/fork$/).map(({ body }) => body)).toEqual([{ turn: second }]);
    expect(second).not.toBe(first);
  });

  test("edit of the first one begins anew", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    const session = opened.chat.session.peek()!;
    await opened.chat.edit(turnsOf(opened)[0]!.id, "another");
    await shows(opened, ["another"]);
    expect(opened.chat.session.peek()).not.toBe(session);
    expect(chats.posts(/fork$/)).toEqual([]);
  });

  test("edit of one that waits in line puts the new words in its place, in the same session", async () => {
    const opened = chats.open();
    await Promise.all([opened.chat.send("one"), opened.chat.send("two")]);
    await shows(opened, ["one", "two"]);
    const session = opened.chat.session.peek();
    await opened.chat.edit(turnsOf(opened)[1]!.id, "another");
    await shows(opened, ["one", "two", "another"]);
    expect(turnsOf(opened).map(({ state }) => state)).toEqual(["running", "cancelled", "queued"]);
    await opened.chat.edit(turnsOf(opened)[2]!.id, "and again");
    await shows(opened, ["one", "two", "another", "and again"]);
    expect(turnsOf(opened).map(({ state }) => state)).toEqual(["running", "cancelled", "cancelled", "queued"]);
    expect(opened.chat.session.peek()).toBe(session);
    expect(chats.posts(/fork$/)).toEqual([]);
  });

  test("an edit that cannot be is said, rejects, and leaves everything as it was", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    await opened.chat.send("two");
    await shows(opened, ["one", "first", "two"]);
    await scene.running(opened.chat.session.peek()!, 2);
    const session = opened.chat.session.peek();
    scene.intercept = ({ url }) =>
      url.endsWith("/fork") ? Response.json({ code: "no_capacity", detail: "full" }, { status: 503 }) : undefined;
    await expect(opened.chat.edit(turnsOf(opened)[1]!.id, "another")).rejects.toMatchObject({ code: "no_capacity" });
    expect(opened.chat.problem.peek()).toEqual({ code: "no_capacity", detail: "full" });
    expect(opened.texts()).toEqual(["one", "first", "two"]);
    expect(opened.chat.session.peek()).toBe(session);
    expect(turnsOf(opened)[1]!.endedAt).toBeNull();
  });

  test("what is edited goes to its branch, also where another session is opened meanwhile", async () => {
    const opened = chats.open();
    await chats.say(opened, "elsewhere", "there");
    const elsewhere = opened.chat.session.peek()!;
    opened.chat.newSession();
    await chats.say(opened, "one", "first");
    await chats.say(opened, "two", "second");
    const before = opened.chat.session.peek()!;
    const edited = opened.chat.edit(turnsOf(opened)[1]!.id, "another two");
    await until("the branch", () => opened.chat.session.peek() !== before);
    const branch = opened.chat.session.peek()!;
    await Promise.all([opened.chat.openSession(elsewhere), edited]);
    await shows(opened, ["elsewhere", "there"]);
    expect(opened.chat.session.peek()).toBe(elsewhere);
    await opened.chat.openSession(branch);
    await shows(opened, ["one", "first", "another two"]);
  });

  test.each(["listSessions", "renameSession", "exportTranscript"] as const)(
    "%s that fails is said, and rejects",
    async (act) => {
      const opened = chats.open();
      await chats.say(opened, "one", "first");
      const session = opened.chat.session.peek()!;
      scene.intercept = () => Response.json({ code: "no_capacity", detail: "full" }, { status: 503 });
      const acts = {
        listSessions: () => opened.chat.listSessions(""),
        renameSession: () => opened.chat.renameSession(session, "another"),
        exportTranscript: () => opened.chat.exportTranscript("json"),
      };
      await expect(acts[act]()).rejects.toMatchObject({ code: "no_capacity" });
      expect(opened.chat.problem.peek()).toEqual({ code: "no_capacity", detail: "full" });
    },
  );

  test("a rating is shown at once, kept with the turn, there after a reload, and taken back where it failed", async () => {
    const opened = chats.open();
    const turn = await chats.say(opened, "one", "first");
    const rated = opened.chat.rate(turn, "up");
    expect(turnsOf(opened)[0]!.rating).toBe("up");
    await rated;
    expect(await scene.app.json(`/api/turns/${turn}`, { key: mainKey })).toMatchObject({ rating: "up" });
    const again = chats.open();
    await until("the rating", () => turnsOf(again)[0]?.rating === "up");
    scene.intercept = () => new Response("", { status: 502 });
    await again.chat.rate(turn, "down");
    expect(turnsOf(again)[0]!.rating).toBe("up");
    expect(again.chat.problem.peek()).toMatchObject({ code: "unreachable" });
  });

  test("a rating reaches the other tabs of its session, once it is kept, and no other session", async () => {
    const opened = chats.open();
    const turn = await chats.say(opened, "one", "first");
    const session = opened.chat.session.peek()!;
    const [beside, other, elsewhere] = [
      chats.open({ session }),
      chats.open({ session }),
      chats.open({ session: "new" }),
    ];
    for (const tab of [beside, other]) await shows(tab, ["one", "first"]);
    await chats.say(elsewhere, "two", "second");
    await opened.chat.rate(turn, "up");
    for (const tab of [beside, other]) await until("the rating", () => turnsOf(tab)[0]!.rating === "up");
    await other.chat.rate(turn, null);
    for (const tab of [opened, beside]) await until("no rating", () => turnsOf(tab)[0]!.rating === null);
    expect(turnsOf(elsewhere)[0]!.rating).toBeNull();
    scene.intercept = ({ method }) => (method === "PUT" ? new Response("", { status: 502 }) : undefined);
    await opened.chat.rate(turn, "down");
    await settle();
    for (const tab of [opened, beside, other]) expect(turnsOf(tab)[0]!.rating).toBeNull();
  });
});

describe("approvals", () => {
  test("are there as they are asked and after a reload, and the answer goes to the tool", async () => {
    const opened = chats.open();
    const { approval, decided } = await chats.askForTool(opened);
    expect(approval).toMatchObject({ tool: "Bash", input: { command: "touch x" }, decision: null });
    expect(turnsOf(opened)[0]!.state).toBe("waiting");
    const again = chats.open();
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
    const opened = chats.open();
    const { approval, decided } = await chats.askForTool(opened);
    await opened.chat.approve(approval.id, { decision: "deny", message: "not that file" });
    expect(await decided).toMatchObject({ behavior: "deny", message: "not that file" });
  });

  test("the second answer is told that somebody else was first", async () => {
    const opened = chats.open();
    const { approval } = await chats.askForTool(opened);
    await opened.chat.approve(approval.id, { decision: "allow" });
    const second = opened.chat.approve(approval.id, { decision: "deny" });
    await expect(second).rejects.toBeInstanceOf(ApiProblem);
    await expect(second).rejects.toMatchObject({ code: "conflict" });
    expect(opened.chat.problem.peek()).toMatchObject({ code: "conflict" });
  });
});

describe("images", () => {
  test("are uploaded as they are added, sent by their hash, and shown without being fetched again", async () => {
    const opened = chats.open();
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
    // The same image may stand in a prompt.
    expect(scene.urls.has(second!.preview)).toBe(true);
    await opened.chat.send();
    expect(opened.chat.images.peek()).toEqual([]);
    await shows(opened, ["[image]"]);
    expect(opened.chat.transcript.peek()!.messages[0]!.blocks).toMatchObject([
      { attachment: first!.attachment, mediaType: "image/png" },
    ]);
    expect(await opened.chat.attachmentUrl(first!.attachment!)).toBe(first!.preview);
  });

  test("a prompt waits for those that are still on their way", async () => {
    const opened = chats.open();
    await isIdle(opened);
    void opened.chat.addImages([png()]);
    opened.chat.draft.value = "look";
    const sent = opened.chat.send();
    expect(opened.chat.pending.peek()).toMatchObject([{ text: "look", images: [{ state: "uploading" }] }]);
    await sent;
    await shows(opened, ["look[image]"]);
  });

  test("one that fails is said, and tried again with the prompt", async () => {
    const opened = chats.open();
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
    const opened = chats.open();
    await isIdle(opened);
    await opened.chat.addImages([new File(["x"], "notes.txt", { type: "text/plain" })]);
    expect(opened.chat.problem.peek()).toMatchObject({ code: "unsupported_media_type", detail: "notes.txt" });
    expect(opened.chat.images.peek()).toEqual([]);
    await opened.chat.addImages([new File(["not a png"], "fake.png", { type: "image/png" })]);
    expect(opened.chat.images.peek()).toMatchObject([{ state: "failed" }]);
  });

  test("attachments of the transcript are fetched once, as address and as text", async () => {
    const opened = chats.open();
    await isIdle(opened);
    const file = png();
    const { attachment } = (await (await opened.api.request("POST", "/api/attachments", { body: file })).json()) as {
      attachment: string;
    };
    scene.intercept = () => new Response("", { status: 502 });
    await expect(opened.chat.attachmentUrl(attachment)).rejects.toMatchObject({ code: "unreachable" });
    scene.intercept = () => undefined;
    const [one, two] = await Promise.all([
      opened.chat.attachmentUrl(attachment),
      opened.chat.attachmentUrl(attachment),
    ]);
    expect(one).toBe(two);
    expect(await scene.urls.get(one)!.bytes()).toEqual(await file.bytes());
    expect(await opened.chat.attachmentText(attachment)).toContain("PNG");
    // Of the page's own origin: as a document it would run in the page's name.
    const script = "<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>";
    for (const type of ["image/svg+xml", "text/html", "application/xhtml+xml"]) {
      scene.intercept = () => new Response(script, { headers: { "content-type": type } });
      const { type: kept } = scene.urls.get(await opened.chat.attachmentUrl(type))!;
      expect([type, kept]).toEqual([type, ""]);
    }
    scene.intercept = () => undefined;
    await expect(opened.chat.attachmentUrl("0".repeat(64))).rejects.toMatchObject({ code: "not_found" });
  });
});

describe("sessions", () => {
  test("are listed, searched, renamed, opened again, and left for a new one", async () => {
    const opened = chats.open();
    await chats.say(opened, "about apples", "yes");
    const apples = opened.chat.session.peek()!;
    opened.chat.newSession();
    expect([opened.chat.session.peek(), opened.chat.transcript.peek()]).toEqual([null, null]);
    await scene.advance(1000);
    await chats.say(opened, "about pears", "no");
    const pears = opened.chat.session.peek()!;
    const { token } = await scene.mint();
    await scene.app.json("/api/sessions", { key: token, json: { agent: "other", title: "another agent's" } });
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
    const bobs = chats.open({ user: "bob" });
    expect(await bobs.chat.listSessions("")).toEqual({ sessions: [], next: null });
  });

  test("a long list comes in pages", async () => {
    const { mint } = scene;
    const { token } = await mint();
    for (let index = 0; index < 35; index++)
      await scene.app.json("/api/sessions", { key: token, json: { agent: "default", title: `s${index}` } });
    const { chat } = chats.open();
    const first = await chat.listSessions("");
    const second = await chat.listSessions("", first.next!);
    expect([first.sessions.length, second.sessions.length, second.next]).toEqual([30, 5, null]);
  });

  test("one that is opened before it is known who asks is opened then", async () => {
    const first = chats.open();
    await chats.say(first, "one", "first");
    const session = first.chat.session.peek()!;
    first.chat.newSession();
    const second = chats.open();
    await second.chat.openSession(session);
    expect(second.texts()).toEqual(["one", "first"]);
    const third = chats.open();
    third.chat.newSession();
    await isIdle(third);
    expect(third.chat.session.peek()).toBeNull();
  });

  test("[S4] one that is removed while it is shown is said to be gone, and what was said stays", async () => {
    const opened = chats.open();
    await chats.say(opened, "one", "first");
    await isLive(opened);
    await scene.app.request(`/api/sessions/${opened.chat.session.peek()}`, { key: mainKey, method: "DELETE" });
    await until("it to be gone", () => opened.chat.connection.peek() === "gone");
    expect(opened.texts()).toEqual(["one", "first"]);
    expect(opened.chat.transcript.peek()!.isDeleted).toBe(true);
  });
});

describe("a long conversation", () => {
  const count = 50;
  async function openLong(): Promise<Opened> {
    const { token } = await scene.mint();
    const { session } = await scene.app.json("/api/sessions", { key: token, json: { agent: "default" } });
    for (let index = 0; index < count; index++)
      await storeTurn(scene.app.store, session!, { prompt: `p${index}`, texts: [`a${index}`] });
    return chats.open({ session: session! });
  }
  const all = Array.from({ length: count }, (_, index) => [`p${index}`, `a${index}`]).flat();

  test("shows its newest page, and older ones as they are wanted", async () => {
    const opened = await openLong();
    await isLive(opened);
    expect(opened.texts()).toEqual(all.slice(-40));
    const { turns: oldest } = await scene.app.json<Page>(
      `/api/sessions/${opened.chat.session.peek()}/transcript?limit=2`,
      { key: mainKey },
    );
    await scene.app.json(`/api/turns/${oldest[0]!.turn}/rating`, {
      key: mainKey,
      method: "PUT",
      json: { rating: "up" },
    });
    await Promise.all([opened.chat.loadOlder(), opened.chat.loadOlder()]);
    expect(opened.texts()).toEqual(all.slice(-80));
    await opened.chat.loadOlder();
    expect(opened.texts()).toEqual(all);
    await opened.chat.loadOlder();
    expect(opened.texts()).toEqual(all);
    expect(scene.requests.filter(({ path }) => path.includes("/transcript"))).toHaveLength(3);
    expect([...opened.chat.transcript.peek()!.turns.values()].map(({ state }) => state)).toEqual(
      Array(count).fill("completed"),
    );
    expect(turnsOf(opened)[0]!.rating).toBe("up");
  });

  test("older messages that cannot be had are said, and wanted again", async () => {
    const opened = await openLong();
    await isLive(opened);
    scene.intercept = () => new Response("", { status: 502 });
    await expect(opened.chat.loadOlder()).rejects.toMatchObject({ code: "unreachable" });
    expect(opened.chat.problem.peek()).toMatchObject({ code: "unreachable" });
    scene.intercept = () => undefined;
    await opened.chat.loadOlder();
    expect(opened.texts()).toEqual(all.slice(-80));
  });

  test("older messages of a conversation that was left meanwhile are no problem", async () => {
    const opened = await openLong();
    await isLive(opened);
    scene.intercept = ({ url, signal }) =>
      url.includes("cursor=")
        ? new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)))
        : undefined;
    const loading = opened.chat.loadOlder();
    await until("the page to be asked for", () => scene.requests.some(({ path }) => path.includes("cursor=")));
    opened.chat.newSession();
    await loading;
    expect(opened.chat.problem.peek()).toBeNull();
  });

  describe("a turn whose prompt is not loaded yet", () => {
    const texts = Array.from({ length: 90 }, (_, index) => `step ${index}`);
    async function openInMidTurn() {
      const { token } = await scene.mint();
      const { session } = await scene.app.json("/api/sessions", { key: token, json: { agent: "default" } });
      const first = await storeTurn(scene.app.store, session!, { prompt: "p1", texts: ["a1"] });
      const second = await storeTurn(scene.app.store, session!, { prompt: "p2", texts });
      const opened = chats.open({ session: session! });
      await isLive(opened);
      expect(opened.texts()).toEqual(texts.slice(-40));
      return { opened, first, second };
    }

    test("is asked again", async () => {
      const { opened, second } = await openInMidTurn();
      await opened.chat.retry(second);
      await expect.poll(() => opened.texts().at(-1)).toBe("p2");
    });

    test("is edited behind the turn before it", async () => {
      const { opened, first, second } = await openInMidTurn();
      await opened.chat.edit(second, "another");
      await shows(opened, ["p1", "a1", "another"]);
      expect(chats.posts(/fork$/).map(({ body }) => body)).toEqual([{ turn: first }]);
    });
  });

  test("is exported whole, as Markdown and as JSON", async () => {
    const opened = await openLong();
    await isLive(opened);
    const markdown = await (await opened.chat.exportTranscript("md")).text();
    expect(markdown).toContain("p0");
    expect(markdown).toContain(`a${count - 1}`);
    // In pages that end in the middle of a turn.
    scene.intercept = (request) =>
      request.url.includes("limit=1000")
        ? scene.app.app.fetch(new Request(request.url.replace("limit=1000", "limit=7"), request))
        : undefined;
    const json = JSON.parse(await (await opened.chat.exportTranscript("json")).text()) as Page;
    expect(json.messages.map(({ id }) => id)).toEqual([...new Set(json.messages.map(({ id }) => id))]);
    expect(json.messages).toHaveLength(2 * count);
    expect(json.turns).toHaveLength(count);
    expect(json.next_cursor).toBeNull();
  });
});
