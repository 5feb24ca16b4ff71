// Tool calls that wait for a person [T5, T7]. Each is asked once, in the log, and settled once by whoever comes first: a caller, the
// clock, a cancel, the CLI itself. What settled it is stored before the CLI learns of it [L2], and the turn has a place to run again before that [T8].
import { randomUUIDv7 } from "node:crypto";
import type { Decision } from "../claude/control.ts";
import { questionTool, type ToolQuestion } from "../claude/questions.ts";
import type { EventLog } from "../log/event-log.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { callerBy, gatewayCaller, visitorKey, type Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { By, EventOf } from "../protocol/events.ts";
import type { AnswerApproval } from "../protocol/requests.ts";
import type { ApprovalRow, Store } from "../store/port.ts";
import { decisionOf, outcomeOf, type Outcome } from "./decision.ts";
import { stateChange } from "./machine.ts";

export interface Approvals {
  /**
   * Asks, and resolves with the decision once that is stored; at once where the tool was allowed for the session. Denies where the
   * question cannot be stored. `signal`: the CLI takes the question back. Never rejects but on a bug.
   */
  ask(agent: AgentConfig, session: string, question: ToolQuestion, signal: AbortSignal): Promise<Decision>;
  /** The first answer wins. Throws `not_found`, `conflict` (with `by`), `invalid_request` or `forbidden`. */
  answer(caller: Caller, approval: string, answer: AnswerApproval): Promise<ApprovalRow>;
  /** Whether something of the turn waits for a person, or it has its answer and waits for a place to go on. */
  isWaiting(turn: string): boolean;
  /** The turn is being cancelled: what is open of it is denied. Call it before the CLI is interrupted. */
  cancelTurn(turn: string, by: By): void;
  /** The turn is about to end: nothing stays open behind its terminal event. */
  endTurn(turn: string): void;
}

/** What becomes of a turn's place to run while it waits for a person. Its process it keeps. */
export interface Places {
  giveAway(turn: string): void;
  /** Calls back once the turn has a place again, perhaps at once; also if it has ended meanwhile. */
  takeBack(turn: string, onRunning: () => void): void;
  /** It goes on now, be there a place or not: nobody can keep it from that. */
  reclaim(turn: string): void;
}

export interface ApprovalsDeps {
  readonly store: Store;
  readonly log: EventLog;
  readonly places: Places;
  readonly now?: () => number;
  readonly newId?: () => string;
}

/** An approval that is being asked, or settled but not stored as such yet. */
interface Open {
  readonly id: string;
  readonly agent: AgentConfig;
  readonly session: string;
  readonly question: ToolQuestion;
  readonly decide: (decision: Decision) => void;
  /** It is in the log, or on its way there. */
  isAsked: boolean;
  isSettled: boolean;
  /** The CLI hears the decision; otherwise it learns of it by the interrupt that follows, and would go on after a decision. */
  isTold: boolean;
  /** Resolves when what settled it is stored. */
  stored: Promise<unknown>;
  timer?: NodeJS.Timeout;
}

const denied: Outcome = { decision: "deny" };
const tooLate: Outcome = { decision: "deny", message: "Nobody allowed this in time." };
const notStored: Decision = { behavior: "deny", message: "The gateway cannot put the question to anybody now." };

