// Turns that give work to other agents and wait for them [T6]. How deep and how wide that may go; that none waits for itself, not round a
// circle either; that whoever waits has no place among the running turns meanwhile; and what becomes of those below when it ends.
import { levelsBelow } from "../agents/levels.ts";
import type { Supervisor } from "../agents/supervisors.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { gatewayCaller, type Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { By } from "../protocol/events.ts";
import type { Limits } from "../protocol/limits.ts";
import type { EventLog } from "../log/event-log.ts";
import type { ApprovalRow, NewTurn, Store, TurnRow } from "../store/port.ts";
import { hasEnded } from "./machine.ts";
import { untilNews } from "./news.ts";
import type { Queue } from "./queue.ts";

/** A turn that waits or runs, as the queue and this module know it. */
export interface LiveTurn {
  readonly turn: NewTurn;
  /** See `Waiting.levels`. */
  readonly levels: number;
}

export interface Supervision {
  /** See `Turns.callerOf`: the owner of its session, in the turn that runs there, with the agents that it supervises. */
  callerOf(supervisor: Supervisor): Promise<Caller>;
  /** Throws where the caller must not give work to the agent: `forbidden`, too deep; `conflict`, it stands above the caller's own turn. */
  check(caller: Caller, agent: AgentConfig): Promise<void>;
  /** How many levels may come to stand below a turn of the agent that was given its work by this one: see `Waiting.levels`. */
  levels(by: By, agent: string): Promise<number>;
  /** Throws `too_many_requests` where the caller's turn has given work to so many already. Call it at once before the turn is queued. */
  checkCount(caller: Caller): void;
  /**
   * Resolves with the turn's open approvals once there is something to see to: it has ended, or asks what the caller has not been shown
   * before; or after so many milliseconds, or when the signal says so. A caller that is a turn itself gives its place away meanwhile.
   * Throws `conflict` where it would wait for itself.
   */
  wait(caller: Caller, turn: TurnRow, options: WaitOptions): Promise<ApprovalRow[]>;
  /**
   * A turn has ended. Where it did not complete, nobody reads any more what it still waited for: of that, what it has sent itself is
   * cancelled; what it never waited for goes on.
   */
  ended(turn: string): Promise<void>;
}

export interface WaitOptions {
  /** 0: no wait. */
  readonly ms: number;
  readonly signal?: AbortSignal | undefined;
}

export interface SupervisionDeps {
  readonly store: Store;
  readonly log: EventLog;
  readonly queue: Queue;
  readonly limits: Limits;
  readonly agents: () => readonly AgentConfig[];
  readonly find: (turn: string) => LiveTurn | undefined;
  readonly all: () => Iterable<LiveTurn>;
  readonly cancel: (caller: Caller, turn: string) => Promise<unknown>;
  /** A place is free: starts turns that wait in the queue. */
  readonly startWaiting: () => void;
}

/** What is known of a turn that waits, or has waited, for others. */
interface Waiter {
  /** Turns that it waits for at this moment, once for each wait. */
  readonly open: string[];
  /** Turns that it has given work to and has waited for. */
  readonly own: Set<string>;
  /** Approvals that it has been shown. */
  readonly shown: Set<string>;
  readonly end: AbortController;
}

const maxApprovals = 200;

