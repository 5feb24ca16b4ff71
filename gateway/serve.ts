// Puts a gateway together and takes it apart again: config → data folder → store → log → pool → turns → app → listener, and back [S3].
import type { Server } from "node:http";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import type { Logger } from "pino";
import { createGit } from "./agents/git.ts";
import { createPool } from "./agents/pool.ts";
import { anew, originOf } from "./agents/session-origin.ts";
import { createSnapshots } from "./agents/snapshots.ts";
import { createRegistry, type Registry } from "./agents/registry.ts";
import { addStored } from "./agents/settings.ts";
import { removeStrayFolders, type StrayDeps } from "./agents/stray-folders.ts";
import { createSupervisors } from "./agents/supervisors.ts";
import { workplaceOf } from "./agents/workspace.ts";
import { createWorktrees, type Worktrees } from "./agents/worktrees.ts";
import { createApp } from "./app.ts";
import { credentialOf } from "./claude/credential.ts";
import { startDriver } from "./claude/driver.ts";
import { locateCli, type Cli } from "./claude/locate.ts";
import { askLogin, hasToken } from "./claude/login.ts";
import { findNewTools } from "./claude/new-tools.ts";
import { measureMemory } from "./claude/process-memory.ts";
import { denyRules } from "./claude/denied.ts";
import { sweep } from "./claude/run-folder.ts";
import { configFolder } from "./claude/session-file.ts";
import type { Config } from "./config.ts";
import { openDataFolder } from "./data-folder.ts";
import { openIsolation } from "./isolation.ts";
import { mcpPath } from "./http/auth/identity.ts";
import { createKeyRing, nobodysHash, type ServiceKey } from "./http/auth/key-ring.ts";
import { createSigner } from "./http/auth/signed.ts";
import { createRates } from "./http/rates.ts";
import { createSignInLinks } from "./http/sign-in.ts";
import { fixedKeys } from "./keys.ts";
import { createLoginWatch, type LoginState } from "./login.ts";
import { listen, localAddress, ownAddress, ownHost } from "./listen.ts";
import { createEventLog } from "./log/event-log.ts";
import { markOldWords } from "./old-words.ts";
import { gatewayCaller, visitorKey, type Caller } from "./protocol/callers.ts";
import { browserScopes, ordinaryScopes } from "./protocol/scopes.ts";
import type { AgentConfig } from "./protocol/agents.ts";
import type { Limits } from "./protocol/limits.ts";
import type { Store } from "./store/port.ts";
import { openSqliteStore } from "./store/sqlite.ts";
import { createAgents } from "./turns/agents.ts";
import { recoverInTime } from "./turns/recovery.ts";
import { createTurnIds } from "./turns/turn-id.ts";
import { createSessions } from "./turns/sessions.ts";
import { createTurns, type Turns } from "./turns/turns.ts";
import { checkWorkspaces, checkWorktrees } from "./workspaces.ts";

export interface Gateway {
  /** `http://host:port` */
  readonly address: string;
  /** Signs a person in at the gateway itself, once, with its first key; undefined where no key is needed. */
  readonly signInUrl: string | undefined;
  readonly claudeVersion: string;
  /** Asks whether the CLI is logged in, and logs it where it is not. Never rejects. */
  checkLogin(): Promise<LoginState>;
  /** Shuts down: running turns get `graceMs` (default: the configuration's), readers are told to come back. */
  close(graceMs?: number): Promise<void>;
}

export interface GatewayOptions {
  readonly logger: Logger;
  readonly version: string;
  /** Lets every caller in as this one, without a key: only for the demo, on loopback. */
  readonly openCaller?: Caller;
}