export function createApprovals(deps: ApprovalsDeps): Approvals {
  const { store, log, places, now = Date.now, newId = randomUUIDv7 } = deps;
  const open = new Map<string, Open>();
  /** Turns that have been answered, and wait for a place. */
  const returning = new Set<string>();

  async function ask(
    agent: AgentConfig,
    session: string,
    question: ToolQuestion,
    signal: AbortSignal,
  ): Promise<Decision> {
    const { promise: decision, resolve: decide } = Promise.withResolvers<Decision>();
    const id = newId();
    const entry: Open = {
      id,
      agent,
      session,
      question,
      decide,
      isAsked: false,
      isSettled: false,
      isTold: true,
      stored: Promise.resolve(),
    };
    open.set(id, entry);
    signal.addEventListener("abort", () => {
      reclaim(entry.question.turn);
      settle(entry, denied, { cli: "withdrawn" });
      // Nobody listens to it any more.
      const dismiss = () => decide(notStored);
      void entry.stored.then(dismiss, dismiss);
    });
    try {
      const mayBeGranted = agent.session_approvals && !question.isPersonal;
      const isAllowed = mayBeGranted && (await isGranted(session, question.tool));
      if (entry.isSettled) return await decision;
      if (isAllowed) return decisionOf(question, { decision: "allow" });
      if (!(await request(entry))) return notStored;
      return await decision;
    } finally {
      entry.isSettled = true;
      clearTimeout(entry.timer);
      open.delete(id);
    }
  }

  /** A grant that is on its way to the store counts once it is there. */
  async function isGranted(session: string, tool: string): Promise<boolean> {
    for (const other of open.values())
      if (other.isSettled && other.session === session && other.question.tool === tool) await other.stored;
    return store.isGranted(gatewayCaller, session, tool);
  }

  /** False where the log has no room: a question that nobody can see is not asked. */
  async function request(entry: Open): Promise<boolean> {
    const { id: approval, question, session } = entry;
    const { turn, tool, tool_use_id, parent_tool_use_id, input, reason } = question;
    const timeoutMs = entry.agent.approval_timeout_s * 1000;
    const before = isWaiting(turn) ? [] : [stateChange(turn, "running", "waiting", now())];
    const expires_at = new Date(now() + timeoutMs).toISOString();
    const asked = { approval, tool, tool_use_id, parent_tool_use_id, input, reason, expires_at };
    entry.isAsked = true;
    entry.timer = setTimeout(() => settle(entry, tooLate, { gateway: "timeout" }), timeoutMs);
    try {
      await log.appendNow({ session, before, events: [{ turn, type: "approval_requested", ...asked }] });
      if (!entry.isSettled) places.giveAway(turn);
      return true;
    } catch (error) {
      if (error instanceof GatewayError) return false;
      throw error;
    }
  }

  function isAsking(turn: string): boolean {
    return [...open.values()].some((entry) => entry.question.turn === turn && entry.isAsked && !entry.isSettled);
  }

  const isWaiting = (turn: string) => returning.has(turn) || isAsking(turn);

  /** Nothing if it is settled. */
  function settle(entry: Open, outcome: Outcome, by: By): void {
    if (entry.isSettled) return;
    entry.isSettled = true;
    clearTimeout(entry.timer);
    const { decide, question } = entry;
    const placed = entry.isAsked ? takeBack(entry) : Promise.resolve();
    if (entry.isAsked) entry.stored = record(entry, { approval: entry.id, ...outcome, by });
    void Promise.all([entry.stored, placed]).then(
      () => entry.isTold && decide(decisionOf(question, outcome)),
      () => entry.isTold && decide(notStored),
    );
  }

  /** Resolves when its turn has a place again. Its state says so then, unless something else of it is still open. */
  function takeBack({ session, question: { turn } }: Open): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    let isAtOnce = true;
    returning.add(turn);
    places.takeBack(turn, () => {
      resolve();
      if (!returning.delete(turn) || isAtOnce || isAsking(turn)) return;
      const before = [stateChange(turn, "waiting", "running", now())];
      // Without room in the store it is `waiting` until its end, which can be stored no sooner either.
      log.append({ session, before, events: [] }).catch(() => {});
    });
    isAtOnce = false;
    return promise;
  }

  /** It goes on, or ends, whatever place there is. */
  function reclaim(turn: string): void {
    returning.delete(turn);
    places.reclaim(turn);
  }

  function record({ session, question }: Open, resolved: Omit<EventOf<"approval_resolved">, "type">): Promise<unknown> {
    const { turn } = question;
    const before = isWaiting(turn) ? [] : [stateChange(turn, "waiting", "running", now())];
    return log.append({ session, before, events: [{ turn, type: "approval_resolved", ...resolved }] });
  }

  async function answer(caller: Caller, id: string, given: AnswerApproval): Promise<ApprovalRow> {
    const row = await store.approval(caller, id);
    if (!row) throw new GatewayError("not_found", `There is no approval "${id}".`);
    const entry = open.get(id);
    if (!entry || entry.isSettled) throw await decidedAlready(caller, row, entry);
    // What a public agent must not do unasked its visitors cannot let it do; what it asks them is theirs to say.
    if (caller.key === visitorKey && given.decision === "allow" && entry.question.tool !== questionTool)
      throw new GatewayError("forbidden", "A visitor of a public agent cannot allow it a tool.");
    const by = callerBy(caller);
    const outcome = outcomeOf(entry.question, entry.agent, given);
    settle(entry, outcome, by);
    if (outcome.scope === "session") allowOthers(entry, by);
    await entry.stored;
    return (await store.approval(caller, id)) ?? row;
  }

  async function decidedAlready(caller: Caller, row: ApprovalRow, entry: Open | undefined): Promise<GatewayError> {
    await entry?.stored;
    const { resolved } = (await store.approval(caller, row.approval)) ?? row;
    const how = resolved === null ? {} : { by: resolved.by, decision: resolved.decision };
    return new GatewayError("conflict", "This approval has been decided already.", how);
  }

  /** What was allowed for the session need not be asked where it waits already. */
  function allowOthers({ session, question }: Open, by: By): void {
    for (const other of open.values())
      if (other.isAsked && other.session === session && other.question.tool === question.tool)
        settle(other, { decision: "allow" }, by);
  }

  function ofTurn(turn: string): Open[] {
    return [...open.values()].filter((entry) => entry.question.turn === turn);
  }

  return {
    ask,
    answer,
    isWaiting,
    cancelTurn(turn, by) {
      const canceller: By = "gateway" in by ? by : { gateway: "cancel" };
      for (const entry of ofTurn(turn)) entry.isTold = false;
      reclaim(turn);
      for (const entry of ofTurn(turn)) settle(entry, denied, canceller);
    },
    endTurn(turn) {
      reclaim(turn);
      for (const entry of ofTurn(turn)) settle(entry, denied, { cli: "turn_ended" });
    },
  };
}
