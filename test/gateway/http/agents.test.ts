import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import type { EventOf } from "../../../gateway/protocol/events.ts";
import { turnFailed, failure } from "../../../gateway/claude/outcome.ts";
import { gatewayCaller } from "../../../gateway/protocol/callers.ts";
import { question } from "../../support/approval-drafts.ts";
import { completed } from "../../support/log-drafts.ts";
import { readAgent } from "../../support/real-cli.ts";
import type { ScriptedDriver } from "../../support/scripted-driver.ts";
import { until } from "../../support/wait.ts";
import {
  bossKey,
  mainKey,
  openWholeApp,
  type AppRequest,
  type WholeApp,
  type WholeAppOptions,
} from "../../support/whole-app.ts";

interface AgentJson {
  readonly name: string;
  readonly source: string;
  readonly now: {
    readonly state: string;
    readonly turns: { turn: string; session: string; state: string }[];
    readonly [field: string]: unknown;
  };
  readonly usage: Record<string, unknown> | null;
  readonly [field: string]: unknown;
}

let app: WholeApp;
const open = async (options: WholeAppOptions = {}) => (app = await openWholeApp(options));
afterEach(() => app.close());

const get = (name: string, key = mainKey) => app.json<AgentJson>(`/api/agents/${name}`, { key });
const create = (json: object) => app.json<AgentJson>("/api/agents", { key: mainKey, json });
const patch = (name: string, json: object) =>
  app.json<AgentJson>(`/api/agents/${name}`, { key: mainKey, method: "PATCH", json });
const remove = (name: string, query = "") =>
  app.request(`/api/agents/${name}${query}`, { key: mainKey, method: "DELETE" });
const tell = (name: string, json: object = {}, key = mainKey) =>
  app.json<{ turn: string; session: string }>(`/api/agents/${name}/message`, {
    key,
    json: { prompt: "hello", ...json },
  });
const driverOf = (session: string) => until("the process", () => app.drivers.get(session));
const runningDriver = async (session: string): Promise<ScriptedDriver> => {
  const driver = await driverOf(session);
  await until("its turn", () => driver.requests.length > 0);
  return driver;
};

async function refusal(path: string, init: AppRequest): Promise<unknown> {
  const reply = await app.request(path, { key: mainKey, ...init });
  const { code, field } = (await reply.json()) as Record<string, string>;
  return [reply.status, code, field];
}

const started: EventOf<"turn_started"> = {
  type: "turn_started",
  session: "s",
  model: "claude-x",
  permission_mode: "default",
  tools: ["Bash", "Read"],
  mcp_servers: [],
  claude_version: "2.1.330",
  api_key_source: "none",
  reused: false,
};

