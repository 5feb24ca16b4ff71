// One turn from the queue to its terminal event: its session's process, its events into the log. It never rejects: whatever
// happens is the turn's own failure [L3].
import { once } from "node:events";
import type { Pool } from "../agents/pool.ts";
import { type Driver } from "../claude/driver.ts";
import { StartFailure } from "../claude/launch.ts";
import { failure, turnFailed, type Failure } from "../claude/outcome.ts";
import type { EventLog } from "../log/event-log.ts";
import { inlineAttachments } from "../log/prompt-attachments.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { gatewayCaller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { By, TerminalEvent } from "../protocol/events.ts";
import type { PermissionMode } from "../protocol/codes.ts";
import type { PromptBlock } from "../protocol/prompt.ts";
import type { NewTurn, Store, Write } from "../store/port.ts";
import type { Approvals } from "./approvals.ts";
import type { Diagnostics } from "./diagnostics.ts";
import { continueLost } from "./lost-session.ts";
import { hasEnded, stateChange } from "./machine.ts";
import { modelPrompt } from "./model-prompt.ts";
import type { RateLimits } from "./rate-limits.ts";

export interface RunningTurn {
  readonly turn: NewTurn;
  /** Resolves when the terminal event is stored. Never rejects. */
  readonly ended: Promise<void>;
  /** Ends the turn as cancelled, at whatever point it is. */
  cancel(by: By): void;
}

export interface RunnerDeps {
  readonly pool: Pool;
  readonly log: EventLog;
  readonly approvals: Pick<Approvals, "cancelTurn">;
  readonly store: Store;
  readonly rateLimits: RateLimits;
  readonly diagnostics: Diagnostics;
  readonly now: () => number;
  /** A turn has ended with this answer of the CLI as its last. */
  readonly onAnswer: (session: string, answerUuid: string) => void;
  /** A bug: logged once, here. */
  readonly onBug: (error: unknown, turn: string) => void;
}

const attachmentGone = "An attachment of the prompt is not kept any more.";

