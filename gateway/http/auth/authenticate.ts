// A request → its identity. There is one way in for each kind: a service key, a token, or that of a supervising process, as
// `Authorization: Bearer`, a ticket as `?ticket=` on a stream, a sign-in as a cookie.
import { timingSafeEqual } from "node:crypto";
import type { Context, MiddlewareHandler } from "hono";
import { GatewayError } from "../../protocol/errors.ts";
import { visitorKey, type Caller } from "../../protocol/callers.ts";
import type { Supervisor, Supervisors } from "../../agents/supervisors.ts";
import { browserScopes, scopes as allScopes, toolScopes, type Scope } from "../../protocol/scopes.ts";
import type { Env } from "../env.ts";
import { readUser } from "../input.ts";
import { createSignInCookie } from "./cookie.ts";
import { mcpPath, type Identity } from "./identity.ts";
import type { KeyRing, ServiceKey } from "./key-ring.ts";
import type { Signer } from "./signed.ts";

export interface AuthDeps {
  readonly keys: KeyRing;
  readonly signer: Signer;
  readonly supervisors: Pick<Supervisors, "find">;
  /** Lets every caller in as this one: only for the demo, on loopback. */
  readonly openCaller?: Caller | undefined;
  readonly publicUrl: string | undefined;
  readonly now?: () => number;
}

export interface Auth {
  readonly middleware: MiddlewareHandler<Env>;
  /** Whether an identity is still good: its key is not revoked, its time not over. */
  isGood(identity: Identity): boolean;
  /** Who is at one of the gateway's own pages; undefined: nobody who is signed in. */
  personAt(c: Context<Env>): Promise<Identity | undefined>;
}

export function createAuth({ keys, signer, supervisors, openCaller, publicUrl, now = Date.now }: AuthDeps): Auth {
  const signInCookie = createSignInCookie(publicUrl);

  /** A visitor, who may have an earlier token to renew, is whoever shows nothing else at the one route that is for them. */
  async function identify(c: Context<Env>): Promise<Identity> {
    if (c.req.method !== "POST" || c.req.path !== "/api/tokens") return shown(c);
    const identity = await shown(c).catch((error: unknown) => {
      if (error instanceof GatewayError) return visitor;
      throw error;
    });
    return identity.key === visitorKey ? visitor : identity;
  }

  async function shown(c: Context<Env>): Promise<Identity> {
    const authorization = c.req.header("authorization");
    // No other way in beside it: who shows a key is taken for just that key's holder.
    if (authorization !== undefined) {
      const bearer = /^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? "";
      const supervisor = c.req.path === mcpPath ? supervisors.find(bearer) : undefined;
      return supervisor ? supervisorIdentity(supervisor) : byBearer(bearer);
    }
    const isStream = c.req.method === "GET" && c.req.path.endsWith("/events");
    const ticket = isStream ? c.req.query("ticket") : undefined;
    if (ticket !== undefined) return byTicket(ticket);
    // Browsers send it along from every port of this host, also where a page of another one may call with a token of its own.
    const cookie = c.get("isOfOwnPage") ? signInCookie.read(c) : undefined;
    if (cookie !== undefined) return byCookie(cookie);
    if (openCaller) return openIdentity(openCaller);
    throw unauthorized("A key is needed: Authorization: Bearer <key>.");
  }

  async function byBearer(bearer: string): Promise<Identity> {
    const key = keys.find(bearer);
    if (key) return serviceIdentity(key);
    const token = await signer.verify(bearer, "token");
    const owner = token && keys.named(token.key);
    if (!token || !owner) throw unauthorized("This key or token is not known, or it has run out.");
    return {
      caller: { key: token.key, user: token.user, reach: "user", agents: both(owner.agents, token.agents) },
      scopes: new Set(browserScopes.filter((scope) => owner.scopes.includes(scope))),
      key: token.key,
      keyHash: owner.hash,
      kind: "token",
      origins: token.origins ?? undefined,
      expiresAt: token.exp,
      issuedAt: token.iat,
    };
  }

  async function byTicket(jwt: string): Promise<Identity> {
    const ticket = await signer.verify(jwt, "ticket");
    const key = ticket && keys.named(ticket.key);
    if (!ticket || !key) throw unauthorized("This ticket is not good, or not any more.");
    const { owner, agent, session } = ticket;
    return {
      caller: { ...owner, reach: "user", agents: [agent], session },
      scopes: new Set<Scope>(["turns"]),
      key: ticket.key,
      keyHash: key.hash,
      kind: "ticket",
      origins: ticket.origin === null ? undefined : [ticket.origin],
      expiresAt: ticket.exp,
      issuedAt: ticket.iat,
    };
  }

  async function byCookie(jwt: string): Promise<Identity> {
    const cookie = await signer.verify(jwt, "cookie");
    const owner = cookie && keys.named(cookie.key);
    if (!cookie || !owner) throw unauthorized("You are signed out.");
    return { ...serviceIdentity(owner), kind: "cookie", expiresAt: cookie.exp };
  }

  return {
    middleware: async (c, next) => {
      const identity = await identify(c);
      checkOrigin(identity, c.req.header("origin"));
      c.set("identity", identity);
      c.set("caller", narrowed(identity.caller, readUser(c)));
      await next();
    },
    isGood({ kind, key, keyHash, expiresAt, issuedAt, caller }) {
      if (kind === "open") return true;
      const hash = keys.named(key)?.hash;
      if (hash === undefined || keyHash === undefined || !timingSafeEqual(hash, keyHash)) return false;
      if (issuedAt !== undefined && issuedAt * 1000 <= keys.revokedUntil(caller.key, caller.user)) return false;
      return expiresAt === undefined || expiresAt * 1000 > now();
    },
    async personAt(c) {
      try {
        return await shown(c);
      } catch (error) {
        if (error instanceof GatewayError) return undefined;
        throw error;
      }
    },
  };
}

