// The tools of /mcp by the official client, on the whole app without a socket; the processes are scripted.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { failure, turnFailed } from "../../../gateway/claude/outcome.ts";
import { scopes, toolScopes } from "../../../gateway/protocol/scopes.ts";
import { question } from "../../support/approval-drafts.ts";
import { copyRepository } from "../../support/git-scene.ts";
import { completed, delta } from "../../support/log-drafts.ts";
import { connectMcp, textOf, type McpClient } from "../../support/mcp-client.ts";
import { readAgent } from "../../support/real-cli.ts";
import type { ScriptedDriver } from "../../support/scripted-driver.ts";
import { until } from "../../support/wait.ts";
import { bossKey, host, mainKey, openWholeApp, type WholeApp, type WholeAppOptions } from "../../support/whole-app.ts";

const agents = [
  readAgent({ name: "lead", supervises: ["coder"] }),
  readAgent({ name: "coder", description: "Writes code." }),
  readAgent({ name: "default" }),
];

let app: WholeApp;
const clients: McpClient[] = [];
beforeEach(() => open());
afterEach(close);

async function open(options: WholeAppOptions = {}): Promise<void> {
  app = await openWholeApp({ agents, ...options });
}

async function close(): Promise<void> {
  for (const client of clients.splice(0)) await client.close();
  await app.close();
}

async function connect(key: string | undefined = mainKey, query = ""): Promise<McpClient> {
  const client = await connectMcp(`http://${host}/mcp${query}`, {
    key,
    fetch: async (url, init = {}) => {
      const headers = new Headers(init.headers);
      headers.set("host", host);
      return app.app.request(String(url), { ...init, headers });
    },
  });
  clients.push(client);
  return client;
}

interface TurnData extends Record<string, unknown> {
  readonly turn: string;
  readonly session: string;
}

const driverOf = (session: string, turns = 1): Promise<ScriptedDriver> =>
  until("its process", () => {
    const driver = app.drivers.get(session);
    return driver && driver.requests.length >= turns && driver;
  });

/** The session of the only turn that runs of an agent, by the API. */
const runningOf = (agent: string) =>
  until("a turn that runs", async () => {
    const { turns } = await app.json<{ turns: TurnData[] }>(`/api/turns?agent=${agent}&state=running`, {
      key: bossKey,
    });
    return turns[0];
  });

