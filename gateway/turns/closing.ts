// Sessions and agents that are being removed: they take no new turns, and those that they have are ended.
import type { Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";

export interface Closing {
  /** Ends its turns; resolves when none is left, with what opens it again. Throws `not_found` where somebody else is just doing that. */
  session(caller: Caller, session: string): Promise<() => void>;
  agent(caller: Caller, agent: string): Promise<() => void>;
  /** Throws `not_found` where either is closed. */
  check(session: string, agent: string): void;
}

export interface ClosingDeps {
  /** Ends all turns that are of it. */
  readonly endTurns: (caller: Caller, isIts: (turn: { session: string; agent: string }) => boolean) => Promise<void>;
}

export function createClosing({ endTurns }: ClosingDeps): Closing {
  const sessions = new Set<string>();
  const agents = new Set<string>();

  async function close(closed: Set<string>, name: string, end: () => Promise<void>): Promise<() => void> {
    closed.add(name);
    const reopen = () => void closed.delete(name);
    try {
      await end();
      return reopen;
    } catch (error) {
      reopen();
      throw error;
    }
  }

  function checkSession(session: string): void {
    if (sessions.has(session)) throw noSession(session);
  }

  function checkAgent(agent: string): void {
    if (agents.has(agent)) throw new GatewayError("not_found", `There is no agent "${agent}".`, { field: "agent" });
  }

  return {
    async session(caller, session) {
      checkSession(session);
      return close(sessions, session, () => endTurns(caller, (turn) => turn.session === session));
    },
    async agent(caller, agent) {
      checkAgent(agent);
      return close(agents, agent, () => endTurns(caller, (turn) => turn.agent === agent));
    },
    check(session, agent) {
      checkSession(session);
      checkAgent(agent);
    },
  };
}

export function noSession(session: string): GatewayError {
  return new GatewayError("not_found", `There is no session "${session}".`, { field: "session" });
}
