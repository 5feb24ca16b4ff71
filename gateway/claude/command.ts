// [P1, P2, P7] An agent and a session → the command line, the environment and the private files of its process. Pure. The prompt
// is no part of it: prompts go through the FIFO alone.
import { ownMcpServer, type AgentConfig, type Billing } from "../protocol/agents.ts";
import { withVariables } from "./expansion.ts";
import { toolsOf } from "./tools.ts";

/** How a process takes its session up: anew, by its file (from any folder), or as a branch of the session in a file, behind an answer or at its end. */
export type SessionOrigin =
  | { readonly kind: "new" }
  | { readonly kind: "resume"; readonly file: string }
  | { readonly kind: "fork"; readonly file: string; readonly answerUuid: string | null };

export interface CommandInput {
  readonly agent: AgentConfig;
  /** A UUID; the CLI's session id. */
  readonly session: string;
  readonly origin: SessionOrigin;
  /** The agent's folder, checked. */
  readonly workspace: string;
  /** The folder that `files` will be written to (0700), by its absolute path as the process sees it. */
  readonly privateFolder: string;
  /** For what the CLI writes and nobody is to keep. Default: the private folder. */
  readonly temporaryFolder?: string;
  /** Rules that deny the CLI's own tools what a box would hide. */
  readonly denied?: readonly string[] | undefined;
  /** Beyond the allow-list: what the agent's configuration gives its processes, and what its box makes needful. */
  readonly extraEnvironment?: Readonly<Record<string, string>>;
  /** The gateway's own environment; what is on the allow-list is passed on. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Marks the process and everything it starts, for the sweep: see process-table.ts. */
  readonly marker: string;
  /** Default: whatever version there is. */
  readonly cliVersion?: string | undefined;
  /** Where, and with what token, the process reaches the agents that its own supervises. */
  readonly supervision?: Supervision | undefined;
}

export interface Supervision {
  /** The gateway's own MCP server. */
  readonly url: string;
  readonly token: string;
}

export interface Command {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  /** Name → content; anything that must not be read in `ps`. */
  readonly files: Readonly<Record<string, string>>;
}

/** The variable that carries the marker. */
export const markerVariable = "SLUICE_PROCESS";

/** Passed on whatever the billing: where things are, how to reach the network, and the CLI's own settings of that kind. */
const alwaysPassed = [
  "PATH",
  "HOME",
  "USER",
  "LOGNAME",
  "SHELL",
  "LANG",
  "LC_ALL",
  "LC_CTYPE",
  "TZ",
  "TMPDIR",
  "HTTP_PROXY",
  "HTTPS_PROXY",
  "NO_PROXY",
  "http_proxy",
  "https_proxy",
  "no_proxy",
  "SSL_CERT_FILE",
  "SSL_CERT_DIR",
  "NODE_EXTRA_CA_CERTS",
  "CLAUDE_CONFIG_DIR",
  "ANTHROPIC_BASE_URL",
  "CLAUDE_CODE_MAX_RETRIES",
  "API_TIMEOUT_MS",
  "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC",
];

/** Credentials that are billed to a subscription. */
const subscriptionVariables = ["CLAUDE_CODE_OAUTH_TOKEN"];

/** Credentials that are billed by use, of Anthropic's own API and of cloud providers. */
const apiKeyVariables = [
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "CLAUDE_CODE_USE_BEDROCK",
  "AWS_REGION",
  "AWS_PROFILE",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "AWS_BEARER_TOKEN_BEDROCK",
  "CLAUDE_CODE_USE_VERTEX",
  "ANTHROPIC_VERTEX_PROJECT_ID",
  "CLOUD_ML_REGION",
  "GOOGLE_APPLICATION_CREDENTIALS",
  "CLAUDE_CODE_USE_FOUNDRY",
  "ANTHROPIC_FOUNDRY_API_KEY",
  "ANTHROPIC_FOUNDRY_RESOURCE",
];

/** Behind the end of a turn by its own clock. */
const afterTurnMs = 60_000;

export function buildCommand(input: CommandInput): Command {
  const { agent, workspace, privateFolder } = input;
  const files: Record<string, string> = {};
  const flag = (name: string, value: string | number | undefined) =>
    value === undefined ? [] : [`--${name}=${value}`];
  const fileFlag = (name: string, file: string, content: string | undefined) => {
    if (content === undefined) return [];
    files[file] = content;
    return [`--${name}=${privateFolder}/${file}`];
  };
  const json = (value: unknown) => (value === undefined ? undefined : JSON.stringify(value));
  const allowed = [...agent.allowed_tools, ...(input.supervision ? [`mcp__${ownMcpServer}`] : [])];
  const args = [
    "--print",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    "--include-partial-messages",
    "--permission-prompt-tool=stdio",
    `--permission-mode=${agent.permission_mode}`,
    `--setting-sources=${agent.setting_sources.join(",")}`,
    "--strict-mcp-config",
    ...fileFlag("mcp-config", "mcp.json", json(mcpConfig(input))),
    ...fileFlag("append-system-prompt-file", "instructions.md", agent.instructions),
    ...fileFlag("agents", "subagents.json", json(agent.subagents)),
    ...fileFlag("settings", "settings.json", JSON.stringify(settingsOf(input))),
    ...flag("model", agent.model),
    ...flag("fallback-model", agent.fallback_model),
    ...flag("max-turns", agent.max_model_turns),
    ...flag("max-budget-usd", agent.max_budget_usd),
    `--tools=${toolsOf(agent, input.cliVersion).join(",")}`,
    ...flag("allowed-tools", allowed.join(",") || undefined),
    ...flag("disallowed-tools", agent.disallowed_tools.join(",") || undefined),
    ...sessionFlags(input),
  ];
  return { args, env: environmentOf(input), cwd: workspace, files };
}

