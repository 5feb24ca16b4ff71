// Which turn is next, and how many stand before each [T1, T6, T8]. Pure state: turns that wait in the order of their coming, and those that
// run. One running turn a session, caps and shares of them (room.ts); agents and callers get their places in turn (fair-order.ts). A turn that waits
// for another one, or for a person, has no share in the caps on running turns, but it has its process.
import { createFairOrder } from "./fair-order.ts";
import { createRoom, scopeNames, type Caps, type Room, type Waiting } from "./room.ts";

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
  /** A turn that the CLI began by itself: it runs already, and in a process that may run a turn of the queue as well. */
  begin(entry: Waiting): void;
  /**
   * A running turn waits for another one, or for a person: its place is free for others. One that waits for another turn has none until that
   * wait is over, whoever answers what it asks of people meanwhile.
   */
  suspend(turn: string, why?: "turn" | "person"): void;
  /**
   * It waits no more: calls back once it has a place again, before any turn that has not begun gets one; or has ended, or waits anew. At once if it
   * waits for another turn still, and that is not what is over. After a person's answer, a caller's turns overtake each turn that waits but once. Call
   * `start` afterwards.
   */
  resume(turn: string, onRunning: () => void, why?: "turn" | "person"): void;
  /** It goes on, whether there is a place for it or not. */
  reclaim(turn: string): void;
  /** What must end before this turn can begin: turns of its session. */
  ahead(turn: string): Waiting[];
  /** Those that wait in their order. */
  ofAgent(agent: string): { readonly running: Waiting[]; readonly waiting: Waiting[] };
  /** The turn of the session that has begun. */
  running(session: string): Waiting | undefined;
  /** Turns that have begun, those that wait for another one among them. */
  readonly runningCount: number;
  /**
   * Where each stands, in the order in which `start` takes them: 1 is next. Within its session while there is room to run; else among those that
   * wait for the same cap, the widest that is used up: that of all, of its agent, or a share of either.
   */
  positions(): Map<string, number>;
}

/** By session, the turn that has begun. */
type Begun = ReadonlyMap<string, Waiting>;