/** Starts a gateway; resolves when it listens. Throws a `SetupError`, and has then left nothing open. */
export async function startGateway(config: Config, { logger, version, openCaller }: GatewayOptions): Promise<Gateway> {
  checkWorkspaces(config.agents);
  const data = openDataFolder(config.dataFolder);
  // What is open when a start fails half-way is closed again, the newest first.
  const opened = new AsyncDisposableStack();
  opened.defer(() => data.release());
  try {
    const [cli, swept] = await Promise.all([locateCli(config.claude, config.environment["PATH"]), sweep(data.run)]);
    if (swept > 0) logger.warn({ swept }, "ended processes that an earlier gateway left behind");
    const store = openSqliteStore(join(data.path, "sluice.sqlite"));
    opened.defer(() => store.close());
    const ending = new AbortController();
    opened.defer(() => ending.abort());
    const login = createLoginWatch({
      ask: async () =>
        hasToken(config.environment) || (await askLogin(cli.path, isolation.loginEnvironment, ending.signal)).isThere,
      logger,
    });
    const log = createEventLog(store, Date.now, login.note);
    const places = { environment: config.environment, sessions: data.sessions };
    const snapshots = createSnapshots({
      places,
      commit: log.commit,
      onFailure: (session, error) => logger.warn({ session, err: error }, "no snapshot"),
    });
    const registry = createRegistry(config.agents);
    addStored(registry, await store.agents(gatewayCaller), config, (agent, why) =>
      logger.warn({ agent, why }, "an agent that was made by API is left out"),
    );
    const credential = (agent: AgentConfig) => credentialOf(agent, config.environment);
    const worktrees = createWorktrees({
      root: data.worktrees,
      git: createGit({ path: config.environment["PATH"], runFolder: data.run }),
    });
    opened.defer(() => worktrees.close());
    await checkWorktrees(config, worktrees);
    const isolation = await openIsolation({ config, data, cli, logger, agents: () => registry.agents });
    const { boxes } = isolation;
    const denyPlaces = { dataFolder: data.path, configFolder: configFolder(config) };
    opened.defer(() => isolation.close());
    const newTools = lookForNewTools(cli, config, { logger, signal: ending.signal });
    const newTurnId = createTurnIds();
    const onBug = (error: unknown, id: string) => logger.error({ err: error, id }, "bug");
    let turns: Turns;
    let address = "";
    let isShuttingDown = false;
    const supervisors = createSupervisors(() => `${ownAddress(config.host, address)}${mcpPath}`);
    const pool = createPool({
      limits: config.limits,
      registry,
      freeMemory: () => process.availableMemory(),
      measureMemory,
      start: async (agent, session, isAnew) => {
        const isBoxed = boxes !== undefined;
        const origin = isAnew ? anew(session, places) : await originOf(session, { store, places, isBoxed });
        const workplace = await workplaceOf(agent, session, { worktrees, sessions: data.sessions });
        const toolsOff = await newTools;
        return supervisors.start(agent, session, (supervision) =>
          startDriver({
            origin,
            binary: cli.path,
            agent,
            session,
            workspace: workplace.folder,
            box: boxes?.opener(agent, session, workplace),
            denied: boxes ? undefined : denyRules({ ...denyPlaces, session }),
            runFolder: data.run,
            environment: config.environment,
            supervision,
            deadlines: { endMs: config.limits.process_end_s * 1000 },
            onEvents: (events) => turns.onEvents(session, events),
            decide: (question, signal) => turns.approvals.ask(agent, session, question, signal),
            newTools: toolsOff,
            newTurnId,
            onTampering: (sign) =>
              logger.warn(
                { agent: agent.name, session, sign },
                "something wrote in the CLI's place: its process was ended",
              ),
            onBug: (error) => onBug(error, session),
          }),
        );
      },
    });
    opened.defer(() => pool.close());
    const rates = createRates(config.limits);
    turns = createTurns({
      credentialOf: credential,
      onAnswer: snapshots.take,
      store,
      log,
      registry,
      pool,
      limits: config.limits,
      newTurnId,
      countOwnTurn: rates.ownTurn,
      onOwnTurnsExcess: (session, { message, extra }) =>
        logger.warn(
          { session, why: message, limit: extra["limit"], value: extra["value"] },
          "the CLI began too many turns by itself: its process is ended",
        ),
      onBug,
    });
    const keys = await createKeyRing({
      fixed: [...(openCaller ? [openKey(openCaller)] : fixedKeys(config)), visitors(config.agents)],
      readStored: async () => (await store.keys(gatewayCaller)).filter((key) => key.revokedAt === null),
      readRevoked: () => store.revokedUsers(),
    });
    const keyTimer = setInterval(
      () => void keys.refresh().catch((error: unknown) => logger.error({ err: error }, "keys could not be read")),
      (config.limits.revocation_s * 1000) / 3,
    ).unref();
    const signer = createSigner(join(data.path, "signing.json"), keys);
    const links = createSignInLinks();
    const sessions = createSessions({ store, log, turns, pool, registry, places, newTurnId });
    const agents = createAgents({
      store,
      log,
      registry,
      turns,
      pool,
      worktrees,
      bounds: config,
      checkReach: isolation.checkReach,
      credentialOf: credential,
    });
    const app = createApp({
      ...config,
      rates,
      sessions,
      agents,
      registry,
      store,
      log,
      turns,
      version,
      keys,
      signer,
      links,
      supervisors,
      openCaller,
      allowedHosts: [...config.allowedHosts, ...ownHost(config.host)],
      allowedOrigins: [...config.allowedOrigins, ...config.agents.flatMap((agent) => agent.public?.origins ?? [])],
      login: () => login.state,
      notReady: () => {
        if (isShuttingDown) return "The gateway is shutting down.";
        return log.isHealthy ? undefined : "The gateway cannot store anything at the moment.";
      },
      onRequest: (request) => logger.info(request, "request"),
      onBug,
    });
    const server = createAdaptorServer({
      fetch: app.fetch,
      serverOptions: { maxHeaderSize: config.limits.header_bytes, ...requestTimeouts(config.limits) },
    }) as Server;
    const strays = { sessions: data.sessions, store, isLive: (session: string) => pool.has(session) };
    const keeping = keepTidy(config.limits.transcript_age_days, store, strays, logger);
    const marking = markOldWords(store, ending.signal).catch((error: unknown) => onBug(error, "words"));
    opened.defer(() => {
      clearInterval(keyTimer);
      clearInterval(keeping);
      server.close();
    });
    address = await listen(server, config);
    data.announce(localAddress(address));
    await recoverInTime(() => turns.recover(), {
      isOver: () => isShuttingDown,
      onWait: () => logger.warn("nothing can be stored: the turns that an earlier gateway left have to wait"),
      onBug: (error) => onBug(error, "recovery"),
    });
    pool.fill();
    sweepWorktrees(worktrees, registry, logger).catch((error: unknown) => onBug(error, "worktrees"));
    logger.info({ address, claude: cli.version, agents: registry.agents.map(({ name }) => name) }, "listening");

    let closing: Promise<void> | undefined;
    const close = async (graceMs: number) => {
      isShuttingDown = true;
      ending.abort();
      logger.info({ running: turns.runningCount, waiting: turns.queueLength, graceMs }, "shutting down");
      clearInterval(keeping);
      clearInterval(keyTimer);
      await turns.drain(graceMs);
      // The listener goes first: a reader that is told to come back must be refused, not taken in again.
      const closed = new Promise((resolve) => server.close(resolve));
      worktrees.close();
      await pool.close();
      // Without room they would wait for some for ever; the CLI's own files are there.
      if (log.isHealthy) await snapshots.settled();
      await log.close();
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 500).unref())]);
      server.closeAllConnections();
      isolation.close();
      await marking;
      await store.close();
      data.release();
    };
    return {
      address,
      signInUrl: openCaller
        ? undefined
        : `${config.publicUrl ?? localAddress(address)}${links.make(fixedKeys(config)[0]!)}`,
      claudeVersion: cli.version,
      checkLogin: login.check,
      close: (graceMs = config.limits.shutdown_grace_s * 1000) => (closing ??= close(graceMs)),
    };
  } catch (error) {
    await opened.disposeAsync();
    throw error;
  }
}

