// One agent supervising others, with the real CLI: over /mcp, with its process's own token. And /mcp for any other client with a key.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { copyRepository } from "../support/git-scene.ts";
import { connectMcp } from "../support/mcp-client.ts";
import { openGateway, type OwnGateway, type Turn } from "../support/gateway.ts";
import { giveToSessions } from "../support/owner.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { openReader, readAll, type WireEvent } from "../support/reader.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  const workspace = join(scene.folder, "repository");
  copyRepository(workspace);
  giveToSessions(workspace);
  const coder = { workspace, worktree: true, allowed_tools: ["Bash(cp *)"] };
  gateway = await openGateway(scene, {
    agents: [
      // Its watchdog counts only while no tool runs, and it waits for longer than that.
      { name: "lead", supervises: ["coder-1", "coder-2"], silence_timeout_s: 3 },
      { name: "coder-1", description: "Writes the first half.", ...coder },
      { name: "coder-2", description: "Writes the second half.", ...coder },
    ],
    limits: { running_turns: 2, caller_share: 1 },
  });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

const call = (tool: string, input: object) => ({ name: `mcp__sluice__${tool}`, input });
const tool = (name: string, input: object) => `demo:tool mcp__sluice__${name} ${JSON.stringify(input)}`;
const tools = (...calls: object[]) => `demo:tools ${JSON.stringify(calls)}`;

const eventsOf = ({ events_url: url }: Turn): Promise<WireEvent[]> =>
  readAll(url, { headers: gateway.headers, format: "ndjson" });

/** An agent's turns, the newest first. */
async function turnsOf(agent: string, from: OwnGateway = gateway): Promise<Turn[]> {
  const { turns } = (await (await from.fetch(`/api/turns?agent=${agent}`)).json()) as { turns: Turn[] };
  return turns;
}

describe("one agent supervises others", () => {
  test("one prompt: it messages two in their worktrees at the same time, reads their answers, sends a follow-up to one, and sums up", async () => {
    const work = (name: string, words: number) =>
      `demo:tool Bash {"command":"cp README.md ${name}.txt"}\ndemo:long words=${words} rate=20`;
    const prompt = [
      tool("list_agents", {}),
      tools(
        call("message_agent", { agent: "coder-1", prompt: work("one", 80), wait: false }),
        call("message_agent", { agent: "coder-2", prompt: work("two", 81), wait: false }),
      ),
      tools(
        call("read_turn", { turn: "{{2.turn}}", wait: true }),
        call("read_turn", { turn: "{{3.turn}}", wait: true }),
      ),
      tool("message_agent", { agent: "coder-1", prompt: "demo:text And the rest." }),
      tools(call("agent_changes", { agent: "coder-1" }), call("agent_changes", { agent: "coder-2" })),
      "demo:text The one: {{4.answer}} The other: {{5.answer}} And then: {{6.answer}} In: {{7.files.0.path}} {{8.files.0.path}}",
    ].join("\n");
    const { turn } = await gateway.post(prompt, { agent: "lead" });
    const lead = await gateway.ended(turn);
    expect(lead).toMatchObject({ state: "completed", denials: [] });
    const sum = String(lead["answer"]);
    expect(sum).toMatch(
      /The one: word1 .* word80 The other: word1 .* word81 And then: And the rest\. In: one\.txt two\.txt$/,
    );

    const [second, first] = await turnsOf("coder-1");
    const [other] = await turnsOf("coder-2");
    const at = (one: Turn | undefined, field: string) => Date.parse(String(one![field]));
    expect(at(first, "started_at")).toBeLessThan(at(other, "ended_at"));
    expect(at(other, "started_at")).toBeLessThan(at(first, "ended_at"));
    expect(second!.session).toBe(first!.session);

    // Every step is in the logs of all three sessions, and linked.
    for (const below of [first!, second!, other!]) {
      const events = await eventsOf(below);
      expect(events[0]).toMatchObject({ type: "turn_queued", by: { agent: "lead", turn } });
      expect(events.at(-1)).toMatchObject({ type: "turn_completed" });
    }
    const results = (await eventsOf(lead)).filter(({ type }) => type === "tool_result");
    expect(results.map(({ is_error }) => is_error)).toEqual(Array.from({ length: 8 }, () => false));
    for (const below of [first!, second!, other!]) expect(JSON.stringify(results)).toContain(below.turn);
    expect(String(results[0]!["content"])).toContain("Writes the first half.");
  });

  test("a tool call of the other agent that needs permission is decided by the supervisor", async () => {
    const prompt = [
      tool("message_agent", {
        agent: "coder-2",
        prompt: 'demo:tool Bash {"command":"touch allowed-from-above"}',
        reset: true,
      }),
      tool("answer_approval", { approval: "{{1.approvals.0.approval}}", decision: "allow" }),
      tool("read_turn", { turn: "{{1.turn}}", wait: true }),
      "demo:text {{1.state}}, {{2.decision}}, {{3.state}}",
    ].join("\n");
    const { turn } = await gateway.post(prompt, { agent: "lead" });
    expect(await gateway.ended(turn)).toMatchObject({ answer: "waiting, allow, completed" });
    const [below] = await turnsOf("coder-2");
    const events = await eventsOf(below!);
    expect(events.find(({ type }) => type === "approval_resolved")).toMatchObject({ by: { agent: "lead", turn } });
  });

  test("[T4] cancelled while it waits, it takes with it what it waits for", async () => {
    const prompt = tool("message_agent", { agent: "coder-1", prompt: "demo:long words=1000 rate=10" });
    const sent = await gateway.post(prompt, { agent: "lead" });
    const below = await until(
      "the other turn",
      async () => (await turnsOf("coder-1")).find((one) => one.state === "running"),
      30_000,
    );
    const reader = await openReader(below.events_url, { headers: gateway.headers });
    await reader.find("its first words", ({ type }) => type === "content_block_delta");
    await gateway.fetch(`/api/turns/${sent.turn}/cancel`, { method: "POST" });
    expect(await gateway.ended(sent.turn)).toMatchObject({ state: "cancelled", by: { key: "local" } });
    expect(await gateway.ended(below.turn)).toMatchObject({
      state: "cancelled",
      by: { agent: "lead", turn: sent.turn },
    });
    reader.leave();
  });

  test("[A7] the token lies in a file that nobody else reads, never in argv, and dies with the process", async () => {
    const sent = await gateway.post("demo:text Here.", { agent: "lead" });
    await gateway.ended(sent.turn);
    const run = join(gateway.dataFolder, "run");
    const own = readdirSync(run)
      .map((folder) => join(run, folder))
      .filter((folder) => existsSync(join(folder, "files", "mcp.json")));
    const tokens = new Map<string, string>();
    for (const folder of own) {
      const file = join(folder, "files", "mcp.json");
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(folder).mode & 0o777).toBe(0o700);
      const { mcpServers } = JSON.parse(readFileSync(file, "utf8")) as {
        mcpServers: { sluice: { url: string; headers: { Authorization: string } } };
      };
      expect(mcpServers.sluice.url).toBe(`${gateway.address}/mcp`);
      tokens.set(folder, mcpServers.sluice.headers.Authorization.replace("Bearer ", ""));
      const pid = readFileSync(join(folder, "pid"), "utf8").split(" ")[0]!;
      for (const name of ["cmdline", "environ"])
        expect(readFileSync(`/proc/${pid}/${name}`, "utf8")).not.toContain(tokens.get(folder));
    }
    expect(tokens.size).toBeGreaterThan(0);
    const statusOf = async (token: string) => {
      const init = {
        method: "POST",
        body: "{}",
        headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
      };
      return (await fetch(`${gateway.address}/mcp`, init)).status;
    };
    for (const token of tokens.values()) expect(await statusOf(token)).toBe(406);
    for (const { session } of await turnsOf("lead"))
      await gateway.fetch(`/api/sessions/${session}`, { method: "DELETE" });
    for (const token of tokens.values()) expect(await statusOf(token)).toBe(401);
  });

  test("[T6] two supervisors under a cap of two processes and one running turn finish", async () => {
    const tight = await openGateway(scene, {
      agents: [{ name: "lead", supervises: ["coder"] }, { name: "coder" }],
      limits: { processes: 2, running_turns: 1 },
    });
    const prompt = tool("message_agent", { agent: "coder", prompt: "demo:text Done below.", reset: true });
    const sent = await Promise.all([1, 2].map(() => tight.post(prompt, { agent: "lead" })));
    for (const { turn } of sent) expect(String((await tight.ended(turn))["answer"])).toContain("Done below.");
    expect(await turnsOf("coder", tight)).toMatchObject([{ state: "completed" }, { state: "completed" }]);
    await tight.close();
  });
});