export function runTurn(turn: NewTurn, agent: AgentConfig, deps: RunnerDeps): RunningTurn {
  const { pool, log, store, rateLimits, diagnostics, now, onAnswer, onBug } = deps;
  const { session } = turn;
  /** Aborted once `verdict` is known: the turn waits for no process any more. */
  const stopping = new AbortController();
  let verdict: TerminalEvent | undefined;
  let interrupt: ((by: By) => void) | undefined;
  let hasProcess = false;

  async function run(): Promise<void> {
    const until = rateLimits.admit(agent);
    if (until !== undefined) return endWithoutProcess(turnFailed(limitReached(until), ""));
    await log.append({
      session,
      events: [{ turn: turn.turn, type: "turn_moved", position: null }],
      before: [stateChange(turn.turn, "queued", "running", now())],
    });
    if (verdict) return endWithoutProcess(verdict);
    const prompt = await inlineAttachments(turn.prompt, store);
    if (!prompt) return endWithoutProcess(turnFailed(failure("internal", attachmentGone), ""));
    const wallClock = startWallClock();
    const { driver, earlier } = await acquire().finally(wallClock.stop);
    if (verdict && earlier.length > 0) await pool.end(session);
    if (verdict) return endWithoutProcess(verdict);
    interrupt = (by) => driver.cancel(by, turn.turn);
    const { model, permissionMode, context } = turn.options;
    const before = driver.answerUuid;
    // The driver hands every event, the terminal one last, to the log itself.
    await driver.run({
      turn: turn.turn,
      prompt: [...earlier, ...modelPrompt(context, prompt)],
      ...(model === undefined ? {} : { model }),
      ...(permissionMode === undefined ? {} : { permissionMode: permissionMode as PermissionMode }),
      timeoutS: wallClock.leftS(),
    });
    const { answerUuid } = driver;
    const isAnswered = answerUuid !== undefined && answerUuid !== before;
    // Resolves when all that is stored.
    await log.append({
      session,
      events: [],
      after: isAnswered ? [{ kind: "turn_answer", turn: turn.turn, answerUuid }] : [],
    });
    // What the process said last may be what the store does not take.
    await endIfOpen(turnFailed(failure("internal"), ""));
    // Not sooner: the last words of a process that died may be read only after its end was.
    const said = diagnostics.ofProcess(turn.turn, driver);
    if (said.length > 0) await log.append({ session, events: [], after: said });
    if (isAnswered) onAnswer(session, answerUuid);
    // It may not have heard of what was before: the next turn must not take it for one that has.
    else if (earlier.length > 0) await pool.end(session);
  }

  /** [T5] While the turn waits for its process; then the driver counts on. */
  function startWallClock(): { leftS: () => number; stop: () => void } {
    const timeoutS = turn.options.turnTimeoutS ?? agent.turn_timeout_s;
    const since = performance.now();
    const timer = setTimeout(() => stop(turnFailed(failure("turn_timeout"), "")), timeoutS * 1000);
    return {
      leftS: () => Math.max(0, timeoutS - (performance.now() - since) / 1000),
      stop: () => clearTimeout(timer),
    };
  }

  /** Ends a turn that has no process yet. The first reason counts. */
  function stop(ending: TerminalEvent): void {
    verdict ??= ending;
    stopping.abort();
  }

  /** The session's process, and what must stand before the prompt: its conversation, where the CLI has lost it and that is asked for. */
  async function acquire(): Promise<{ driver: Driver; earlier: readonly PromptBlock[] }> {
    const { signal } = stopping;
    const isContinued = turn.options.continueFrom === "transcript";
    try {
      const driver = await pool.acquire(agent, session, { signal });
      hasProcess = true;
      // That the session is lost the CLI may say only once it is up.
      if (isContinued) await Promise.race([driver.ready, once(signal, "abort")]);
      return { driver, earlier: [] };
    } catch (error) {
      const isLost = error instanceof StartFailure && error.failure.code === "session_lost";
      if (!isLost || !isContinued) throw error;
    }
    const { block, notice } = await continueLost(session, turn.turn, store);
    try {
      const driver = await pool.acquire(agent, session, { isAnew: true, signal });
      hasProcess = true;
      await log.append({ session, events: [{ turn: turn.turn, ...notice }] });
      return { driver, earlier: [block] };
    } finally {
      // It will not hear of what was before: the next turn must not take it for one that has.
      if (signal.aborted) pool.end(session).catch((error: unknown) => onBug(error, turn.turn));
    }
  }

  async function endWithoutProcess(ending: TerminalEvent, after: Write[] = []): Promise<void> {
    await log.append({ session, events: [{ turn: turn.turn, ...ending }], after });
  }

  /** Whatever failed: a turn that has its ending gets no other one. */
  async function endIfOpen(ending: TerminalEvent, after?: Write[]): Promise<void> {
    const row = await store.turn(gatewayCaller, turn.turn);
    if (row && !hasEnded(row.state)) await endWithoutProcess(ending, after);
  }

  async function fail(error: unknown): Promise<void> {
    const isStart = error instanceof StartFailure;
    // A refusal is the pool's, which is closing.
    const isExpected = isStart || error instanceof GatewayError || error === stopping.signal.reason;
    if (!isExpected) onBug(error, turn.turn);
    const why = isStart ? diagnostics.ofStart(turn.turn, error) : [];
    await endIfOpen(verdict ?? turnFailed(isStart ? error.failure : failure("internal"), ""), why);
  }

  const ended = run()
    .catch(fail)
    .catch((error: unknown) => onBug(error, turn.turn))
    .finally(() => hasProcess && pool.release(session));
  return {
    turn,
    ended,
    cancel(by) {
      stop({ type: "turn_cancelled", by, text: "" });
      deps.approvals.cancelTurn(turn.turn, by);
      interrupt?.(by);
    },
  };
}

/** A turn whose time comes while its account's limit is reached: it has cost no process start. */
function limitReached(until: number): Failure {
  return failure("rate_limited", undefined, new Date(until).toISOString());
}