describe("GET /api/agents", () => {
  test("shows each agent's settings, and no program, prompt or secret that only the operator should know", async () => {
    const secret = { headers: { authorization: "Bearer secret-1" }, env: { KEY: "secret-2" } };
    await open({
      agents: [
        readAgent({
          name: "docs",
          description: "Knows the manual",
          model: "m",
          mcp_servers: { wiki: { type: "http", url: "http://x/secret-3", ...secret } },
          hooks: { Stop: [{ hooks: [{ type: "command", command: "secret-4" }] }] },
          subagents: { looker: { description: "x", prompt: "secret-5" } },
        }),
      ],
    });
    const { agents } = await app.json<{ agents: AgentJson[] }>("/api/agents", { key: mainKey });
    expect(agents).toMatchObject([
      {
        name: "docs",
        source: "file",
        description: "Knows the manual",
        model: "m",
        permission_mode: "default",
        allowed_tools: [],
        turn_timeout_s: 1800,
        mcp_servers: ["wiki"],
        hooks: ["Stop"],
        subagents: ["looker"],
        made_by: null,
        now: {
          state: "idle",
          turns: [],
          running: 0,
          queued: 0,
          processes: { live: 0, busy: 0, idle: 0, spare: 0 },
          last_error: null,
          in_force: null,
          paid_by: { api_key_source: null, limits: [] },
        },
        usage: null,
      },
    ]);
    expect(JSON.stringify(agents)).not.toContain("secret");
    expect(agents[0]).toEqual(await get("docs"));
  });

  test("shows what an agent does: working, then waiting for a person, then idle with what it has used", async () => {
    await open({ agents: [readAgent({ name: "default", running_turns: 1 })] });
    const { turn, session } = await tell("default");
    const driver = await runningDriver(session);
    driver.say(started);
    const queued = await tell("default");
    const working = await get("default");
    expect(working.now).toMatchObject({
      state: "working",
      turns: [{ turn, session, user: null, state: "running" }],
      running: 1,
      queued: 1,
      processes: { live: 1, busy: 1 },
      in_force: { model: "claude-x", tools: ["Bash", "Read"], claude_version: "2.1.330" },
      paid_by: { api_key_source: "none" },
    });
    const asked = new AbortController();
    const waiting = app.turns.approvals.ask(readAgent({ name: "default" }), session, question(turn), asked.signal);
    await until("it to wait", async () => (await get("default")).now.state === "waiting");
    expect((await get("default")).now.turns).toEqual([{ turn, session, user: null, state: "waiting" }]);
    asked.abort();
    await waiting;
    driver.finish({ ...completed("done"), usage: { input_tokens: 5, output_tokens: 7 }, cost_usd: 0.5 });
    await until("the next turn", () => driver.requests.length === 2);
    expect((await get("default")).now.turns).toMatchObject([{ turn: queued.turn, state: "running" }]);
    driver.finish(turnFailed(failure("overloaded"), ""));
    await until("it to be idle", async () => (await get("default")).now.state === "idle");
    expect(await get("default")).toMatchObject({
      now: {
        running: 0,
        queued: 0,
        processes: { live: 1, idle: 1 },
        last_error: { code: "overloaded", turn: queued.turn },
      },
      usage: { turns: 2, completed: 1, failed: 1, input_tokens: 5, output_tokens: 7, cost_usd: 0.5 },
    });
  });

  test("[A4] shows how busy it is to all, but only the caller's own turns, errors and usage", async () => {
    await open();
    const { turn, session } = await tell("default");
    const driver = await runningDriver(session);
    const other = await app.addKey("other");
    expect((await get("default", other)).now).toMatchObject({
      state: "working",
      turns: [],
      running: 1,
      processes: { busy: 1 },
    });
    expect((await get("default", bossKey)).now.turns).toMatchObject([{ turn }]);
    driver.finish(turnFailed(failure("overloaded"), ""));
    await until("it to be idle", async () => (await get("default")).now.state === "idle");
    expect(await get("default", other)).toMatchObject({ now: { last_error: null }, usage: null });
    expect(await get("default", bossKey)).toMatchObject({
      now: { last_error: { turn, session } },
      usage: { failed: 1 },
    });
  });

  test("[P5] shows the limit of the account that pays, and is limited while that stops its turns", async () => {
    await open();
    const { session } = await tell("default");
    const driver = await runningDriver(session);
    const resets_at = new Date(Date.now() + 3_600_000).toISOString();
    driver.say(started, {
      type: "rate_limit",
      status: "rejected",
      limit: "five_hour",
      resets_at,
      using_overage: false,
    });
    driver.finish(turnFailed(failure("rate_limited", undefined, resets_at), ""));
    await until("it to be limited", async () => (await get("default")).now.state === "limited");
    const limit = { limit: "five_hour", status: "rejected", resets_at, api_key_source: "none", stops_turns: true };
    expect((await get("default")).now["paid_by"]).toMatchObject({ api_key_source: "none", limits: [limit] });
    const usage = await app.json("/api/usage?by=api_key_source", { key: mainKey });
    expect(usage).toMatchObject({ rows: [{ api_key_source: "none", turns: 1, failed: 1 }], limits: [limit] });
    // No single user's business.
    expect((await app.json<AgentJson>("/api/agents/default?user=ann", { key: mainKey })).now["paid_by"]).toMatchObject({
      limits: [],
    });
  });
});

