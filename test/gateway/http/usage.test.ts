import { afterEach, describe, expect, test } from "vitest";
import type { Caller } from "../../../gateway/protocol/callers.ts";
import type { EventBody } from "../../../gateway/protocol/events.ts";
import { openApp, type TestApp, type TestAppOptions } from "../../support/app.ts";
import { completed } from "../../support/log-drafts.ts";
import { readAgent } from "../../support/real-cli.ts";
import { until } from "../../support/wait.ts";

const service: Caller = { key: "alice", user: null, reach: "key" };
const ann: Caller = { key: "alice", user: "ann", reach: "user" };
const amy: Caller = { key: "alice", user: "amy", reach: "user" };
const noon = Date.parse("2026-05-10T12:00:00Z");
const hour = 60 * 60 * 1000;

let app: TestApp;
const open = (options: TestAppOptions = {}) => (app = openApp(options));
afterEach(() => app.close());

async function say(caller: Caller, body: object = {}): Promise<string> {
  const reply = await app.post(caller, "/api/turns", { prompt: "x", ...body });
  const { turn, ...refusal } = (await reply.json()) as { turn?: string };
  if (turn === undefined) throw new Error(JSON.stringify(refusal));
  await until("the turn's end", async () => (await app.turns.get(caller, turn)).endedAt !== null);
  return turn;
}
const json = async (reply: Promise<Response>) => (await (await reply).json()) as Record<string, never>;

describe("GET /api/usage", () => {
  const used: EventBody = { ...completed(), usage: { input_tokens: 10, output_tokens: 5 }, cost_usd: 0.25 };

  test("gives sums by day, agent or user, and each caller their own", async () => {
    let clock = noon;
    open({ answer: () => [used], now: () => clock, agents: [readAgent(), readAgent({ name: "default" })] });
    await say(service, { agent: "tester" });
    await say(ann, { agent: "tester" });
    clock += 24 * hour;
    await say(ann);
    const usage = (caller: Caller, query: string) => json(app.request(caller, `/api/usage${query}`));
    const sums = (turns: number) => ({
      turns,
      input_tokens: 10 * turns,
      output_tokens: 5 * turns,
      cost_usd: turns / 4,
    });
    expect(await usage(service, "")).toMatchObject({
      by: "day",
      since: null,
      until: null,
      total: { ...sums(3), completed: 3, failed: 0, cancelled: 0, cache_read_input_tokens: 0 },
      rows: [
        { day: "2026-05-11", ...sums(1) },
        { day: "2026-05-10", ...sums(2) },
      ],
      limits: [],
    });
    expect(await usage(service, "?by=agent")).toMatchObject({
      rows: [
        { agent: "tester", ...sums(2) },
        { agent: "default", ...sums(1) },
      ],
    });
    expect(await usage(service, "?by=user")).toMatchObject({
      rows: [
        { key: "alice", user: "ann", ...sums(2) },
        { key: "alice", user: null, ...sums(1) },
      ],
    });
    expect(await usage(ann, "?by=agent&since=2026-05-10&until=2026-05-10")).toMatchObject({
      total: sums(1),
      rows: [{ agent: "tester", ...sums(1) }],
    });
    expect(await usage(ann, "?since=2026-05-11")).toMatchObject({ total: sums(1) });
    expect(await usage(amy, "?by=user")).toMatchObject({ total: { turns: 0, cost_usd: 0 }, rows: [] });
  });

  test.each([
    ["by=week", "by"],
    ["since=yesterday", "since"],
    ["since=2026-02-30", "since"],
    ["until=2026-05-10T00:00:00Z", "until"],
    ["since=2026-05-11&until=2026-05-10", "until"],
    ["by=", "by"],
    ["limit=5", "limit"],
  ])("?%s is refused, naming the field", async (query, field) => {
    open();
    const reply = await app.request(service, `/api/usage?${query}`);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ code: "invalid_request", field });
  });
});

