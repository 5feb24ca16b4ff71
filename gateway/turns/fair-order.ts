// In which order turns that wait get their places [T6]: agents take turns, and of each agent its callers do; of one caller first come,
// first served. Pure. Nobody waits for more than one turn of each other agent, and of its own agent for one of each other caller, between
// two turns of their own, however many the others send.

/** What the order depends on. */
export interface Place {
  readonly agent: string;
  readonly caller: string;
}

export interface FairOrder<Entry extends Place> {
  /** It begins to wait. */
  arrive(entry: Entry): void;
  /** It waits no more: it was given its place, or has gone without one. */
  leave(entry: Entry, isServed: boolean): void;
  /** The entries, which are given by their coming, in the order in which they are due. */
  of(entries: readonly Entry[]): Entry[];
}

export function createFairOrder<Entry extends Place>(): FairOrder<Entry> {
  /** Counts comings and servings: what came or was served later stands behind. */
  let clock = 0;
  const arrivals = new Map<Entry, number>();
  const served = { agents: new Map<string, number>(), callers: new Map<string, number>() };

  /**
   * Who was served since they came stands behind those who were not. Without the coming, whoever is new would overtake those who wait: an
   * endless row of new callers would keep one that was served once from ever being served again.
   */
  function dueAt(entries: readonly Entry[], lastServed: number | undefined): number {
    const came = entries.reduce((first, entry) => Math.min(first, arrivals.get(entry) ?? 0), Infinity);
    return Math.max(came, lastServed ?? 0);
  }

  function inTurn(entries: readonly Entry[], nameOf: (entry: Entry) => string, last: ReadonlyMap<string, number>) {
    return [...Map.groupBy(entries, nameOf)]
      .map(([name, group]) => ({ group, due: dueAt(group, last.get(name)) }))
      .toSorted((a, b) => a.due - b.due)
      .map(({ group }) => group);
  }

  return {
    arrive: (entry) => void arrivals.set(entry, ++clock),
    leave(entry, isServed) {
      arrivals.delete(entry);
      if (!isServed) return;
      clock += 1;
      note(served.agents, entry.agent, clock);
      note(served.callers, callerOf(entry), clock);
    },
    of(entries) {
      const agents = inTurn(entries, ({ agent }) => agent, served.agents);
      return roundRobin(agents.map((group) => roundRobin(inTurn(group, callerOf, served.callers))));
    },
  };
}

/** Of so many it is known when they were served last: of those who were so long ago, it makes no difference. */
const maxKnown = 10_000;

function note(served: Map<string, number>, name: string, at: number): void {
  served.delete(name);
  served.set(name, at);
  if (served.size > maxKnown) served.delete(served.keys().next().value!);
}

/** A caller with one agent. */
function callerOf({ agent, caller }: Place): string {
  return JSON.stringify([agent, caller]);
}

/** The first of each list, then the second of each, and so on. */
function roundRobin<Item>(lists: readonly (readonly Item[])[]): Item[] {
  const rounds = Math.max(0, ...lists.map(({ length }) => length));
  return Array.from({ length: rounds }, (_, round) => lists.flatMap((list) => list.slice(round, round + 1))).flat();
}
