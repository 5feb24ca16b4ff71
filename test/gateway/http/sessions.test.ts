// The routes of sessions without a socket: what they take and refuse, and what becomes of turns and streams when a session is removed.
import { randomUUID } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Caller } from "../../../gateway/protocol/callers.ts";
import { sseParser, type WireEvent } from "../../support/reader.ts";
import { openSessionApp, owner, type SessionApp } from "../../support/session-app.ts";
import { until } from "../../support/wait.ts";

let app: SessionApp;
beforeEach(() => {
  app = openSessionApp();
});
afterEach(() => app.close());

interface Session {
  readonly session: string;
  readonly title: string | null;
  readonly state: string | null;
  readonly last_seq: number;
  readonly [field: string]: unknown;
}

async function json<T = Record<string, unknown>>(reply: Response | Promise<Response>): Promise<T> {
  return (await (await reply).json()) as T;
}

const create = (body: Record<string, unknown> = {}) => json<Session>(app.request("POST", "/api/sessions", body));
const prompt = (session: string, body: Record<string, unknown> = {}) =>
  app.request("POST", "/api/turns", { prompt: "hello", session, ...body });

/** A session whose first turn has ended; all of them, of as many as are asked. */
async function answered(turns = 1, body: Record<string, unknown> = {}): Promise<{ session: string; turns: string[] }> {
  const { session } = await create(body);
  const ids: string[] = [];
  for (let index = 0; index < turns; index++) {
    const { turn } = await json<{ turn: string }>(prompt(session, { prompt: `prompt ${index + 1}` }));
    await stateOf(turn, "completed");
    ids.push(turn);
  }
  return { session, turns: ids };
}

const stateOf = (turn: string, state: string) =>
  until(`turn ${state}`, async () => (await json(app.request("GET", `/api/turns/${turn}`)))["state"] === state, 30_000);

async function refusal(reply: Response | Promise<Response>): Promise<[number, unknown, unknown]> {
  const { status } = await reply;
  const body = await json(reply);
  return [status, body["code"], body["field"]];
}

/** Everything of a stream, as long as it lasts. */
async function read(reply: Response): Promise<WireEvent[]> {
  const events: WireEvent[] = [];
  const parse = sseParser((event) => events.push(event));
  for await (const chunk of reply.body!.pipeThrough(new TextDecoderStream())) parse(chunk);
  return events;
}

