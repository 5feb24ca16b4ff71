// The life of turns: taking requests, queueing, dispatching under the caps, cancelling, and both ends of the gateway's own life.
import { setTimeout as wait } from "node:timers/promises";
import type { Pool } from "../agents/pool.ts";
import type { Registry } from "../agents/registry.ts";
import type { Supervisor } from "../agents/supervisors.ts";
import { failure, turnFailed } from "../claude/outcome.ts";
import type { EventLog } from "../log/event-log.ts";
import { keepAttachments } from "../log/prompt-attachments.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { callerBy, gatewayCaller, type Caller, type Owner } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { TurnEvent } from "../protocol/events.ts";
import type { Limits } from "../protocol/limits.ts";
import {
  terminalState,
  type IdempotencyKey,
  type NewTurn,
  type Store,
  type TurnFilter,
  type ApprovalRow,
  type TurnRow,
  type Write,
} from "../store/port.ts";
import { createAgentWork, type Work } from "./agent-work.ts";
import { createApprovals, type Approvals } from "./approvals.ts";
import { admit, callerName, checkPlace, retryAfterS, type Admission, type TurnRequest } from "./admission.ts";
import { createClosing, noSession } from "./closing.ts";
import { createDiagnostics } from "./diagnostics.ts";
import { hasEnded, stateChange } from "./machine.ts";
import { createOnce } from "./once.ts";
import { cancelOwnTurn } from "./own-turns.ts";
import { createQueue, type Waiting } from "./queue.ts";
import { createRateLimits } from "./rate-limits.ts";
import { agentNow, recoverTurns } from "./recovery.ts";
import { runTurn, type RunningTurn } from "./runner.ts";
import { createStandingSessions } from "./standing-sessions.ts";
import { createSupervision, type LiveTurn, type WaitOptions } from "./supervision.ts";
import { createTurnIds } from "./turn-id.ts";

/** A turn as requests see it. `position` is null once it runs. */
export type TurnView = TurnRow & { readonly position: number | null };

export interface Turns {
  /** Takes a prompt. Throws a `GatewayError` where it is refused; then nothing has been stored. */
  create(caller: Caller, request: TurnRequest, idempotencyKey?: string): Promise<TurnView>;
  /** Throws `not_found`. */
  get(caller: Caller, turn: string): Promise<TurnView>;
  list(caller: Caller, filter: TurnFilter): Promise<TurnView[]>;
  /**
   * The turn with its open approvals: now, or once it has ended or asks something new, or when the wait is over. A caller that is a turn
   * itself counts as none that runs meanwhile. Throws `not_found`, and `conflict` where it would wait for itself.
   */
  follow(caller: Caller, turn: string, wait: WaitOptions): Promise<{ turn: TurnView; approvals: ApprovalRow[] }>;
  /** Ends a turn; resolves with it once its terminal event is stored. A finished one is left as it is. */
  cancel(caller: Caller, turn: string): Promise<TurnView>;
  /**
   * Ends all of a session's turns, those that wait first; resolves when none is left. Until the function that it resolves with is called
   * there are no new ones. Throws `not_found` where somebody else is just doing that.
   */
  closeSession(caller: Caller, session: string): Promise<() => void>;
  /** The same for an agent. The caller must see all its turns. */
  closeAgent(caller: Caller, agent: string): Promise<() => void>;
  /** As whom a supervising agent's process asks now. Throws `conflict` where no turn runs in it. */
  callerOf(supervisor: Supervisor): Promise<Caller>;
  /** What an agent has to do now. */
  workOf(agent: AgentConfig): Work;
  /** Events of a process, in order; for the pool. */
  onEvents(session: string, events: readonly TurnEvent[]): void;
  /** Sees to what an earlier gateway left. Call once, before anything else. */
  recover(): Promise<void>;
  /** Takes no more turns, lets running ones go on for `graceMs`, then cancels them and gives them a moment to end. What waits stays stored. */
  drain(graceMs: number): Promise<void>;
  readonly approvals: Approvals;
  readonly runningCount: number;
  readonly queueLength: number;
}