describe("the tools", () => {
  test("are listed with what they take and give, and which of them change nothing", async () => {
    const { client } = await connect();
    const { tools } = await client.listTools();
    expect(tools.map(({ name }) => name).toSorted()).toEqual(Object.keys(toolScopes).toSorted());
    for (const tool of tools) {
      expect(tool).toMatchObject({ inputSchema: { type: "object" }, outputSchema: { type: "object" } });
      expect(tool.description!.length).toBeGreaterThan(40);
    }
    const reading = tools.filter(({ annotations }) => annotations?.readOnlyHint).map(({ name }) => name);
    expect(reading.toSorted()).toEqual(["agent_changes", "list_agents", "read_transcript", "read_turn"]);
    expect(client.getInstructions()).toContain("wait: false");
  });

  test("list_agents says what each is for and does", async () => {
    const client = await connect();
    const sent = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "x", wait: false });
    await driverOf(sent.session);
    const { agents: listed } = await client.data<{ agents: Record<string, unknown>[] }>("list_agents");
    expect(listed).toMatchObject([
      { name: "lead", state: "idle", queued: 0, turns: [] },
      {
        name: "coder",
        description: "Writes code.",
        state: "working",
        turns: [{ turn: sent.turn }],
        session: sent.session,
      },
      { name: "default" },
    ]);
    expect(textOf(await client.call("list_agents"))).toContain("coder (working): Writes code.");
  });

  test("agent_changes shows commits, files and the diff of an agent's worktree, page by page", async () => {
    const workspace = join(app.folder, "repository");
    copyRepository(workspace);
    await app.json("/api/agents", { key: mainKey, json: { name: "tree", workspace, worktree: true } });
    const client = await connect();
    expect(await client.data("agent_changes", { agent: "tree" })).toMatchObject({ base: null, files: [], diff: "" });
    expect(textOf(await client.call("agent_changes", { agent: "tree" }))).toBe("sluice/tree has no changes.");
    const sent = await client.data<TurnData>("message_agent", { agent: "tree", prompt: "x", wait: false });
    (await driverOf(sent.session)).finish();
    writeFileSync(join(app.folder, "worktrees/tree/new.txt"), `${"word ".repeat(20)}\n`.repeat(600));
    const first = await client.data("agent_changes", { agent: "tree" });
    expect(first).toMatchObject({
      files: [{ path: "new.txt", status: "untracked" }],
      files_truncated: false,
      next_offset: 40_000,
    });
    const rest = await client.data("agent_changes", { agent: "tree", offset: 40_000 });
    expect(rest).toMatchObject({ next_offset: null, diff_truncated: false });
    const { diff } = await app.json<{ diff: string }>("/api/agents/tree/changes", { key: mainKey });
    expect(`${first["diff"] as string}${rest["diff"] as string}`).toBe(diff);
    expect(textOf(await client.call("agent_changes", { agent: "tree" }))).toMatch(
      /untracked: new\.txt\n\ndiff --git .* offset 40000$/s,
    );
    expect(await client.fault("agent_changes", { agent: "coder" })).toMatch(/^conflict: .*not in a worktree/);
    const other = await connect(await app.addKey("others", { agents: ["coder"] }));
    expect(await other.fault("agent_changes", { agent: "tree" })).toMatch(/^not_found/);
  });

  test("agent_changes ends no page within a sign", async () => {
    const workspace = join(app.folder, "repository");
    copyRepository(workspace);
    await app.json("/api/agents", { key: mainKey, json: { name: "tree", workspace, worktree: true } });
    const client = await connect();
    const sent = await client.data<TurnData>("message_agent", { agent: "tree", prompt: "x", wait: false });
    (await driverOf(sent.session)).finish();
    const pages: string[] = [];
    // One of the two has the halves of a sign where the page would end.
    for (const before of ["", "x"]) {
      writeFileSync(join(app.folder, "worktrees/tree/new.txt"), `${before}${"🦥".repeat(30_000)}\n`);
      for (let offset: number | null = 0; offset !== null;) {
        const page: Record<string, unknown> = await client.data("agent_changes", { agent: "tree", offset });
        pages.push(page["diff"] as string);
        offset = page["next_offset"] as number | null;
      }
    }
    expect(pages.length).toBe(4);
    expect(pages.every((page) => page.isWellFormed())).toBe(true);
    expect(pages.join("").match(/🦥/gu)).toHaveLength(60_000);
  });

  test("message_agent waits for the answer, and the next message goes on in the same session", async () => {
    const client = await connect();
    const asked = client.data<TurnData>("message_agent", { agent: "coder", prompt: "What is 6 × 7?" });
    const { session } = await runningOf("coder");
    (await driverOf(session)).finish(completed("It is 42."));
    expect(await asked).toMatchObject({ state: "completed", agent: "coder", session, answer: "It is 42." });
    const second = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "More", wait: false });
    expect(second).toMatchObject({ session, note: expect.stringContaining("read_turn") });
    const fresh = await client.data<TurnData>("message_agent", {
      agent: "coder",
      prompt: "New",
      wait: false,
      reset: true,
    });
    expect(fresh.session).not.toBe(session);
    const back = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "Back", wait: false, session });
    expect(back.session).toBe(session);
    expect((await driverOf(session)).requests[0]!.prompt).toEqual([{ type: "text", text: "What is 6 × 7?" }]);
  });

  test("read_turn waits when it is told to, and says how a turn failed or was cancelled", async () => {
    const client = await connect();
    const sent = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "x", wait: false });
    const driver = await driverOf(sent.session);
    expect(await client.data("read_turn", { turn: sent.turn })).toMatchObject({ state: "running", position: null });
    const waiting = client.data("read_turn", { turn: sent.turn, wait: true });
    driver.finish(turnFailed(failure("overloaded"), "As far as"));
    expect(await waiting).toMatchObject({
      state: "failed",
      failure: { code: "overloaded", retryable: true },
      said: "As far as",
    });
    const next = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "y", wait: false });
    await driverOf(next.session, 2);
    expect(await client.data("cancel_turn", { turn: next.turn })).toMatchObject({ state: "cancelled" });
    expect(await client.data("cancel_turn", { turn: sent.turn })).toMatchObject({ state: "failed" });
  });

  test("[A5] a visitor of a public agent cannot allow it a tool here either", async () => {
    await close();
    const origin = "https://shop.example";
    const shop = readAgent({ name: "shop", public: { origins: [origin] } });
    await open({ agents: [shop] });
    const { token } = await app.json("/api/tokens", { json: { agent: "shop" }, headers: { origin } });
    const { session, turn } = await app.json("/api/turns", { key: token, json: { prompt: "x" } });
    const decision = app.turns.approvals.ask(shop, session!, question(turn!), new AbortController().signal);
    const approval = await until("the question", async () => {
      const { approvals } = await app.json<{ approvals: { approval: string }[] }>("/api/approvals", { key: token });
      return approvals[0]?.approval;
    });
    const visitor = await connect(token);
    for (const scope of ["once", "session"])
      expect(await visitor.fault("answer_approval", { approval, decision: "allow", scope })).toMatch(/^forbidden/);
    await visitor.data("answer_approval", { approval, decision: "deny" });
    expect(await decision).toMatchObject({ behavior: "deny" });
  });

  test("a question of the agent ends the wait, and answer_approval decides it", async () => {
    const client = await connect();
    const asked = client.call("message_agent", { agent: "coder", prompt: "Make it" });
    const { turn, session } = await runningOf("coder");
    const driver = await driverOf(session);
    const decision = app.turns.approvals.ask(agents[1]!, session, question(turn), new AbortController().signal);
    const answer = await asked;
    const { state, approvals } = answer.structuredContent as { state: string; approvals: { approval: string }[] };
    expect(state).toBe("waiting");
    expect(approvals).toMatchObject([{ tool: "Bash", input: { command: "touch x" } }]);
    expect(textOf(answer)).toContain(`Approval ${approvals[0]!.approval}: Bash {"command":"touch x"}`);
    const { approval } = approvals[0]!;
    expect(await client.fault("answer_approval", { approval, decision: "allow", message: "no" })).toContain("message:");
    expect(await client.data("answer_approval", { approval, decision: "deny", message: "Not that." })).toMatchObject({
      turn,
      decision: "deny",
    });
    expect(await decision).toMatchObject({ behavior: "deny", message: "Not that." });
    expect(await client.fault("answer_approval", { approval, decision: "allow" })).toContain("decided already");
    driver.finish();
  });

  test("read_transcript shows what was said and done, page by page from the newest", async () => {
    const client = await connect();
    const first = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "first", wait: false });
    const { session } = first;
    const driver = await driverOf(session);
    const tool = { type: "tool_use", id: "toolu_1", name: "Bash", input: {} };
    driver.say(
      { type: "message_start", message: { id: "m1", model: "x" } },
      { type: "content_block_start", message: "m1", index: 0, content_block: { type: "text", text: "" } },
      delta("Looking.", 0),
      { type: "content_block_stop", message: "m1", index: 0 },
      { type: "content_block_start", message: "m1", index: 1, content_block: tool },
      delta('{"command":"ls"}', 0, { index: 1, type: "input_json_delta" }),
      { type: "content_block_stop", message: "m1", index: 1 },
      { type: "message_stop", message: "m1" },
      { type: "tool_result", tool_use_id: "toolu_1", content: "a.txt", is_error: false, parent_tool_use_id: null },
    );
    driver.finish();
    const second = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "second", wait: false });
    (await driverOf(session, 2)).finish();
    await client.data("read_turn", { turn: second.turn, wait: true });
    interface Page {
      readonly messages: Record<string, unknown>[];
      readonly next_cursor: string | null;
    }
    const newest = await client.data<Page>("read_transcript", { session, limit: 2 });
    expect(newest.messages).toMatchObject([
      {
        role: "assistant",
        text: "Looking.",
        tools: [{ name: "Bash", input: '{"command":"ls"}', result: "a.txt", is_error: false }],
      },
      { role: "user", text: "second", turn: second.turn },
    ]);
    const rest = await client.data<Page>("read_transcript", { session, cursor: newest.next_cursor });
    expect(rest).toMatchObject({ messages: [{ role: "user", text: "first" }], next_cursor: null });
    expect(await client.fault("read_transcript", { session, cursor: "1.99" })).toContain("next_cursor");
    expect(await client.fault("read_transcript", { session, cursor: "nonsense" })).toContain("next_cursor");
  });

  test("what is too long is cut, with a word about it", async () => {
    const client = await connect();
    const long = "word ".repeat(20_000);
    const sent = await client.data<TurnData>("message_agent", { agent: "coder", prompt: long, wait: false });
    (await driverOf(sent.session)).finish(completed(long));
    const { answer } = await client.data<{ answer: string }>("read_turn", { turn: sent.turn, wait: true });
    expect(answer.length).toBeLessThan(51_000);
    expect(answer).toContain("50000 more characters");
    const huge = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "x", wait: false });
    (await driverOf(sent.session, 2)).finish(completed("x".repeat(300_000)));
    expect(await client.data("read_turn", { turn: huge.turn, wait: true })).toMatchObject({
      answer: expect.stringContaining("read_transcript has it"),
    });
    const page = await client.data<{ messages: { text: string }[] }>("read_transcript", { session: sent.session });
    expect(page.messages[0]!.text).toContain("more characters");
  });
});

