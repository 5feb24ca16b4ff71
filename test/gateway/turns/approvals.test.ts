// Approvals on a real store and log, without a CLI: who may settle one, in which order, and what the log says of it.
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Decision } from "../../../gateway/claude/control.ts";
import type { ToolQuestion } from "../../../gateway/claude/questions.ts";
import { createEventLog, type EventLog } from "../../../gateway/log/event-log.ts";
import type { AgentConfig } from "../../../gateway/protocol/agents.ts";
import type { Caller } from "../../../gateway/protocol/callers.ts";
import { answerApproval } from "../../../gateway/protocol/requests.ts";
import { StoreFull, type Store } from "../../../gateway/store/port.ts";
import { bodyOf } from "../../../gateway/store/run.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import { createApprovals, type Approvals, type Places } from "../../../gateway/turns/approvals.ts";
import { recoverTurns } from "../../../gateway/turns/recovery.ts";
import { question } from "../../support/approval-drafts.ts";
import { alice, eventsWrite, newEvent, newTurn, queued, sessionWrite } from "../../support/log-drafts.ts";
import { readAgent } from "../../support/real-cli.ts";
import { until } from "../../support/wait.ts";

/** Every turn has a place whenever it wants one. */
const places: Places = { giveAway: () => {}, takeBack: (_, onRunning) => onRunning(), reclaim: () => {} };

let folder: string;
let store: Store;
let log: EventLog;
let approvals: Approvals;
let session: string;
let turn: string;
/** While it is there, every commit fails with it. */
let fault: Error | undefined;
let commits = 0;
/** Every commit waits for it. */
let gate: { readonly open: Promise<void>; isReached: boolean } | undefined;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "sluice-approvals-"));
  const real = openSqliteStore(join(folder, "s.sqlite"));
  fault = undefined;
  gate = undefined;
  commits = 0;
  store = {
    ...real,
    async commit(writes) {
      if (gate) gate.isReached = true;
      await gate?.open;
      if (fault) throw fault;
      const seqs = await real.commit(writes);
      commits += 1;
      return seqs;
    },
  };
  log = createEventLog(store);
  approvals = createApprovals({ store, log, places });
  ({ session, turn } = await makeTurn());
});
afterEach(async () => {
  await log.close();
  await store.close();
  rmSync(folder, { recursive: true });
});

async function makeTurn(owner?: { key: string; user: string | null }): Promise<{ session: string; turn: string }> {
  const made = sessionWrite(randomUUID(), owner);
  const { session: id } = made.session;
  const created = newTurn(id);
  await store.commit([
    made,
    { kind: "turn", turn: created },
    eventsWrite(id, newEvent(queued(id), created.turn)),
    { kind: "turn_state", turn: created.turn, state: "running", at: 2500 },
  ]);
  return { session: id, turn: created.turn };
}

interface Asked {
  readonly approval: string;
  readonly decision: Promise<Decision>;
  readonly withdraw: () => void;
}

/** Asks, and resolves once the request is in the log. */
async function ask(more: Partial<ToolQuestion> = {}, agent: AgentConfig = readAgent()): Promise<Asked> {
  const controller = new AbortController();
  const before = await pending();
  const decision = approvals.ask(agent, session, question(turn, more), controller.signal);
  const [approval] = await until("the request", async () => {
    const fresh = (await pending()).filter((id) => !before.includes(id));
    return fresh.length > 0 && fresh;
  });
  return { approval: approval!, decision, withdraw: () => controller.abort() };
}

const pending = async () =>
  (await store.approvals(alice, { state: "pending", limit: 100 })).map(({ approval }) => approval);
const answer = (approval: string, body: unknown, caller: Caller = alice) =>
  approvals.answer(caller, approval, answerApproval.parse(body));
const state = async () => (await store.turn(alice, turn))?.state;

async function logged(type: string) {
  const events = await store.events(alice, session, 0, 100);
  return events.filter((event) => event.type === type).map((event) => ({ turn: event.turn, ...bodyOf(event) }));
}

test("[L2] an approval is asked in the log, and its answer is stored before the tool gets it", async () => {
  const agent = readAgent({ approval_timeout_s: 60 });
  const before = Date.now();
  const { approval, decision } = await ask({ reason: "why", parent_tool_use_id: "toolu_0" }, agent);
  const [request] = await logged("approval_requested");
  expect(request).toMatchObject({
    turn,
    approval,
    tool: "Bash",
    tool_use_id: "toolu_1",
    parent_tool_use_id: "toolu_0",
    input: { command: "touch x" },
    reason: "why",
  });
  const expiresAt = Date.parse((request as unknown as { expires_at: string }).expires_at);
  expect(expiresAt).toBeGreaterThanOrEqual(before + 60_000);
  expect(expiresAt).toBeLessThanOrEqual(Date.now() + 60_000);
  expect(await state()).toBe("waiting");
  let commitsAtDecision = 0;
  const decided = decision.then((what) => {
    commitsAtDecision = commits;
    return what;
  });
  const commitsBefore = commits;
  const row = await answer(approval, { decision: "allow" });
  expect(await decided).toEqual({ behavior: "allow", updatedInput: { command: "touch x" } });
  expect(commitsAtDecision).toBe(commitsBefore + 1);
  expect(row.resolved).toMatchObject({ decision: "allow", by: { key: "alice" } });
  expect(await logged("approval_resolved")).toEqual([
    { turn, type: "approval_resolved", approval, decision: "allow", by: { key: "alice" } },
  ]);
  expect(await state()).toBe("running");
});

