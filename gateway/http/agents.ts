// /api/agents: what each agent is and does now; making, changing and removing those that are not of the file; and a message to one.
import type { Context, Hono } from "hono";
import type { ProcessCounts } from "../agents/pool.ts";
import { agentName, changeAgent, createAgent, fileFields, type AgentConfig } from "../protocol/agents.ts";
import { GatewayError } from "../protocol/errors.ts";
import { messageAgent, removeAgent } from "../protocol/requests.ts";
import { validated } from "../protocol/validated.ts";
import type { TurnRow } from "../store/port.ts";
import type { Work } from "../turns/agent-work.ts";
import type { AgentView } from "../turns/agents.ts";
import type { Env } from "./env.ts";
import { readAnyJson, readJson, readQuery } from "./input.ts";
import { absoluteUrl, timeOf, type RouteDeps } from "./routes.ts";
import { postTurn } from "./turns.ts";
import { limitJson, usageJson } from "./usage.ts";

export function mountAgents(app: Hono<Env>, deps: RouteDeps): void {
  const { agents } = deps;

  app.get("/api/agents", async (c) => {
    const views = await agents.list(c.get("caller"));
    c.header("Cache-Control", "no-store");
    return c.json({ agents: views.map(agentJson) });
  });
  app.post("/api/agents", async (c) => {
    const { name, ...settings } = validated(createAgent, await readSettings(c));
    const made = await agents.create(c.get("caller"), name, settings);
    c.header("Location", absoluteUrl(c, deps, `/api/agents/${name}`));
    return c.json(agentJson(made), 201);
  });
  app.get("/api/agents/:name", async (c) => {
    c.header("Cache-Control", "no-store");
    return c.json(agentJson(await agents.get(c.get("caller"), pathName(c))));
  });
  app.patch("/api/agents/:name", async (c) => {
    const name = pathName(c);
    const change = validated(changeAgent, await readSettings(c));
    return c.json(agentJson(await agents.change(c.get("caller"), name, change)));
  });
  app.delete("/api/agents/:name", async (c) => {
    const name = pathName(c);
    const { force } = readQuery(c, removeAgent);
    await agents.remove(c.get("caller"), name, { isForced: force === "true" });
    return c.json({ name, removed: true });
  });
  app.get("/api/agents/:name/changes", async (c) => {
    c.header("Cache-Control", "no-store");
    return c.json(await agents.changes(c.get("caller"), pathName(c)));
  });
  app.post("/api/agents/:name/message", (c) =>
    postTurn(c, deps, async () => {
      const agent = pathName(c);
      const { prompt, reset } = await readJson(c, messageAgent);
      return { prompt, agent, on_busy: "queue", standing: { reset } };
    }),
  );
}

/** An agent's name of the path; anything else is as unknown as one that does not exist. */
function pathName(c: Context<Env>): string {
  const name = c.req.param("name") ?? "";
  if (!agentName.safeParse(name).success)
    throw new GatewayError("not_found", `There is no agent "${name.slice(0, 100)}".`, { field: "agent" });
  return name;
}

/** [A5] What only the operator may say is not unknown, but forbidden. */
async function readSettings(c: Context<Env>): Promise<unknown> {
  const body = await readAnyJson(c);
  const field = fileFields.find((name) => typeof body === "object" && body !== null && Object.hasOwn(body, name));
  if (field === undefined) return body;
  throw new GatewayError("forbidden", `${field}: can be set only in the configuration file`, { field });
}

/** An agent as replies show it: its settings under their names, and under `now` what it does. */
function agentJson({ agent, stored, ...view }: AgentView): Record<string, unknown> {
  return {
    ...settingsJson(agent),
    source: stored ? "api" : "file",
    made_by: stored?.madeBy ?? null,
    made_at: timeOf(stored?.madeAt ?? null),
    changed_at: timeOf(stored?.changedAt ?? null),
    now: {
      state: view.state,
      turns: view.turns.map(({ turn, session, state, owner: { user } }) => ({ turn, session, user, state })),
      running: view.running,
      queued: view.queued,
      processes: processesJson(view.processes),
      worktree: view.worktree ?? null,
      last_error: view.lastFailed ? errorJson(view.lastFailed) : null,
      in_force: view.started ? startedJson(view.started) : null,
      paid_by: {
        api_key_source: view.started?.said.api_key_source ?? view.limits[0]?.apiKeySource ?? null,
        limits: view.limits.map(limitJson),
      },
    },
    usage: view.usage ? usageJson(view.usage) : null,
  };
}

function processesJson({ memoryBytes, ...counts }: ProcessCounts): Record<string, number> {
  return { ...counts, memory_mb: Math.round(memoryBytes / 1024 / 1024) };
}

/** Programs, prompts and what may hold secrets go by their names alone. */
function settingsJson({ mcp_servers, hooks, subagents, ...settings }: AgentConfig): Record<string, unknown> {
  const names = (named: Readonly<Record<string, unknown>> | undefined) => Object.keys(named ?? {});
  return { ...settings, mcp_servers: names(mcp_servers), hooks: names(hooks), subagents: names(subagents) };
}

function errorJson({ turn, session, ending, endedAt }: TurnRow): Record<string, unknown> | null {
  if (ending?.type !== "turn_failed") return null;
  return { code: ending.code, message: ending.message, turn, session, at: timeOf(endedAt) };
}

/** What the CLI reported of itself at the start of its last turn. */
function startedJson({ said, at }: NonNullable<Work["started"]>): Record<string, unknown> {
  const { model, permission_mode, tools, mcp_servers, claude_version } = said;
  return { model, permission_mode, tools, mcp_servers, claude_version, at: timeOf(at) };
}
