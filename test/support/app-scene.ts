// The whole HTTP app as `serve` puts it together, without a socket: real store, log, pool and queue; the processes are scripted.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hono } from "hono";
import { createGit } from "../../gateway/agents/git.ts";
import { createWorktrees } from "../../gateway/agents/worktrees.ts";
import { createApp, type AppDeps } from "../../gateway/app.ts";
import { createKeyRing, hashSecret, type ServiceKey } from "../../gateway/http/auth/key-ring.ts";
import { createSigner } from "../../gateway/http/auth/signed.ts";
import type { Env } from "../../gateway/http/env.ts";
import { createSignInLinks } from "../../gateway/http/sign-in.ts";
import { ordinaryScopes, scopes } from "../../gateway/protocol/scopes.ts";
import { createSupervisors } from "../../gateway/agents/supervisors.ts";
import { createAgents } from "../../gateway/turns/agents.ts";
import { createSessions } from "../../gateway/turns/sessions.ts";
import { createTurnIds } from "../../gateway/turns/turn-id.ts";
import { openTurns, type TurnsOptions, type TurnsScene } from "./open-turns.ts";

/** Keys by the name of their caller. */
export const secrets = {
  alice: "alice-secret-alice-secret",
  bob: "bob-secret-bob-secret",
  root: "root-secret-root-secret",
};

export interface AppScene extends TurnsScene {
  readonly app: Hono<Env>;
  /** What `onRequest` was called with. */
  readonly requests: Parameters<AppDeps["onRequest"]>[0][];
  /** A request with alice's key and a JSON body; `headers` beat both, an empty one leaves its header out. */
  request(path: string, init?: AppRequest): Promise<Response>;
}

export interface AppRequest {
  readonly method?: string;
  readonly key?: keyof typeof secrets;
  /** Sent as JSON; a string as it is. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export async function openApp(options: TurnsOptions & { app?: Partial<AppDeps> } = {}): Promise<AppScene> {
  const scene = openTurns(options);
  const folder = mkdtempSync(join(tmpdir(), "sluice-app-"));
  const keys = await createKeyRing({
    fixed: [key("alice"), key("bob"), key("root")],
    readStored: async () => [],
    readRevoked: async () => [],
  });
  const places = { environment: { HOME: folder }, sessions: join(folder, "sessions") };
  const requests: AppScene["requests"] = [];
  const app = createApp({
    store: scene.store,
    log: scene.log,
    turns: scene.turns,
    sessions: createSessions({ ...scene, places, newTurnId: createTurnIds() }),
    limits: scene.limits,
    publicUrl: undefined,
    version: "0.0.0-test",
    keys,
    signer: createSigner(join(folder, "signing.json"), keys),
    links: createSignInLinks(),
    supervisors: createSupervisors(() => ""),
    agents: createAgents({
      ...scene,
      worktrees: createWorktrees({
        root: join(folder, "worktrees"),
        git: createGit({ path: process.env["PATH"], runFolder: join(folder, "run") }),
      }),
      bounds: { workspaceRoots: [], permissionCeiling: "default" },
      credentialOf: ({ billing }) => billing,
    }),
    registry: scene.registry,
    allowedHosts: ["chat.example"],
    allowedOrigins: ["https://intranet.example"],
    login: () => "unknown",
    notReady: () => (scene.log.isHealthy ? undefined : "The gateway cannot store anything at the moment."),
    onRequest: (request) => requests.push(request),
    onBug: (error) => scene.bugs.push(error),
    ...options.app,
  });
  return {
    ...scene,
    app,
    requests,
    async request(path, { method = "GET", key: name = "alice", body, headers = {} } = {}) {
      const all = new Headers({ host: "localhost", authorization: `Bearer ${secrets[name]}` });
      if (body !== undefined) all.set("content-type", "application/json");
      for (const [header, value] of Object.entries(headers)) {
        if (value === "") all.delete(header);
        else all.set(header, value);
      }
      const sent = body === undefined ? null : typeof body === "string" ? body : JSON.stringify(body);
      // As a server makes it: the address is of the Host header, where that can be one.
      const host = all.get("host") ?? "";
      const isHost = /^[\w.:[\]-]+$/.test(host) && URL.canParse(`http://${host}`);
      const url = `http://${isHost ? host : "localhost"}${path}`;
      return app.request(url, { method, headers: all, body: sent });
    },
    async close() {
      await scene.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function key(name: keyof typeof secrets): ServiceKey {
  return { name, hash: hashSecret(secrets[name]), scopes: name === "root" ? scopes : ordinaryScopes, agents: null };
}
