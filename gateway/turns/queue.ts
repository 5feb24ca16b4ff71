// Which turn is next, and how many stand before each [T1, T6]. Pure state: turns that wait in the order of their coming, and those that
// run. One running turn a session, caps overall and per agent; agents and callers get their places in turn (fair-order.ts). A turn that waits
// for another one has no share in the caps on running turns, but it has its process; so that those that it waits for find one too, see
// `leavesProcesses`.
import { createFairOrder } from "./fair-order.ts";

export interface Waiting {
  readonly turn: string;
  readonly session: string;
  readonly agent: string;
  /** Whose turn it is, for the share of one caller. */
  readonly caller: string;
  /** How many turns may come to wait below it, one for the other; 0 where its agent supervises none. */
  readonly levels?: number;
}

export interface Caps {
  /** Turns that run, those that wait for another one not among them. */
  readonly running: number;
  /** Turns that have begun: each has a process. */
  readonly processes: number;
  /** An agent's own, as they are now; Infinity for none. */
  readonly runningOfAgent: (agent: string) => number;
  readonly processesOfAgent: (agent: string) => number;
}

export interface Queue {
  readonly length: number;
  count(matches: (entry: Waiting) => boolean): number;
  /**
   * Of those that wait and `next`, which comes behind them: for whom there is no place now. Others only have not begun yet. `endedTurn`
   * is one that has only not finished yet.
   */
  withoutPlace(next: Waiting, endedTurn?: string): Waiting[];
  /** Puts it behind all of its caller and agent, or before everything else of its session. */
  add(entry: Waiting, where: "last" | "first_of_session"): void;
  /** Takes one that waits out; false if it does not wait. */
  remove(turn: string): boolean;
  /** Takes the next turn in fair order that is ready and may run now, and counts it as running. */
  start(isReady: (turn: string) => boolean): Waiting | undefined;
  /** A running turn has ended. */
  finish(turn: string): void;
  /** A running turn waits for another one: its place is free for others. */
  suspend(turn: string): void;
  /** It waits no more: calls back once it has a place again, before any turn that has not begun gets one; or has ended, or waits anew. */
  resume(turn: string, onRunning: () => void): void;
  /** What must end before this turn can begin: turns of its session. */
  ahead(turn: string): Waiting[];
  /** Those that wait in their order. */
  ofAgent(agent: string): { readonly running: Waiting[]; readonly waiting: Waiting[] };
  /** The turn of the session that has begun. */
  running(session: string): Waiting | undefined;
  /** Turns that have begun, those that wait for another one among them. */
  readonly runningCount: number;
  /**
   * Where each stands: 1 is next. Within its session while there is room to run, within its agent where that one's cap is what it waits for,
   * else among all that wait, in the order in which `start` takes them.
   */
  positions(): Map<string, number>;
}

/** By session, the turn that has begun. */
type Begun = ReadonlyMap<string, Waiting>;

