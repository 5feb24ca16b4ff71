// An agent as the configuration file describes it, and the part of that which the API may set [A5]. Fields and defaults: README, "Agents".
import { z } from "zod";
import { boxConfig } from "./box.ts";
import { permissionModes } from "./codes.ts";

/** Who may be billed: the CLI's reported credential must fit, or no prompt is sent. */
export const billings = ["subscription", "api_key", "any"] as const;

export type Billing = (typeof billings)[number];

export const agentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "must be 1 to 40 of a-z, 0-9 and -, and begin with a letter or digit");

const seconds = z.number().positive().max(86_400);
const modelName = z.string().regex(/^[\w.:/@[\]-]{1,200}$/, "must be a model's name");
/** They stand in one argument of a command line, which ends at a NUL and must not be longer than the system lets it. */
const maxRulesBytes = 100_000;
const toolRules = z
  .array(z.string().min(1).max(500))
  .max(500)
  .refine((rules) => rules.every((rule) => !rule.includes("\u0000")), "must not contain the NUL character (U+0000)")
  .refine(
    (rules) => new TextEncoder().encode(rules.join(",")).length <= maxRulesBytes,
    `must have at most ${maxRulesBytes} bytes together`,
  );

/** What the API may set too, without defaults: a field that is not given must be told from one that is. */
const settings = {
  description: z.string().max(500),
  model: modelName,
  models: z.array(modelName).max(100),
  fallback_model: modelName,
  workspace: z.string().min(1).max(4096),
  worktree: z.boolean(),
  permission_mode: z.enum(permissionModes),
  allowed_tools: toolRules,
  disallowed_tools: toolRules,
  instructions: z.string().max(100_000),
  max_model_turns: z.int().positive(),
  max_budget_usd: z.number().positive(),
  turn_timeout_s: seconds,
  silence_timeout_s: seconds,
  approval_timeout_s: seconds,
  processes: z.int().positive(),
  running_turns: z.int().positive(),
  queue: z.int().nonnegative(),
  spares: z.int().nonnegative().max(20),
};

/** The CLI's own settings object for hooks: event → matchers, each with its commands. */
const hooks = z.record(
  z.string(),
  z.array(z.looseObject({ matcher: z.string().optional(), hooks: z.array(z.looseObject({ type: z.string() })) })),
);

/** One agent of the configuration file. */
export const agentConfig = z.strictObject({
  name: agentName,
  description: settings.description.optional(),
  model: settings.model.optional(),
  models: settings.models.optional(),
  fallback_model: settings.fallback_model.optional(),
  workspace: settings.workspace.optional(),
  /** It works in a git worktree of its own, of the repository that `workspace` is. */
  worktree: settings.worktree.default(false),
  permission_mode: settings.permission_mode.default("default"),
  allowed_tools: settings.allowed_tools.default([]),
  disallowed_tools: settings.disallowed_tools.default([]),
  /** Tools of the CLI that are off without it. */
  extra_tools: z
    .array(z.string().regex(/^[A-Z][A-Za-z0-9_]{0,99}$/, "must be the name of a tool of the CLI"))
    .max(100)
    .default([]),
  /** Whoever allows a tool call may change its input. */
  input_changes: z.boolean().default(false),
  /** Whoever allows a tool call may allow the tool for the rest of its session. */
  session_approvals: z.boolean().default(true),
  instructions: settings.instructions.optional(),
  subagents: z.record(z.string(), z.unknown()).optional(),
  hooks: hooks.optional(),
  mcp_servers: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  setting_sources: z.array(z.enum(["user", "project", "local"])).default([]),
  slash_commands: z.boolean().default(false),
  file_mentions: z.boolean().default(false),
  background_tasks: z.boolean().default(false),
  /** What its sessions have of this machine beyond their box. */
  box: boxConfig.optional(),
  /** The agents that it may give work to. */
  supervises: z.array(agentName).default([]),
  billing: z.enum(billings).default("any"),
  max_model_turns: settings.max_model_turns.optional(),
  max_budget_usd: settings.max_budget_usd.optional(),
  turn_timeout_s: settings.turn_timeout_s.default(1800),
  silence_timeout_s: settings.silence_timeout_s.default(300),
  /** A tool call that nobody has allowed or denied by then is denied. */
  approval_timeout_s: settings.approval_timeout_s.default(600),
  processes: settings.processes.optional(),
  running_turns: settings.running_turns.optional(),
  queue: settings.queue.default(200),
  /** Visitors of these pages may use it without any key. */
  public: z.strictObject({ origins: z.array(z.string().refine(isOrigin, "must be an origin")).min(1) }).optional(),
  spares: settings.spares.default(0),
});

