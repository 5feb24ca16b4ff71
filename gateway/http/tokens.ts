// POST /api/tokens and POST /api/sessions/{session}/ticket: what a browser gets instead of a service key [A3].
import { randomUUID } from "node:crypto";
import type { Context, Hono } from "hono";
import type { Registry } from "../agents/registry.ts";
import { GatewayError } from "../protocol/errors.ts";
import { createToken, revokeTokens } from "../protocol/requests.ts";
import type { z } from "zod";
import { bodyLimit } from "hono/body-limit";
import { visitorKey } from "../protocol/callers.ts";
import { renewableS, type ClaimsOf, type Signer } from "./auth/signed.ts";
import type { Env } from "./env.ts";
import type { KeyRing } from "./auth/key-ring.ts";
import { pathId, readJson, readQuery } from "./input.ts";
import { absoluteUrl, timeOf, type RouteDeps } from "./routes.ts";

export interface TokenDeps extends RouteDeps {
  readonly signer: Signer;
  readonly keys: Pick<KeyRing, "refresh" | "revokedUsers">;
  readonly registry: Pick<Registry, "agents">;
  readonly allowedOrigins: readonly string[];
  readonly now?: () => number;
}

type TokenRequest = z.infer<typeof createToken>;

const visitorS = 15 * 60;
const dayMs = 24 * 60 * 60 * 1000;
/** Each is forgotten when no token of before can be renewed any more. */
export const maxRevokedUsers = 10_000;
/** Anybody may send one. */
const maxBodyBytes = 64 * 1024;

export function mountTokens(app: Hono<Env>, deps: TokenDeps): void {
  const { signer, now = Date.now } = deps;
  const inSeconds = (seconds: number) => Math.floor(now() / 1000) + seconds;

  async function answer(c: Context<Env>, claims: Omit<ClaimsOf<"token">, "kind" | "exp" | "iat">, exp: number) {
    await deps.rates.token(c, claims);
    c.header("Cache-Control", "no-store");
    const token = await signer.sign({ kind: "token", exp, ...claims });
    return c.json({ token, expires_at: new Date(exp * 1000).toISOString() }, 201);
  }

  const limit = bodyLimit({
    maxSize: maxBodyBytes,
    onError: () => {
      throw new GatewayError("payload_too_large", `The body must be at most ${maxBodyBytes} bytes.`);
    },
  });
  app.post("/api/tokens", limit, async (c) => {
    const request = await readJson(c, createToken);
    const identity = c.get("identity");
    if (identity.kind === "visitor") {
      const { agent, origin } = publicAgent(c, deps, request);
      const known = await renewed(c, deps, { agent, origin });
      const { user, since } = known ?? { user: `visitor:${randomUUID()}`, since: inSeconds(0) };
      return answer(c, { user, since, key: visitorKey, agents: [agent], origins: [origin] }, inSeconds(visitorS));
    }
    if (identity.kind === "token")
      throw new GatewayError("forbidden", "A token cannot mint tokens: ask the page's server for a new one.");
    checkTokenRequest(c, request, deps);
    const { user, agents, origins, expires_in } = request;
    return answer(
      c,
      { user: user!, key: identity.key, agents: agents ?? null, origins: origins ?? null },
      inSeconds(expires_in),
    );
  });

  app.delete("/api/tokens", async (c) => {
    const { user, key } = readQuery(c, revokeTokens);
    const identity = c.get("identity");
    if (key !== undefined && key !== identity.key && identity.caller.reach !== "all")
      throw new GatewayError("forbidden", "Only an administrator's key ends the tokens of another key's users.");
    if (deps.keys.revokedUsers >= maxRevokedUsers)
      throw new GatewayError(
        "no_capacity",
        `The tokens of ${maxRevokedUsers} users are ended already. Revoke a key instead.`,
      );
    const revoked = { key: key ?? identity.key, user, at: now() };
    await deps.store.revokeUser(revoked);
    await deps.keys.refresh();
    return c.json({ key: revoked.key, user, revoked_at: timeOf(revoked.at) });
  });

  app.post("/api/sessions/:session/ticket", async (c) => {
    const row = await deps.sessions.get(c.get("caller"), pathId(c, "session"));
    const { ticket, expiresAt } = await deps.tickets.mint(c.get("identity"), row, c.req.header("origin"));
    c.header("Cache-Control", "no-store");
    const url = absoluteUrl(c, deps, `/api/sessions/${row.session}/events?ticket=${ticket}`);
    return c.json({ ticket, expires_at: new Date(expiresAt * 1000).toISOString(), events_url: url }, 201);
  });
}

function checkTokenRequest(c: Context<Env>, { user, agent, agents, origins }: TokenRequest, deps: TokenDeps): void {
  const { agents: reach } = c.get("caller");
  const known = deps.registry.agents.filter(({ name }) => reach?.includes(name) ?? true);
  const allowed = new Set([...deps.allowedOrigins, new URL(absoluteUrl(c, deps, "")).origin]);
  const refuse = (field: string, what: string) => new GatewayError("invalid_request", `${field}: ${what}`, { field });
  if (user === undefined) throw refuse("user", "is needed: the person that the token is for");
  if (agent !== undefined) throw refuse("agent", "is for visitors of public agents; name agents here");
  const unknown = agents?.find((name) => !known.some((config) => config.name === name));
  if (unknown !== undefined) throw refuse("agents", `there is no agent "${unknown}"`);
  const foreign = origins?.find((origin) => !allowed.has(origin));
  if (foreign !== undefined) throw refuse("origins", `"${foreign}" is not among the gateway's allowed origins`);
}

/** The public agent that this visitor's page may use. Unknown, not public and not for this page look alike. */
function publicAgent(
  c: Context<Env>,
  { registry }: TokenDeps,
  { agent, ...rest }: TokenRequest,
): { agent: string; origin: string } {
  const origin = c.req.header("origin");
  const found = registry.agents.find(({ name }) => name === agent);
  if (
    rest.user !== undefined ||
    rest.agents !== undefined ||
    rest.origins !== undefined ||
    !found?.public ||
    origin === undefined ||
    !found.public.origins.includes(origin)
  )
    throw new GatewayError("unauthorized", "A key is needed: Authorization: Bearer <key>.", {
      headers: { "WWW-Authenticate": "Bearer" },
    });
  return { agent: found.name, origin };
}

/** The visitor of an earlier token for the same page and agent, which may have run out; for so many days since their first. */
async function renewed(
  c: Context<Env>,
  { signer, limits, now = Date.now }: TokenDeps,
  { agent, origin }: { agent: string; origin: string },
): Promise<{ user: string; since: number } | undefined> {
  const bearer = /^Bearer +(\S+)$/i.exec(c.req.header("authorization") ?? "")?.[1];
  const token = bearer === undefined ? undefined : await signer.verify(bearer, "token", renewableS);
  const isSame = token?.key === visitorKey && token.agents?.includes(agent) && token.origins?.includes(origin);
  if (!isSame) return undefined;
  // One of an older version does not say; its visitor begins to count now.
  const { user, since = Math.floor(now() / 1000) } = token;
  return since * 1000 > now() - limits.visitor_days * dayMs ? { user, since } : undefined;
}
