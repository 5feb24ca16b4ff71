// What can be done with turns: taking requests, looking at them, waiting for them, cancelling; and both ends of the gateway's own life. Where
// they wait and run is the dispatcher's. The interface of it all stands on top, which makes the file long.
import type { Pool } from "../agents/pool.ts";
import type { Registry } from "../agents/registry.ts";
import type { Supervisor } from "../agents/supervisors.ts";
import type { EventLog } from "../log/event-log.ts";
import { keepAttachments } from "../log/prompt-attachments.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { callerBy, gatewayCaller, type Caller, type Owner } from "../protocol/callers.ts";
import { GatewayError, retryAfterS } from "../protocol/errors.ts";
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
import { admit, checkPlace, type Admission, type TurnRequest } from "./admission.ts";
import { createClosing, noSession } from "./closing.ts";
import { createDiagnostics } from "./diagnostics.ts";
import { createDispatcher } from "./dispatcher.ts";
import { hasEnded, stateChange } from "./machine.ts";
import { createOnce } from "./once.ts";
import { cancelOwnTurn, createOwnTurns } from "./own-turns.ts";
import { createRateLimits } from "./rate-limits.ts";
import { recoverTurns } from "./recovery.ts";
import { createStandingSessions } from "./standing-sessions.ts";
import { createSupervision, type WaitOptions } from "./supervision.ts";
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
  /**
   * Sees to what an earlier gateway left. Call it before anything else, and again where it rejects with `not_ready`: the store has no room.
   * Until then whoever asks for something is refused in the same way.
   */
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
  /** Counts a turn that the CLI began by itself for its session's owner. Rejects with `too_many_requests`. */
  readonly countOwnTurn?: (owner: Owner) => Promise<void>;
  /** A process is ended because it has begun too many. */
  readonly onOwnTurnsExcess?: (session: string, why: GatewayError) => void;
  readonly onBug: (error: unknown, turn: string) => void;
}

/** A request whose turn has been made. */
interface Enqueued extends TurnRequest {
  readonly levels: number;
  readonly attachments: readonly Write[];
  readonly idempotency: IdempotencyKey | undefined;
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
    countOwnTurn = async () => {},
    onOwnTurnsExcess = () => {},
    onBug,
  } = deps;
  const closing = createClosing({ endTurns });
  /** What an earlier gateway left is not in the queue before: who asks for something meanwhile waits, or would overtake it. */
  let recovery = Promise.resolve();

  const rateLimits = createRateLimits({ store, now, credentialOf });
  const diagnostics = createDiagnostics();
  const approvals = createApprovals({
    store,
    log,
    places: {
      giveAway: (turn) => dispatcher.places.giveAway(turn),
      takeBack: (turn, onRunning) => dispatcher.places.takeBack(turn, onRunning),
      reclaim: (turn) => dispatcher.places.reclaim(turn),
    },
    now,
  });
  const dispatcher = createDispatcher({
    store,
    log,
    registry,
    pool,
    limits,
    rateLimits,
    diagnostics,
    approvals,
    now,
    onAnswer,
    onBug,
    onEnded: (turn) => supervision.ended(turn),
  });
  const { queue } = dispatcher;
  const ownTurns = createOwnTurns({
    store,
    pool,
    dispatcher,
    count: countOwnTurn,
    onExcess: onOwnTurnsExcess,
    onBug,
  });
  const ownerOf = (turn: string) => dispatcher.find(turn)?.owner;
  const work = createAgentWork({ queue, approvals, rateLimits, ownerOf, now });
  const makeOnce = createOnce({ store, now, make, find: get });
  const standingSessions = createStandingSessions(store);
  const supervision = createSupervision({
    store,
    log,
    queue,
    limits,
    agents: () => registry.agents,
    find: dispatcher.find,
    all: dispatcher.all,
    cancel,
    startWaiting: dispatcher.dispatch,
  });

  async function create(caller: Caller, request: TurnRequest, idempotencyKey?: string): Promise<TurnView> {
    await recovery;
    if (dispatcher.isDraining)
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
    checkPlace({ ...admission, levels }, request, admissionDeps);
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
    const position = dispatcher.add({ turn, owner, levels, agentName: agent.name });
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
      dispatcher.remove(id);
      const isRemoved = known && !(await store.session(gatewayCaller, session));
      throw isRemoved ? noSession(session) : error;
    }
    dispatcher.release(id, position);
    const current = queue.running(session);
    if (on_busy === "interrupt" && current) dispatcher.run(current.turn)?.cancel(by);
    dispatcher.dispatch();
  }

  async function get(caller: Caller, turn: string): Promise<TurnView> {
    const row = await store.turn(caller, turn);
    if (!row) throw new GatewayError("not_found", `There is no turn "${turn}".`);
    return withPositions([row])[0]!;
  }

  function withPositions(rows: readonly TurnRow[]): TurnView[] {
    const positions = rows.some(({ state }) => state === "queued") ? queue.positions() : undefined;
    return rows.map((row) => ({ ...row, position: positions?.get(row.turn) ?? null }));
  }

  async function cancel(caller: Caller, id: string): Promise<TurnView> {
    await recovery;
    const row = await get(caller, id);
    if (hasEnded(row.state)) return row;
    const by = callerBy(caller);
    const run = dispatcher.run(id);
    if (run) {
      run.cancel(by);
      await run.ended;
    } else if (dispatcher.remove(id)) {
      await log.append({ session: row.session, events: [{ turn: id, type: "turn_cancelled", by, text: "" }] });
      dispatcher.dispatch();
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
    await log.appendNow({ session: "", events: [] });
    const its = [...dispatcher.all()].filter(({ turn, agentName }) =>
      isIts({ session: turn.session, agent: agentName }),
    );
    const ids = its.map(({ turn }) => turn.turn);
    for (const id of ids.filter((one) => !dispatcher.run(one))) await cancel(caller, id);
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
    const agent = dispatcher.find(queue.running(session)?.turn ?? "")?.agent;
    if (agent) {
      before.push(...rateLimits.note(agent, events));
      work.note(agent, events);
    }
    log.append({ session, events, before }).catch((error: unknown) => onBug(error, events[0]?.turn ?? ""));
    ownTurns.note(session, events);
  }

  async function recover(): Promise<void> {
    await rateLimits.load();
    for (const row of await recoverTurns(store, log)) {
      const levels = await supervision.levels(row.by, row.agent);
      dispatcher.add({ turn: row, owner: row.owner, levels, agentName: row.agent });
      dispatcher.release(row.turn);
    }
    dispatcher.dispatch();
  }

  return {
    create,
    get,
    list: async (caller, filter) => withPositions(await store.turns(caller, filter)),
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
    drain: dispatcher.drain,
    approvals,
    get runningCount() {
      return queue.runningCount;
    },
    get queueLength() {
      return queue.length;
    },
  };
}
