// [A2] Which hosts this gateway answers to, and which pages may make a browser call it. First of all checks: a key does not help against
// a page that rebinds its name to this machine or that posts from elsewhere.
import type { Context, MiddlewareHandler } from "hono";
import { GatewayError } from "../protocol/errors.ts";
import { mcpPath } from "./auth/identity.ts";
import type { Env } from "./env.ts";

export interface GuardOptions {
  /** Host names without port, lower case; loopback is always among them. */
  readonly allowedHosts: readonly string[];
  readonly allowedOrigins: readonly string[];
  /** Its pages are the gateway's own, also where a proxy in front gives requests another Host. */
  readonly publicUrl: string | undefined;
}

const loopbackHosts = ["localhost", "127.0.0.1", "[::1]"];
const exposedHeaders =
  "Location, Link, Retry-After, ETag, RateLimit, RateLimit-Policy, Sluice-Session, Sluice-Turn, Sluice-Last-Seq";
const preflightSeconds = "600";

export function createGuard({ allowedHosts, allowedOrigins, publicUrl }: GuardOptions): MiddlewareHandler<Env> {
  const hosts = new Set([...loopbackHosts, ...allowedHosts.map((host) => host.toLowerCase())]);
  const publicOrigin = publicUrl === undefined ? undefined : new URL(publicUrl).origin;
  const origins = new Set(allowedOrigins);

  return async (c, next) => {
    const host = c.req.header("host") ?? "";
    // A request line may name a host too, and replies carry addresses made of it.
    if (!hosts.has(hostName(host)) || new URL(c.req.url).hostname !== hostName(host))
      throw new GatewayError(
        "host_not_allowed",
        "The Host header names no host of this gateway. Its operator can allow it: SLUICE_PUBLIC_URL, SLUICE_ALLOWED_HOSTS.",
      );
    const origin = c.req.header("origin");
    const isSame = origin !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
    const isOwn = isSame || (origin !== undefined && origin === publicOrigin);
    const isAllowed = isOwn || (origin !== undefined && origins.has(origin));
    c.set("isOfOwnPage", isOwn || origin === undefined);
    c.header("Vary", "Origin");
    if (origin !== undefined && isAllowed && !isSame) allowReading(c, origin);
    if (c.req.method === "OPTIONS" && c.req.header("access-control-request-method") !== undefined) {
      if (!isAllowed) throw refused();
      return preflight(c);
    }
    // Of reads too: streams are reads, and what is read may be somebody's.
    if (c.req.path.startsWith("/api/") || c.req.path === mcpPath || changesSomething(c))
      checkOrigin(c, origin, isAllowed);
    await next();
  };
}

function hostName(host: string): string {
  return host.toLowerCase().replace(/:\d+$/, "");
}

function checkOrigin(c: Context<Env>, origin: string | undefined, isAllowed: boolean): void {
  if (origin !== undefined) {
    if (!isAllowed) throw refused();
    return;
  }
  const site = c.req.header("sec-fetch-site");
  if (site !== undefined && site !== "same-origin" && site !== "none") throw refused();
}

function refused(): GatewayError {
  return new GatewayError(
    "origin_not_allowed",
    "This page's origin may not call the gateway. Its operator can allow it: SLUICE_ALLOWED_ORIGINS.",
  );
}

function changesSomething(c: Context<Env>): boolean {
  return c.req.method !== "GET" && c.req.method !== "HEAD";
}

function allowReading(c: Context<Env>, origin: string): void {
  c.header("Access-Control-Allow-Origin", origin);
  c.header("Access-Control-Expose-Headers", exposedHeaders);
}

function preflight(c: Context<Env>): Response {
  c.header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, PATCH, DELETE");
  // Also what a page's tools add to every request of it (tracing, for one): whoever may call may say what they like.
  c.header("Access-Control-Allow-Headers", c.req.header("access-control-request-headers"));
  c.header("Vary", "Access-Control-Request-Headers", { append: true });
  c.header("Access-Control-Max-Age", preflightSeconds);
  return c.body(null, 204);
}