test("the first answer wins, and every later one learns who gave it", async () => {
  const { approval, decision } = await ask();
  const bob: Caller = { key: "alice", user: "bob", reach: "key" };
  const results = await Promise.allSettled([
    answer(approval, { decision: "deny", message: "no" }, bob),
    answer(approval, { decision: "allow" }),
    answer(approval, { decision: "deny" }),
  ]);
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  expect(await decision).toEqual({ behavior: "deny", message: "no" });
  const conflict = { code: "conflict", extra: { by: { key: "alice", user: "bob" }, decision: "deny" } };
  for (const result of results.slice(1)) expect(result).toMatchObject({ reason: conflict });
  await expect(answer(approval, { decision: "allow" })).rejects.toMatchObject(conflict);
  expect(await logged("approval_resolved")).toHaveLength(1);
});

test("a refused answer leaves the approval open", async () => {
  const { approval, decision } = await ask();
  await expect(answer(approval, { decision: "allow", answers: { a: "b" } })).rejects.toMatchObject({
    code: "invalid_request",
  });
  expect(await pending()).toEqual([approval]);
  await answer(approval, { decision: "allow" });
  expect(await decision).toMatchObject({ behavior: "allow" });
});

test("[A4] an approval of somebody else is as unknown as one that does not exist", async () => {
  const { approval, decision } = await ask();
  const mallory: Caller = { key: "mallory", user: null, reach: "key" };
  for (const [caller, id] of [
    [mallory, approval],
    [{ key: "alice", user: "bob", reach: "user" }, approval],
    [alice, randomUUID()],
  ] as const)
    await expect(answer(id, { decision: "allow" }, caller)).rejects.toMatchObject({ code: "not_found" });
  await answer(approval, { decision: "deny" });
  await decision;
});

test("no answer in the agent's time is a deny by the clock", async () => {
  const { approval, decision } = await ask({}, readAgent({ approval_timeout_s: 0.05 }));
  expect(await decision).toEqual({ behavior: "deny", message: "Nobody allowed this in time." });
  expect(await logged("approval_resolved")).toMatchObject([{ approval, decision: "deny", by: { gateway: "timeout" } }]);
  expect(await state()).toBe("running");
  await expect(answer(approval, { decision: "allow" })).rejects.toMatchObject({
    code: "conflict",
    extra: { by: { gateway: "timeout" } },
  });
});

test("[T7] several approvals at once: the turn waits until the last is answered", async () => {
  const first = await ask({ tool_use_id: "toolu_1" });
  const second = await ask({ tool_use_id: "toolu_2", tool: "Write" });
  expect(await state()).toBe("waiting");
  await answer(first.approval, { decision: "allow" });
  expect(await state()).toBe("waiting");
  await answer(second.approval, { decision: "deny" });
  expect(await state()).toBe("running");
  expect(await Promise.all([first.decision, second.decision])).toMatchObject([
    { behavior: "allow" },
    { behavior: "deny" },
  ]);
});

test("allowed for the session, a tool is not asked for again, also by another gateway on the store; others are", async () => {
  const waiting = await ask({ tool_use_id: "toolu_0" });
  const { approval, decision } = await ask({}, readAgent({ input_changes: true }));
  await answer(approval, { decision: "allow", input: { command: "touch y" }, scope: "session" });
  expect(await decision).toEqual({ behavior: "allow", updatedInput: { command: "touch y" } });
  // What waited for the same is allowed with it, with its own input.
  expect(await waiting.decision).toEqual({ behavior: "allow", updatedInput: { command: "touch x" } });
  expect(await logged("approval_resolved")).toEqual([
    expect.objectContaining({ approval, scope: "session", updated_input: { command: "touch y" } }),
    { turn, type: "approval_resolved", approval: waiting.approval, decision: "allow", by: { key: "alice" } },
  ]);
  const { signal } = new AbortController();
  const later = { behavior: "allow", updatedInput: { command: "touch z" } };
  const asked = question(turn, { input: { command: "touch z" } });
  expect(await approvals.ask(readAgent(), session, asked, signal)).toEqual(later);
  expect(await createApprovals({ store, log, places }).ask(readAgent(), session, asked, signal)).toEqual(later);
  expect(await logged("approval_requested")).toHaveLength(2);
  // Nor does it count any more where the agent has no such approvals now.
  const anew = await ask({}, readAgent({ session_approvals: false }));
  await answer(anew.approval, { decision: "deny" });
  const other = await ask({ tool: "Write" });
  await answer(other.approval, { decision: "deny" });
  ({ session, turn } = await makeTurn());
  const elsewhere = await ask();
  await answer(elsewhere.approval, { decision: "deny" });
});

