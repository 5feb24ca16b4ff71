// The tokens with which the processes of supervising agents come back to the gateway, at /mcp: one a process, made at its start and gone
// with it. They are in memory alone, as hashes [A8].
import { createHash, randomBytes } from "node:crypto";
import type { AgentConfig } from "../protocol/agents.ts";

/** The process that holds a token. */
export interface Supervisor {
  readonly agent: string;
  readonly session: string;
  /** The agents that it reaches. */
  readonly supervises: readonly string[];
}

export interface Supervisors {
  /** Makes the token of a new process. Call `withdraw` when that has ended, or did not come up. */
  admit(agent: AgentConfig, session: string): { readonly token: string; withdraw(): void };
  find(token: string): Supervisor | undefined;
}

export function createSupervisors(): Supervisors {
  const known = new Map<string, Supervisor>();
  return {
    admit({ name: agent, supervises }, session) {
      const token = `sluice-agent-${randomBytes(32).toString("base64url")}`;
      const hash = hashOf(token);
      known.set(hash, { agent, session, supervises });
      return { token, withdraw: () => void known.delete(hash) };
    },
    find: (token) => known.get(hashOf(token)),
  };
}

function hashOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}
