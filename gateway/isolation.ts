// [A9] Whether this gateway's sessions run in boxes: what the configuration wishes, what this machine can do, and what this data folder has had.
import { existsSync, readdirSync, realpathSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import type { Logger } from "pino";
import { createBoxes, networkOf, type Boxes } from "./agents/boxes.ts";
import { checkWorkspace, coversFor, ReachFault, type ReachContext } from "./agents/reach.ts";
import type { Registry } from "./agents/registry.ts";
import { isWithin } from "./agents/within.ts";
import { openApiRelay, type ApiRelay } from "./claude/box/api-relay.ts";
import { findBubblewrap, NoBox } from "./claude/box/bubblewrap.ts";
import { copyCli } from "./claude/box/cli-copy.ts";
import { hostMounts } from "./claude/box/host.ts";
import type { BoxMaker } from "./claude/box/session-box.ts";
import { tryBox } from "./claude/box/trial.ts";
import { credentialVariables } from "./claude/command.ts";
import { findOnPath, type Cli } from "./claude/locate.ts";
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

/** A data folder that has had boxes is not opened without: what it promised to its users would end unnoticed. */
async function makerOrNone(deps: IsolationDeps, context: ReachContext): Promise<BoxMaker | undefined> {
  const { config, data, logger } = deps;
  try {
    return await makeMaker(deps, context);
  } catch (error) {
    if (!(error instanceof NoBox)) throw error;
    const isRequired = config.isolation === "required" || existsSync(markFile(data.path));
    const off =
      'To run sessions without boxes, say "isolation": "off" in the configuration file: see "Security" in the README.';
    if (isRequired || config.agents.some((agent) => agent.public))
      throw new SetupError("no_box", `Sessions cannot run in boxes: ${error.message}`, `${error.mend}\n${off}`);
    logger.warn(
      { why: error.message, mend: error.mend },
      "sessions run without boxes, and can read each other's conversations",
    );
    return undefined;
  }
}

async function makeMaker({ config, data, cli }: IsolationDeps, context: ReachContext): Promise<BoxMaker> {
  const bubblewrap = await findBubblewrap(config.environment["PATH"]);
  const host = hostMounts(config.environment["PATH"]);
  const maker = { bubblewrap, host, cli: await copyOf(cli, data.cli), setpriv: setprivIfRoot(config) };
  const uid = config.boxUid ?? 65_534;
  const user = maker.setpriv === undefined ? { uid: process.getuid!(), gid: process.getgid!() } : { uid, gid: uid };
  const covers = coversFor(host, undefined, context);
  const isClosed = config.agents.some((agent) => networkOf(agent, config.environment) === "none");
  const network = isClosed ? "none" : "open";
  await tryBox({ maker, user, dataFolder: context.dataFolder, runFolder: data.run, covers, network });
  return maker;
}

async function copyOf(cli: Cli, folder: string): Promise<BoxMaker["cli"]> {
  try {
    return await copyCli(cli, folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SetupError(
      "data_not_writable",
      `The copy of the CLI that boxes run could not be made in ${folder} (${code ?? String(error)}).`,
      "It needs some 400 MB: make room, or set SLUICE_DATA to a folder on another disk.",
    );
  }
}

function setprivIfRoot({ environment }: Config): string | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const found = findOnPath("setpriv", `${environment["PATH"] ?? ""}:/usr/bin:/bin`);
  if (found !== undefined) return found;
  throw new NoBox(
    "The gateway is root, and there is no setpriv to give that up in a box.",
    "Install util-linux, or run the gateway as an ordinary user.",
  );
}

function contextOf(config: Config, dataFolder: string, agents: readonly AgentConfig[]): ReachContext {
  const home = config.environment["HOME"] || homedir();
  const hidden = [
    configFolder(config),
    join(home, ".claude.json"),
    ...(config.file === undefined ? [] : [config.file]),
  ];
  return {
    agents,
    dataFolder: realpathSync(dataFolder),
    hidden: hidden.filter(existsSync).map((one) => realpathSync(one)),
    home,
  };
}

/** Boxes have a login of the gateway's own alone: the operator's is not theirs. */
export function loginEnvironmentOf({ environment }: Config, loginFolder: string): Config["environment"] {
  return { ...environment, CLAUDE_SECURESTORAGE_CONFIG_DIR: loginFolder };
}

/** Beside the configuration folder where that is the usual one, in it where it has been named. */
function deviceFile({ environment }: Config): string {
  const named = environment["CLAUDE_CONFIG_DIR"];
  return join(named ?? environment["HOME"] ?? homedir(), ".claude.json");
}

function markFile(dataFolder: string): string {
  return join(dataFolder, "boxed");
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