/** Else plan mode would use the rules of the CLI's auto mode, by which any file of the machine is read unasked. */
function settingsOf({ agent, denied }: CommandInput): Record<string, unknown> {
  const { hooks } = agent;
  const permissions = denied ? { permissions: { deny: denied } } : {};
  return { useAutoModeDuringPlan: false, ...(hooks ? { hooks } : {}), ...permissions };
}

function mcpConfig(input: CommandInput): { mcpServers: Record<string, unknown> } | undefined {
  const { agent, supervision } = input;
  const servers = agent.mcp_servers && withVariables(agent.mcp_servers, variablesOf(input));
  if (!supervision) return servers && { mcpServers: servers };
  const own = {
    type: "http",
    url: supervision.url,
    headers: { Authorization: `Bearer ${supervision.token}` },
    // A call may wait as long as the turn may run: the CLI would give it up sooner, and after five minutes without a word.
    timeout: agent.turn_timeout_s * 1000 + afterTurnMs,
    // Else a model would first have to search for these tools, and a first turn might begin without them.
    alwaysLoad: true,
  };
  return { mcpServers: { ...servers, [ownMcpServer]: own } };
}

function sessionFlags({ session, origin }: CommandInput): string[] {
  switch (origin.kind) {
    case "new":
      return [`--session-id=${session}`];
    case "resume":
      return [`--resume=${origin.file}`];
    case "fork": {
      const at = origin.answerUuid === null ? [] : [`--resume-session-at=${origin.answerUuid}`];
      return ["--fork-session", `--session-id=${session}`, `--resume=${origin.file}`, ...at];
    }
  }
}

/** The credentials that an agent's processes get, by name. */
export function credentialVariables(billing: Billing): string[] {
  return [
    ...(billing === "api_key" ? [] : subscriptionVariables),
    ...(billing === "subscription" ? [] : apiKeyVariables),
  ];
}

/** Those that the agent is given by name. */
function variablesOf({ agent, environment, extraEnvironment }: CommandInput): Record<string, string> {
  const named = (agent.box?.env ?? []).map((name) => [name, extraEnvironment?.[name] ?? environment[name]]);
  return Object.fromEntries(named.filter(([, value]) => value !== undefined)) as Record<string, string>;
}

function environmentOf(input: CommandInput): Record<string, string> {
  const { agent, environment, marker, privateFolder, supervision } = input;
  const passed = [...alwaysPassed, ...credentialVariables(agent.billing)];
  const env: Record<string, string> = {};
  for (const name of passed) {
    const value = environment[name];
    if (value !== undefined) env[name] = value;
  }
  Object.assign(env, variablesOf(input));
  env["TERM"] = "xterm-256color";
  env["DISABLE_AUTOUPDATER"] = "1";
  env["CLAUDE_CODE_DISABLE_AUTO_MEMORY"] = "1";
  // Else it leaves the prompts' images and its tools' output under /tmp for good.
  env["CLAUDE_CODE_TMPDIR"] = input.temporaryFolder ?? privateFolder;
  if (!agent.background_tasks) {
    env["CLAUDE_CODE_DISABLE_BACKGROUND_TASKS"] = "1";
    env["CLAUDE_CODE_DISABLE_CRON"] = "1";
  }
  if (supervision) Object.assign(env, withoutProxy(supervision.url, env));
  Object.assign(env, input.extraEnvironment);
  Object.assign(env, quietGit(env));
  env[markerVariable] = marker;
  return env;
}

/** Of a repository's own configuration what would run a program for commands that the CLI takes for harmless, such as `git status`. */
const quietGitSettings: readonly (readonly [string, string])[] = [
  ["core.fsmonitor", "false"],
  ["log.showSignature", "false"],
  // Else the look itself would write the index, and that runs a hook.
  ["diff.autoRefreshIndex", "false"],
];

/**
 * Settings of git for all that the process starts, after those that it was given (`GIT_CONFIG_COUNT`, https://git-scm.com/docs/git-config). An
 * external diff and filters have no such switch.
 */
function quietGit(env: Readonly<Record<string, string>>): Record<string, string> {
  const given = /^\d{1,4}$/.test(env["GIT_CONFIG_COUNT"] ?? "") ? Number(env["GIT_CONFIG_COUNT"]) : 0;
  const settings = quietGitSettings.flatMap(([key, value], index) => [
    [`GIT_CONFIG_KEY_${given + index}`, key],
    [`GIT_CONFIG_VALUE_${given + index}`, value],
  ]);
  return {
    GIT_OPTIONAL_LOCKS: "0",
    ...(Object.fromEntries(settings) as Record<string, string>),
    GIT_CONFIG_COUNT: String(given + quietGitSettings.length),
  };
}

/** The way to the gateway itself leads through no proxy. Programs read the one spelling or the other. */
function withoutProxy(url: string, { NO_PROXY, no_proxy }: Record<string, string>): Record<string, string> {
  const hosts = [NO_PROXY ?? no_proxy, new URL(url).hostname].filter((host) => host !== undefined && host !== "");
  return { NO_PROXY: hosts.join(","), no_proxy: hosts.join(",") };
}