describe("any other client with a key", () => {
  test("the official MCP client lists the tools, messages an agent and reads the session", async () => {
    const key = gateway.headers["authorization"]!.replace("Bearer ", "");
    const client = await connectMcp(`${gateway.address}/mcp`, { key });
    expect((await client.client.listTools()).tools.map(({ name }) => name)).toContain("message_agent");
    const answer = await client.data<Turn>("message_agent", {
      agent: "coder-1",
      prompt: "demo:text Hello, client.",
      reset: true,
    });
    expect(answer).toMatchObject({ state: "completed", answer: "Hello, client." });
    expect(await client.data("read_transcript", { session: answer.session })).toMatchObject({
      messages: [{ role: "user" }, { role: "assistant", text: "Hello, client." }],
    });
    expect((await eventsOf(await gateway.turn(answer.turn)))[0]).toMatchObject({ by: { key: "local" } });
    await client.close();
  });

  test("the inspector's CLI lists the tools and calls them", async () => {
    // It looks for its own package.json from the folder that it is called in.
    const cwd = join(import.meta.dirname, "../../node_modules/@modelcontextprotocol/inspector-cli/build");
    const inspect = async (...args: string[]) => {
      const header = `Authorization: ${gateway.headers["authorization"]}`;
      const all = [
        "cli.js",
        "--cli",
        `${gateway.address}/mcp`,
        "--transport",
        "http",
        "--header",
        header,
        "--method",
        ...args,
      ];
      const { stdout } = await promisify(execFile)(process.execPath, all, { cwd });
      return JSON.parse(stdout) as { tools?: { name: string }[]; structuredContent?: Record<string, unknown> };
    };
    const { tools: listed } = await inspect("tools/list");
    expect(listed!.map(({ name }) => name)).toContain("read_transcript");
    const { structuredContent } = await inspect(
      "tools/call",
      "--tool-name",
      "message_agent",
      "--tool-arg",
      "agent=coder-1",
      "prompt=demo:text Hello, inspector.",
    );
    expect(structuredContent).toMatchObject({ state: "completed", answer: "Hello, inspector." });
  });
});