describe("an agent made by API", () => {
  test("is there at once, with what was given and the defaults, also after a restart", async () => {
    await open();
    mkdirSync(join(app.folder, "code"));
    const settings = {
      description: "Writes code",
      model: "m1",
      models: ["m1", "m2"],
      fallback_model: "m3",
      instructions: "Be brief.",
      allowed_tools: ["Bash(git *)"],
      disallowed_tools: ["WebFetch"],
      permission_mode: "plan",
      workspace: join(app.folder, "code"),
      max_model_turns: 5,
      max_budget_usd: 0.5,
      turn_timeout_s: 60,
      silence_timeout_s: 30,
      approval_timeout_s: 20,
      processes: 2,
      running_turns: 1,
      queue: 3,
      spares: 1,
    };
    const reply = await app.request("/api/agents", { key: mainKey, json: { name: "coder", ...settings } });
    expect([reply.status, reply.headers.get("location")]).toEqual([
      201,
      expect.stringMatching(/\/api\/agents\/coder$/),
    ]);
    expect(await reply.json()).toMatchObject({
      name: "coder",
      source: "api",
      made_by: "main",
      worktree: false,
      ...settings,
    });
    expect((await get("coder")).now.state).toBe("idle");
    const { session } = await tell("coder");
    (await runningDriver(session)).finish();
    expect(await app.store.agents(gatewayCaller)).toMatchObject([{ name: "coder", settings, madeBy: "main" }]);
  });

  test("is changed by PATCH, setting by setting, and null takes one back to its default", async () => {
    await open();
    await create({ name: "coder", model: "m1", turn_timeout_s: 60, description: "x" });
    expect(await patch("coder", { turn_timeout_s: null, instructions: "Be brief." })).toMatchObject({
      model: "m1",
      turn_timeout_s: 1800,
      instructions: "Be brief.",
      description: "x",
    });
    expect(await patch("coder", { model: null })).not.toHaveProperty("model");
    expect(await get("coder")).toMatchObject({ description: "x", instructions: "Be brief." });
  });

  test("a change holds from the next turn on, also for one that waits, and not for one that runs", async () => {
    await open();
    await create({ name: "coder", running_turns: 1, models: ["m1"] });
    const first = await tell("coder");
    const process = await runningDriver(first.session);
    const wish = { prompt: "x", agent: "coder", model: "m1" };
    const waiting = await app.json("/api/turns", { key: mainKey, json: wish });
    const other = await tell("coder", { reset: true });
    await patch("coder", { models: [] });
    expect(process.isEnded).toBe(false);
    process.finish();
    await until("the old process to end", () => process.isEnded);
    expect(await app.json(`/api/turns/${first.turn}`, { key: mainKey, headers: { prefer: "wait=30" } })).toMatchObject({
      state: "completed",
    });
    // What it asked for is not allowed any more.
    const refused = await app.json(`/api/turns/${waiting["turn"]}`, { key: mainKey, headers: { prefer: "wait=30" } });
    expect(refused).toMatchObject({ state: "failed", code: "internal", message: expect.stringContaining("model") });
    (await runningDriver(other.session)).finish();
    expect(await refusal("/api/turns", { json: wish })).toEqual([403, "forbidden", "model"]);
  });

  test("a wider cap lets turns that wait run at once", async () => {
    await open({ limits: { caller_share: 1 } });
    await create({ name: "coder", running_turns: 1 });
    const first = await tell("coder");
    const second = await tell("coder", { reset: true });
    await runningDriver(first.session);
    expect((await get("coder")).now).toMatchObject({ running: 1, queued: 1 });
    await patch("coder", { running_turns: 2 });
    await runningDriver(second.session);
    for (const { session } of [first, second]) app.drivers.get(session)!.finish();
  });

  test("is removed when it has nothing to do; its sessions can still be read, and go on no more", async () => {
    await open();
    await create({ name: "coder" });
    const { turn, session } = await tell("coder");
    const driver = await runningDriver(session);
    expect(await refusal("/api/agents/coder", { method: "DELETE" })).toEqual([409, "conflict", undefined]);
    expect((await get("coder")).now.state).toBe("working");
    driver.finish();
    await until("it to be idle", async () => (await get("coder")).now.state === "idle");
    expect(await (await remove("coder")).json()).toEqual({ name: "coder", removed: true });
    await until("its process to end", () => driver.isEnded);
    expect((await app.request("/api/agents/coder", { key: mainKey })).status).toBe(404);
    expect(await app.json(`/api/sessions/${session}/transcript`, { key: mainKey })).toMatchObject({ agent: "coder" });
    expect(await app.json(`/api/turns/${turn}`, { key: mainKey })).toMatchObject({ state: "completed" });
    expect(await refusal("/api/turns", { json: { prompt: "x", session } })).toEqual([404, "not_found", "agent"]);
    // Under the same name a new one begins, and knows nothing of the old one's conversation.
    await create({ name: "coder" });
    const again = await tell("coder");
    expect(again.session).not.toBe(session);
    (await runningDriver(again.session)).finish();
  });

  test("[L3] with force its turns are cancelled, those that wait first, whoever's they are", async () => {
    await open();
    await create({ name: "coder", running_turns: 1 });
    const other = await app.addKey("other");
    const mine = await tell("coder");
    const driver = await runningDriver(mine.session);
    const theirs = await tell("coder", {}, other);
    expect((await remove("coder", "?force=true")).status).toBe(200);
    expect(driver.requests).toHaveLength(1);
    const by = { key: "main" };
    expect(await app.json(`/api/turns/${mine.turn}`, { key: mainKey })).toMatchObject({ state: "cancelled", by });
    expect(await app.json(`/api/turns/${theirs.turn}`, { key: other })).toMatchObject({ state: "cancelled", by });
    expect(app.drivers.has(theirs.session)).toBe(false);
    await until("its process to end", () => driver.isEnded);
  });
});

