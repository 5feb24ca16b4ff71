// The one session that an owner has with an agent by the agent's name alone: made at its first prompt, and with it in one transaction, so
// that a prompt that is refused neither leaves an empty session nor loses the one before.
import type { Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Store } from "../store/port.ts";

export interface StandingSessions {
  /**
   * Calls `make` with the caller's standing session with the agent; with undefined where there is none, or `reset` asks for another: then `make`
   * is to store a new one. One call at a time for each owner and agent, so that two first prompts meet in one session.
   */
  enter<Made>(
    caller: Caller,
    agent: string,
    reset: boolean,
    make: (session: string | undefined) => Promise<Made>,
  ): Promise<Made>;
}

export function createStandingSessions(store: Pick<Store, "standingSession">): StandingSessions {
  const lines = new Map<string, Promise<unknown>>();

  async function enter<Made>(
    caller: Caller,
    agent: string,
    reset: boolean,
    make: (session: string | undefined) => Promise<Made>,
  ): Promise<Made> {
    const known = reset ? undefined : await store.standingSession(caller, agent);
    if (known === undefined) return make(undefined);
    try {
      return await make(known);
    } catch (error) {
      // It was deleted just now.
      const isGone = error instanceof GatewayError && error.code === "not_found" && error.extra["field"] === "session";
      if (isGone) return make(undefined);
      throw error;
    }
  }

  return {
    async enter(caller, agent, reset, make) {
      const line = JSON.stringify([agent, caller.key, caller.user]);
      const before = lines.get(line) ?? Promise.resolve();
      const entered = before.then(() => enter(caller, agent, reset, make));
      // Whoever asked hears of a refusal; the next one has nothing to do with it.
      const passed = entered.catch(() => {});
      lines.set(line, passed);
      try {
        return await entered;
      } finally {
        if (lines.get(line) === passed) lines.delete(line);
      }
    },
  };
}