test("a question that comes while a grant is being stored is not asked, and waits for it", async () => {
  const { approval } = await ask();
  const { promise, resolve: open } = Promise.withResolvers<void>();
  const held = (gate = { open: promise, isReached: false });
  const granted = answer(approval, { decision: "allow", scope: "session" });
  await until("the answer's commit", () => held.isReached);
  const next = approvals.ask(readAgent(), session, question(turn), new AbortController().signal);
  expect(await Promise.race([next, new Promise((resolve) => setImmediate(resolve, "nothing yet"))])).toBe(
    "nothing yet",
  );
  gate = undefined;
  open();
  await granted;
  expect(await next).toMatchObject({ behavior: "allow" });
  expect(await logged("approval_requested")).toHaveLength(1);
});

test("a question to a person is asked each time anew", async () => {
  const { approval } = await ask({ tool: "Plan" });
  await answer(approval, { decision: "allow", scope: "session" });
  const personal = await ask({ tool: "Plan", isPersonal: true });
  await answer(personal.approval, { decision: "allow" });
  expect(await personal.decision).toMatchObject({ behavior: "allow" });
});

test.each([
  ["a caller's cancel", { key: "alice" }, { gateway: "cancel" }],
  ["a shutdown", { gateway: "shutdown" }, { gateway: "shutdown" }],
] as const)("%s denies what is open of the turn, and the CLI is left to its interrupt", async (_, by, shown) => {
  const { approval, decision, withdraw } = await ask();
  approvals.cancelTurn(randomUUID(), by);
  expect(await pending()).toEqual([approval]);
  approvals.cancelTurn(turn, by);
  await log.append({ session, events: [{ turn, type: "turn_cancelled", by, text: "" }] });
  expect((await store.events(alice, session, 0, 100)).map(({ type }) => type).slice(-2)).toEqual([
    "approval_resolved",
    "turn_cancelled",
  ]);
  expect(await logged("approval_resolved")).toMatchObject([{ approval, decision: "deny", by: shown }]);
  expect(await Promise.race([decision, Promise.resolve("nothing yet")])).toBe("nothing yet");
  withdraw();
  await decision;
  expect(await logged("approval_resolved")).toHaveLength(1);
  expect(await state()).toBe("cancelled");
});

test("what the CLI takes back is denied, and so is what is open when its turn ends", async () => {
  const first = await ask();
  first.withdraw();
  await first.decision;
  const second = await ask();
  approvals.endTurn(turn);
  expect(await second.decision).toMatchObject({ behavior: "deny" });
  expect(await logged("approval_resolved")).toMatchObject([
    { approval: first.approval, decision: "deny", by: { cli: "withdrawn" } },
    { approval: second.approval, decision: "deny", by: { cli: "turn_ended" } },
  ]);
  expect(await pending()).toEqual([]);
});

test("a question that cannot be stored is denied, and leaves nothing behind", async () => {
  fault = new StoreFull("no room");
  const { signal } = new AbortController();
  expect(await approvals.ask(readAgent(), session, question(turn), signal)).toEqual({
    behavior: "deny",
    message: "The gateway cannot put the question to anybody now.",
  });
  fault = undefined;
  await until("room", () => log.isHealthy || log.append({ session, events: [] }).then(() => log.isHealthy));
  expect(await logged("approval_requested")).toEqual([]);
  expect(await state()).toBe("running");
  const next = await ask();
  await answer(next.approval, { decision: "allow" });
  expect(await next.decision).toMatchObject({ behavior: "allow" });
});

test("an answer that finds no room waits for it, and the tool waits with it", async () => {
  const { approval, decision } = await ask();
  fault = new StoreFull("no room");
  const answered = answer(approval, { decision: "allow" });
  await until("the refused commit", () => !log.isHealthy);
  expect(await Promise.race([decision, Promise.resolve("nothing yet")])).toBe("nothing yet");
  fault = undefined;
  expect(await answered).toMatchObject({ resolved: { decision: "allow" } });
  expect(await decision).toMatchObject({ behavior: "allow" });
});

test("[L3] after a restart what nobody can answer any more is denied before its turn's end", async () => {
  const { approval } = await ask();
  const settled = await ask({ tool: "Write" });
  await answer(settled.approval, { decision: "deny" });
  const next = createEventLog(store);
  expect(await recoverTurns(store, next)).toEqual([]);
  const events = (await store.events(alice, session, 0, 100)).map(bodyOf);
  expect(events.slice(-2)).toMatchObject([
    { type: "approval_resolved", approval, decision: "deny", by: { gateway: "restart" } },
    { type: "turn_failed", code: "gateway_restarted" },
  ]);
  expect(await pending()).toEqual([]);
  await expect(
    createApprovals({ store, log: next, places }).answer(alice, approval, answerApproval.parse({ decision: "allow" })),
  ).rejects.toMatchObject({
    code: "conflict",
    extra: { by: { gateway: "restart" } },
  });
  await next.close();
});
