// The limits of the accounts that pay: what is known of them, and whether an agent's turns are of any use now. A rejected limit that a
// turn has failed by stops all turns of its credential until it resets, instead of one process start each. Now and then one is let
// through all the same: an account may have been given more in the meantime, and nothing but a turn finds that out.
import type { AgentConfig } from "../protocol/agents.ts";
import { gatewayCaller } from "../protocol/callers.ts";
import type { TurnEvent } from "../protocol/events.ts";
import type { LimitWindow, Store, Write } from "../store/port.ts";

export interface RateLimits {
  /** Takes what an earlier gateway knew. */
  load(): Promise<void>;
  /** Hears a process of this agent; gives what is to be stored. */
  note(agent: AgentConfig, events: readonly TurnEvent[]): Write[];
  /** When the agent's turns are of use again; undefined where they are now. */
  stoppedUntil(agent: AgentConfig): number | undefined;
  /** The same, for a turn that starts if it may: where it is the one that is let through, it is the only one for a while. */
  admit(agent: AgentConfig): number | undefined;
}

export interface RateLimitsOptions {
  readonly store: Store;
  readonly now: () => number;
  /** Which credential an agent is billed to. */
  readonly credentialOf: (agent: AgentConfig) => string;
}

/** How long a stop is believed without trying. */
const tryAgainMs = 15 * 60 * 1000;

/** The limits of a whole account. Others (`seven_day_opus`) are of one model: they must not stop the turns of another. */
const accountLimits = new Set(["five_hour", "seven_day", null]);

const tellingTypes = new Set<string>(["turn_started", "rate_limit", "turn_failed", "turn_completed"]);

export function createRateLimits({ store, now, credentialOf }: RateLimitsOptions): RateLimits {
  /** By credential, then by the limit's name. */
  const windows = new Map<string, Map<string | null, LimitWindow>>();
  const keySources = new Map<string, string>();
  const triedAt = new Map<string, number>();

  const ofCredential = (credential: string) => {
    const known = windows.get(credential) ?? new Map<string | null, LimitWindow>();
    windows.set(credential, known);
    return known;
  };
  const put = (window: LimitWindow): Write => {
    ofCredential(window.credential).set(window.limit, window);
    return { kind: "rate_limit", window };
  };

  function heard(credential: string, event: TurnEvent): Write[] {
    switch (event.type) {
      case "turn_started":
        keySources.set(credential, event.api_key_source);
        return [];
      case "rate_limit":
        return [
          put({
            credential,
            limit: event.limit,
            status: event.status,
            resetsAt: event.resets_at === null ? null : Date.parse(event.resets_at),
            usingOverage: event.using_overage,
            apiKeySource: keySources.get(credential) ?? null,
            at: now(),
            stopsTurns: event.status === "rejected" && (ofCredential(credential).get(event.limit)?.stopsTurns ?? false),
          }),
        ];
      case "turn_failed":
        return event.code === "rate_limited" ? stop(credential) : [];
      case "turn_completed":
        return [...ofCredential(credential).values()]
          .filter((window) => window.stopsTurns)
          .map((window) => put({ ...window, stopsTurns: false }));
      default:
        return [];
    }
  }

  function stop(credential: string): Write[] {
    triedAt.set(credential, now());
    return [...ofCredential(credential).values()]
      .filter(({ status, limit }) => status === "rejected" && accountLimits.has(limit))
      .filter(({ usingOverage, resetsAt }) => !usingOverage && (resetsAt ?? 0) > now())
      .map((window) => put({ ...window, at: now(), stopsTurns: true }));
  }

  function stoppedUntil(agent: AgentConfig): number | undefined {
    const credential = credentialOf(agent);
    const stops = [...ofCredential(credential).values()].filter((window) => window.stopsTurns);
    const until = Math.max(0, ...stops.map((window) => window.resetsAt ?? 0));
    const isDue = now() - (triedAt.get(credential) ?? 0) >= tryAgainMs;
    return until > now() && !isDue ? until : undefined;
  }

  return {
    async load() {
      for (const window of await store.rateLimits(gatewayCaller)) {
        ofCredential(window.credential).set(window.limit, window);
        if (window.stopsTurns) triedAt.set(window.credential, Math.max(window.at, triedAt.get(window.credential) ?? 0));
      }
    },
    note(agent, events) {
      // Every chunk of a stream comes by here: hardly any has something to tell.
      const telling = events.filter(({ type }) => tellingTypes.has(type));
      if (telling.length === 0) return [];
      const credential = credentialOf(agent);
      return telling.flatMap((event) => heard(credential, event));
    },
    stoppedUntil,
    admit(agent) {
      const until = stoppedUntil(agent);
      if (until === undefined) triedAt.set(credentialOf(agent), now());
      return until;
    },
  };
}
