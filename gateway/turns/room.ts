// Whether there is room for a turn to begin [T6, T8]: what has begun, counted wherever there are caps: overall, for all visitors, for its caller,
// and the same three of its agent. Pure. That nobody waits for ever for a turn below their own is the levels' doing, see `leavesProcesses`.

export interface Waiting {
  readonly turn: string;
  readonly session: string;
  readonly agent: string;
  /** Whose turn it is, for the share of one caller. */
  readonly caller: string;
  /** Its caller is a visitor of a public agent: all of them have a share together. */
  readonly isVisitor?: boolean;
  /** How many turns may come to wait below it, one for the other; 0 where its agent supervises none. */
  readonly levels?: number;
}

export interface Caps {
  /** Turns that run, those that wait for another one or for a person not among them. */
  readonly running: number;
  /** Turns that have begun: each has a process. */
  readonly processes: number;
  /** An agent's own, as they are now; Infinity for none. */
  readonly runningOfAgent: (agent: string) => number;
  readonly processesOfAgent: (agent: string) => number;
  /** What of each cap one caller has at most, and all visitors together. Default: all of it. */
  readonly shares?: Shares;
  /** The most levels that a turn may have: of processes every share has one for each of them, and one more. */
  readonly levels?: () => number;
}

/** Parts of a cap, from 0 to 1. */
export interface Shares {
  readonly caller: number;
  readonly visitors: number;
}

/** In places; one is always there, or nothing would ever run. */
export function shareOf(cap: number, share: number): number {
  return cap === Infinity ? Infinity : Math.max(1, Math.floor(cap * share));
}

/** Where turns are counted together. */
interface Scope {
  readonly name: string;
  readonly running: number;
  readonly processes: number;
  /** Of its processes some are left for turns of lower levels. */
  readonly hasLevels: boolean;
}

interface Count {
  running: number;
  /** By level: turns that have so many below them, or more. */
  readonly begun: number[];
}

export interface Room {
  /** The name of the widest scope that has no room for the turn; undefined if it may begin. */
  fullFor(entry: Waiting): string | undefined;
  /** Whether one that has its process may run. */
  hasPlace(entry: Waiting): boolean;
  /** Counts a turn: `isRunning`, it takes a place to run; `hasProcess`, it has a process that no other one counts. */
  take(entry: Waiting, how?: { readonly isRunning?: boolean; readonly hasProcess?: boolean }): void;
}

/** The names of all scopes that the turn is counted in, the widest first. */
export function scopeNames({ agent, caller, isVisitor = false }: Waiting): string[] {
  const [ofAgent, visitors] = [`agent ${agent}`, isVisitor ? ["visitors"] : []];
  return ["all", ...visitors, `caller ${caller}`].flatMap((name) => [
    name,
    name === "all" ? ofAgent : `${ofAgent} ${name}`,
  ]);
}

export function createRoom(caps: Caps): Room {
  const counts = new Map<string, Count>();
  const { shares = { caller: 1, visitors: 1 }, levels: mostLevels = () => 0 } = caps;
  const fewest = mostLevels() + 1;

  function scopesOf(entry: Waiting): Scope[] {
    const { agent, caller, isVisitor = false } = entry;
    const ofAgent = { running: caps.runningOfAgent(agent), processes: caps.processesOfAgent(agent) };
    const part = (name: string, share: number): Scope[] => [
      {
        name,
        running: shareOf(caps.running, share),
        processes: Math.min(caps.processes, Math.max(shareOf(caps.processes, share), fewest)),
        hasLevels: true,
      },
      {
        name: `agent ${agent} ${name}`,
        running: shareOf(ofAgent.running, share),
        processes: shareOf(ofAgent.processes, share),
        hasLevels: false,
      },
    ];
    return [
      { name: "all", running: caps.running, processes: caps.processes, hasLevels: true },
      { name: `agent ${agent}`, ...ofAgent, hasLevels: false },
      ...(isVisitor ? part("visitors", shares.visitors) : []),
      // A visitor's is a part of what all of them have: one alone would else keep the others out.
      ...part(`caller ${caller}`, isVisitor ? shares.visitors * shares.caller : shares.caller),
    ];
  }

  function countOf(name: string): Count {
    const known = counts.get(name) ?? { running: 0, begun: [] };
    counts.set(name, known);
    return known;
  }

  /**
   * For every number of levels, as many processes stay free of turns that have so many below them, or more. So nothing waits for ever:
   * turns that wait, wait in the end for one with fewer levels than all of them, and that one finds a process, or one that is taken by a
   * turn that waits for nobody.
   */
  function leavesProcesses({ name, processes, hasLevels }: Scope, levels: number): boolean {
    const { begun } = countOf(name);
    for (let level = 0; level <= (hasLevels ? levels : 0); level++)
      if ((begun[level] ?? 0) + level >= processes) return false;
    return true;
  }

  const mayRun = ({ name, running }: Scope) => countOf(name).running < running;

  return {
    fullFor: (entry) =>
      scopesOf(entry).find((scope) => !mayRun(scope) || !leavesProcesses(scope, entry.levels ?? 0))?.name,
    hasPlace: (entry) => scopesOf(entry).every(mayRun),
    take(entry, { isRunning = true, hasProcess = true } = {}) {
      for (const name of scopeNames(entry)) {
        const count = countOf(name);
        if (isRunning) count.running += 1;
        if (!hasProcess) continue;
        for (let level = 0; level <= (entry.levels ?? 0); level++) count.begun[level] = (count.begun[level] ?? 0) + 1;
      }
    },
  };
}
