// Which turn is next, and how many stand before each [T1, T6]. Pure state: turns that wait in the order of their coming, and those that
// run. One running turn a session, caps overall and per agent.

export interface Waiting {
  readonly turn: string;
  readonly session: string;
  readonly agent: string;
  /** Whose turn it is, for the share of one caller. */
  readonly caller: string;
}

export interface Caps {
  readonly running: number;
  /** An agent's own, as it is now; Infinity for none. */
  readonly runningOfAgent: (agent: string) => number;
}

export interface Queue {
  readonly length: number;
  count(matches: (entry: Waiting) => boolean): number;
  /** Puts it last, or before everything else of its session. */
  add(entry: Waiting, where: "last" | "first_of_session"): void;
  /** Takes one that waits out; false if it does not wait. */
  remove(turn: string): boolean;
  /** Takes the next turn that is ready and may run now, and counts it as running. */
  start(isReady: (turn: string) => boolean): Waiting | undefined;
  /** A running turn has ended. */
  finish(turn: string): void;
  /** Those that wait in their order. */
  ofAgent(agent: string): { readonly running: Waiting[]; readonly waiting: Waiting[] };
  /** The turn of the session that runs. */
  running(session: string): Waiting | undefined;
  readonly runningCount: number;
  /** Where each stands: 1 is next. Within its session while there is room to run, else among all that wait. */
  positions(): Map<string, number>;
}

export function createQueue(caps: Caps): Queue {
  let waiting: Waiting[] = [];
  const running = new Map<string, Waiting>();

  function hasRoom(agent: string): boolean {
    if (running.size >= caps.running) return false;
    return countOf(running.values(), (entry) => entry.agent === agent) < caps.runningOfAgent(agent);
  }

  return {
    get length() {
      return waiting.length;
    },
    count: (matches) => countOf(waiting, matches),
    add(entry, where) {
      const at = where === "last" ? -1 : waiting.findIndex((other) => other.session === entry.session);
      if (at < 0) waiting.push(entry);
      else waiting.splice(at, 0, entry);
    },
    remove(turn) {
      const before = waiting.length;
      waiting = waiting.filter((entry) => entry.turn !== turn);
      return waiting.length < before;
    },
    start(isReady) {
      const seen = new Set(running.keys());
      const next = waiting.find((entry) => {
        const isFirstOfSession = !seen.has(entry.session);
        seen.add(entry.session);
        return isFirstOfSession && isReady(entry.turn) && hasRoom(entry.agent);
      });
      if (!next) return undefined;
      waiting = waiting.filter((entry) => entry !== next);
      running.set(next.session, next);
      return next;
    },
    finish(turn) {
      for (const [session, entry] of running) if (entry.turn === turn) running.delete(session);
    },
    ofAgent(agent) {
      const isIts = (entry: Waiting) => entry.agent === agent;
      return { running: [...running.values()].filter(isIts), waiting: waiting.filter(isIts) };
    },
    running: (session) => running.get(session),
    get runningCount() {
      return running.size;
    },
    positions() {
      const ofSession = new Map<string, number>();
      return new Map(
        waiting.map((entry, index) => {
          const inSession = (ofSession.get(entry.session) ?? 0) + 1;
          ofSession.set(entry.session, inSession);
          return [entry.turn, hasRoom(entry.agent) ? inSession : index + 1];
        }),
      );
    },
  };
}

function countOf(entries: Iterable<Waiting>, matches: (entry: Waiting) => boolean): number {
  let count = 0;
  for (const entry of entries) if (matches(entry)) count += 1;
  return count;
}
