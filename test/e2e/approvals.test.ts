// Approvals over HTTP, with the real CLI: what a person's answer does to the tool, the model, the turn and the log.
import { execFile } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listProcesses } from "../../gateway/claude/process-table.ts";
import { choice } from "../support/approval-drafts.ts";
import {
  jsonBody,
  newFolder,
  openGateway,
  spawnGateway,
  type Client,
  type GatewaySettings,
  type OwnGateway,
} from "../support/gateway.ts";
import { lacksCurl } from "../support/programs.ts";
import { openReader, readAll, type WireEvent } from "../support/reader.ts";
import { newWorkspace } from "../support/owner.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

interface Approval {
  readonly approval: string;
  readonly session: string;
  readonly turn: string;
  readonly state: string;
  readonly tool: string;
  readonly [field: string]: unknown;
}

let scene: Scene;
let workspace: string;
let gateway: OwnGateway;
let agents: NonNullable<GatewaySettings["agents"]>;
beforeAll(async () => {
  scene = await openScene();
  workspace = newWorkspace(scene, "approvals");
  agents = [
    { name: "default", workspace },
    { name: "impatient", workspace, approval_timeout_s: 6, silence_timeout_s: 3 },
    { name: "alone", workspace, permission_mode: "dontAsk" },
    { name: "single", workspace, processes: 1 },
    { name: "changing", workspace, input_changes: true },
    { name: "strict", workspace, input_changes: true, disallowed_tools: ["Bash(rm *)"] },
  ];
  gateway = await openGateway(scene, { agents });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

const file = (name: string) => join(workspace, name);
const touch = (name: string) => `demo:tool Bash {"command":"touch ${name}"}`;

async function list(client: Client, query = ""): Promise<Approval[]> {
  const reply = await client.fetch(`/api/approvals${query}`);
  expect(reply.status).toBe(200);
  return ((await reply.json()) as { approvals: Approval[] }).approvals;
}

/** The session's open approvals, once there are so many, oldest first. */
async function pending(client: Client, session: string, count = 1): Promise<Approval[]> {
  const found = await until(
    "the approvals",
    async () => {
      const open = await list(client, `?session=${session}&state=pending`);
      return open.length === count && open;
    },
    30_000,
  );
  return found.toReversed();
}

async function answer(client: Client, approval: string, body: unknown, query = "") {
  const reply = await client.fetch(`/api/approvals/${approval}${query}`, jsonBody(body));
  return { status: reply.status, body: (await reply.json()) as Record<string, unknown> };
}

async function eventsOf(client: Client, turn: string): Promise<WireEvent[]> {
  return readAll(new URL(`/api/turns/${turn}/events`, client.address), { headers: client.headers });
}

const ofType = (events: readonly WireEvent[], type: string) => events.filter((event) => event.type === type);

/** The processes that were started for the session. */
function processesOf(session: string): number[] {
  return listProcesses()
    .filter(({ parent }) => parent === process.pid)
    .map(({ pid }) => pid)
    .filter((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(session));
}

/** What the model was told the tool said. */
const lastAsked = () => JSON.stringify(scene.requests.at(-1)?.body.messages);

test("[T7] allowed, a tool runs; the turn waits meanwhile, and a second answer is a conflict that names the first's giver", async () => {
  const { turn, session, events_url } = await gateway.post(touch("allowed"), { agent: "default" });
  const reader = await openReader(events_url, { headers: gateway.headers });
  const request = await reader.find("the request", ({ type }) => type === "approval_requested");
  const [open] = await pending(gateway, session);
  const fields = {
    approval: request["approval"],
    tool: "Bash",
    input: { command: "touch allowed" },
    parent_tool_use_id: null,
    reason: null,
  };
  expect(request).toMatchObject({ turn, ...fields, expires_at: expect.stringMatching(/^\d{4}-.*Z$/) });
  expect(open).toMatchObject({ turn, session, state: "pending", ...fields, tool_use_id: request["tool_use_id"] });
  const call = reader.events.find((event) => event.type === "content_block_start")!;
  expect(call["content_block"]).toMatchObject({ type: "tool_use", id: request["tool_use_id"] });
  expect(reader.events.find((event) => event.type === "content_block_stop")!.seq).toBeLessThan(request.seq);
  expect((await gateway.turn(turn)).state).toBe("waiting");
  expect((await gateway.session(session)).state).toBe("waiting");
  expect(existsSync(file("allowed"))).toBe(false);

  const first = await answer(gateway, open!.approval, { decision: "allow" });
  const by = { key: expect.stringMatching(/./) };
  expect(first).toMatchObject({ status: 200, body: { state: "resolved", decision: "allow", by } });
  const second = await answer(gateway, open!.approval, { decision: "deny" });
  expect(second).toMatchObject({ status: 409, body: { code: "conflict", by: first.body["by"], decision: "allow" } });
  expect(await gateway.ended(turn)).toMatchObject({ state: "completed", denials: [] });
  expect(existsSync(file("allowed"))).toBe(true);
  await reader.ended;
  const order = reader.events.map(({ type }) => type).filter((type) => /^(approval|tool_result)/.test(type));
  expect(order).toEqual(["approval_requested", "approval_resolved", "tool_result"]);
  expect(await list(gateway, `?session=${session}`)).toEqual([]);
  expect(await list(gateway, `?session=${session}&state=resolved`)).toHaveLength(1);
});

test("allowed with a changed input, a tool runs with that one, and readers are told", async () => {
  const { turn, session } = await gateway.post(touch("asked"), { agent: "changing" });
  const [open] = await pending(gateway, session);
  const input = { command: "echo changed > changed" };
  expect(await answer(gateway, open!.approval, { decision: "allow", input })).toMatchObject({
    status: 200,
    body: { input: { command: "touch asked" }, updated_input: input },
  });
  expect((await gateway.ended(turn)).state).toBe("completed");
  expect(readFileSync(file("changed"), "utf8")).toBe("changed\n");
  expect(existsSync(file("asked"))).toBe(false);
  expect(ofType(await eventsOf(gateway, turn), "approval_resolved")).toMatchObject([{ updated_input: input }]);
});

test("[A5] the input of an agent that does not say so cannot be changed, and the refusal says what to set", async () => {
  const { turn, session } = await gateway.post(touch("unchanged"), { agent: "default" });
  const [open] = await pending(gateway, session);
  const changed = { decision: "allow", input: { command: "touch changed-unasked" } };
  expect(await answer(gateway, open!.approval, changed)).toMatchObject({
    status: 403,
    body: { code: "forbidden", field: "input", detail: expect.stringContaining("input_changes") as string },
  });
  await answer(gateway, open!.approval, { decision: "allow" });
  expect((await gateway.ended(turn)).state).toBe("completed");
  expect([existsSync(file("unchanged")), existsSync(file("changed-unasked"))]).toEqual([true, false]);
});

test("[A5] a closed agent asks nobody, whatever mode a request asks for", async () => {
  const post = (permission_mode: string) =>
    gateway.fetch("/api/turns", jsonBody({ prompt: touch("closed"), agent: "alone", permission_mode }));
  for (const mode of ["plan", "default", "acceptEdits", "bypassPermissions"]) {
    const refused = await post(mode);
    expect([refused.status, await refused.json()]).toMatchObject([
      403,
      { code: "forbidden", field: "permission_mode" },
    ]);
  }
  const taken = await post("dontAsk");
  expect(taken.status).toBe(202);
  const { turn } = (await taken.json()) as { turn: string };
  expect(await gateway.ended(turn)).toMatchObject({ state: "completed", denials: [{ tool_name: "Bash" }] });
  expect(existsSync(file("closed"))).toBe(false);
});

test("denied, a tool does not run, and the model reads the person's words as the tool's error", async () => {
  const { turn, session } = await gateway.post(touch("denied"), { agent: "default" });
  const [open] = await pending(gateway, session);
  await answer(gateway, open!.approval, { decision: "deny", message: "Not on a Friday." });
  expect(await gateway.ended(turn)).toMatchObject({ state: "completed", denials: [{ tool_name: "Bash" }] });
  expect(ofType(await eventsOf(gateway, turn), "tool_result")).toMatchObject([
    { content: "Not on a Friday.", is_error: true },
  ]);
  expect(lastAsked()).toContain("Not on a Friday.");
  expect(existsSync(file("denied"))).toBe(false);
});

test("[T5] nobody answers in time: denied by the clock, while neither watchdog counts", async () => {
  const { session, turn: warm } = await gateway.post("demo:text Up.", { agent: "impatient" });
  await gateway.ended(warm);
  const { turn } = await gateway.post(touch("late"), { session, turn_timeout_s: 4 });
  const { state, started_at, ended_at } = await gateway.ended(turn);
  expect(state).toBe("completed");
  expect(Date.parse(ended_at as string) - Date.parse(started_at as string)).toBeGreaterThan(5900);
  const events = await eventsOf(gateway, turn);
  expect(ofType(events, "approval_resolved")).toMatchObject([{ decision: "deny", by: { gateway: "timeout" } }]);
  expect(ofType(events, "tool_result")).toMatchObject([{ is_error: true, content: "Nobody allowed this in time." }]);
  expect(existsSync(file("late"))).toBe(false);
});

test("allowed for the session, a tool is not asked for again, in whatever process; another session asks", async () => {
  const { turn, session } = await gateway.post(touch("granted-1"), { agent: "single" });
  const [open] = await pending(gateway, session);
  expect((await answer(gateway, open!.approval, { decision: "allow", scope: "session" })).body).toMatchObject({
    scope: "session",
  });
  expect((await gateway.ended(turn)).state).toBe("completed");
  const again = await gateway.post(touch("granted-2"), { session });
  expect((await gateway.ended(again.turn)).state).toBe("completed");

  // The agent may have one process: another session's turn takes the room of this one's.
  const [before] = processesOf(session);
  const other = await gateway.post(touch("not-granted"), { agent: "single" });
  const [asked] = await pending(gateway, other.session);
  await answer(gateway, asked!.approval, { decision: "deny" });
  await gateway.ended(other.turn);
  expect(processesOf(session)).toEqual([]);
  const replaced = await gateway.post(touch("granted-3"), { session });
  expect((await gateway.ended(replaced.turn)).state).toBe("completed");
  expect(processesOf(session)).not.toEqual([before]);
  for (const name of ["granted-1", "granted-2", "granted-3"]) expect(existsSync(file(name))).toBe(true);
  for (const later of [again, replaced])
    expect(ofType(await eventsOf(gateway, later.turn), "approval_requested")).toEqual([]);
});

test("[T4] a cancel denies what waits, before the turn's end, and the process serves the next turn", async () => {
  const { turn, session } = await gateway.post(touch("cancelled"), { agent: "default" });
  const [open] = await pending(gateway, session);
  await gateway.fetch(`/api/turns/${turn}/cancel`, { method: "POST" });
  expect((await gateway.ended(turn)).state).toBe("cancelled");
  const events = await eventsOf(gateway, turn);
  expect(ofType(events, "approval_resolved")).toMatchObject([
    { approval: open!.approval, decision: "deny", by: { gateway: "cancel" } },
  ]);
  expect(events.at(-1)!.type).toBe("turn_cancelled");
  expect(await answer(gateway, open!.approval, { decision: "allow" })).toMatchObject({
    status: 409,
    body: { by: { gateway: "cancel" } },
  });
  const next = await gateway.post("demo:text Next, please.", { session });
  expect(await gateway.ended(next.turn)).toMatchObject({ state: "completed", text: "Next, please." });
  expect(existsSync(file("cancelled"))).toBe(false);
});

test("[T7] two subagents ask at once: each names its caller, and the turn waits for both answers", async () => {
  const agent = (name: string) => ({
    name: "Agent",
    input: { description: name, subagent_type: "general-purpose", prompt: touch(name) },
  });
  const { turn, session } = await gateway.post(`demo:tools ${JSON.stringify([agent("sub-1"), agent("sub-2")])}`, {
    agent: "default",
  });
  const open = await pending(gateway, session, 2);
  const parents = open.map((approval) => approval["parent_tool_use_id"]);
  expect(new Set(parents).size).toBe(2);
  const one = open.find(({ input }) => (input as { command: string }).command === "touch sub-1")!;
  const two = open.find((approval) => approval !== one)!;
  await answer(gateway, two.approval, { decision: "deny", message: "Not this one." });
  expect((await gateway.turn(turn)).state).toBe("waiting");
  await answer(gateway, one.approval, { decision: "allow" });
  expect((await gateway.ended(turn)).state).toBe("completed");
  expect([existsSync(file("sub-1")), existsSync(file("sub-2"))]).toEqual([true, false]);
  const events = await eventsOf(gateway, turn);
  const calls = ofType(events, "content_block_start").map((event) => event["content_block"] as { id?: string });
  expect(parents.every((parent) => calls.some(({ id }) => id === parent))).toBe(true);
  for (const { approval, tool_use_id, parent_tool_use_id } of open) {
    const request = ofType(events, "approval_requested").find((event) => event["approval"] === approval)!;
    const call = ofType(events, "content_block_start").find(
      (event) => (event["content_block"] as { id?: string }).id === tool_use_id,
    )!;
    expect(call).toMatchObject({ parent_tool_use_id });
    expect(call.seq).toBeLessThan(request.seq);
  }
});

test("the model's own question comes with its choices, and the chosen labels go back to it", async () => {
  const { turn, session } = await gateway.post(`demo:tool AskUserQuestion ${JSON.stringify(choice)}`, {
    agent: "default",
  });
  const [open] = await pending(gateway, session);
  expect(open).toMatchObject({ tool: "AskUserQuestion", input: choice });
  expect(await answer(gateway, open!.approval, { decision: "allow", answers: { "Which?": "Red" } })).toMatchObject({
    status: 400,
    body: { code: "invalid_request", field: "answers" },
  });
  expect(await answer(gateway, open!.approval, { decision: "allow", scope: "session" })).toMatchObject({ status: 400 });
  const answers = { "Which colour?": "Blue", "Which sides?": ["Left", "Right"] };
  expect((await answer(gateway, open!.approval, { decision: "allow", answers })).status).toBe(200);
  expect((await gateway.ended(turn)).state).toBe("completed");
  const [result] = ofType(await eventsOf(gateway, turn), "tool_result");
  expect(result?.["content"]).toContain('"Which colour?"="Blue"');
  expect(result?.["content"]).toContain('"Which sides?"="Left, Right"');
});

test("bad answers are refused by their field and leave the approval open; what is another user's is unknown", async () => {
  const { turn, session } = await gateway.post(touch("refused"), { agent: "strict", user: "ann" });
  const [open] = await pending(gateway, session);
  const { approval } = open!;
  const refused = async (body: unknown) => {
    const { status, body: problem } = await answer(gateway, approval, body);
    return [status, problem["code"], problem["field"]];
  };
  expect(await refused({})).toEqual([400, "invalid_request", "decision"]);
  expect(await refused({ decision: "deny", input: {} })).toEqual([400, "invalid_request", "input"]);
  expect(await refused({ decision: "allow", input: "ls" })).toEqual([400, "invalid_request", "input"]);
  expect(await refused({ decision: "allow", answers: { a: "b" } })).toEqual([400, "invalid_request", "answers"]);
  // The CLI would not hold a changed input to the agent's rules.
  const changed = { decision: "allow", input: { command: "rm -rf refused" } };
  expect(await refused(changed)).toEqual([403, "forbidden", "input"]);
  expect((await answer(gateway, "nonsense", { decision: "allow" })).status).toBe(404);
  expect((await answer(gateway, turn, { decision: "allow" })).status).toBe(404);
  expect((await answer(gateway, approval, { decision: "allow" }, "?user=bea")).status).toBe(404);
  expect(await list(gateway, `?session=${session}&user=bea`)).toEqual([]);
  expect((await gateway.fetch("/api/approvals?state=open")).status).toBe(400);
  expect((await gateway.fetch(`/api/approvals/${approval}`)).status).toBe(405);
  expect((await pending(gateway, session)).map((one) => one.approval)).toEqual([approval]);
  expect(await answer(gateway, approval, { decision: "deny" }, "?user=ann")).toMatchObject({
    status: 200,
    body: { by: { user: "ann" } },
  });
  await gateway.ended(turn);
});

test("[L3, S3] what waits at a shutdown is denied by it, before the turn's end", async () => {
  const dataFolder = newFolder(scene, "data");
  const first = await openGateway(scene, { agents, dataFolder });
  const { turn, session } = await first.post(touch("shut-down"), { agent: "default" });
  await pending(first, session);
  await first.close(0);
  const second = await openGateway(scene, { agents, dataFolder });
  const events = await eventsOf(second, turn);
  expect(ofType(events, "approval_resolved")).toMatchObject([{ decision: "deny", by: { gateway: "shutdown" } }]);
  expect(events.at(-1)).toMatchObject({ type: "turn_cancelled", by: { gateway: "shutdown" } });
  await second.close();
});

test("[L3] what waits when the gateway is killed is denied at its next start, before the turn's end; a grant holds", async () => {
  const dataFolder = newFolder(scene, "data");
  const first = await spawnGateway(scene, { agents, dataFolder });
  const granted = await first.post(touch("kept-1"), { agent: "default" });
  const [grant] = await pending(first, granted.session);
  await answer(first, grant!.approval, { decision: "allow", scope: "session" });
  await first.ended(granted.turn);
  const { turn, session } = await first.post(touch("killed"), { agent: "default" });
  const [open] = await pending(first, session);
  await first.kill("SIGKILL");

  rmSync(file("kept-1"));
  const second = await spawnGateway(scene, { agents, dataFolder });
  expect((await eventsOf(second, turn)).slice(-2)).toMatchObject([
    { type: "approval_resolved", approval: open!.approval, decision: "deny", by: { gateway: "restart" } },
    { type: "turn_failed", code: "gateway_restarted" },
  ]);
  expect(await list(second, `?session=${session}`)).toEqual([]);
  expect(await answer(second, open!.approval, { decision: "allow" })).toMatchObject({
    status: 409,
    body: { by: { gateway: "restart" } },
  });
  const again = await second.post(touch("kept-1"), { session: granted.session });
  expect((await second.ended(again.turn)).state).toBe("completed");
  expect(existsSync(file("kept-1"))).toBe(true);
  expect(existsSync(file("killed"))).toBe(false);
  await second.kill("SIGTERM");
});

test("an agent that asks nobody denies at once", async () => {
  const { turn } = await gateway.post(touch("unasked"), { agent: "alone" });
  expect(await gateway.ended(turn)).toMatchObject({ state: "completed", denials: [{ tool_name: "Bash" }] });
  const events = await eventsOf(gateway, turn);
  expect(ofType(events, "approval_requested")).toEqual([]);
  expect(ofType(events, "tool_result")).toMatchObject([{ is_error: true }]);
  expect(existsSync(file("unasked"))).toBe(false);
});

test.skipIf(lacksCurl)("the README's lines about approvals do what they say", async () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const [post, get, allow] = /<!-- run: approvals -->\s*```sh\n([^]*?)```/.exec(readme)![1]!.trim().split("\n");
  const demo = await openGateway(scene, { agents, openCaller: { key: "demo", user: null, reach: "all" } });
  const run = async (line: string, APPROVAL = "") => {
    const command = line.replaceAll("localhost:8787", new URL(demo.address).host);
    const { stdout } = await promisify(execFile)("bash", ["-c", command], { env: { ...process.env, APPROVAL } });
    return JSON.parse(stdout) as Record<string, unknown>;
  };
  const { turn } = await run(post!);
  const [open] = await until(
    "the approval",
    async () => {
      const { approvals } = (await run(get!)) as { approvals: Approval[] };
      return approvals.length > 0 && approvals;
    },
    30_000,
  );
  expect(open).toMatchObject({ turn, tool: "Bash" });
  expect(await run(allow!, open!.approval)).toMatchObject({ state: "resolved", decision: "allow" });
  expect((await demo.ended(turn as string)).state).toBe("completed");
  expect(existsSync(file("made-by-a-tool"))).toBe(true);
  await demo.close();
});