describe("a rejected limit", () => {
  const resetsAt = new Date(noon + 2 * hour).toISOString();
  const rejected: EventBody[] = [
    { type: "rate_limit", status: "rejected", limit: "five_hour", resets_at: resetsAt, using_overage: false },
    { type: "turn_failed", code: "rate_limited", message: "", retryable: true, resets_at: resetsAt, text: "" },
  ];
  const agents = [
    readAgent({ billing: "subscription", running_turns: 1 }),
    readAgent({ name: "same", billing: "subscription" }),
    readAgent({ name: "other", billing: "api_key" }),
  ];

  test("refuses further turns of that credential at once, with its end; others go on", async () => {
    let clock = noon;
    let isRejected = true;
    open({ agents, now: () => clock, answer: () => (isRejected ? rejected : [completed()]) });
    await say(service, { agent: "tester" });
    isRejected = false;
    clock = noon + hour / 6;
    for (const agent of ["tester", "same"]) {
      const reply = await app.post(service, "/api/turns", { prompt: "x", agent });
      expect(reply.status).toBe(429);
      expect(reply.headers.get("retry-after")).toBe(String((2 * 60 - 10) * 60));
      expect(await reply.json()).toMatchObject({ code: "rate_limited", resets_at: resetsAt });
    }
    expect(app.runs).toHaveLength(1);
    await say(service, { agent: "other" });
    const { limits } = await json(app.request(service, "/api/usage"));
    expect(limits).toMatchObject([
      { credential: "subscription", limit: "five_hour", status: "rejected", resets_at: resetsAt, using_overage: false },
    ]);
    expect(await json(app.request(ann, "/api/usage"))).toMatchObject({ limits: [] });
    clock = noon + 2 * hour;
    await say(service, { agent: "tester" });
  });

  test("[T3] a repeated request gets its first turn all the same", async () => {
    open({ agents, now: () => noon, answer: () => rejected });
    const post = () =>
      app.request(service, "/api/turns", {
        method: "POST",
        headers: { "content-type": "application/json", "idempotency-key": "k" },
        body: JSON.stringify({ prompt: "x", agent: "tester" }),
      });
    const { turn } = await json(post());
    await until("the end", async () => (await app.turns.get(service, turn!)).endedAt !== null);
    expect(await json(post())).toMatchObject({ turn, state: "failed" });
  });

  test("[L3] turns that wait fail when their time comes, without a process, and say when it resets", async () => {
    open({ agents, now: () => noon, answer: () => rejected });
    const replies = await Promise.all(
      [1, 2, 3].map((index) => app.post(service, "/api/turns", { prompt: `${index}`, agent: "tester" })),
    );
    const turns = await Promise.all(replies.map(async (reply) => ((await reply.json()) as { turn: string }).turn));
    for (const turn of turns) await until("its end", async () => (await app.turns.get(service, turn)).endedAt !== null);
    expect(app.runs).toHaveLength(1);
    for (const turn of turns)
      expect(await json(app.request(service, `/api/turns/${turn}`))).toMatchObject({
        state: "failed",
        code: "rate_limited",
        retryable: true,
        resets_at: resetsAt,
      });
  });
});

describe("PUT /api/turns/{turn}/rating", () => {
  const put = (caller: Caller, turn: string, body: unknown) =>
    app.request(caller, `/api/turns/${turn}/rating`, {
      method: "PUT",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });

  test("is shown with the turn, changed and taken back", async () => {
    open();
    const turn = await say(ann);
    const shown = async () => json(app.request(ann, `/api/turns/${turn}`));
    expect(await shown()).toMatchObject({ rating: null, rating_comment: null });
    const reply = await put(ann, turn, { rating: "down", comment: " too long " });
    expect(reply.status).toBe(200);
    expect(await reply.json()).toMatchObject({ turn, rating: "down", rating_comment: "too long" });
    expect(await shown()).toMatchObject({ state: "completed", rating: "down", rating_comment: "too long" });
    await put(service, turn, { rating: "up" });
    expect(await shown()).toMatchObject({ rating: "up", rating_comment: null });
    await put(ann, turn, { rating: null });
    expect(await shown()).toMatchObject({ rating: null, rating_comment: null });
  });

  test("[L9] by who may not see the turn is 404, whatever the body, and changes nothing", async () => {
    open();
    const turn = await say(ann);
    for (const caller of [amy, { ...ann, key: "bob" }])
      for (const body of [{ rating: "up" }, { rating: "sideways" }])
        expect((await put(caller, turn, body)).status).toBe(404);
    expect((await put(ann, "nonsense", { rating: "up" })).status).toBe(404);
    expect((await app.turns.get(ann, turn)).rating).toBeNull();
  });

  test.each([
    [{}, "rating"],
    [{ rating: "sideways" }, "rating"],
    [{ rating: null, comment: "why" }, "comment"],
    [{ rating: "up", comment: "" }, "comment"],
    [{ rating: "up", comment: "x".repeat(2001) }, "comment"],
    [{ rating: "up", stars: 5 }, "stars"],
  ])("%j is refused, naming the field", async (body, field) => {
    open();
    const reply = await put(ann, await say(ann), body);
    expect(reply.status).toBe(400);
    expect(await reply.json()).toMatchObject({ code: "invalid_request", field });
  });
});