/** What an agent with `public` is, unless the file says otherwise; and it has but a few tools: see claude/tools.ts. */
const publicDefaults: Partial<AgentConfig> = { permission_mode: "dontAsk", session_approvals: false };

/** An agent as the file has it, before it is read: with the defaults that depend on other fields. */
export function withDefaults(raw: unknown): unknown {
  const isPublic = typeof raw === "object" && raw !== null && Object.hasOwn(raw, "public");
  return isPublic ? { ...publicDefaults, ...raw } : raw;
}

/** What a supervising agent calls the gateway's own MCP server: its tools are `mcp__sluice__…`. */
export const ownMcpServer = "sluice";

export type AgentConfig = z.infer<typeof agentConfig>;

/** What of an agent the API may set: the body of `POST /api/agents`, beside `name`. */
export const agentSettings = z.strictObject(settings).partial();

export type AgentSettings = z.infer<typeof agentSettings>;

/** `POST /api/agents` */
export const createAgent = agentSettings.extend({ name: agentName });

/** `PATCH /api/agents/{name}`: null takes a setting back to its default. */
export const changeAgent = z.strictObject(nullable(settings)).partial();

/** Fields that come from the file alone: they run programs, read settings, decide who pays or who is let in. */
export const fileFields: readonly string[] = Object.keys(agentConfig.shape).filter(
  (field) => field !== "name" && !Object.hasOwn(settings, field),
);

/** A fault that lies between two fields, or between agents. */
export interface AgentFault {
  readonly field: "worktree" | "supervises" | "mcp_servers" | "box.network" | "box.workspace";
  readonly message: string;
}

/** What is wrong with an agent among others, that its schema cannot say. */
export function agentFault(agent: AgentConfig, names: readonly string[]): AgentFault | undefined {
  if (agent.worktree && agent.workspace === undefined)
    return { field: "worktree", message: "needs a workspace: the git repository that it is made of" };
  const stranger = agent.supervises.find((name) => !names.includes(name));
  if (stranger !== undefined) return { field: "supervises", message: `there is no agent "${stranger}"` };
  if (agent.supervises.includes(agent.name))
    return { field: "supervises", message: "an agent cannot supervise itself" };
  if (agent.box?.network === "none" && agent.supervises.length > 0)
    return { field: "box.network", message: "must be open for an agent that supervises others: it reaches them by it" };
  if (agent.box?.workspace !== undefined && agent.workspace === undefined)
    return { field: "box.workspace", message: "needs a workspace: without one each session has an own one" };
  if (agent.supervises.length > 0 && agent.mcp_servers && Object.hasOwn(agent.mcp_servers, ownMcpServer))
    return {
      field: "mcp_servers",
      message: `"${ownMcpServer}" is what a supervising agent calls the gateway's own server`,
    };
  return undefined;
}

function nullable<Shape extends Record<string, z.ZodType>>(shape: Shape) {
  const entries = Object.entries(shape).map(([name, type]) => [name, type.nullable()]);
  return Object.fromEntries(entries) as { [Name in keyof Shape]: z.ZodNullable<Shape[Name]> };
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}