export function createSupervision(deps: SupervisionDeps): Supervision {
  const { store, log, queue, limits, agents, find, all, cancel, startWaiting } = deps;
  const waiters = new Map<string, Waiter>();

  async function callerOf({ agent, session, supervises }: Supervisor): Promise<Caller> {
    const row = await store.session(gatewayCaller, session);
    const turn = queue.running(session)?.turn;
    if (!row || turn === undefined)
      throw new GatewayError("conflict", `No turn of "${agent}" runs here: agents are reached only while one does.`);
    return { ...row.owner, reach: "user", agents: supervises, as: { agent, turn } };
  }

  async function check({ as }: Caller, agent: AgentConfig): Promise<void> {
    if (!as) return;
    const above = await chainOf(as, store);
    if (above.includes(agent.name))
      throw new GatewayError(
        "conflict",
        `"${agent.name}" stands above this turn and may wait for it: answer it with this turn's own answer.`,
      );
    if (above.length > limits.supervise_depth)
      throw new GatewayError(
        "forbidden",
        `Work is handed on at most ${limits.supervise_depth} times (supervise_depth), and this turn has it that often already: do it in this turn.`,
      );
  }

  async function levels(by: By, agent: string): Promise<number> {
    const above = await chainOf(by, store);
    return levelsBelow(agents(), agent, { above, most: limits.supervise_depth - above.length });
  }

  function checkCount({ as }: Caller): void {
    if (!as) return;
    let count = 0;
    for (const { turn } of all()) if ("agent" in turn.by && turn.by.turn === as.turn) count += 1;
    if (count >= limits.supervise_turns)
      throw new GatewayError(
        "too_many_requests",
        `This turn has given work to ${count} turns that have not ended (supervise_turns): wait for one of them first.`,
      );
  }

  async function wait(caller: Caller, turn: TurnRow, { ms, signal }: WaitOptions): Promise<ApprovalRow[]> {
    const { as } = caller;
    const waiter = as && find(as.turn) && waiterOf(as.turn);
    if (!hasEnded(turn.state) && ms > 0) {
      if (as) await checkChain(as, turn);
      // It has ended while its call was on the way here.
      if (as && !find(as.turn) && isOwn(turn, as.turn)) await abandon(as.turn, [turn.turn]);
      const signals = [...(signal ? [signal] : []), ...(waiter ? [waiter.end.signal] : [])];
      const ending = AbortSignal.any(signals);
      const news = () => untilNews(caller, turn, { store, log, ms, signal: ending, shown: waiter?.shown });
      await (as && waiter ? suspended(as.turn, waiter, turn, news) : news());
    }
    const open = await openApprovals(caller, turn);
    for (const { approval } of open) waiter?.shown.add(approval);
    return open;
  }

  /** Nothing is awaited between the look for a circle and the note that closes it. */
  async function suspended(as: string, waiter: Waiter, turn: TurnRow, news: () => Promise<void>): Promise<void> {
    if (leadsTo(turn.turn, as)) throw circle(turn);
    waiter.open.push(turn.turn);
    if (isOwn(turn, as)) waiter.own.add(turn.turn);
    queue.suspend(as);
    startWaiting();
    try {
      await news();
    } finally {
      waiter.open.splice(waiter.open.indexOf(turn.turn), 1);
      if (waiter.open.length === 0) await new Promise<void>((resolve) => queue.resume(as, resolve));
    }
  }

  /** A turn waits only for turns below its own: with fewer levels, so that these find a process, and of agents that do not stand above it. */
  async function checkChain(as: AgentTurn, turn: TurnRow): Promise<void> {
    if (turn.turn === as.turn || (await chainOf(as, store)).includes(turn.agent)) throw circle(turn);
    const [own, other] = [find(as.turn), find(turn.turn)];
    if (own && other && other.levels >= own.levels) throw circle(turn);
  }

  /** Whether a turn can end only after the other one: what it waits for, and what stands before it in its session. */
  function leadsTo(from: string, to: string, seen = new Set<string>()): boolean {
    if (from === to) return true;
    if (seen.has(from)) return false;
    seen.add(from);
    const next = [...(waiters.get(from)?.open ?? []), ...queue.ahead(from).map(({ turn }) => turn)];
    return next.some((turn) => leadsTo(turn, to, seen));
  }

  function waiterOf(turn: string): Waiter {
    const known = waiters.get(turn);
    if (known) return known;
    const waiter = { open: [], own: new Set<string>(), shown: new Set<string>(), end: new AbortController() };
    waiters.set(turn, waiter);
    return waiter;
  }

  async function openApprovals(caller: Caller, { turn, session }: TurnRow): Promise<ApprovalRow[]> {
    const pending = await store.approvals(caller, { session, state: "pending", limit: maxApprovals });
    return pending.filter((approval) => approval.turn === turn);
  }

  async function ended(turn: string): Promise<void> {
    const waiter = waiters.get(turn);
    if (!waiter) return;
    waiters.delete(turn);
    waiter.end.abort();
    await abandon(turn, waiter.own);
  }

  /** Nobody reads any more what this turn has sent and waited for, unless it completed without. */
  async function abandon(turn: string, own: Iterable<string>): Promise<void> {
    const row = await store.turn(gatewayCaller, turn);
    if (!row || row.state === "completed") return;
    const caller: Caller = { ...gatewayCaller, as: { agent: row.agent, turn } };
    for (const one of own) if (find(one)) await cancel(caller, one);
  }

  return { callerOf, check, levels, checkCount, wait, ended };
}

function isOwn({ by }: TurnRow, turn: string): boolean {
  return "agent" in by && by.turn === turn;
}

type AgentTurn = NonNullable<Caller["as"]>;

/** The agents that stand above what this one sends: its own, that of the turn that gave it its work, and so on. None where it is no turn. */
async function chainOf(by: By, store: Store): Promise<string[]> {
  const chain: string[] = [];
  for (let link: By | undefined = by; link && "agent" in link;) {
    chain.push(link.agent);
    link = (await store.turn(gatewayCaller, link.turn))?.by;
  }
  return chain;
}

function circle({ agent, turn }: TurnRow): GatewayError {
  return new GatewayError(
    "conflict",
    `The turn ${turn} of "${agent}" waits for this one, or may: waiting for it would never end. Read it without waiting.`,
  );
}
