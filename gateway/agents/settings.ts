// [A5] What the API may make of an agent: within the ceiling of modes and the roots of workspaces that the operator has set.
import { realpathSync } from "node:fs";
import { isAbsolute, sep } from "node:path";
import { agentConfig, agentFault, type AgentConfig } from "../protocol/agents.ts";
import type { PermissionMode } from "../protocol/codes.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { StoredAgent } from "../store/port.ts";
import { isWider, modesWithin, type Registry } from "./registry.ts";

export interface AgentBounds {
  /** By their real paths. */
  readonly workspaceRoots: readonly string[];
  readonly permissionCeiling: PermissionMode;
}

/**
 * The agent that these settings make, its workspace by its real path. Without a mode it gets `default`, or the ceiling where that is tighter.
 * Throws `forbidden` for what is out of bounds, `invalid_request` for what does not fit together.
 */
export function makeAgent(
  { name, settings }: Pick<StoredAgent, "name" | "settings">,
  bounds: AgentBounds,
): AgentConfig {
  const { permissionCeiling: ceiling } = bounds;
  const given = agentConfig.parse({
    name,
    permission_mode: isWider("default", ceiling) ? ceiling : "default",
    ...settings,
  });
  if (isWider(given.permission_mode, ceiling))
    throw new GatewayError(
      "forbidden",
      `permission_mode: must be ${modesWithin(ceiling)}: the gateway's permission_ceiling is ${ceiling}`,
      { field: "permission_mode" },
    );
  const agent =
    given.workspace === undefined ? given : { ...given, workspace: workspaceWithin(given.workspace, bounds) };
  const fault = agentFault(agent, []);
  if (fault) throw new GatewayError("invalid_request", `${fault.field}: ${fault.message}`, { field: fault.field });
  return agent;
}

/**
 * Adds what the store has to the registry. What the configuration does not allow any more, or has an agent of that name for, stays in
 * the store and is given to `onLeftOut`.
 */
export function addStored(
  registry: Registry,
  stored: readonly StoredAgent[],
  bounds: AgentBounds,
  onLeftOut: (name: string, why: string) => void,
): void {
  for (const one of stored) {
    if (registry.agents.some(({ name }) => name === one.name)) {
      onLeftOut(one.name, "the configuration file has an agent of this name");
      continue;
    }
    try {
      registry.put(one, makeAgent(one, bounds));
    } catch (error) {
      onLeftOut(one.name, error instanceof GatewayError ? error.message : "its settings cannot be read");
    }
  }
}

/** Outside and not there look alike: nobody is to feel their way around the machine. */
function workspaceWithin(folder: string, { workspaceRoots }: AgentBounds): string {
  const real = isAbsolute(folder) ? realFolder(folder) : undefined;
  if (real !== undefined && workspaceRoots.some((root) => `${real}${sep}`.startsWith(root === sep ? sep : root + sep)))
    return real;
  throw new GatewayError("forbidden", "workspace: must be a folder inside one of the gateway's workspace_roots", {
    field: "workspace",
  });
}

function realFolder(folder: string): string | undefined {
  try {
    // With a slash at its end a file is none.
    return realpathSync.native(`${folder}${sep}`);
  } catch {
    // Not there, or not to be read.
    return undefined;
  }
}
