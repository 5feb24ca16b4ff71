// What an agent has to do now, and what its processes said of themselves last.
import type { AgentConfig } from "../protocol/agents.ts";
import type { Owner } from "../protocol/callers.ts";
import type { EventOf, TurnEvent } from "../protocol/events.ts";
import type { Approvals } from "./approvals.ts";
import type { Queue } from "./queue.ts";
import type { RateLimits } from "./rate-limits.ts";
import type { Waiting } from "./room.ts";

/** A turn that runs or waits in the queue. */
export interface TurnNow {
  readonly turn: string;
  readonly session: string;
  readonly owner: Owner;
  readonly state: "queued" | "running" | "waiting";
}

export interface Work {
  /** Those that run, then those in the queue, the next one first. */
  readonly turns: readonly TurnNow[];
  /** Its account's limit is reached: no turn is of use. */
  readonly isLimited: boolean;
  /** What the CLI said at the start of the last turn; undefined until there was one with the agent's present settings. */
  readonly started: { readonly said: EventOf<"turn_started">; readonly at: number } | undefined;
}

export interface AgentWork {
  of(agent: AgentConfig): Work;
  /** Hears a process of this agent. */
  note(agent: AgentConfig, events: readonly TurnEvent[]): void;
}

export interface AgentWorkDeps {
  readonly queue: Queue;
  readonly approvals: Approvals;
  readonly rateLimits: RateLimits;
  readonly ownerOf: (turn: string) => Owner | undefined;
  readonly now: () => number;
}

export function createAgentWork({ queue, approvals, rateLimits, ownerOf, now }: AgentWorkDeps): AgentWork {
  // By the agent as it was then: of one with other settings nothing is known yet.
  const started = new WeakMap<AgentConfig, NonNullable<Work["started"]>>();

  function shown({ turn, session }: Waiting, state: TurnNow["state"]): TurnNow[] {
    const owner = ownerOf(turn);
    return owner ? [{ turn, session, owner, state }] : [];
  }

  return {
    of(agent) {
      const entries = queue.ofAgent(agent.name);
      return {
        turns: [
          ...entries.running.flatMap((one) => shown(one, approvals.isWaiting(one.turn) ? "waiting" : "running")),
          ...entries.waiting.flatMap((one) => shown(one, "queued")),
        ],
        isLimited: rateLimits.stoppedUntil(agent) !== undefined,
        started: started.get(agent),
      };
    },
    note(agent, events) {
      for (const event of events) if (event.type === "turn_started") started.set(agent, { said: event, at: now() });
    },
  };
}