describe("a refusal is a tool's error that says what to do", () => {
  test.each<[string, Record<string, unknown>, RegExp]>([
    ["message_agent", { agent: "nobody", prompt: "x" }, /^not_found: There is no agent "nobody"/],
    ["message_agent", { agent: "coder", prompt: "" }, /^invalid_request: prompt: must not be empty/],
    ["message_agent", { agent: "coder", prompt: "x\u0000" }, /NUL/],
    ["message_agent", { agent: "coder" }, /prompt/],
    ["message_agent", { agent: "coder", prompt: "x", wit: true }, /wit/],
    ["message_agent", { agent: "Coder!", prompt: "x" }, /agent/],
    ["read_turn", { turn: "1" }, /must be the id of a turn/],
    ["read_turn", { turn: crypto.randomUUID() }, /^not_found: There is no turn/],
    ["cancel_turn", { turn: crypto.randomUUID() }, /^not_found/],
    ["read_transcript", { session: crypto.randomUUID() }, /^not_found: There is no session/],
    ["answer_approval", { approval: crypto.randomUUID(), decision: "allow" }, /^not_found/],
    ["answer_approval", { approval: crypto.randomUUID(), decision: "perhaps" }, /decision/],
    ["no_such_tool", {}, /not found/],
  ])("%s %j", async (tool, input, expected) => {
    const client = await connect();
    expect(await client.fault(tool, input)).toMatch(expected);
  });

  test("a session goes not with reset, and not with another agent", async () => {
    const client = await connect();
    const { session } = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "x", wait: false });
    expect(await client.fault("message_agent", { agent: "coder", prompt: "x", session, reset: true })).toMatch(
      /^invalid/,
    );
    expect(await client.fault("message_agent", { agent: "default", prompt: "x", session })).toMatch(
      /^conflict: .*coder/,
    );
  });

  test("[T6] a full queue and too many turns a minute say when to come back", async () => {
    await close();
    await open({
      agents: [readAgent({ name: "coder", queue: 1, running_turns: 1 })],
      limits: { rates: { key: { turns_per_minute: 3 } } },
    });
    const client = await connect();
    const send = () => client.call("message_agent", { agent: "coder", prompt: "x", wait: false, reset: true });
    await send();
    await send();
    expect(textOf(await send())).toMatch(/^queue_full: .*Wait for turns of this agent to end.*Earliest: in 10 s/);
    expect(textOf(await send())).toMatch(/^too_many_requests: .*Earliest: in \d+ s/);
  });

  test("a bug shows its id and nothing else, and is logged", async () => {
    await close();
    const bugs: unknown[] = [];
    await open({ onBug: (error) => bugs.push(error) });
    const client = await connect();
    app.store.standingSession = () => Promise.reject(new Error("the secret is 1234"));
    expect(await client.fault("list_agents")).toMatch(
      /^internal: Something went wrong inside the gateway; its log says more at [0-9a-f-]{36}\.$/,
    );
    expect(bugs).toMatchObject([{ message: "the secret is 1234" }]);
  });
});

