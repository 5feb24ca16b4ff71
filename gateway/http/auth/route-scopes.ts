// [A4] Which scope each route under /api/, and /mcp, wants: the one table. The app does not start with a route that is not in it, so none is open
// by oversight.
import type { Context, Hono, MiddlewareHandler } from "hono";
import { matchedRoutes } from "hono/route";
import { GatewayError } from "../../protocol/errors.ts";
import type { Scope } from "../../protocol/scopes.ts";
import type { Env } from "../env.ts";
import { mcpPath } from "./identity.ts";

/** Null: what it offers wants one each, see `toolScopes`. */
export const routeScopes: Readonly<Record<string, Scope | null>> = {
  "POST /api/turns": "turns",
  "GET /api/turns": "turns",
  "GET /api/turns/:turn": "turns",
  "GET /api/turns/:turn/events": "turns",
  "POST /api/turns/:turn/cancel": "turns",
  "GET /api/turns/:turn/diagnostics": "admin",
  "PUT /api/turns/:turn/rating": "turns",
  "GET /api/sessions": "transcripts",
  "POST /api/sessions": "turns",
  "GET /api/sessions/:session": "turns",
  "PATCH /api/sessions/:session": "turns",
  "DELETE /api/sessions/:session": "turns",
  "POST /api/sessions/:session/fork": "turns",
  "POST /api/sessions/:session/warm": "turns",
  "POST /api/sessions/:session/ticket": "turns",
  "GET /api/sessions/:session/events": "turns",
  "GET /api/sessions/:session/transcript": "transcripts",
  "GET /api/approvals": "approvals",
  "POST /api/approvals/:approval": "approvals",
  "GET /api/agents": "agents",
  "POST /api/agents": "manage_agents",
  "GET /api/agents/:name": "agents",
  "PATCH /api/agents/:name": "manage_agents",
  "DELETE /api/agents/:name": "manage_agents",
  "GET /api/agents/:name/changes": "agents",
  "POST /api/agents/:name/message": "turns",
  "POST /api/attachments": "turns",
  "GET /api/attachments/:hash": "turns",
  "GET /api/usage": "usage",
  "POST /api/tokens": "tokens",
  "DELETE /api/tokens": "tokens",
  "POST /api/sign-in-links": "tokens",
  "POST /mcp": null,
};

/** Routes that another scope opens as well: who reads transcripts gets what they refer to, and an administrator manages agents. */
export const secondScopes: Readonly<Record<string, Scope>> = {
  "GET /api/sessions/:session": "transcripts",
  "GET /api/attachments/:hash": "transcripts",
  "POST /api/agents": "admin",
  "PATCH /api/agents/:name": "admin",
  "DELETE /api/agents/:name": "admin",
};

/** Refuses a caller whose key does not have the scope of the route that this request will meet. Behind authentication, before all routes. */
export const checkScope: MiddlewareHandler<Env> = async (c, next) => {
  const route = routeOf(c);
  const scope = route === undefined ? null : (routeScopes[route] ?? null);
  const wanted = [scope, secondScopes[route ?? ""]].filter((one) => one !== undefined && one !== null);
  if (scope !== null && !wanted.some((one) => c.get("identity").scopes.has(one)))
    throw new GatewayError(
      "forbidden",
      `This needs a key with the scope "${scope}": npx sluice key add NAME --scopes ${scope}`,
    );
  await next();
};

/** The line of the table for the route that this request will meet: the first that fits is the one that answers. */
export function routeOf(c: Context<Env>): string | undefined {
  return matchedRoutes(c)
    .map(({ method, path }) => `${method} ${path}`)
    .find((name) => Object.hasOwn(routeScopes, name));
}

/** Throws where a route of the app stands in no line of the table, or a line stands for no route. Call it when all are mounted. */
export function checkRoutes(app: Hono<Env>): void {
  const mounted = new Set(
    app.routes
      .filter(({ method, path }) => method !== "ALL" && (path.startsWith("/api/") || path === mcpPath))
      .map(({ method, path }) => `${method} ${path}`),
  );
  for (const route of mounted)
    if (!Object.hasOwn(routeScopes, route))
      throw new Error(`${route} has no scope: add it to the table in route-scopes.ts`);
  for (const route of Object.keys(routeScopes))
    if (!mounted.has(route)) throw new Error(`${route} has a scope, but is not served`);
}