describe("[A5] what the API cannot do", () => {
  test.each([
    "background_tasks",
    "billing",
    "file_mentions",
    "hooks",
    "mcp_servers",
    "public",
    "setting_sources",
    "slash_commands",
    "subagents",
    "supervises",
  ])("set %s: that is the file's alone", async (field) => {
    await open();
    const init = { [field]: ["x"] };
    expect(await refusal("/api/agents", { json: { name: "coder", ...init } })).toEqual([403, "forbidden", field]);
    await create({ name: "coder" });
    expect(await refusal("/api/agents/coder", { method: "PATCH", json: init })).toEqual([403, "forbidden", field]);
    expect((await app.json<{ agents: unknown[] }>("/api/agents", { key: mainKey })).agents).toHaveLength(3);
  });

  test.each<[object, unknown]>([
    [{ name: "Coder" }, [400, "invalid_request", "name"]],
    [{}, [400, "invalid_request", "name"]],
    [{ name: "coder", binary: "/bin/sh" }, [400, "invalid_request", "binary"]],
    [{ name: "coder", model: "--help me" }, [400, "invalid_request", "model"]],
    [{ name: "coder", allowed_tools: "Bash" }, [400, "invalid_request", "allowed_tools"]],
    // The CLI would be told nothing of the rules behind it.
    [{ name: "coder", disallowed_tools: ["x\u0000", "Bash"] }, [400, "invalid_request", "disallowed_tools"]],
    // No process starts with an argument of this length.
    [
      { name: "coder", allowed_tools: Array<string>(400).fill(`Bash(${"é".repeat(200)})`) },
      [400, "invalid_request", "allowed_tools"],
    ],
    [{ name: "coder", max_budget_usd: 0 }, [400, "invalid_request", "max_budget_usd"]],
    [{ name: "coder", spares: 21 }, [400, "invalid_request", "spares"]],
    [{ name: "coder", permission_mode: "root" }, [400, "invalid_request", "permission_mode"]],
    [{ name: "coder", permission_mode: "acceptEdits" }, [403, "forbidden", "permission_mode"]],
    [{ name: "coder", workspace: "/etc" }, [403, "forbidden", "workspace"]],
    [{ name: "coder", workspace: "/nowhere/at/all" }, [403, "forbidden", "workspace"]],
    [{ name: "coder", worktree: true }, [400, "invalid_request", "worktree"]],
    [{ name: "default" }, [409, "conflict", "name"]],
    [{ name: "taken" }, [409, "conflict", "name"]],
    [[], [400, "invalid_request", undefined]],
  ])("make %j", async (json, refused) => {
    await open();
    await create({ name: "taken", description: "first" });
    expect(await refusal("/api/agents", { json })).toEqual(refused);
    expect((await app.store.agents(gatewayCaller)).map(({ name }) => name)).toEqual(["taken"]);
    expect(await get("taken")).toMatchObject({ description: "first" });
  });

  test("change one into what it could not be made as, and leaves it as it was", async () => {
    await open();
    const before = await create({ name: "coder", model: "m" });
    for (const [json, refused] of [
      [{ permission_mode: "bypassPermissions" }, [403, "forbidden", "permission_mode"]],
      [{ name: "other-name" }, [400, "invalid_request", "name"]],
      [{ worktree: true }, [400, "invalid_request", "worktree"]],
      [{ queue: -1 }, [400, "invalid_request", "queue"]],
    ] as const)
      expect(await refusal("/api/agents/coder", { method: "PATCH", json })).toEqual(refused);
    expect(await get("coder")).toEqual(before);
  });

  test("change or remove an agent of the file", async () => {
    await open();
    for (const method of ["PATCH", "DELETE"]) {
      const reply = await app.request("/api/agents/default", { key: mainKey, method, json: {} });
      expect(reply.status).toBe(403);
      expect(await reply.json()).toMatchObject({
        code: "forbidden",
        detail: expect.stringContaining("configuration file"),
      });
    }
    expect((await get("default")).source).toBe("file");
  });

  test("make one of two names at once, or change what is just being removed", async () => {
    await open();
    const replies = await Promise.all(
      ["a", "b", "c"].map((description) =>
        app.request("/api/agents", { key: mainKey, json: { name: "coder", description } }),
      ),
    );
    expect(replies.map(({ status }) => status).toSorted((x, y) => x - y)).toEqual([201, 409, 409]);
    const { session } = await tell("coder");
    await runningDriver(session);
    const removing = remove("coder", "?force=true");
    const changing = await app.request("/api/agents/coder", { key: mainKey, method: "PATCH", json: { model: "m" } });
    expect([404, 409]).toContain(changing.status);
    expect((await removing).status).toBe(200);
    expect(await app.store.agents(gatewayCaller)).toEqual([]);
  });

  test("[A4] an agent that another key made is changed and removed by an administrator alone", async () => {
    await open();
    await create({ name: "coder", model: "sonnet" });
    const waiting = await tell("coder");
    const driver = await runningDriver(waiting.session);
    const other = await app.addKey("other", { scopes: ["turns", "agents", "manage_agents"] });
    for (const init of [{ json: { model: "opus" }, method: "PATCH" }, { method: "DELETE" }])
      expect(await refusal("/api/agents/coder?force=true", { ...init, key: other })).toEqual([
        403,
        "forbidden",
        undefined,
      ]);
    expect((await get("coder"))["model"]).toBe("sonnet");
    expect(await app.json(`/api/turns/${waiting.turn}`, { key: mainKey })).toMatchObject({ state: "running" });
    // It does make its own.
    expect((await app.request("/api/agents", { key: other, json: { name: "theirs" } })).status).toBe(201);
    expect((await app.request("/api/agents/theirs", { key: other, method: "DELETE" })).status).toBe(200);
    expect((await app.request("/api/agents/coder?force=true", { key: bossKey, method: "DELETE" })).status).toBe(200);
    await until("its process to end", () => driver.isEnded);
  });

  test("[A4] a key that was made without saying sees agents, and makes, changes and removes none", async () => {
    await open();
    await create({ name: "coder" });
    const key = await app.addKey("ordinary");
    expect((await app.request("/api/agents", { key })).status).toBe(200);
    for (const [path, init] of [
      ["/api/agents", { json: { name: "mine" } }],
      ["/api/agents/coder", { json: {}, method: "PATCH" }],
      ["/api/agents/coder", { method: "DELETE" }],
    ] as const) {
      const reply = await app.request(path, { ...init, key });
      expect([reply.status, await reply.json()]).toMatchObject([
        403,
        { detail: expect.stringContaining("--scopes manage_agents") },
      ]);
    }
  });

  test("[A4] go beyond a key's own agents: it sees, makes and changes no other", async () => {
    await open();
    const key = await app.addKey("limited", { agents: ["mine", "other"], scopes: ["agents", "manage_agents"] });
    const names = async () =>
      (await app.json<{ agents: AgentJson[] }>("/api/agents", { key })).agents.map(({ name }) => name);
    expect(await names()).toEqual(["other"]);
    expect(await refusal("/api/agents", { key, json: { name: "theirs" } })).toEqual([403, "forbidden", "name"]);
    // Not even whether there is one of that name.
    expect(await refusal("/api/agents", { key, json: { name: "default" } })).toEqual([403, "forbidden", "name"]);
    await app.json("/api/agents", { key, json: { name: "mine" } });
    expect(await names()).toEqual(["other", "mine"]);
  });
});

