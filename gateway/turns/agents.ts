// Agents as things of their own: what each is and does now; made, changed and removed by API.
import type { Pool, ProcessCounts } from "../agents/pool.ts";
import type { Registry } from "../agents/registry.ts";
import { makeAgent, type AgentBounds } from "../agents/settings.ts";
import type { Worktrees } from "../agents/worktrees.ts";
import type { EventLog } from "../log/event-log.ts";
import type { AgentConfig, AgentSettings } from "../protocol/agents.ts";
import { gatewayCaller, maySee, type Caller } from "../protocol/callers.ts";
import type { AgentChanges, WorktreeStatus } from "../protocol/changes.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { LimitWindow, Store, StoredAgent, TurnRow, UsageRow, Write } from "../store/port.ts";
import type { TurnNow, Work } from "./agent-work.ts";
import type { Turns } from "./turns.ts";

/** `limited`: its account's limit is reached, so that no turn is of use; `waiting`: it has turns, all of which wait. */
export type AgentState = "idle" | "working" | "waiting" | "limited";

export interface AgentView {
  readonly agent: AgentConfig;
  /** Undefined for an agent of the file. */
  readonly stored: StoredAgent | undefined;
  readonly state: AgentState;
  /** Those that run and that the caller may see. */
  readonly turns: readonly TurnNow[];
  /** Of all callers. */
  readonly running: number;
  readonly queued: number;
  readonly processes: ProcessCounts;
  /** Undefined for an agent without one. */
  readonly worktree: WorktreeStatus | undefined;
  readonly started: Work["started"];
  /** Of the credential that it is billed to. */
  readonly limits: readonly LimitWindow[];
  /** Those below: of the caller's own turns. */
  readonly lastFailed: TurnRow | undefined;
  readonly usage: UsageRow | undefined;
}

export interface Agents {
  list(caller: Caller): Promise<AgentView[]>;
  /** Throws `not_found`, as all below do where the caller knows of no such agent. */
  get(caller: Caller, name: string): Promise<AgentView>;
  /** Throws `conflict` where there is one of this name, `forbidden` for what only the file may say. */
  create(caller: Caller, name: string, settings: AgentSettings): Promise<AgentView>;
  /** Of its worktree, against the branch point. Throws `conflict` where it is to have none. */
  changes(caller: Caller, name: string): Promise<AgentChanges>;
  /**
   * Turns that run go on as they began; every later one has the new settings. Null takes a setting back to its default. Throws `conflict`
   * where it would leave a worktree behind.
   */
  change(caller: Caller, name: string, change: AgentChange): Promise<AgentView>;
  /**
   * Throws `conflict` while it has turns, or its worktree has work that is saved nowhere else, unless it is forced: that cancels the ones and
   * throws the other away. Its sessions stay.
   */
  remove(caller: Caller, name: string, options: { readonly isForced: boolean }): Promise<void>;
}

export type AgentChange = { readonly [Name in keyof AgentSettings]: AgentSettings[Name] | null };

export interface AgentsDeps {
  readonly store: Store;
  readonly log: EventLog;
  readonly registry: Registry;
  readonly turns: Turns;
  readonly pool: Pool;
  readonly worktrees: Worktrees;
  readonly bounds: AgentBounds;
  /** Throws a `GatewayError` if sessions of the agent could not have its workspace. */
  readonly checkReach?: (agent: AgentConfig) => void;
  /** Which credential an agent is billed to. */
  readonly credentialOf: (agent: AgentConfig) => string;
  readonly now?: () => number;
}

