// The agents by name, those of the file and those that were made by API, as they are now; and what a request may ask of one [A5].
import { isCommandWithMention } from "../claude/prompt-line.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import type { Caller } from "../protocol/callers.ts";
import { permissionModes, type PermissionMode } from "../protocol/codes.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { SentBlock } from "../protocol/prompt.ts";
import type { StoredAgent } from "../store/port.ts";

export interface Registry {
  /** An agent that is changed is another object from then on; one that is not stays the same. */
  readonly agents: readonly AgentConfig[];
  /**
   * The named agent; without a name the only one, or the one named `default`, or the only one of the file. A caller who is limited to some
   * agents knows of no other. Throws `invalid_request` or `not_found`.
   */
  find(name: string | undefined, limit?: Caller["agents"]): AgentConfig;
  /** How an agent that was made by API is stored; undefined for one of the file. */
  stored(name: string): StoredAgent | undefined;
  /** Adds an agent that was made by API, or changes it. Throws where the file has one of this name. */
  put(stored: StoredAgent, agent: AgentConfig): void;
  /** Takes one that was made by API out. */
  remove(name: string): void;
  /** Calls back after every change. */
  onChange(listener: () => void): void;
}

export function createRegistry(ofFile: readonly AgentConfig[]): Registry {
  const made = new Map<string, { stored: StoredAgent; agent: AgentConfig }>();
  const listeners: (() => void)[] = [];
  let agents: readonly AgentConfig[] = ofFile;

  function change(): void {
    agents = [...ofFile, ...[...made.values()].map(({ agent }) => agent)];
    for (const listener of listeners) listener();
  }

  function withoutName(known: readonly AgentConfig[]): AgentConfig {
    const ours = known.filter((agent) => ofFile.includes(agent));
    const only = known.length === 1 ? known[0] : undefined;
    const agent = only ?? known.find(({ name }) => name === "default") ?? (ours.length === 1 ? ours[0] : undefined);
    if (agent) return agent;
    throw new GatewayError("invalid_request", "agent is needed: there are several, and none is named default", {
      field: "agent",
    });
  }

  return {
    get agents() {
      return agents;
    },
    find(name, limit) {
      const known = limit ? agents.filter((agent) => limit.includes(agent.name)) : agents;
      if (name === undefined) return withoutName(known);
      const agent = known.find((one) => one.name === name);
      if (!agent) throw new GatewayError("not_found", `There is no agent "${name}".`, { field: "agent" });
      return agent;
    },
    stored: (name) => made.get(name)?.stored,
    put(stored, agent) {
      if (ofFile.some(({ name }) => name === stored.name)) throw new Error("the file has an agent of this name");
      made.set(stored.name, { stored, agent });
      change();
    },
    remove(name) {
      if (made.delete(name)) change();
    },
    onChange: (listener) => void listeners.push(listener),
  };
}

/** What a request asks beyond its agent's own settings. */
export interface Wishes {
  readonly model?: string | undefined;
  readonly permission_mode?: PermissionMode | undefined;
  readonly turn_timeout_s?: number | undefined;
  readonly prompt?: readonly SentBlock[];
}

/** Refuses with `forbidden` what the agent does not allow, and says what it does. */
export function checkWishes(agent: AgentConfig, { model, permission_mode, turn_timeout_s, prompt = [] }: Wishes): void {
  const models = agent.models ?? (agent.model === undefined ? [] : [agent.model]);
  if (model !== undefined && !models.includes(model))
    throw refusal(
      "model",
      models.length === 0 ? "this agent lets no model be chosen" : `must be one of ${models.join(", ")}`,
    );
  if (permission_mode !== undefined && isWider(permission_mode, agent.permission_mode))
    throw refusal("permission_mode", `must be ${modesWithin(agent.permission_mode)} for this agent`);
  if (turn_timeout_s !== undefined && turn_timeout_s > agent.turn_timeout_s)
    throw refusal("turn_timeout_s", `must be at most ${agent.turn_timeout_s} for this agent`);
  if (isCommandWithMention(prompt, agent))
    throw refusal("prompt", "a command must not name a file with @: this agent has no file_mentions");
}

/**
 * Whether the mode lets more be done than the other one, be it unasked, or after a question where the other one asks nobody. Whoever only
 * plans does nothing of what the others do.
 */
export function isWider(mode: PermissionMode, than: PermissionMode): boolean {
  if (than === "plan") return mode !== "plan";
  return permissionModes.indexOf(mode) > permissionModes.indexOf(than);
}

/** In words. */
export function modesWithin(mode: PermissionMode): string {
  return permissionModes.filter((one) => !isWider(one, mode)).join(" or ");
}

function refusal(field: string, what: string): GatewayError {
  return new GatewayError("forbidden", `${field}: ${what}`, { field });
}