/** Rows that any table has of a session. */
function rowsOf(session: string): Record<string, number> {
  const database = new DatabaseSync(app.file, { readOnly: true });
  const tables = database
    .prepare(`SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c WHERE c.name = 'session'`)
    .all() as { name: string }[];
  const counts = tables.map(({ name }) => {
    const row = database.prepare(`SELECT count(*) AS count FROM "${name}" WHERE session = ?`).get(session);
    return [name, (row as { count: number }).count] as const;
  });
  database.close();
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

describe("a session", () => {
  test("is made ahead, named, read, renamed and found in the list", async () => {
    const reply = await app.request("POST", "/api/sessions", { agent: "other", title: "  Harbour  ", user: "ann" });
    const made = await json<Session>(reply);
    expect(reply.status).toBe(201);
    expect(reply.headers.get("location")).toBe(`https://gateway.example/api/sessions/${made.session}`);
    expect(reply.headers.get("sluice-session")).toBe(made.session);
    expect(made).toMatchObject({ agent: "other", title: "Harbour", user: "ann", state: null, last_seq: 0 });
    expect(await json(app.request("GET", `/api/sessions/${made.session.toUpperCase()}`))).toEqual(made);
    const renamed = await json<Session>(app.request("PATCH", `/api/sessions/${made.session}`, { title: "Port" }));
    expect(renamed).toEqual({ ...made, title: "Port", last_seq: 1 });
    expect(await json(app.request("GET", "/api/sessions?agent=other"))).toEqual({
      sessions: [renamed],
      next_cursor: null,
    });
    expect(app.started).toEqual([]);
  });

  test("that is renamed tells its readers", async () => {
    const { session } = await create();
    const stream = await app.request("GET", `/api/sessions/${session}/events`);
    const reading = read(stream);
    await app.request("PATCH", `/api/sessions/${session}`, { title: "New name" });
    await app.request("DELETE", `/api/sessions/${session}`);
    expect((await reading).filter(({ type }) => type !== "ping")).toMatchObject([
      { seq: 1, type: "session_changed", turn: null, title: "New name" },
      { type: "session_deleted" },
    ]);
  });

  test.each<[string, string, unknown, number, string, string | undefined]>([
    ["POST", "", { agent: 5 }, 400, "invalid_request", "agent"],
    ["POST", "", { agent: "nobody" }, 404, "not_found", "agent"],
    ["POST", "", { title: "" }, 400, "invalid_request", "title"],
    ["POST", "", { title: "   " }, 400, "invalid_request", "title"],
    ["POST", "", { title: "x".repeat(201) }, 400, "invalid_request", "title"],
    ["POST", "", { user: "" }, 400, "invalid_request", "user"],
    ["POST", "", { session: randomUUID() }, 400, "invalid_request", "session"],
    ["POST", "", [], 400, "invalid_request", undefined],
    ["POST", "", "null", 400, "invalid_request", undefined],
    ["POST", "", "{", 400, "invalid_request", undefined],
    ["PATCH", "/known", {}, 400, "invalid_request", "title"],
    ["PATCH", "/known", { title: null }, 400, "invalid_request", "title"],
    ["PATCH", "/known", { title: "x", agent: "other" }, 400, "invalid_request", "agent"],
    ["PATCH", `/${randomUUID()}`, { title: "x" }, 404, "not_found", undefined],
    ["PATCH", "/no-uuid", { title: "x" }, 404, "not_found", undefined],
    ["DELETE", `/${randomUUID()}`, undefined, 404, "not_found", undefined],
    ["DELETE", "/%00", undefined, 404, "not_found", undefined],
    ["GET", "/known%20", undefined, 404, "not_found", undefined],
    ["POST", "/known/fork", { turn: 1 }, 400, "invalid_request", "turn"],
    ["POST", "/known/fork", { turn: "x" }, 400, "invalid_request", "turn"],
    ["POST", "/known/fork", { turn: randomUUID() }, 404, "not_found", "turn"],
    ["POST", "/known/fork", { at: 1 }, 400, "invalid_request", "at"],
    ["POST", `/${randomUUID()}/fork`, {}, 404, "not_found", undefined],
    ["POST", `/${randomUUID()}/warm`, undefined, 404, "not_found", undefined],
    ["GET", `/${randomUUID()}/events`, undefined, 404, "not_found", undefined],
    ["GET", "/known/events?after=x", undefined, 400, "invalid_request", "after"],
  ])("%s /api/sessions%s with %j is %d %s", async (method, path, body, status, code, field) => {
    const { session } = await answered();
    const before = await json(app.request("GET", "/api/sessions"));
    const reply = app.request(method, `/api/sessions${path.replace("known", session)}`, body);
    expect(await refusal((await reply).clone())).toEqual([status, code, field]);
    expect(await json(app.request("GET", "/api/sessions"))).toEqual(before);
  });

  test("[A4] of somebody else is as unknown as one that does not exist, whatever is done to it", async () => {
    const { session, turns } = await answered(1, { user: "ann" });
    const strangers: Caller[] = [
      { key: "bob", user: null, reach: "key" },
      { key: "alice", user: "ben", reach: "user" },
    ];
    for (const stranger of strangers) {
      for (const [method, path, body] of [
        ["GET", "", undefined],
        ["PATCH", "", { title: "mine" }],
        ["DELETE", "", undefined],
        ["POST", "/fork", {}],
        ["POST", "/fork", { turn: turns[0] }],
        ["POST", "/warm", undefined],
        ["GET", "/events", undefined],
      ] as const) {
        const [theirs, none] = await Promise.all(
          [session, randomUUID()].map(async (id) => {
            const reply = await app.request(method, `/api/sessions/${id}${path}`, body, stranger);
            return `${reply.status} ${(await reply.text()).replaceAll(id, "ID")}`;
          }),
        );
        expect(theirs).toBe(none);
      }
      expect(await json(app.request("GET", "/api/sessions", undefined, stranger))).toMatchObject({ sessions: [] });
    }
    expect(await json(app.request("GET", `/api/sessions/${session}`))).toMatchObject({ title: "prompt 1" });
    // A branch cannot begin at another session's turn.
    const { session: own } = await answered();
    expect(await refusal((await app.request("POST", `/api/sessions/${own}/fork`, { turn: turns[0] })).clone())).toEqual(
      [404, "not_found", "turn"],
    );
  });
});

describe("the list", () => {
  test.each([
    ["limit=0", "limit"],
    ["limit=201", "limit"],
    ["limit=x", "limit"],
    ["limit=", "limit"],
    ["limit=1.5", "limit"],
    ["cursor=", "cursor"],
    ["cursor=nonsense", "cursor"],
    ["cursor=123.x", "cursor"],
    [`cursor=1e5.${randomUUID()}`, "cursor"],
    [`cursor=123.${randomUUID()}%00`, "cursor"],
    ["state=asleep", "state"],
    ["agent=No%20Agent", "agent"],
    ["since=yesterday", "since"],
    ["since=2026-01-01", "since"],
    ["until=2026-13-01T00:00:00Z", "until"],
    ["q=", "q"],
    ["q=%20", "q"],
    [`q=${"x".repeat(501)}`, "q"],
    [`q=${"x+".repeat(17)}`, "q"],
    [`q=${"x-".repeat(17)}`, "q"],
    ["user=", "user"],
    ["order=asc", "order"],
  ])("refuses ?%s, and names the field", async (query, field) => {
    expect(await refusal((await app.request("GET", `/api/sessions?${query}`)).clone())).toEqual([
      400,
      "invalid_request",
      field,
    ]);
  });

  test("is paged by its own cursors, and a cursor of a session that is gone still holds its place", async () => {
    const made: string[] = [];
    for (let index = 0; index < 7; index++) made.push((await create()).session);
    const whole = await json<{ sessions: Session[] }>(app.request("GET", "/api/sessions"));
    const ids = whole.sessions.map(({ session }) => session);
    expect(ids.toSorted()).toEqual(made.toSorted());
    const found: string[] = [];
    for (let cursor = ""; ;) {
      const page = await json<{ sessions: Session[]; next_cursor: string | null }>(
        app.request("GET", `/api/sessions?limit=3${cursor}`),
      );
      found.push(...page.sessions.map(({ session }) => session));
      if (page.next_cursor === null) break;
      cursor = `&cursor=${encodeURIComponent(page.next_cursor)}`;
      await app.request("DELETE", `/api/sessions/${found.at(-1)}`);
    }
    expect(found).toEqual(ids);
  });

  test("is filtered by time, state and words", async () => {
    const { session } = await answered();
    const { session: silent } = await create();
    const ids = async (query: string) =>
      (await json<{ sessions: Session[] }>(app.request("GET", `/api/sessions?${query}`))).sessions.map(
        (row) => row.session,
      );
    expect(await ids("q=PROMPT%201")).toEqual([session]);
    expect(await ids(`q=${encodeURIComponent('"answ')}`)).toEqual([session]);
    expect(await ids(`q=${encodeURIComponent("NEAR(")}`)).toEqual([]);
    expect(await ids("state=completed")).toEqual([session]);
    expect((await ids("since=2020-01-01T00:00:00%2B02:00")).toSorted()).toEqual([session, silent].toSorted());
    expect(await ids("until=2020-01-01T00:00:00Z")).toEqual([]);
  });
});

describe("a branch", () => {
  test("begins behind the newest turn that has ended, or behind one that is named, in the order of the conversation", async () => {
    const { session, turns } = await answered(3);
    app.held.add(session);
    const { turn: running } = await json<{ turn: string }>(prompt(session, { prompt: "still running" }));
    await stateOf(running, "running");
    const refused = await app.request("POST", `/api/sessions/${session}/fork`, { turn: running });
    expect(await refusal(refused.clone())).toEqual([409, "conflict", "turn"]);
    const prompts = async (options: object) => {
      const reply = await app.request("POST", `/api/sessions/${session}/fork`, options);
      const branch = await json<Session>(reply);
      expect([reply.status, reply.headers.get("location")]).toEqual([
        201,
        `https://gateway.example/api/sessions/${branch.session}`,
      ]);
      const { turns: copies } = await json<{ turns: { turn: string }[] }>(
        app.request("GET", `/api/turns?session=${branch.session}`),
      );
      const events = await app.store.events(owner, branch.session, 0, 1000);
      const queued = events.filter(({ type }) => type === "turn_queued");
      // Newest first, as in every list.
      expect(copies.map(({ turn }) => turn)).toEqual(queued.map(({ turn }) => turn).toReversed());
      return queued.map(({ json: text }) => (JSON.parse(text) as { prompt: { text: string }[] }).prompt[0]!.text);
    };
    expect(await prompts({})).toEqual(["prompt 1", "prompt 2", "prompt 3"]);
    expect(await prompts({ turn: turns[1] })).toEqual(["prompt 1", "prompt 2"]);
    app.answer(session);
  });

  test("has what had been said when a later prompt overtook an earlier one", async () => {
    const { session } = await answered();
    app.held.add(session);
    const post = async (text: string, more = {}) =>
      (await json<{ turn: string }>(prompt(session, { prompt: text, ...more }))).turn;
    const interrupted = await post("interrupted");
    await stateOf(interrupted, "running");
    const waiting = await post("waiting");
    const urgent = await post("urgent", { on_busy: "interrupt" });
    await stateOf(urgent, "running");
    app.answer(session);
    await stateOf(urgent, "completed");
    await stateOf(waiting, "running");
    const branch = await json<Session>(app.request("POST", `/api/sessions/${session}/fork`, { title: "Branch" }));
    expect(branch).toMatchObject({ title: "Branch", state: "completed" });
    const { turns } = await json<{ turns: Session[] }>(app.request("GET", `/api/turns?session=${branch.session}`));
    expect(turns.map(({ state }) => state)).toEqual(["completed", "cancelled", "completed"]);
    app.answer(session);
  });

  test("has new turn ids that sort as the old ones did, however many there are", async () => {
    const { session } = await answered(12);
    const branch = await json<Session>(app.request("POST", `/api/sessions/${session}/fork`, {}));
    const copies = (await app.store.turns(owner, { session: branch.session, limit: 50 })).toReversed();
    expect(copies.map(({ prompt: blocks }) => (blocks[0] as { text: string }).text)).toEqual(
      Array.from({ length: 12 }, (_, index) => `prompt ${index + 1}`),
    );
    expect(copies.map(({ firstSeq }) => firstSeq)).toEqual(
      copies.map(({ firstSeq }) => firstSeq).toSorted((a, b) => a - b),
    );
  });
});

describe("warming up", () => {
  test("starts the session's process once, also for a prompt that comes at the same moment", async () => {
    const { session } = await create();
    const [warm, turn] = await Promise.all([
      app.request("POST", `/api/sessions/${session}/warm`),
      prompt(session),
      app.request("POST", `/api/sessions/${session}/warm`),
    ]);
    expect(await json(warm)).toEqual({ session, warm: true });
    await stateOf((await json<{ turn: string }>(turn)).turn, "completed");
    expect(app.started).toEqual([session]);
  });

  test("[T6] is refused where turns have all the processes, and does not wait for their ends", async () => {
    const turns = [];
    for (let places = 4; places > 0; places--) {
      const { session } = await create();
      app.held.add(session);
      const { turn } = await json<{ turn: string }>(prompt(session));
      turns.push({ session, turn });
    }
    await Promise.all(turns.map(({ turn }) => stateOf(turn, "running")));
    await until("their processes", () => app.live.size === 4);
    const { session } = await create();
    const warm = await app.request("POST", `/api/sessions/${session}/warm`);
    expect([warm.status, warm.headers.get("retry-after")]).toEqual([503, "10"]);
    expect(await json(warm)).toMatchObject({ code: "no_capacity" });
    expect(app.started).not.toContain(session);
    for (const one of turns) app.answer(one.session);
    await Promise.all(turns.map(({ turn }) => stateOf(turn, "completed")));
  });
});

describe("removal", () => {
  const remove = (session: string) => app.request("DELETE", `/api/sessions/${session}`);

  test("cancels what runs and what waits, ends the process, and says what was removed", async () => {
    const { session } = await answered();
    app.held.add(session);
    const { turn } = await json<{ turn: string }>(prompt(session));
    const queued = [await prompt(session), await prompt(session)];
    await stateOf(turn, "running");
    const ids = [
      turn,
      ...(await Promise.all(queued.map((reply) => json<{ turn: string }>(reply)))).map((one) => one.turn),
    ];
    const streams = await Promise.all(ids.map((id) => app.request("GET", `/api/turns/${id}/events`)));
    const readings = streams.map(read);
    const reply = await remove(session);
    expect(reply.status).toBe(200);
    expect(await json(reply)).toEqual({
      session,
      removed: { turns: 4, events: expect.any(Number) as number, attachments: 0, cli_files: 0 },
    });
    for (const events of await Promise.all(readings))
      expect(events.at(-1)).toMatchObject({ type: "turn_cancelled", by: { key: "alice" } });
    expect(app.live.has(session)).toBe(false);
    expect(rowsOf(session)).toEqual({});
    for (const id of ids) expect((await app.request("GET", `/api/turns/${id}`)).status).toBe(404);
    expect((await remove(session)).status).toBe(404);
  });

  test("[S4] ends a session's stream with session_deleted, which has no id, and then it is 404", async () => {
    const { session } = await answered();
    const streams = [1, 2].map(() => app.request("GET", `/api/sessions/${session}/events`));
    const readings = (await Promise.all(streams)).map(read);
    await remove(session);
    for (const events of await Promise.all(readings)) {
      expect(events.at(-1)).toEqual({ type: "session_deleted", turn: null });
      expect(events.at(-2)).toMatchObject({ type: "turn_completed" });
    }
    expect((await app.request("GET", `/api/sessions/${session}/events`)).status).toBe(404);
    expect((await app.request("GET", `/api/sessions/${session}`)).status).toBe(404);
  });

  test("leaves nothing of turns that are posted meanwhile: each is taken and removed, or not found", async () => {
    for (let round = 0; round < 25; round++) {
      const { session } = await answered(round % 2);
      if (round % 3 === 0) app.held.add(session);
      if (round % 5 === 0) await prompt(session);
      const posts: Promise<Response>[] = [];
      for (let index = 0; index < round % 4; index++) posts.push(prompt(session));
      const removal = remove(session);
      for (let index = 0; index < 6; index++) {
        posts.push(prompt(session, { on_busy: index % 2 ? "interrupt" : "queue" }));
        for (let turns = index; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      }
      expect((await removal).status).toBe(200);
      const statuses = (await Promise.all(posts)).map(({ status }) => status);
      expect(statuses.filter((status) => status !== 202 && status !== 404)).toEqual([]);
      expect(statuses.at(-1)).toBe(404);
      expect(rowsOf(session)).toEqual({});
      expect(app.live.has(session)).toBe(false);
    }
  });

  test("leaves nothing of what else is asked meanwhile", async () => {
    for (let round = 0; round < 12; round++) {
      const { session } = await answered();
      const asks = [
        () => app.request("POST", `/api/sessions/${session}/warm`),
        () => app.request("PATCH", `/api/sessions/${session}`, { title: "x" }),
        () => app.request("POST", `/api/sessions/${session}/fork`, {}),
        () => remove(session),
      ];
      const early = round % 2 ? asks.map((ask) => ask()) : [];
      const removal = remove(session);
      for (let turns = round % 4; turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      const replies = await Promise.all([...early, removal, ...asks.map((ask) => ask())]);
      const statuses = replies.map(({ status }) => status);
      expect(statuses.filter((status) => ![200, 201, 404, 503].includes(status))).toEqual([]);
      expect(statuses.filter((status) => status === 200).length).toBeGreaterThan(0);
      expect(rowsOf(session)).toEqual({});
      await until("no process of it", () => !app.live.has(session));
      // Branches that were made before are whole.
      for (const reply of replies.filter(({ status }) => status === 201)) {
        const { session: branch } = await json<Session>(reply);
        expect(rowsOf(branch)).toMatchObject({ turns: 1 });
      }
    }
  });
});