export interface TurnsDeps {
  readonly store: Store;
  readonly log: EventLog;
  readonly registry: Registry;
  readonly pool: Pool;
  readonly limits: Limits;
  readonly now?: () => number;
  /** Gives ids that sort in the order in which they are made. */
  readonly newTurnId?: () => string;
  /** Which credential an agent is billed to: agents of the same one share its limits. Default: one for each kind of billing. */
  readonly credentialOf?: (agent: AgentConfig) => string;
  /** Free memory in bytes. */
  readonly freeMemory?: () => number;
  /** A turn has ended with this answer of the CLI as its last. */
  readonly onAnswer?: (session: string, answerUuid: string) => void;
  readonly onBug: (error: unknown, turn: string) => void;
}

/** For cancelled turns to end in, at a shutdown. */
const lastWordsMs = 8000;

/** A request whose turn has been made. */
interface Enqueued extends TurnRequest {
  readonly levels: number;
  readonly attachments: readonly Write[];
  readonly idempotency: IdempotencyKey | undefined;
}

interface OpenTurn extends LiveTurn {
  readonly owner: Owner;
  readonly agentName: string;
  /** The one that it runs with, once it does. */
  agent?: AgentConfig;
}

export function createTurns(deps: TurnsDeps): Turns {
  const {
    store,
    log,
    registry,
    pool,
    limits,
    now = Date.now,
    newTurnId = createTurnIds(),
    credentialOf = ({ billing }) => billing,
    freeMemory = () => process.availableMemory(),
    onAnswer = () => {},
    onBug,
  } = deps;
  const capsOf = (agent: string) => registry.agents.find(({ name }) => name === agent);
  const queue = createQueue({
    running: limits.running_turns,
    // A turn without a process of its own would only wait in another place.
    processes: limits.processes,
    runningOfAgent: (agent) => capsOf(agent)?.running_turns ?? Infinity,
    processesOfAgent: (agent) => capsOf(agent)?.processes ?? Infinity,
  });
  registry.onChange(dispatch);
  /** Everything that waits or runs. */
  const turns = new Map<string, OpenTurn>();
  const running = new Map<string, RunningTurn>();
  const lastPositions = new Map<string, number>();
  /** Turns that are stored; the others in the queue are about to be, and must not start before. */
  const stored = new Set<string>();
  const closing = createClosing({ endTurns });
  let isDraining = false;
  /** What an earlier gateway left is not in the queue before: who asks for something meanwhile waits, or would overtake it. */
  let recovery = Promise.resolve();

  const rateLimits = createRateLimits({ store, now, credentialOf });
  const diagnostics = createDiagnostics();
  const approvals = createApprovals({ store, log, now });
  const ownerOf = (turn: string) => turns.get(turn)?.owner;
  const work = createAgentWork({ queue, approvals, rateLimits, ownerOf, now });
  const makeOnce = createOnce({ store, now, make, find: get });
  const standingSessions = createStandingSessions(store);
  const supervision = createSupervision({
    store,
    log,
    queue,
    limits,
    agents: () => registry.agents,
    find: (turn) => turns.get(turn),
    all: () => turns.values(),
    cancel,
    startWaiting: dispatch,
  });

  async function create(caller: Caller, request: TurnRequest, idempotencyKey?: string): Promise<TurnView> {
    await recovery;
    if (isDraining)
      throw new GatewayError("shutting_down", "The gateway is shutting down.", { retry_after_s: retryAfterS });
    return idempotencyKey === undefined ? make(caller, request) : makeOnce(caller, request, idempotencyKey);
  }

  async function make(caller: Caller, request: TurnRequest, idempotency?: IdempotencyKey): Promise<TurnView> {
    if (!request.standing) return makeIn(caller, request, idempotency);
    const agent = registry.find(request.agent, caller.agents).name;
    return standingSessions.enter(caller, agent, request.standing.reset, (session) =>
      makeIn(caller, { ...request, session }, idempotency),
    );
  }

  async function makeIn(caller: Caller, request: TurnRequest, idempotency?: IdempotencyKey): Promise<TurnView> {
    const keep = () =>
      keepAttachments(request.prompt, {
        store,
        caller,
        maxBytes: limits.attachment_bytes,
        maxTotalBytes: limits.body_bytes,
      });
    const kept = await keep();
    const admissionDeps = { store, registry, queue, limits, rateLimits, freeMemory, now };
    const admission = await admit(caller, request, admissionDeps);
    await supervision.check(caller, admission.agent);
    const levels = await supervision.levels(callerBy(caller), admission.agent.name);
    checkPlace(admission, request, admissionDeps);
    supervision.checkCount(caller);
    const turn: NewTurn = {
      turn: newTurnId(),
      session: admission.session?.session ?? pool.newSession(admission.agent),
      by: callerBy(caller),
      prompt: kept.prompt,
      options: {
        context: request.context,
        model: request.model,
        permissionMode: request.permission_mode,
        turnTimeoutS: request.turn_timeout_s,
        continueFrom: request.continue_from,
        isFirst: request.on_busy === "interrupt",
      },
      queuedAt: now(),
    };
    closing.check(turn.session, admission.agent.name);
    const attachments = kept.writes(turn.session);
    try {
      await enqueue(turn, admission, { ...request, levels, attachments, idempotency });
    } catch (error) {
      // An attachment may have gone with another session meanwhile: then it is not found now.
      if (!(error instanceof GatewayError)) await keep();
      throw error;
    }
    return get(gatewayCaller, turn.turn);
  }

  async function enqueue(
    turn: NewTurn,
    { agent, owner, session: known }: Admission,
    { on_busy, context, metadata, levels, attachments, idempotency, standing }: Enqueued,
  ): Promise<void> {
    const { session, by, queuedAt: createdAt } = turn;
    const prompt = [...turn.prompt];
    const id = turn.turn;
    turns.set(id, { turn, owner, levels, agentName: agent.name });
    // In the queue before it is stored: the next request must see the place taken.
    queue.add({ turn: id, session, agent: agent.name, caller: callerName(owner), levels }, placeOf(turn));
    const position = queue.positions().get(id) ?? 1;
    lastPositions.set(id, position);
    const before: Write[] = [{ kind: "turn", turn, idempotency }, ...attachments];
    if (!known && standing) before.unshift({ kind: "standing_session", session });
    if (!known) before.unshift({ kind: "session", session: { session, agent: agent.name, owner, createdAt } });
    const queued = {
      type: "turn_queued",
      session,
      agent: agent.name,
      prompt,
      context,
      metadata,
      position,
      by,
    } as const;
    try {
      await log.appendNow({ session, before, events: [{ turn: id, ...queued }] });
    } catch (error) {
      forget(id);
      queue.remove(id);
      const isRemoved = known && !(await store.session(gatewayCaller, session));
      throw isRemoved ? noSession(session) : error;
    }
    stored.add(id);
    const current = queue.running(session);
    if (on_busy === "interrupt" && current) running.get(current.turn)?.cancel(by);
    dispatch();
  }

  function dispatch(): void {
    const startNext = () => (isDraining ? undefined : queue.start((turn) => stored.has(turn)));
    for (let next = startNext(); next; next = startNext()) start(next);
    announcePositions();
  }

  function start(entry: Waiting): void {
    const known = turns.get(entry.turn)!;
    const { turn } = known;
    // As it is now: it may have been changed since the prompt came.
    const agent = agentNow({ agent: entry.agent, options: turn.options }, registry);
    if (typeof agent !== "string") known.agent = agent;
    const run =
      typeof agent === "string"
        ? refuse(turn, agent)
        : runTurn(turn, agent, { pool, log, store, rateLimits, diagnostics, now, onAnswer, onBug, approvals });
    running.set(entry.turn, run);
    lastPositions.delete(entry.turn);
    void run.ended.then(() => {
      running.delete(entry.turn);
      forget(entry.turn);
      queue.finish(entry.turn);
      dispatch();
      supervision.ended(entry.turn).catch((error: unknown) => onBug(error, entry.turn));
    });
  }

  /** A turn that cannot run any more. */
  function refuse(turn: NewTurn, why: string): RunningTurn {
    const ending = turnFailed(failure("internal", why), "");
    const ended = log.append({ session: turn.session, events: [{ turn: turn.turn, ...ending }] }).then(
      () => {},
      (error: unknown) => onBug(error, turn.turn),
    );
    return { turn, ended, cancel: () => {} };
  }

  function forget(turn: string): void {
    turns.delete(turn);
    lastPositions.delete(turn);
    stored.delete(turn);
  }

  function announcePositions(): void {
    for (const [turn, position] of queue.positions()) {
      if (!stored.has(turn) || lastPositions.get(turn) === position) continue;
      lastPositions.set(turn, position);
      const session = turns.get(turn)!.turn.session;
      log
        .append({ session, events: [{ turn, type: "turn_moved", position }] })
        .catch((error: unknown) => onBug(error, turn));
    }
  }

  async function get(caller: Caller, turn: string): Promise<TurnView> {
    const row = await store.turn(caller, turn);
    if (!row) throw new GatewayError("not_found", `There is no turn "${turn}".`);
    return view(row, queue.positions());
  }

  function view(row: TurnRow, positions: ReadonlyMap<string, number>): TurnView {
    return { ...row, position: row.state === "queued" ? (positions.get(row.turn) ?? null) : null };
  }

  async function cancel(caller: Caller, id: string): Promise<TurnView> {
    await recovery;
    const row = await get(caller, id);
    if (hasEnded(row.state)) return row;
    const by = callerBy(caller);
    const run = running.get(id);
    if (run) {
      run.cancel(by);
      await run.ended;
    } else if (queue.remove(id)) {
      forget(id);
      await log.append({ session: row.session, events: [{ turn: id, type: "turn_cancelled", by, text: "" }] });
      dispatch();
    } else {
      if ("cli" in row.by) await cancelOwnTurn(row, by, { pool, log });
      // Or somebody else is just ending it: that is stored first.
      await log.commit([]);
    }
    return get(caller, id);
  }

  /** Those that wait first, or they would start. */
  async function endTurns(caller: Caller, isIts: (turn: { session: string; agent: string }) => boolean): Promise<void> {
    await recovery;
    // What was taken just before is stored first: an unstored turn cannot be cancelled.
    await log.commit([]);
    const its = [...turns.values()].filter(({ turn, agentName }) => isIts({ session: turn.session, agent: agentName }));
    const ids = its.map(({ turn }) => turn.turn);
    for (const id of ids.filter((one) => !running.has(one))) await cancel(caller, id);
    for (const id of ids) await cancel(caller, id);
  }

  function onEvents(session: string, events: readonly TurnEvent[]): void {
    for (const { type, turn } of events)
      if (turn !== null && Object.hasOwn(terminalState, type)) approvals.endTurn(turn);
    const before = events.flatMap((event): Write[] => {
      // Only a turn that the CLI began by itself is queued here: it has no row yet.
      if (event.type !== "turn_queued" || event.turn === null) return [];
      const turn: NewTurn = { turn: event.turn, session, by: event.by, prompt: [], options: {}, queuedAt: now() };
      return [{ kind: "turn", turn }, stateChange(event.turn, "queued", "running", now())];
    });
    const agent = turns.get(queue.running(session)?.turn ?? "")?.agent;
    if (agent) {
      before.push(...rateLimits.note(agent, events));
      work.note(agent, events);
    }
    log.append({ session, events, before }).catch((error: unknown) => onBug(error, events[0]?.turn ?? ""));
  }

  async function recover(): Promise<void> {
    await rateLimits.load();
    for (const row of await recoverTurns(store, log)) {
      const levels = await supervision.levels(row.by, row.agent);
      turns.set(row.turn, { turn: row, owner: row.owner, levels, agentName: row.agent });
      stored.add(row.turn);
      const { turn, session } = row;
      queue.add({ turn, session, agent: row.agent, caller: callerName(row.owner), levels }, placeOf(row));
    }
    dispatch();
  }

  async function drain(graceMs: number): Promise<void> {
    isDraining = true;
    const allEnded = Promise.all([...running.values()].map((run) => run.ended));
    const timer = setTimeout(() => {
      for (const run of running.values()) run.cancel({ gateway: "shutdown" });
    }, graceMs);
    // A cancelled turn ends soon, but without room in the store its end cannot be told: the next start does.
    await Promise.race([allEnded, wait(graceMs + lastWordsMs, undefined, { ref: false })]);
    clearTimeout(timer);
  }

  return {
    create,
    get,
    list: async (caller, filter) => {
      const positions = queue.positions();
      return (await store.turns(caller, filter)).map((row) => view(row, positions));
    },
    async follow(caller, id, wait) {
      const approvals = await supervision.wait(caller, await get(caller, id), wait);
      return { turn: await get(caller, id), approvals };
    },
    cancel,
    closeSession: closing.session,
    closeAgent: closing.agent,
    callerOf: supervision.callerOf,
    workOf: work.of,
    onEvents,
    recover: () => (recovery = recover()),
    drain,
    approvals,
    get runningCount() {
      return queue.runningCount;
    },
    get queueLength() {
      return queue.length;
    },
  };
}

function placeOf({ options }: NewTurn): "first_of_session" | "last" {
  return options.isFirst ? "first_of_session" : "last";
}