describe("who may", () => {
  test("[A4] each tool wants its own scope, and no other", async () => {
    const valid: Record<keyof typeof toolScopes, Record<string, unknown>> = {
      list_agents: {},
      agent_changes: { agent: "nobody" },
      message_agent: { agent: "nobody", prompt: "x" },
      read_turn: { turn: crypto.randomUUID() },
      cancel_turn: { turn: crypto.randomUUID() },
      read_transcript: { session: crypto.randomUUID() },
      answer_approval: { approval: crypto.randomUUID(), decision: "allow" },
    };
    for (const missing of scopes) {
      const client = await connect(
        await app.addKey(`no-${missing}`, { scopes: scopes.filter((one) => one !== missing) }),
      );
      for (const [tool, scope] of Object.entries(toolScopes)) {
        const said = textOf(await client.call(tool, valid[tool as keyof typeof toolScopes]));
        const isRefused = said === `forbidden: ${tool} needs a key with the scope "${scope}".`;
        expect([tool, missing, isRefused]).toEqual([tool, missing, scope === missing]);
      }
    }
  });

  test("[A4, L9] sees what is its own alone: by key, by user, by the agents of its key", async () => {
    const [main, other] = [await connect(), await connect(await app.addKey("other", { agents: ["coder"] }))];
    const [ann, bob] = [await connect(mainKey, "?user=ann"), await connect(mainKey, "?user=bob")];
    const sent = await ann.data<TurnData>("message_agent", { agent: "coder", prompt: "mine", wait: false });
    expect(await app.json(`/api/sessions/${sent.session}`, { key: mainKey })).toMatchObject({ user: "ann" });
    for (const stranger of [other, bob]) {
      for (const tool of ["read_turn", "cancel_turn"])
        expect(await stranger.fault(tool, { turn: sent.turn })).toMatch(/^not_found/);
      expect(await stranger.fault("read_transcript", { session: sent.session })).toMatch(/^not_found/);
      expect(await stranger.fault("message_agent", { agent: "coder", prompt: "x", session: sent.session })).toMatch(
        /^not_found/,
      );
    }
    expect(await main.data("read_turn", { turn: sent.turn })).toMatchObject({ turn: sent.turn });
    expect(await other.data("list_agents")).toMatchObject({ agents: [{ name: "coder", turns: [] }] });
    expect(await other.fault("message_agent", { agent: "default", prompt: "x" })).toMatch(/^not_found/);
  });

  test("[A1, A2] wants a key, an allowed Host and an allowed Origin before anything else, and serves POST alone", async () => {
    const post = (headers: Record<string, string>, key?: string) =>
      app.request("/mcp", { key, json: { jsonrpc: "2.0", id: 1, method: "tools/list" }, headers });
    const accept = "application/json, text/event-stream";
    expect((await post({ accept })).status).toBe(401);
    expect((await post({ accept }, `${mainKey}x`)).status).toBe(401);
    expect((await post({ accept, origin: "https://evil.example" }, mainKey)).status).toBe(403);
    expect((await post({ accept, "sec-fetch-site": "cross-site" }, mainKey)).status).toBe(403);
    expect((await post({ accept, host: "evil.example" }, mainKey)).status).toBe(403);
    expect((await post({ accept, origin: `http://${host}` }, mainKey)).status).toBe(200);
    for (const method of ["GET", "DELETE", "PUT"])
      expect((await app.request("/mcp", { method, key: mainKey })).status).toBe(405);
  });

  test("[A3] a person's token has its scopes here too", async () => {
    const json = { user: "ann", agents: ["coder"] };
    const { token } = await app.json<{ token: string }>("/api/tokens", { key: mainKey, json });
    const client = await connect(token);
    expect(await client.fault("list_agents")).toContain('scope "agents"');
    expect(await client.fault("message_agent", { agent: "default", prompt: "x" })).toMatch(/^not_found/);
    const sent = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "x", wait: false });
    expect(await app.json(`/api/sessions/${sent.session}`, { key: mainKey })).toMatchObject({ user: "ann" });
  });
});

