// [P6] Processes that wait for sessions which are still to come: as many of each agent as it says, a new one for each that was taken or died.
import type { AgentConfig } from "../protocol/agents.ts";

export interface Spares {
  /** Starts those that are missing. */
  fill(): void;
  /** One was taken by a session. */
  taken(): void;
  /** One is gone that nobody has ended; so long it lived. */
  died(livedMs: number): void;
  stop(): void;
}

export interface SparesDeps {
  readonly agents: () => readonly AgentConfig[];
  readonly count: (agent: AgentConfig) => number;
  /** Whether one more process of the agent may be started now. */
  readonly hasRoom: (agent: AgentConfig) => boolean;
  readonly start: (agent: AgentConfig) => void;
}

/** A new one waits so long: the process that was just taken needs the machine for its first turn. */
const refillMs = 1000;

/** Those that die by themselves come back ever later, up to this; one that lived longer was a good one. */
const maxRefillMs = 5 * 60_000;

export function createSpares({ agents, count, hasRoom, start }: SparesDeps): Spares {
  let refill: NodeJS.Timeout | undefined;
  let isStopped = false;
  /** Deaths one after the other. */
  let deaths = 0;

  function fill(): void {
    for (const agent of agents())
      for (let missing = agent.spares - count(agent); missing > 0 && !isStopped && hasRoom(agent); missing--)
        start(agent);
  }

  function fillIn(ms: number): void {
    clearTimeout(refill);
    refill = setTimeout(fill, ms).unref();
  }

  return {
    fill,
    taken() {
      deaths = 0;
      fillIn(refillMs);
    },
    died(livedMs) {
      if (livedMs > maxRefillMs) deaths = 0;
      fillIn(Math.min(refillMs * 2 ** deaths, maxRefillMs));
      deaths += 1;
    },
    stop() {
      isStopped = true;
      clearTimeout(refill);
    },
  };
}