export function createQueue(caps: Caps): Queue {
  let waiting: Waiting[] = [];
  const running = new Map<string, Waiting>();
  /** Turns that the CLI began by itself. */
  const own = new Map<string, Waiting>();
  const fairOrder = createFairOrder<Waiting>();
  /** What each of these waits for. */
  const suspended = new Map<string, "turn" | "person">();
  /** Of those that are suspended, in order: who wants a place again. */
  const returning = new Map<string, (() => void)[]>();
  /** Counts comings and returns. */
  let clock = 0;
  const arrivals = new WeakMap<Waiting, number>();
  /** By caller, when one of their turns went on after a person's answer. */
  const returns = new Map<string, number>();
  let isReady: (turn: string) => boolean = () => false;

  function roomBeside(begun: Begun = running): Room {
    const room = createRoom(caps);
    for (const entry of begun.values()) room.take(entry, { isRunning: !suspended.has(entry.turn) });
    for (const entry of own.values())
      room.take(entry, { isRunning: !suspended.has(entry.turn), hasProcess: !begun.has(entry.session) });
    return room;
  }

  function find(turn: string): Waiting | undefined {
    return own.get(turn) ?? [...running.values()].find((entry) => entry.turn === turn);
  }

  function letReturn(): void {
    for (const turn of returning.keys()) {
      const entry = find(turn);
      if (entry && (!roomBeside().hasPlace(entry) || isBehind(entry))) continue;
      if (entry && suspended.get(turn) === "person") noteReturn(entry);
      suspended.delete(turn);
      stopReturning(turn);
    }
  }

  /** [T8] A few turns that ask and are answered, over and over, would else keep everybody from beginning. */
  function isBehind({ turn, caller }: Waiting): boolean {
    const last = returns.get(caller);
    if (last === undefined || suspended.get(turn) === "turn") return false;
    const room = roomBeside();
    const mayBegin = (entry: Waiting) =>
      isReady(entry.turn) && !running.has(entry.session) && room.fullFor(entry) === undefined;
    return waiting.some((entry) => entry.caller !== caller && arrivals.get(entry)! < last && mayBegin(entry));
  }

  function noteReturn({ caller }: Waiting): void {
    const oldest = waiting.reduce((first, entry) => Math.min(first, arrivals.get(entry)!), Infinity);
    for (const [name, at] of returns) if (at < oldest) returns.delete(name);
    returns.set(caller, ++clock);
  }

  /** It need not have its place back: who waits for that goes on. */
  function stopReturning(turn: string): void {
    const waits = returning.get(turn) ?? [];
    returning.delete(turn);
    for (const onRunning of waits) onRunning();
  }

  return {
    get length() {
      return waiting.length;
    },
    count: (matches) => countOf(waiting, matches),
    withoutPlace(next, endedTurn) {
      const begun = new Map([...running].filter(([, { turn }]) => turn !== endedTurn));
      const sessions = new Set(begun.keys());
      const room = roomBeside(begun);
      return [...fairOrder.of(waiting), next].filter((entry) => {
        const isFirstOfSession = !sessions.has(entry.session);
        sessions.add(entry.session);
        if (!isFirstOfSession || room.fullFor(entry) !== undefined) return true;
        room.take(entry);
        return false;
      });
    },
    add(entry, where) {
      const at = where === "last" ? -1 : waiting.findIndex((other) => other.session === entry.session);
      if (at < 0) waiting.push(entry);
      else waiting.splice(at, 0, entry);
      fairOrder.arrive(entry);
      arrivals.set(entry, ++clock);
    },
    remove(turn) {
      const entry = waiting.find((one) => one.turn === turn);
      if (!entry) return false;
      waiting = waiting.filter((one) => one !== entry);
      fairOrder.leave(entry, false);
      return true;
    },
    start(ready) {
      isReady = ready;
      letReturn();
      const seen = new Set(running.keys());
      const room = roomBeside();
      const next = fairOrder.of(waiting).find((entry) => {
        const isFirstOfSession = !seen.has(entry.session);
        seen.add(entry.session);
        return isFirstOfSession && isReady(entry.turn) && room.fullFor(entry) === undefined;
      });
      if (!next) return undefined;
      waiting = waiting.filter((entry) => entry !== next);
      fairOrder.leave(next, true);
      running.set(next.session, next);
      return next;
    },
    finish(turn) {
      for (const [session, entry] of running) if (entry.turn === turn) running.delete(session);
      own.delete(turn);
      suspended.delete(turn);
      stopReturning(turn);
      letReturn();
    },
    begin: (entry) => void own.set(entry.turn, entry),
    suspend(turn, why = "turn") {
      // Who asks a person for the second time, or while it waits for another turn, has no place that it could give away.
      if (!find(turn) || (why === "person" && suspended.has(turn))) return;
      suspended.set(turn, why);
      stopReturning(turn);
      letReturn();
    },
    resume(turn, onRunning, why = "turn") {
      const waitsFor = suspended.get(turn);
      const waits = returning.get(turn) ?? [];
      const isElsewhere = why === "person" && waitsFor === "turn" && waits.length === 0;
      if (waitsFor === undefined || isElsewhere) return onRunning();
      returning.set(turn, [...waits, onRunning]);
      letReturn();
    },
    reclaim(turn) {
      if (suspended.get(turn) === "turn" && !returning.has(turn)) return;
      suspended.delete(turn);
      stopReturning(turn);
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
      const room = roomBeside();
      const place = createCounter();
      return new Map(
        fairOrder.of(waiting).map((entry) => {
          const inSession = `session ${entry.session}`;
          const places = new Map([inSession, ...scopeNames(entry)].map((name) => [name, place(name)]));
          return [entry.turn, places.get(room.fullFor(entry) ?? inSession)!];
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