test("[A3] a call that waits is not answered once its key is revoked", async () => {
  await close();
  await open({ limits: { revocation_s: 0.3 } });
  const client = await connect(await app.addKey("leaked"));
  const { turn, session } = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "x", wait: false });
  const driver = await driverOf(session);
  const waiting = client.fault("read_turn", { turn, wait: true });
  await app.revokeKey("leaked");
  expect(await waiting).toMatch(/^unauthorized/);
  driver.finish(completed("Not for them."));
});

describe("the token of a supervising process", () => {
  /** A turn of the supervisor that runs, and a client with its process's token. */
  async function supervise(user?: string): Promise<{ lead: TurnData; client: McpClient; token: string }> {
    const lead = await app.json<TurnData>("/api/turns", { key: mainKey, json: { agent: "lead", prompt: "go", user } });
    await driverOf(lead.session);
    const token = app.tokens.get(lead.session)!;
    return { lead, token, client: await connect(token) };
  }

  test("reaches the agents that it supervises alone, for the owner of its session", async () => {
    const { lead, client } = await supervise("ann");
    expect(await client.data("list_agents")).toMatchObject({ agents: [{ name: "coder" }] });
    expect(await client.fault("message_agent", { agent: "default", prompt: "x" })).toMatch(/^not_found/);
    const sent = await client.data<TurnData>("message_agent", { agent: "coder", prompt: "x", wait: false });
    expect(await app.json(`/api/sessions/${sent.session}`, { key: mainKey })).toMatchObject({ user: "ann" });
    const row = await app.store.turn({ key: "main", user: null, reach: "all" }, sent.turn);
    expect(row?.by).toEqual({ agent: "lead", turn: lead.turn });
    expect(await client.fault("read_turn", { turn: lead.turn })).toMatch(/^not_found/);
    expect(await client.fault("read_transcript", { session: lead.session })).toMatch(/^not_found/);
    const ofBob = await app.json<TurnData>("/api/turns", {
      key: mainKey,
      json: { agent: "coder", prompt: "x", user: "bob" },
    });
    expect(await client.fault("read_turn", { turn: ofBob.turn })).toMatch(/^not_found/);
  });

  test("is good at /mcp alone, in no other spelling, and for no browser page of elsewhere", async () => {
    const { token } = await supervise();
    for (const path of ["/api/turns", "/api/agents", "/api/sessions", "/api/approvals", "/mcp/"])
      expect([path, (await app.request(path, { key: token })).status]).toEqual([path, path === "/mcp/" ? 404 : 401]);
    const reply = await app.request("/mcp", { key: token, json: {}, headers: { origin: "https://evil.example" } });
    expect(reply.status).toBe(403);
  });

  test("is good before its first turn for listing alone, and not between turns", async () => {
    const { lead, client } = await supervise();
    app.drivers.get(lead.session)!.finish();
    await until("its turn to end", () => app.turns.runningCount === 0);
    expect((await client.client.listTools()).tools.length).toBeGreaterThan(0);
    for (const tool of ["list_agents", "message_agent"])
      expect(await client.fault(tool, tool === "message_agent" ? { agent: "coder", prompt: "x" } : {})).toMatch(
        /^conflict: No turn of "lead" runs/,
      );
  });

  test("dies with the process, and the next one has another", async () => {
    const { lead, token, client } = await supervise();
    app.drivers.get(lead.session)!.die();
    await until("its end", async () => (await app.request("/mcp", { key: token, json: {} })).status === 401);
    await expect(client.call("list_agents")).rejects.toThrow(/not known/);
    await app.json("/api/turns", { key: mainKey, json: { session: lead.session, prompt: "again" } });
    const next = await until(
      "its next process",
      () => app.tokens.get(lead.session) !== token && app.tokens.get(lead.session),
    );
    expect(next).not.toBe(token);
    expect((await app.request("/mcp", { key: token, json: {} })).status).toBe(401);
  });

  test("loops and limits are told as tool errors", async () => {
    const { client } = await supervise();
    await close();
    const ring = [readAgent({ name: "a", supervises: ["b"] }), readAgent({ name: "b", supervises: ["a"] })];
    await open({ agents: ring, limits: { supervise_turns: 1 } });
    expect(client).toBeDefined();
    const a = await app.json<TurnData>("/api/turns", { key: mainKey, json: { agent: "a", prompt: "go" } });
    await driverOf(a.session);
    const inA = await connect(app.tokens.get(a.session));
    const b = await inA.data<TurnData>("message_agent", { agent: "b", prompt: "x", wait: false });
    expect(await inA.fault("message_agent", { agent: "b", prompt: "x", wait: false })).toMatch(
      /^too_many_requests: This turn/,
    );
    await driverOf(b.session);
    const inB = await connect(app.tokens.get(b.session));
    expect(await inB.fault("message_agent", { agent: "a", prompt: "x" })).toMatch(
      /^conflict: "a" stands above this turn/,
    );
    expect(await inB.fault("read_turn", { turn: a.turn, wait: true })).toMatch(/^conflict: .*would never end/);
    expect(await inB.data("read_turn", { turn: a.turn })).toMatchObject({ state: "running" });
  });
});
