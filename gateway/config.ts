// The configuration: environment over file over default, checked at once, frozen. The only reader of process.env.
import { readFileSync, realpathSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { levelsBelow } from "./agents/levels.ts";
import { variablesIn } from "./claude/expansion.ts";
import { agentConfig, agentFault, withDefaults, type AgentConfig } from "./protocol/agents.ts";
import { isolations, type IsolationWish } from "./protocol/box.ts";
import { permissionModes, type PermissionMode } from "./protocol/codes.ts";
import { SetupError } from "./protocol/errors.ts";
import { check, nearest } from "./protocol/faults.ts";
import { limits, type Limits } from "./protocol/limits.ts";

export interface Config {
  readonly host: string;
  readonly port: number;
  readonly dataFolder: string;
  /** The CLI's path, where it is configured. */
  readonly claude: string | undefined;
  /** Service keys: name and secret. Empty: one is made. */
  readonly keys: readonly { readonly name: string; readonly secret: string }[];
  readonly publicUrl: string | undefined;
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  readonly agents: readonly AgentConfig[];
  /** Folders, by their real paths: an agent that is made by API may work inside them, and nowhere else. */
  readonly workspaceRoots: readonly string[];
  /** The widest mode that an agent may be given by API. */
  readonly permissionCeiling: PermissionMode;
  readonly limits: Limits;
  /** Whether sessions run in boxes. */
  readonly isolation: IsolationWish;
  /** Of a gateway that is root: the user of its sessions. */
  readonly boxUid: number | undefined;
  /** The configuration file that was read. */
  readonly file: string | undefined;
  readonly logLevel: string;
  /** The gateway's own environment, of which processes get an allow-list. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

const path = z.string().min(1, "must not be empty");
const hostName = z.string().regex(/^(\[[0-9a-f:]+\]|[a-z0-9.-]+)$/i, "must be a host name without port");
const origin = z.string().refine(isOrigin, "must be an origin such as https://intranet.example");
const list = <Item extends z.ZodType<unknown, string>>(item: Item) =>
  z
    .string()
    .transform((text) =>
      text
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== ""),
    )
    .pipe(z.array(item));

/** `sluice.config.json`. */
export const configFile = z.strictObject({
  $schema: z.string().optional(),
  agents: z
    .array(agentConfig)
    .min(1, "must name at least one agent")
    .refine(
      (agents) => new Set(agents.map((agent) => agent.name)).size === agents.length,
      "must not name an agent twice",
    )
    .superRefine((agents, context) => {
      const names = agents.map((agent) => agent.name);
      for (const [index, agent] of agents.entries()) {
        const fault = agentFault(agent, names);
        if (fault)
          context.addIssue({ code: "custom", path: [index, ...fault.field.split(".")], message: fault.message });
      }
    })
    .optional(),
  limits: limits.optional(),
  allowed_hosts: z.array(hostName).optional(),
  allowed_origins: z.array(origin).optional(),
  workspace_roots: z.array(path).optional(),
  permission_ceiling: z.enum(permissionModes).optional(),
  isolation: z.enum(isolations).optional(),
  box_uid: z.int().positive().max(4_294_967_294).optional(),
});

/** A secret travels in a header, where clients write other signs than those of ASCII in different ways. */
const serviceKey = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}:[!-~]{16,}$/, "must be name:secret, the secret of at least 16 characters of ASCII")
  .transform((text) => ({ name: text.slice(0, text.indexOf(":")), secret: text.slice(text.indexOf(":") + 1) }));

/** Names of keys that stand for something else: visitors of public agents. */
export const reservedKeyNames: readonly string[] = ["visitors"];

const variables = z.object({
  SLUICE_HOST: z.string().min(1).default("127.0.0.1"),
  SLUICE_PORT: z
    .string()
    .regex(/^\d{1,5}$/, "must be a port number")
    .transform(Number)
    .pipe(z.int().max(65_535))
    .default(8787),
  SLUICE_DATA: path.default(".sluice"),
  SLUICE_CONFIG: path.optional(),
  SLUICE_CLAUDE: path.optional(),
  SLUICE_KEYS: list(serviceKey)
    .refine((keys) => new Set(keys.map(({ name }) => name)).size === keys.length, "must not name a key twice")
    .refine((keys) => new Set(keys.map(({ secret }) => secret)).size === keys.length, "must not repeat a secret")
    .refine((keys) => keys.every(({ name }) => !reservedKeyNames.includes(name)), "must not name a key visitors")
    .default([]),
  SLUICE_PUBLIC_URL: z
    .url({ protocol: /^https?$/, error: "must be an address that begins with http:// or https://" })
    .transform((url) => url.replace(/\/+$/, ""))
    .optional(),
  SLUICE_ALLOWED_HOSTS: list(hostName).optional(),
  SLUICE_ALLOWED_ORIGINS: list(origin).optional(),
  SLUICE_LOG: z.enum(["trace", "debug", "info", "warn", "error", "silent"]).default("info"),
});

/**
 * Read by others, and none of the gateway's: what its clients are told, by the README, and what a process that it started carries (`sluice` may
 * well be called from within).
 */
const othersVariables: ReadonlySet<string> = new Set(["SLUICE_URL", "SLUICE_KEY", "SLUICE_PROCESS"]);

const defaultFile = "sluice.config.json";