export function createQueue(caps: Caps): Queue {
  let waiting: Waiting[] = [];
  const running = new Map<string, Waiting>();
  const fairOrder = createFairOrder<Waiting>();
  const suspended = new Set<string>();
  /** Of those that are suspended, in order: who wants a place again. */
  const returning = new Map<string, () => void>();

  function hasRoom(entry: Waiting, begun: Begun = running): boolean {
    return hasPlace(entry, begun) && hasProcess(entry, begun) && leavesProcesses(entry, begun);
  }

  function active(begun: Begun): Waiting[] {
    return [...begun.values()].filter(({ turn }) => !suspended.has(turn));
  }

  function isFull(begun: Begun = running): boolean {
    return active(begun).length >= caps.running;
  }

  function hasPlace({ agent }: Waiting, begun: Begun = running): boolean {
    return !isFull(begun) && countOf(active(begun), (entry) => entry.agent === agent) < caps.runningOfAgent(agent);
  }

  function hasProcess({ agent }: Waiting, begun: Begun): boolean {
    const ofAgent = countOf(begun.values(), (entry) => entry.agent === agent);
    return ofAgent < caps.processesOfAgent(agent);
  }

  /**
   * For every number of levels, as many processes stay free of turns that have so many below them, or more. So nothing waits for ever:
   * turns that wait, wait in the end for one with fewer levels than all of them, and that one finds a process, or one that is taken by a
   * turn that waits for nobody.
   */
  function leavesProcesses({ levels = 0 }: Waiting, begun: Begun = running): boolean {
    for (let level = 0; level <= levels; level++) {
      const above = countOf(begun.values(), (entry) => (entry.levels ?? 0) >= level);
      if (above + level >= caps.processes) return false;
    }
    return true;
  }

  function letReturn(): void {
    for (const [turn, onRunning] of returning) {
      const entry = [...running.values()].find((one) => one.turn === turn);
      if (entry && !hasPlace(entry)) continue;
      returning.delete(turn);
      suspended.delete(turn);
      onRunning();
    }
  }

  /** It need not have its place back: who waits for that goes on. */
  function stopReturning(turn: string): void {
    const onRunning = returning.get(turn);
    returning.delete(turn);
    onRunning?.();
  }

  return {
    get length() {
      return waiting.length;
    },
    count: (matches) => countOf(waiting, matches),
    withoutPlace(next, endedTurn) {
      const begun = new Map([...running].filter(([, { turn }]) => turn !== endedTurn));
      const sessions = new Set(begun.keys());
      return [...fairOrder.of(waiting), next].filter((entry) => {
        const isFirstOfSession = !sessions.has(entry.session);
        sessions.add(entry.session);
        if (!isFirstOfSession || !hasRoom(entry, begun)) return true;
        begun.set(entry.session, entry);
        return false;
      });
    },
    add(entry, where) {
      const at = where === "last" ? -1 : waiting.findIndex((other) => other.session === entry.session);
      if (at < 0) waiting.push(entry);
      else waiting.splice(at, 0, entry);
      fairOrder.arrive(entry);
    },
    remove(turn) {
      const entry = waiting.find((one) => one.turn === turn);
      if (!entry) return false;
      waiting = waiting.filter((one) => one !== entry);
      fairOrder.leave(entry, false);
      return true;
    },
    start(isReady) {
      letReturn();
      const seen = new Set(running.keys());
      const next = fairOrder.of(waiting).find((entry) => {
        const isFirstOfSession = !seen.has(entry.session);
        seen.add(entry.session);
        return isFirstOfSession && isReady(entry.turn) && hasRoom(entry);
      });
      if (!next) return undefined;
      waiting = waiting.filter((entry) => entry !== next);
      fairOrder.leave(next, true);
      running.set(next.session, next);
      return next;
    },
    finish(turn) {
      for (const [session, entry] of running) if (entry.turn === turn) running.delete(session);
      suspended.delete(turn);
      stopReturning(turn);
      letReturn();
    },
    suspend(turn) {
      if (countOf(running.values(), (entry) => entry.turn === turn) === 0) return;
      suspended.add(turn);
      stopReturning(turn);
      letReturn();
    },
    resume(turn, onRunning) {
      if (!suspended.has(turn)) return onRunning();
      returning.set(turn, onRunning);
      letReturn();
    },
    ahead(turn) {
      const at = waiting.findIndex((entry) => entry.turn === turn);
      if (at < 0) return [];
      const { session } = waiting[at]!;
      const current = running.get(session);
      return [...(current ? [current] : []), ...waiting.slice(0, at).filter((entry) => entry.session === session)];
    },
    ofAgent(agent) {
      const isIts = (entry: Waiting) => entry.agent === agent;
      return { running: [...running.values()].filter(isIts), waiting: fairOrder.of(waiting).filter(isIts) };
    },
    running: (session) => running.get(session),
    get runningCount() {
      return running.size;
    },
    positions() {
      const [inSession, inAgent] = [createCounter(), createCounter()];
      return new Map(
        fairOrder.of(waiting).map((entry, index) => {
          const [ofSession, ofAgent] = [inSession(entry.session), inAgent(entry.agent)];
          if (hasRoom(entry)) return [entry.turn, ofSession];
          return [entry.turn, isFull() || !leavesProcesses(entry) ? index + 1 : ofAgent];
        }),
      );
    },
  };
}

/** Tells of each name how often it has come. */
function createCounter(): (name: string) => number {
  const counts = new Map<string, number>();
  return (name) => {
    const count = (counts.get(name) ?? 0) + 1;
    counts.set(name, count);
    return count;
  };
}

function countOf(entries: Iterable<Waiting>, matches: (entry: Waiting) => boolean): number {
  let count = 0;
  for (const entry of entries) if (matches(entry)) count += 1;
  return count;
}