describe("POST /api/agents/{name}/message", () => {
  test("is a turn as any other, in the caller's standing session, in every rendering", async () => {
    await open();
    const reply = await app.request("/api/agents/default/message", { key: mainKey, json: { prompt: "one" } });
    expect(reply.status).toBe(202);
    const first = (await reply.json()) as { turn: string; session: string };
    expect(reply.headers.get("sluice-session")).toBe(first.session);
    expect(reply.headers.get("location")).toMatch(new RegExp(`/api/turns/${first.turn}$`));
    const driver = await runningDriver(first.session);
    driver.finish(completed("First."));

    const waited = app.request("/api/agents/default/message", {
      key: mainKey,
      json: { prompt: "two" },
      headers: { prefer: "wait=30" },
    });
    await until("the second", () => driver.requests.length === 2);
    driver.finish(completed("Second."));
    const second = await waited;
    expect(second.status).toBe(200);
    expect(await second.json()).toMatchObject({ session: first.session, state: "completed", answer: "Second." });

    const streamed = await app.request("/api/agents/default/message", {
      key: mainKey,
      json: { prompt: [{ type: "text", text: "three" }] },
      headers: { accept: "application/x-ndjson" },
    });
    expect(streamed.headers.get("content-type")).toContain("application/x-ndjson");
    await until("the third", () => driver.requests.length === 3);
    driver.finish(completed("Third."));
    expect(await streamed.text()).toContain('"answer":"Third."');
  });

  test("[T3] with an Idempotency-Key a repeated one is the first turn", async () => {
    await open();
    const send = (prompt: string) =>
      app.request("/api/agents/default/message", {
        key: mainKey,
        json: { prompt },
        headers: { "idempotency-key": "k" },
      });
    const [first, again] = [await (await send("x")).json(), await (await send("x")).json()];
    expect((again as { turn: string }).turn).toBe((first as { turn: string }).turn);
    expect((await send("y")).status).toBe(422);
  });

  test("?user= has a standing session of its own, and so has that user's token", async () => {
    await open();
    const mine = await tell("default");
    const anns = await app.json("/api/agents/default/message?user=ann", { key: mainKey, json: { prompt: "x" } });
    expect(anns["session"]).not.toBe(mine.session);
    const { token } = await app.json("/api/tokens", { key: mainKey, json: { user: "ann" } });
    expect((await tell("default", {}, token)).session).toBe(anns["session"]);
  });

  test.each<[string, object, unknown]>([
    ["default", {}, [400, "invalid_request", "prompt"]],
    ["default", { prompt: "" }, [400, "invalid_request", "prompt"]],
    ["default", { prompt: "x", reset: "yes" }, [400, "invalid_request", "reset"]],
    ["default", { prompt: "x", session: "y" }, [400, "invalid_request", "session"]],
    ["nobody", { prompt: "x" }, [404, "not_found", "agent"]],
    ["No-Name", { prompt: "x" }, [404, "not_found", "agent"]],
  ])("to %s with %j is refused, and makes nothing", async (name, json, refused) => {
    await open();
    expect(await refusal(`/api/agents/${name}/message`, { json })).toEqual(refused);
    expect(await app.store.sessions(gatewayCaller, { limit: 10 })).toEqual([]);
  });
});

test("tokens can be minted for an agent that was made by API", async () => {
  await open();
  await create({ name: "coder" });
  const { token } = await app.json("/api/tokens", { key: mainKey, json: { user: "ann", agents: ["coder"] } });
  const { session } = await tell("coder", {}, token);
  (await runningDriver(session)).finish();
  expect((await app.request("/api/agents/default/message", { key: token!, json: { prompt: "x" } })).status).toBe(404);
});