/** Reads the configuration. Throws a `SetupError` that names the field and what is allowed. */
export function readConfig(environment: Readonly<Record<string, string | undefined>> = process.env): Config {
  const isKnown = (name: string) => Object.hasOwn(variables.shape, name) || othersVariables.has(name);
  const unknown = Object.keys(environment).find((name) => name.startsWith("SLUICE_") && !isKnown(name));
  if (unknown !== undefined) {
    const near = nearest(unknown, Object.keys(variables.shape));
    throw invalid(`${unknown}: is no variable of Sluice${near === undefined ? "" : `; did you mean \`${near}\`?`}`);
  }
  const env = checked(variables, environment, "");
  const { content: file, path: filePath } = readFile(env.SLUICE_CONFIG);
  const publicHost = env.SLUICE_PUBLIC_URL === undefined ? [] : [new URL(env.SLUICE_PUBLIC_URL).hostname];
  const config: Config = {
    host: env.SLUICE_HOST,
    port: env.SLUICE_PORT,
    dataFolder: env.SLUICE_DATA,
    claude: env.SLUICE_CLAUDE,
    keys: env.SLUICE_KEYS,
    publicUrl: env.SLUICE_PUBLIC_URL,
    allowedHosts: [...(env.SLUICE_ALLOWED_HOSTS ?? file.allowed_hosts ?? []), ...publicHost],
    allowedOrigins: env.SLUICE_ALLOWED_ORIGINS ?? file.allowed_origins ?? [],
    agents: file.agents ?? [agentConfig.parse({ name: "default" })],
    workspaceRoots: (file.workspace_roots ?? []).map(realFolder),
    // What changes something, or leaves the workspace, still asks a person.
    permissionCeiling: file.permission_ceiling ?? "default",
    limits: file.limits ?? limits.parse({}),
    isolation: file.isolation ?? "auto",
    boxUid: file.box_uid,
    file: filePath,
    logLevel: env.SLUICE_LOG,
    environment: Object.freeze(withAbsoluteFolder(environment)),
  };
  checkLevels(config);
  checkVariables(config);
  if (!isLoopback(config.host) && config.keys.length === 0)
    throw new SetupError(
      "config_invalid",
      `SLUICE_HOST is ${config.host}, which others can reach, and no key is configured.`,
      "Set SLUICE_KEYS to name:secret, or listen on 127.0.0.1.",
    );
  return Object.freeze(config);
}

export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Turns that wait for one another have a process each: with fewer, the last one would never get any. */
function checkLevels({ agents, limits: { processes, supervise_depth: most } }: Config): void {
  for (const { name } of agents) {
    const levels = levelsBelow(agents, name, { most });
    if (levels >= processes)
      throw invalid(
        `limits.processes must be at least ${levels + 1}: turns of "${name}" wait for turns of the agents that it supervises`,
      );
  }
}

/** What stands as it is in a server's settings would be sent as it is, in place of a secret. */
function checkVariables({ agents, environment }: Config): void {
  for (const [index, { mcp_servers: servers = {}, box }] of agents.entries())
    for (const { field, name } of variablesIn(servers)) {
      const at = `agents.${index}.mcp_servers.${field}`;
      if (!box?.env.includes(name)) throw invalid(`${at}: the agent's box.env does not name ${name}`);
      if (environment[name] === undefined) throw invalid(`${at}: the gateway's environment has no ${name}`);
    }
}

function readFile(named: string | undefined): { content: z.infer<typeof configFile>; path?: string } {
  const file = named ?? defaultFile;
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    if (named === undefined) return { content: {} };
    throw invalid(`SLUICE_CONFIG: ${file} cannot be read`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw invalid(`${file} is no valid JSON: ${error instanceof Error ? error.message : ""}`);
  }
  return { content: checked(configFile, withAgentDefaults(value), `${file}: `), path: resolve(file) };
}

function withAgentDefaults(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("agents" in value) || !Array.isArray(value.agents)) return value;
  return { ...value, agents: value.agents.map(withDefaults) };
}

function checked<Schema extends z.ZodType>(schema: Schema, value: unknown, prefix: string): z.infer<Schema> {
  const found = check(schema, value);
  if (!found.faults) return found.value;
  const faults = Array.from(found.faults, ({ field, what }) => (field === "" ? `it ${what}` : `${field}: ${what}`));
  throw invalid(`${prefix}${faults.join("; ")}`);
}

function realFolder(root: string, index: number): string {
  try {
    // With a slash at its end a file is none.
    return realpathSync.native(`${resolve(root)}/`);
  } catch {
    throw invalid(`workspace_roots.${index}: ${root} is no folder`);
  }
}

/** A relative CLAUDE_CONFIG_DIR means the gateway's folder, not the workspace that a process runs in. */
function withAbsoluteFolder(environment: Readonly<Record<string, string | undefined>>) {
  const folder = environment["CLAUDE_CONFIG_DIR"];
  return folder === undefined ? { ...environment } : { ...environment, CLAUDE_CONFIG_DIR: resolve(folder) };
}

function isOrigin(text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text;
}

function invalid(what: string): SetupError {
  return new SetupError(
    "config_invalid",
    `The configuration is wrong: ${what}${what.endsWith("?") ? "" : "."}`,
    "See `npx sluice --help` for the variables and `npx sluice schema` for the file.",
  );
}
