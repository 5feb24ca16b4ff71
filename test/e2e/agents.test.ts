import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { jsonBody, newFolder, openGateway, type OwnGateway, type Turn } from "../support/gateway.ts";
import { giveToSessions, newWorkspace } from "../support/owner.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, {
    agents: [{ name: "red" }, { name: "blue" }, { name: "thrifty", max_budget_usd: 0.000_001 }],
    file: { workspace_roots: [scene.folder] },
  });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

interface Agent {
  readonly now: Record<string, unknown> & { readonly state: string; readonly processes: Record<string, number> };
  readonly usage: Record<string, number> | null;
}

async function json<Body>(path: string, init: RequestInit = {}, on = gateway): Promise<Body> {
  const reply = await on.fetch(path, init);
  const body = (await reply.json()) as Body;
  if (!reply.ok) throw new Error(`${path}: ${reply.status} ${JSON.stringify(body)}`);
  return body;
}

/** Tells an agent something; resolves with its ended turn. */
const tell = (name: string, prompt: string, more: object = {}, on = gateway) =>
  json<Turn>(`/api/agents/${name}/message`, jsonBody({ prompt, ...more }, { prefer: "wait=60" }), on);
const agentNow = (name: string, on = gateway) => json<Agent>(`/api/agents/${name}`, {}, on);
const make = (body: object, on = gateway) => json<Agent>("/api/agents", jsonBody(body), on);
const patch = (name: string, body: object) =>
  json<Agent>(`/api/agents/${name}`, { ...jsonBody(body), method: "PATCH" });

/** What the model was asked by the last request. */
const lastAsked = () => scene.requests.at(-1)!.body;
const saidBefore = () => JSON.stringify(lastAsked().messages);

