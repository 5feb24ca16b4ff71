// An agent as the configuration describes it. Fields and defaults: README, "Agents".
import { z } from "zod";
import { permissionModes } from "./codes.ts";

/** Who may be billed: the CLI's reported credential must fit, or no prompt is sent. */
export const billings = ["subscription", "api_key", "any"] as const;

export type Billing = (typeof billings)[number];

export const agentName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,39}$/, "must be 1 to 40 of a-z, 0-9 and -, and begin with a letter or digit");

const seconds = z.number().positive().max(86_400);
const modelName = z.string().regex(/^[\w.:/@[\]-]{1,200}$/, "must be a model's name");
const toolRule = z.string().min(1).max(500);

/** One agent of the configuration file. */
export const agentConfig = z.strictObject({
  name: agentName,
  description: z.string().max(500).optional(),
  model: modelName.optional(),
  models: z.array(modelName).optional(),
  fallback_model: modelName.optional(),
  workspace: z.string().min(1).optional(),
  permission_mode: z.enum(permissionModes).default("default"),
  allowed_tools: z.array(toolRule).default([]),
  disallowed_tools: z.array(toolRule).default([]),
  instructions: z.string().max(100_000).optional(),
  subagents: z.record(z.string(), z.unknown()).optional(),
  mcp_servers: z.record(z.string(), z.record(z.string(), z.unknown())).optional(),
  setting_sources: z.array(z.enum(["user", "project", "local"])).default([]),
  slash_commands: z.boolean().default(false),
  file_mentions: z.boolean().default(false),
  background_tasks: z.boolean().default(false),
  billing: z.enum(billings).default("any"),
  max_model_turns: z.int().positive().optional(),
  max_budget_usd: z.number().positive().optional(),
  turn_timeout_s: seconds.default(1800),
  silence_timeout_s: seconds.default(300),
  /** A tool call that nobody has allowed or denied by then is denied. */
  approval_timeout_s: seconds.default(600),
  processes: z.int().positive().optional(),
  running_turns: z.int().positive().optional(),
  queue: z.int().nonnegative().default(200),
  /** Visitors of these pages may use it without any key. */
  public: z.strictObject({ origins: z.array(z.string().refine(isOrigin, "must be an origin")).min(1) }).optional(),
  spares: z.int().nonnegative().max(20).default(0),
});

export type AgentConfig = z.infer<typeof agentConfig>;

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}
