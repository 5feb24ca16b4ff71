// The whole app as a gateway mounts it, without a socket: real keys, tokens, tickets, store, log and queue; the processes are scripted.
import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hono } from "hono";
import type { z } from "zod";
import { createGit } from "../../gateway/agents/git.ts";
import { createPool } from "../../gateway/agents/pool.ts";
import { createRegistry } from "../../gateway/agents/registry.ts";
import { createSupervisors } from "../../gateway/agents/supervisors.ts";
import { workplaceOf } from "../../gateway/agents/workspace.ts";
import { createWorktrees } from "../../gateway/agents/worktrees.ts";
import { createApp } from "../../gateway/app.ts";
import { createKeyRing, hashSecret, nobodysHash, type KeyRing } from "../../gateway/http/auth/key-ring.ts";
import { createSigner, type Signer } from "../../gateway/http/auth/signed.ts";
import type { Env } from "../../gateway/http/env.ts";
import { createSignInLinks, type SignInLinks } from "../../gateway/http/sign-in.ts";
import { createEventLog } from "../../gateway/log/event-log.ts";
import type { AgentConfig } from "../../gateway/protocol/agents.ts";
import { gatewayCaller, visitorKey, type Caller } from "../../gateway/protocol/callers.ts";
import type { PermissionMode } from "../../gateway/protocol/codes.ts";
import { limits } from "../../gateway/protocol/limits.ts";
import { browserScopes, ordinaryScopes, type Scope } from "../../gateway/protocol/scopes.ts";
import { createAgents } from "../../gateway/turns/agents.ts";
import { createSessions } from "../../gateway/turns/sessions.ts";
import { createTurnIds } from "../../gateway/turns/turn-id.ts";
import { createTurns, type Turns } from "../../gateway/turns/turns.ts";
import type { Store } from "../../gateway/store/port.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { readAgent } from "./real-cli.ts";
import { createScriptedDriver, type ScriptedDriver } from "./scripted-driver.ts";

export interface WholeApp {
  readonly app: Hono<Env>;
  readonly store: Store;
  readonly turns: Turns;
  readonly keys: KeyRing;
  readonly signer: Signer;
  readonly links: SignInLinks;
  readonly folder: string;
  /** The processes by their sessions. */
  readonly drivers: ReadonlyMap<string, ScriptedDriver>;
  /** Of those whose agents supervise others, the tokens that they were given. */
  readonly tokens: ReadonlyMap<string, string>;
  /** Every line that would go to the request log. */
  readonly requestLog: object[];
  /** A request with `key` as its bearer. */
  request(path: string, init?: AppRequest): Promise<Response>;
  /** The JSON of a reply that must be a good one. */
  json<Body = Record<string, string>>(path: string, init?: AppRequest): Promise<Body>;
  /** Makes a service key in the store, as `sluice key add` does; resolves with its secret. */
  addKey(name: string, more?: { scopes?: readonly Scope[]; agents?: readonly string[] }): Promise<string>;
  revokeKey(name: string): Promise<void>;
  /** Rejects where the gateway has met a bug. */
  close(): Promise<void>;
}

export interface AppRequest extends Omit<RequestInit, "body" | "headers"> {
  readonly key?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  readonly json?: unknown;
  readonly body?: string | URLSearchParams | Uint8Array<ArrayBuffer>;
}

export interface WholeAppOptions {
  readonly agents?: readonly AgentConfig[];
  readonly limits?: z.input<typeof limits>;
  readonly allowedOrigins?: readonly string[];
  readonly publicUrl?: string;
  readonly now?: () => number;
  readonly openCaller?: Caller;
  /** By default a bug is an error at the app's end. */
  readonly onBug?: (error: unknown) => void;
  readonly permissionCeiling?: PermissionMode;
}

export const host = "gateway.example";

/** The secret of the key `main`, which may do what keys of SLUICE_KEYS may, and make agents. */
export const mainKey = "main-secret-0123456789";
/** That of `boss`, an administrator. */
export const bossKey = "boss-secret-0123456789";