async function startedOf(turn: Turn, on = gateway): Promise<Record<string, unknown>> {
  const reply = await on.fetch(`/api/turns/${turn.turn}`, { headers: { accept: "application/x-ndjson" } });
  const events = (await reply.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  return events.find(({ type }) => type === "turn_started")!;
}

describe("messages", () => {
  test("two agents told at once work at once, and each keeps what it was told", async () => {
    const slowly = (word: string) => `demo:long words=40 rate=20\n${word}`;
    const both = Promise.all([tell("red", slowly("about-red")), tell("blue", slowly("about-blue"))]);
    await until(
      "both to work",
      async () => {
        const states = await Promise.all(["red", "blue"].map(async (name) => (await agentNow(name)).now.state));
        return states.every((state) => state === "working");
      },
      30_000,
    );
    const [red, blue] = await both;
    expect([red, blue]).toMatchObject([{ state: "completed" }, { state: "completed" }]);
    expect((await tell("red", "demo:text Go on.")).session).toBe(red.session);
    expect(saidBefore()).toContain("about-red");
    expect(saidBefore()).not.toContain("about-blue");
    expect((await tell("blue", "demo:text Go on.")).session).toBe(blue.session);
    expect(saidBefore()).toContain("about-blue");
    expect(await agentNow("blue")).toMatchObject({
      now: {
        state: "idle",
        processes: { live: 1, idle: 1 },
        in_force: { permission_mode: "default", tools: expect.arrayContaining(["Bash"]) },
      },
      usage: { turns: 2, completed: 2 },
    });
    const fresh = await tell("red", "demo:text Anew.", { reset: true });
    expect(fresh.session).not.toBe(red.session);
    expect(saidBefore()).not.toContain("about-red");
  });

  test("a process that has reached its budget is replaced: the next message starts anew, and remembers", async () => {
    const dear = await tell("thrifty", "demo:text a-dear-answer");
    const second = await tell("thrifty", "demo:text b");
    // The first turn reaches the budget; whether it ends by it or just behind it is the CLI's matter.
    expect([dear, second].map(({ code }) => code)).toContain("max_budget");
    await until("its process to be gone", async () => (await agentNow("thrifty")).now.processes["live"] === 0, 30_000);
    const third = await tell("thrifty", "demo:text c");
    expect(third.session).toBe(dear.session);
    expect(await startedOf(third)).toMatchObject({ reused: false });
    expect(saidBefore()).toContain("a-dear-answer");
    expect((await agentNow("thrifty")).now).toMatchObject({ last_error: { code: "max_budget" } });
  });
});

describe("an agent made by API", () => {
  test("works as it was made; a change holds from its next turn on, in the same conversation", async () => {
    const workspace = newWorkspace(scene, "workspace");
    writeFileSync(join(workspace, "only-here.txt"), "found");
    await make({
      name: "coder",
      workspace,
      model: "claude-haiku-4-5",
      allowed_tools: ["Bash(cat *)"],
      instructions: "You are the coder-of-tests.",
      spares: 1,
    });
    await until("its spare", async () => (await agentNow("coder")).now.processes["spare"] === 1, 30_000);
    const first = await tell("coder", 'demo:tool Bash {"command":"cat only-here.txt"}');
    expect(first).toMatchObject({ state: "completed", answer: expect.stringContaining("found") });
    expect(lastAsked().model).toBe("claude-haiku-4-5");
    expect(JSON.stringify(lastAsked())).toContain("coder-of-tests");
    await patch("coder", { model: "claude-sonnet-4-5", instructions: null, spares: 0 });
    const second = await tell("coder", "demo:text Changed.");
    expect(second.session).toBe(first.session);
    expect(await startedOf(second)).toMatchObject({ model: "claude-sonnet-4-5", reused: false });
    expect(lastAsked().model).toBe("claude-sonnet-4-5");
    expect(saidBefore()).toContain("only-here.txt");
    expect(JSON.stringify(lastAsked())).not.toContain("coder-of-tests");
    expect((await agentNow("coder")).now).toMatchObject({
      in_force: { model: "claude-sonnet-4-5" },
      processes: { live: 1, spare: 0 },
    });
    await json("/api/agents/coder", { method: "DELETE" });
    expect((await gateway.fetch("/api/agents/coder")).status).toBe(404);
  });

  test("[T2] is there again after a restart, with its standing session; what the file does not allow any more is not", async () => {
    const dataFolder = newFolder(scene, "data");
    const roots = newFolder(scene, "roots");
    mkdirSync(join(roots, "work"));
    giveToSessions(roots);
    const before = await openGateway(scene, { dataFolder, file: { workspace_roots: [roots] } });
    await make({ name: "kept", model: "claude-haiku-4-5" }, before);
    await make({ name: "rooted", workspace: join(roots, "work") }, before);
    const first = await tell("kept", "demo:text remember-me", {}, before);
    await before.close();
    const after = await openGateway(scene, { dataFolder });
    try {
      const { agents } = await json<{ agents: { name: string; source: string }[] }>("/api/agents", {}, after);
      expect(agents.map(({ name, source }) => [name, source])).toEqual([
        ["tester", "file"],
        ["kept", "api"],
      ]);
      const second = await tell("kept", "demo:text Still here.", {}, after);
      expect(second.session).toBe(first.session);
      expect(saidBefore()).toContain("remember-me");
      expect(lastAsked().model).toBe("claude-haiku-4-5");
    } finally {
      await after.close();
    }
  });
});

describe("[P5] who pays", () => {
  test("is shown of each agent, with the account's limit, and in the usage", async () => {
    const key = "made-up-key-for-tests";
    const own = await openGateway(scene, {
      agents: [
        { name: "subscribed", billing: "subscription" },
        { name: "by-key", billing: "api_key" },
      ],
      environment: { ANTHROPIC_API_KEY: key },
    });
    try {
      expect((await agentNow("subscribed", own)).now["paid_by"]).toEqual({ api_key_source: null, limits: [] });
      await tell("subscribed", "demo:limit status=allowed claim=five_hour\ndemo:text Hi.", {}, own);
      await tell("by-key", "demo:text Hi.", {}, own);
      expect((await agentNow("subscribed", own)).now["paid_by"]).toMatchObject({
        api_key_source: "none",
        limits: [{ limit: "five_hour", status: "allowed", api_key_source: "none", resets_at: expect.any(String) }],
      });
      expect((await agentNow("by-key", own)).now["paid_by"]).toEqual({
        api_key_source: "ANTHROPIC_API_KEY",
        limits: [],
      });
      const usage = await json<{ rows: object[]; limits: object[] }>("/api/usage?by=api_key_source", {}, own);
      expect(usage.rows).toMatchObject([
        { api_key_source: "ANTHROPIC_API_KEY", turns: 1, completed: 1 },
        { api_key_source: "none", turns: 1, completed: 1 },
      ]);
      expect(usage.limits).toMatchObject([{ limit: "five_hour", api_key_source: "none" }]);
      expect(JSON.stringify([usage, await json("/api/agents", {}, own)])).not.toContain(key);
    } finally {
      await own.close();
    }
  });

  test("a credential that the agent is not to be billed to fails the turn before its prompt is sent, and is told", async () => {
    const workspace = newWorkspace(scene, "billed");
    mkdirSync(join(workspace, ".claude"));
    writeFileSync(join(workspace, ".claude/settings.json"), JSON.stringify({ env: { ANTHROPIC_API_KEY: "made-up" } }));
    const own = await openGateway(scene, {
      agents: [{ name: "tester", workspace, billing: "subscription", setting_sources: ["project"] }],
    });
    try {
      const before = scene.requests.length;
      expect(await tell("tester", "never sent", {}, own)).toMatchObject({ state: "failed", code: "billing_mismatch" });
      expect(scene.requests.length).toBe(before);
      expect(await agentNow("tester", own)).toMatchObject({
        now: { state: "idle", last_error: { code: "billing_mismatch" } },
        usage: { turns: 1, failed: 1 },
      });
    } finally {
      await own.close();
    }
  });
});

test("the README's lines make an agent, tell it something, change it, look at it and remove it", async () => {
  const own = await openGateway(scene, { openCaller: { key: "demo", user: null, reach: "all" } });
  try {
    const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
    const lines = /<!-- run: agents -->\s*```sh\n([^]*?)\n```/.exec(readme)![1]!.split("\n");
    const replies: Record<string, unknown>[] = [];
    for (const line of lines) {
      const command = line.replaceAll("localhost:8787", new URL(own.address).host);
      const { stdout } = await promisify(execFile)("bash", ["-c", command]);
      replies.push(JSON.parse(stdout) as Record<string, unknown>);
    }
    const session = replies[1]!["session"];
    expect(replies).toMatchObject([
      { name: "guide", source: "api", model: "claude-haiku-4-5", now: { state: "idle" } },
      { agent: "guide", session, state: "completed" },
      { name: "guide", max_model_turns: 5 },
      { agent: "guide", session, state: "completed" },
      { name: "guide", now: { state: "idle", processes: { live: 1 } }, usage: { turns: 2 } },
      { name: "guide", removed: true },
    ]);
    expect(replies[2]).not.toHaveProperty("model");
  } finally {
    await own.close();
  }
});
