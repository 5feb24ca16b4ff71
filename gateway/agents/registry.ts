// The agents by name, and what a request may ask of one [A5].
import type { AgentConfig } from "../protocol/agents.ts";
import type { Caller } from "../protocol/callers.ts";
import { permissionModes, type PermissionMode } from "../protocol/codes.ts";
import { GatewayError } from "../protocol/errors.ts";

export interface Registry {
  readonly agents: readonly AgentConfig[];
  /**
   * The named agent; without a name the only one, or the one named `default`. A caller who is limited to some agents knows of no other.
   * Throws `invalid_request` or `not_found`.
   */
  find(name: string | undefined, limit?: Caller["agents"]): AgentConfig;
}

export function createRegistry(agents: readonly AgentConfig[]): Registry {
  return {
    agents,
    find(name, limit) {
      const known = limit ? agents.filter((agent) => limit.includes(agent.name)) : agents;
      if (name !== undefined) {
        const agent = known.find((one) => one.name === name);
        if (!agent) throw new GatewayError("not_found", `There is no agent "${name}".`, { field: "agent" });
        return agent;
      }
      const agent = known.length === 1 ? known[0] : known.find((one) => one.name === "default");
      if (!agent)
        throw new GatewayError("invalid_request", "agent is needed: there are several, and none is named default", {
          field: "agent",
        });
      return agent;
    },
  };
}

/** What a request asks beyond its agent's own settings. */
export interface Wishes {
  readonly model?: string | undefined;
  readonly permission_mode?: PermissionMode | undefined;
  readonly turn_timeout_s?: number | undefined;
}

/** Refuses with `forbidden` what the agent does not allow, and says what it does. */
export function checkWishes(agent: AgentConfig, { model, permission_mode, turn_timeout_s }: Wishes): void {
  const models = agent.models ?? (agent.model === undefined ? [] : [agent.model]);
  if (model !== undefined && !models.includes(model))
    throw refusal(
      "model",
      models.length === 0 ? "this agent lets no model be chosen" : `must be one of ${models.join(", ")}`,
    );
  const rank = (mode: PermissionMode) => permissionModes.indexOf(mode);
  if (permission_mode !== undefined && rank(permission_mode) > rank(agent.permission_mode))
    throw refusal("permission_mode", `must be at most ${agent.permission_mode} for this agent`);
  if (turn_timeout_s !== undefined && turn_timeout_s > agent.turn_timeout_s)
    throw refusal("turn_timeout_s", `must be at most ${agent.turn_timeout_s} for this agent`);
}

function refusal(field: string, what: string): GatewayError {
  return new GatewayError("forbidden", `${field}: ${what}`, { field });
}