const visitor: Identity = {
  caller: { key: visitorKey, user: null, reach: "user" },
  scopes: new Set<Scope>(["tokens"]),
  key: visitorKey,
  kind: "visitor",
};

function serviceIdentity(key: ServiceKey): Identity {
  const isAdmin = key.scopes.includes("admin");
  return {
    caller: { key: key.name, user: null, reach: isAdmin ? "all" : "key", agents: key.agents },
    scopes: new Set(key.scopes),
    key: key.name,
    keyHash: key.hash,
    kind: "service",
  };
}

function supervisorIdentity(supervisor: Supervisor): Identity {
  return {
    caller: { key: "", user: null, reach: "user", agents: [] },
    scopes: new Set(Object.values(toolScopes)),
    key: "",
    kind: "supervisor",
    supervisor,
  };
}

function openIdentity(caller: Caller): Identity {
  return { caller, scopes: new Set(allScopes), key: caller.key, kind: "open" };
}

/** Where both limit the agents, only those that both allow. */
function both(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  if (a === null || b === null) return a ?? b;
  return a.filter((name) => b.includes(name));
}

/** A browser says where a page comes from; what was made for one page is not good on another. */
function checkOrigin({ origins }: Identity, origin: string | undefined): void {
  if (origins && origin !== undefined && !origins.includes(origin))
    throw new GatewayError("origin_not_allowed", "This token was made for another page.");
}

/** A key that speaks for one of its users sees that user's sessions alone. Whoever is one user already stays that user. */
export function narrowed(caller: Caller, user: string | undefined): Caller {
  if (user === undefined || caller.reach === "user") return caller;
  return { ...caller, user, reach: "user" };
}

function unauthorized(what: string): GatewayError {
  return new GatewayError("unauthorized", what, { headers: { "WWW-Authenticate": "Bearer" } });
}