export function createAgents(deps: AgentsDeps): Agents {
  const { store, log, registry, turns, pool, worktrees, bounds, credentialOf, now = Date.now } = deps;
  const write = (change: Write) => log.appendNow({ session: "", events: [], before: [change] });
  /** Names that are being made, changed or removed: of two at once the second would not know of the first. */
  const inHand = new Set<string>();

  async function view(agents: readonly AgentConfig[], caller: Caller): Promise<AgentView[]> {
    const [limits, usage] = await Promise.all([store.rateLimits(caller), store.usage(caller, { by: "agent" })]);
    return Promise.all(
      agents.map(async (agent) => {
        const { turns: all, isLimited, started } = turns.workOf(agent);
        const running = all.filter(({ state }) => state !== "queued");
        const credential = credentialOf(agent);
        const ownLimits = limits.filter((window) => window.credential === credential);
        return {
          agent,
          stored: registry.stored(agent.name),
          state: stateOf(all, isLimited),
          turns: running.filter(({ owner }) => maySee(caller, owner)),
          running: running.length,
          queued: all.length - running.length,
          processes: pool.processesOf(agent.name),
          worktree: agent.worktree ? worktrees.status(agent.name) : undefined,
          started,
          limits: ownLimits,
          lastFailed: await store.lastFailedTurn(caller, agent.name),
          usage: usage.find((row) => row.agent === agent.name),
        };
      }),
    );
  }

  async function get(caller: Caller, name: string): Promise<AgentView> {
    return (await view([registry.find(name, caller.agents)], caller))[0]!;
  }

  async function create(caller: Caller, name: string, settings: AgentSettings): Promise<AgentView> {
    if (caller.agents && !caller.agents.includes(name))
      throw new GatewayError("forbidden", "name: this key is limited to other agents", { field: "name" });
    return alone(name, async () => {
      if (registry.agents.some((agent) => agent.name === name))
        throw new GatewayError("conflict", `There is an agent "${name}" already.`, { field: "name" });
      const at = now();
      await put({ name, settings, madeBy: caller.key, madeAt: at, changedAt: at });
      return get(caller, name);
    });
  }

  async function change(caller: Caller, name: string, changes: AgentChange): Promise<AgentView> {
    changeable(caller, name);
    return alone(name, async () => {
      const stored = changeable(caller, name);
      const merged = Object.entries({ ...stored.settings, ...changes }).filter(([, value]) => value !== null);
      await put({ ...stored, settings: Object.fromEntries(merged), changedAt: now() });
      return get(caller, name);
    });
  }

  /** Checked, then stored, then in force. */
  async function put(stored: StoredAgent): Promise<void> {
    const agent = makeAgent(stored, bounds);
    deps.checkReach?.(agent);
    await checkWorktree(agent);
    await write({ kind: "agent", agent: stored });
    registry.put(stored, agent);
  }

  async function checkWorktree({ name, workspace, worktree }: AgentConfig): Promise<void> {
    const before = registry.agents.find((agent) => agent.name === name);
    const isOther = before?.worktree && !(worktree && workspace === before.workspace);
    if (isOther && worktrees.status(name).state !== "none")
      throw new GatewayError(
        "conflict",
        "This agent has a worktree of its workspace. To change either, remove the agent and make it anew.",
        { field: worktree ? "workspace" : "worktree" },
      );
    const isNew = !before?.worktree || workspace !== before.workspace;
    if (worktree && isNew && workspace !== undefined) await worktrees.check({ name, workspace });
  }

  async function changesOf(caller: Caller, name: string): Promise<AgentChanges> {
    if (!registry.find(name, caller.agents).worktree)
      throw new GatewayError("conflict", "This agent works in its workspace itself, not in a worktree.");
    return worktrees.changes(name);
  }

  async function remove(caller: Caller, name: string, { isForced }: { isForced: boolean }): Promise<void> {
    changeable(caller, name);
    await alone(name, async () => {
      changeable(caller, name);
      const all = turns.workOf(registry.find(name)).turns;
      if (all.length > 0 && !isForced)
        throw new GatewayError("conflict", "This agent has turns. With ?force=true they are cancelled.", {
          turns: all.length,
        });
      const reopen = await turns.closeAgent({ ...gatewayCaller, key: caller.key, user: caller.user }, name);
      try {
        // Nothing must work in it any more. Where it has work in it, the agent stays.
        await pool.endAgent(name);
        await worktrees.remove(name, { force: isForced });
        await write({ kind: "agent_removed", name });
        registry.remove(name);
      } finally {
        reopen();
      }
    });
  }

  /**
   * [A4] One that was made with another key is that key's, or an administrator's. A caller who is limited to other agents hears nothing of this one, not
   * even that somebody is changing it.
   */
  function changeable(caller: Caller, name: string): StoredAgent {
    registry.find(name, caller.agents);
    const stored = registry.stored(name);
    if (stored && (stored.madeBy === caller.key || caller.reach === "all")) return stored;
    if (stored)
      throw new GatewayError(
        "forbidden",
        `This agent was made with the key "${stored.madeBy}". Only that key, or one with the scope "admin", changes or removes it.`,
      );
    throw new GatewayError("forbidden", "This agent is of the configuration file, and can be changed only there.");
  }

  async function alone<Result>(name: string, act: () => Promise<Result>): Promise<Result> {
    if (inHand.has(name))
      throw new GatewayError("conflict", `The agent "${name}" is just being made, changed or removed.`);
    inHand.add(name);
    try {
      return await act();
    } finally {
      inHand.delete(name);
    }
  }

  return {
    list: async (caller) =>
      view(
        registry.agents.filter(({ name }) => caller.agents?.includes(name) ?? true),
        caller,
      ),
    get,
    changes: changesOf,
    create,
    change,
    remove,
  };
}

function stateOf(turns: readonly TurnNow[], isLimited: boolean): AgentState {
  if (turns.some(({ state }) => state === "running")) return "working";
  if (turns.length > 0) return "waiting";
  return isLimited ? "limited" : "idle";
}