export async function openWholeApp(options: WholeAppOptions = {}): Promise<WholeApp> {
  const { agents = [readAgent({ name: "default" }), readAgent({ name: "other" })], now = Date.now } = options;
  const folder = mkdtempSync(join(tmpdir(), "sluice-app-"));
  const store = openSqliteStore(join(folder, "sluice.sqlite"));
  const log = createEventLog(store, now);
  const registry = createRegistry(agents);
  const bugs: unknown[] = [];
  const { onBug = (error: unknown) => bugs.push(error) } = options;
  const allLimits = limits.parse({ min_free_memory_mb: 0, ...options.limits });
  const drivers = new Map<string, ScriptedDriver>();
  const tokens = new Map<string, string>();
  const supervisors = createSupervisors(() => `http://${host}/mcp`);
  const bounds = { workspaceRoots: [realpathSync(folder)], permissionCeiling: options.permissionCeiling ?? "default" };
  const newTurnId = createTurnIds();
  const git = createGit({ path: process.env["PATH"], runFolder: join(folder, "run") });
  const worktrees = createWorktrees({ root: join(folder, "worktrees"), git });
  const pool = createPool({
    limits: allLimits,
    registry,
    start: async (agent, session) => {
      await workplaceOf(agent, session, { worktrees, sessions: join(folder, "sessions") });
      return supervisors.start(agent, session, async (supervision) => {
        const driver = createScriptedDriver({ session, onEvents: (events) => turns.onEvents(session, events) });
        drivers.set(session, driver);
        if (supervision) tokens.set(session, supervision.token);
        return driver;
      });
    },
  });
  const turns: Turns = createTurns({ store, log, registry, pool, limits: allLimits, now, newTurnId, onBug });
  const places = { environment: { HOME: folder }, sessions: join(folder, "sessions") };
  const sessions = createSessions({ store, log, turns, pool, registry, places, newTurnId, now });
  const keys = await createKeyRing({
    fixed: [
      { name: "main", hash: hashSecret(mainKey), scopes: [...ordinaryScopes, "manage_agents"], agents: null },
      { name: "boss", hash: hashSecret(bossKey), scopes: [...ordinaryScopes, "admin"], agents: null },
      {
        name: visitorKey,
        hash: nobodysHash,
        scopes: browserScopes,
        agents: agents.filter((agent) => agent.public).map(({ name }) => name),
      },
    ],
    readStored: async () => (await store.keys(gatewayCaller)).filter((key) => key.revokedAt === null),
    readRevoked: () => store.revokedUsers(),
  });
  const signer = createSigner(join(folder, "signing.json"), keys, now);
  const links = createSignInLinks(now);
  const requestLog: object[] = [];
  const app = createApp({
    store,
    log,
    turns,
    sessions,
    keys,
    signer,
    links,
    supervisors,
    agents: createAgents({
      store,
      log,
      registry,
      turns,
      pool,
      worktrees,
      bounds,
      credentialOf: ({ billing }) => billing,
      now,
    }),
    registry,
    limits: allLimits,
    now,
    onBug,
    version: "0.0.0-test",
    publicUrl: options.publicUrl,
    allowedHosts: [host],
    allowedOrigins: [...(options.allowedOrigins ?? []), ...agents.flatMap((agent) => agent.public?.origins ?? [])],
    openCaller: options.openCaller,
    notReady: () => undefined,
    login: () => "unknown",
    onRequest: (line) => requestLog.push(line),
  });

  const request = async (path: string, { key, json, headers, ...init }: AppRequest = {}) =>
    app.request(`http://${host}${path}`, {
      ...(json === undefined ? {} : { method: "POST", body: JSON.stringify(json) }),
      ...init,
      headers: {
        host,
        ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
  return {
    app,
    store,
    turns,
    keys,
    signer,
    links,
    folder,
    drivers,
    tokens,
    requestLog,
    request,
    async json<Body>(path: string, init?: AppRequest) {
      const reply = await request(path, init);
      const body = (await reply.json()) as Body;
      if (!reply.ok) throw new Error(`${path}: ${reply.status} ${JSON.stringify(body)}`);
      return body;
    },
    async addKey(name, { scopes = ordinaryScopes, agents: limited } = {}) {
      const secret = `${name}-${crypto.randomUUID()}`;
      const made = {
        name,
        hash: hashSecret(secret),
        scopes,
        agents: limited ?? null,
        madeAt: now(),
      };
      if (!(await store.putKey(made))) throw new Error(`there is a key ${name}`);
      await keys.refresh();
      return secret;
    },
    async revokeKey(name) {
      if (!(await store.revokeKey(name, now()))) throw new Error(`there is no key ${name}`);
      await keys.refresh();
    },
    async close() {
      await turns.drain(0);
      await pool.close();
      await log.close();
      await store.close();
      rmSync(folder, { recursive: true });
      if (bugs.length > 0) throw new AggregateError(bugs, "the gateway has met bugs");
    },
  };
}
