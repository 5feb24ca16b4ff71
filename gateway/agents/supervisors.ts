// The tokens with which the processes of supervising agents come back to the gateway, at /mcp: one a process, made at its start and gone
// with it. They are in memory alone, as hashes [A8].
import { createHash, randomBytes } from "node:crypto";
import type { Supervision } from "../claude/command.ts";
import type { Driver } from "../claude/driver.ts";
import type { AgentConfig } from "../protocol/agents.ts";

/** The process that holds a token. */
export interface Supervisor {
  readonly agent: string;
  readonly session: string;
  /** The agents that it reaches. */
  readonly supervises: readonly string[];
}

export interface Supervisors {
  /** Starts a process; where its agent supervises others, with a token of its own, which is good until it has ended. */
  start(
    agent: AgentConfig,
    session: string,
    start: (supervision: Supervision | undefined) => Promise<Driver>,
  ): Promise<Driver>;
  find(token: string): Supervisor | undefined;
}

/** `url`: that of the gateway's /mcp, as its own processes reach it. It is known when the first of them starts. */
export function createSupervisors(url: () => string): Supervisors {
  const known = new Map<string, Supervisor>();
  return {
    async start({ name: agent, supervises }, session, start) {
      if (supervises.length === 0) return start(undefined);
      const token = `sluice-agent-${randomBytes(32).toString("base64url")}`;
      const hash = hashOf(token);
      known.set(hash, { agent, session, supervises });
      const withdraw = () => void known.delete(hash);
      try {
        const driver = await start({ url: url(), token });
        void driver.exited.then(withdraw);
        return driver;
      } catch (error) {
        withdraw();
        throw error;
      }
    },
    find: (token) => known.get(hashOf(token)),
  };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
