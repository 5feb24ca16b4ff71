// [A9] Whether this gateway's sessions run in boxes: what the configuration wishes, what this machine can do, and what this data folder has had.
import { existsSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Logger } from "pino";
import { createBoxes, networkOf, type Boxes } from "./agents/boxes.ts";
import { checkWorkspace, ReachFault, type ReachContext } from "./agents/reach.ts";
import type { Registry } from "./agents/registry.ts";
import { isWithin } from "./agents/within.ts";
import { contextOf, loginEnvironmentOf, makeMaker, markFile, mustHaveBoxes, noBox } from "./box-maker.ts";
import { openApiRelay, type ApiRelay } from "./claude/box/api-relay.ts";
import { NoBox } from "./claude/box/bubblewrap.ts";
import type { BoxMaker } from "./claude/box/session-box.ts";
import { credentialVariables } from "./claude/command.ts";
import type { Cli } from "./claude/locate.ts";
import { configFolder } from "./claude/session-file.ts";
import { deviceOf } from "./claude/session-folder.ts";
import type { Config } from "./config.ts";
import type { DataFolder } from "./data-folder.ts";
import type { AgentConfig } from "./protocol/agents.ts";
import { GatewayError, SetupError } from "./protocol/errors.ts";

export interface Isolation {
  /** Undefined: sessions run as programs of the gateway's own user. */
  readonly boxes: Boxes | undefined;
  /** The gateway's environment as the CLI has it where sessions do, for asking about its login. */
  readonly loginEnvironment: Config["environment"];
  /** For agents that are made through the API. Throws a `GatewayError` that names no folder. */
  checkReach(agent: AgentConfig): void;
  close(): void;
}

export interface IsolationDeps {
  readonly config: Config;
  readonly data: Pick<DataFolder, "path" | "run" | "sessions" | "cli" | "login">;
  readonly cli: Cli;
  readonly agents: () => Registry["agents"];
  readonly logger: Pick<Logger, "warn" | "info">;
}

/** Rejects with a `SetupError` if there is to be a box and there is none, or an agent cannot have what it is to have. */
export async function openIsolation(deps: IsolationDeps): Promise<Isolation> {
  const { config, data, logger } = deps;
  const context = () => contextOf(config, data.path, deps.agents());
  const maker = config.isolation === "off" ? undefined : await makerOrNone(deps, context());
  if (config.isolation === "off")
    logger.warn(
      "sessions run without boxes, as the configuration says: an allowed command can read whatever the gateway can",
    );
  if (!maker) {
    checkUnboxed(config, data.path);
    return {
      boxes: undefined,
      loginEnvironment: config.environment,
      checkReach: (agent) => refusedIf(agent, () => checkOpenWorkspace(agent, data.path)),
      close: () => {},
    };
  }
  checkLogin(config, data.login);
  checkShared(config, data.path);
  const relay = config.agents.some((agent) => networkOf(agent, config.environment) === "none")
    ? await openApiRelay(config.environment)
    : undefined;
  try {
    const boxes = createBoxes({
      maker,
      environment: config.environment,
      sessions: data.sessions,
      device: deviceOf(data.path, deviceFile(config)),
      context,
      configFolder: configFolder(config),
      loginFolder: data.login,
      apiSocket: () => relayPath(relay),
      boxUid: config.boxUid,
      maxVisitorBytes: config.limits.visitor_folder_mb * 1024 * 1024,
    });
    for (const agent of config.agents) inWords(agent, () => boxes.check(agent));
    warnOfCovered(config, data.path, logger);
    writeFileSync(markFile(data.path), "", { mode: 0o600 });
    const loginEnvironment = loginEnvironmentOf(config, data.login);
    return {
      boxes,
      loginEnvironment,
      checkReach: (agent) => refusedIf(agent, () => boxes.check(agent)),
      close: () => relay?.close(),
    };
  } catch (error) {
    relay?.close();
    throw error;
  }
}

async function makerOrNone(deps: IsolationDeps, context: ReachContext): Promise<BoxMaker | undefined> {
  const { config, data, logger } = deps;
  try {
    return await makeMaker(deps, context);
  } catch (error) {
    if (!(error instanceof NoBox)) throw error;
    if (mustHaveBoxes(config, data.path)) throw noBox(error);
    logger.warn(
      { why: error.message, mend: error.mend },
      "sessions run without boxes, and can read each other's conversations",
    );
    return undefined;
  }
}