/** Those that are off because Sluice does not know them, which a look at a CLI of a new version finds. Never rejects. */
async function lookForNewTools(
  cli: Cli,
  { environment }: Config,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal },
): Promise<readonly string[]> {
  try {
    const tools = await findNewTools(cli, { searchPath: environment["PATH"], signal });
    if (tools.length > 0)
      logger.warn({ claude: cli.version, tools }, "this CLI has tools that Sluice does not know: they are off");
    return tools;
  } catch (error) {
    if (!signal.aborted)
      logger.warn({ claude: cli.version, err: error }, "whether this CLI has new tools is not known");
    return [];
  }
}

async function sweepWorktrees(worktrees: Worktrees, registry: Registry, logger: Logger): Promise<void> {
  const find = (name: string) => registry.agents.find((agent) => agent.name === name && agent.worktree);
  for (const { agent, why } of await worktrees.sweep((name) => find(name)?.workspace))
    if (why instanceof Error) logger.warn({ agent, err: why }, "a worktree could not be looked at");
    else logger.warn({ agent, work: why.counts }, "a worktree that no agent uses is kept: it has unsaved work");
}

/** Against clients that send a byte now and then: they hold a connection, and a body its memory. Replies are not concerned. */
function requestTimeouts({ header_timeout_s, request_timeout_s }: Limits) {
  const [headersTimeout, requestTimeout] = [
    Math.min(header_timeout_s, request_timeout_s) * 1000,
    request_timeout_s * 1000,
  ];
  return { headersTimeout, requestTimeout, connectionsCheckingInterval: Math.min(headersTimeout / 4, 5000) };
}

/** The key of visitors of public agents: nobody has its secret. */
function visitors(agents: readonly AgentConfig[]): ServiceKey {
  const names = agents.filter((agent) => agent.public).map(({ name }) => name);
  return { name: visitorKey, hash: nobodysHash, scopes: browserScopes, agents: names };
}

/** What tokens and tickets rest on where no key is needed. */
function openKey({ key }: Caller): ServiceKey {
  return { name: key, hash: nobodysHash, scopes: ordinaryScopes, agents: null };
}

const hourMs = 60 * 60 * 1000;

/** Removes what has been kept for its time, and events that are older than they may get: now and every hour. */
function keepTidy(days: number | undefined, store: Store, strays: StrayDeps, logger: Logger): NodeJS.Timeout {
  const sweepStore = async () => {
    await store.dropExpired(Date.now());
    await removeStrayFolders(strays);
    if (days === undefined) return;
    const removed = await store.removeOldEvents(gatewayCaller, Date.now() - days * 24 * hourMs);
    if (removed > 0) logger.info({ removed }, "removed old events");
  };
  const tidy = () => void sweepStore().catch((error: unknown) => logger.error({ err: error }, "old rows stay for now"));
  tidy();
  return setInterval(tidy, hourMs).unref();
}