/** Beside the configuration folder where that is the usual one, in it where it has been named. */
function deviceFile({ environment }: Config): string {
  const named = environment["CLAUDE_CONFIG_DIR"];
  return join(named ?? environment["HOME"] ?? homedir(), ".claude.json");
}

function relayPath(relay: ApiRelay | undefined): string {
  if (relay) return relay.path;
  throw new Error("an agent without a network was made after the start");
}

/** Without a box nothing keeps a session from what its workspace holds. */
function checkUnboxed({ agents }: Config, dataFolder: string): void {
  for (const agent of agents) inWords(agent, () => checkOpenWorkspace(agent, dataFolder));
}

function checkOpenWorkspace({ workspace }: AgentConfig, dataFolder: string): void {
  const data = realpathSync(dataFolder);
  if (workspace === undefined || !isWithin(checkWorkspace(workspace, { dataFolder: data }), data)) return;
  throw new ReachFault(
    "workspace",
    `${workspace} holds the gateway's data folder, and without a box its sessions could read all keys and conversations`,
    "Move the data folder (SLUICE_DATA), or run sessions in boxes.",
  );
}

function refusedIf(agent: AgentConfig, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof ReachFault)) throw error;
    const what = `${error.field}: sessions of ${agent.name} could not work there; the gateway's user or data folder stands against it`;
    throw new GatewayError("forbidden", what, { field: error.field });
  }
}

function warnOfCovered({ agents }: Config, dataFolder: string, logger: Pick<Logger, "info">): void {
  const data = realpathSync(dataFolder);
  for (const { name, workspace } of agents)
    if (workspace !== undefined && isWithin(realpathSync(workspace), data))
      logger.info(
        { agent: name },
        "the workspace holds the data folder: its sessions see an empty folder in its place",
      );
}

function inWords(agent: AgentConfig, check: () => void): void {
  try {
    check();
  } catch (error) {
    if (!(error instanceof ReachFault)) throw error;
    throw new SetupError("config_invalid", `The agent "${agent.name}", ${error.field}: ${error.message}.`, error.mend);
  }
}

/** Before boxes, agents without a workspace shared this folder. What is in it must not just be gone for the sessions that made it. */
function checkShared({ agents }: Config, dataFolder: string): void {
  const folder = join(realpathSync(dataFolder), "workspace");
  const homeless = agents.find(({ workspace }) => workspace === undefined);
  const isNamed = agents.some(({ workspace }) => workspace !== undefined && resolve(workspace) === folder);
  if (!homeless || isNamed || !existsSync(folder) || readdirSync(folder).length === 0) return;
  throw new SetupError(
    "workspace_unfit",
    `Agents without a \`workspace\` no longer share a folder: each of their sessions gets an empty one of its own. Files that earlier sessions left are in ${folder}.`,
    `To let sessions share them as before, name the folder in the configuration file: {"agents": [{"name": "${homeless.name}", "workspace": ${JSON.stringify(folder)}}]}. To begin with empty folders, move it away: mv ${folder} ${folder}.old`,
  );
}

/** The operator's own login is not for boxes: several at once would each use its one refresh token, and the operator's CLI would be signed out. */
function checkLogin(config: Config, loginFolder: string): void {
  const { environment, agents } = config;
  const needs = agents.find(
    (agent) => !agent.public && !credentialVariables(agent.billing).some((name) => (environment[name] ?? "") !== ""),
  );
  const isOnDisk = existsSync(join(configFolder(config), ".credentials.json"));
  if (!needs || !isOnDisk || existsSync(join(loginFolder, ".credentials.json"))) return;
  throw new SetupError(
    "login_not_shared",
    `The CLI's login in ${configFolder(config)} is not shared with sessions in boxes, and the agent "${needs.name}" has no other.`,
    `Give the gateway a login of its own: CLAUDE_SECURESTORAGE_CONFIG_DIR=${resolve(loginFolder)} claude auth login. Or set CLAUDE_CODE_OAUTH_TOKEN (claude setup-token) or ANTHROPIC_API_KEY. Or say "isolation": "off" in the configuration file.`,
  );
}
