// What stands between a request's head and its body: nothing is read for a caller whose rate is used up, nothing that is too long for this caller
// and route, and not more than there is room for.
import type { Context, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { visitorKey, type Owner } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { mcpPath } from "./auth/identity.ts";
import { routeOf } from "./auth/route-scopes.ts";
import type { Env } from "./env.ts";
import type { Counted, Rates } from "./rates.ts";

interface BodyRule {
  readonly holds: "prompt" | "attachment" | "other";
  /** What the route counts once it has read the body, and knows for whom. */
  readonly counted?: Counted;
}

/** Of every route under /api/ that may be sent a body, and of /mcp. */
export const bodyRules: Readonly<Record<string, BodyRule>> = {
  "POST /api/turns": { holds: "prompt", counted: "turns" },
  "POST /api/agents/:name/message": { holds: "prompt", counted: "turns" },
  // Its tools count what they do.
  "POST /mcp": { holds: "prompt" },
  "POST /api/attachments": { holds: "attachment", counted: "uploads" },
  "POST /api/sessions": { holds: "other", counted: "sessions" },
  "POST /api/sessions/:session/fork": { holds: "other", counted: "sessions" },
  "POST /api/sessions/:session/warm": { holds: "other", counted: "sessions" },
  "POST /api/tokens": { holds: "other", counted: "tokens" },
  "DELETE /api/tokens": { holds: "other" },
  "POST /api/turns/:turn/cancel": { holds: "other" },
  "PUT /api/turns/:turn/rating": { holds: "other" },
  "PATCH /api/sessions/:session": { holds: "other" },
  "DELETE /api/sessions/:session": { holds: "other" },
  "POST /api/sessions/:session/ticket": { holds: "other" },
  "POST /api/approvals/:approval": { holds: "other" },
  "POST /api/agents": { holds: "other" },
  "PATCH /api/agents/:name": { holds: "other" },
  "DELETE /api/agents/:name": { holds: "other" },
  "POST /api/sign-in-links": { holds: "other" },
};

const noRule: BodyRule = { holds: "other" };

/** After authentication, before all routes. */
export function createBodyGate(limits: Limits, rates: Pick<Rates, "check" | "change">): MiddlewareHandler<Env> {
  const room = createRoom(limits.bodies_mb * 1024 * 1024);
  return async (c, next) => {
    c.set("maxJsonValues", limits.json_values);
    if (c.req.method === "GET" || c.req.method === "HEAD") return next();
    // Of /mcp each tool counts what it does; most of them only look.
    if (c.req.path !== mcpPath) await rates.change(c, c.get("caller"));
    const { holds, counted } = bodyRules[routeOf(c) ?? ""] ?? noRule;
    if (counted !== undefined) await rates.check(counted, c, c.get("caller"));
    const { limit, value } = maxBody(c, holds, limits);
    const onError = () => {
      throw new GatewayError("payload_too_large", `The body must be at most ${value} bytes.`, { limit, value });
    };
    const length = lengthOf(c, value);
    if (length > value) onError();
    const leave = room(c.get("caller"), length);
    if (!leave) throw noRoomForBodies(limits);
    try {
      return await bodyLimit({ maxSize: value, onError })(c, next);
    } finally {
      leave();
    }
  };
}

/** The smallest of the limits that hold for it, by its name in the configuration. */
function maxBody(
  c: Context<Env>,
  holds: BodyRule["holds"],
  limits: Limits,
): { readonly limit: keyof Limits; readonly value: number } {
  const { kind, key } = c.get("identity");
  const names: (keyof Limits & `${string}_bytes`)[] = ["body_bytes"];
  if (holds === "attachment") names.push("attachment_bytes");
  else if (kind === "token" || kind === "ticket") names.push("token_body_bytes");
  if (holds !== "attachment" && key === visitorKey) names.push("visitor_body_bytes");
  if (holds === "other") names.push("other_body_bytes");
  const limit = names.reduce((least, name) => (limits[name] < limits[least] ? name : least));
  return { limit, value: limits[limit] };
}

/** What it says itself; in chunks it may be as long as it is allowed to be. */
function lengthOf(c: Context<Env>, most: number): number {
  if (c.req.header("transfer-encoding") !== undefined) return most;
  return Number(c.req.header("content-length") ?? 0);
}

/** Room for so many bytes. What it returns gives them back; undefined: there is none. A body alone always has room. */
function createRoom(maxBytes: number): (whose: Owner, bytes: number) => (() => void) | undefined {
  const taken = new Map<string, number>();
  let sum = 0;
  return (whose, bytes) => {
    if (bytes === 0) return () => {};
    const isVisitor = whose.key === visitorKey;
    const name = JSON.stringify(isVisitor ? [whose.key] : [whose.key, whose.user]);
    const own = taken.get(name) ?? 0;
    const share = isVisitor ? maxBytes / 4 : maxBytes / 2;
    if ((own > 0 && own + bytes > share) || (sum > 0 && sum + bytes > maxBytes)) return undefined;
    taken.set(name, own + bytes);
    sum += bytes;
    return () => {
      sum -= bytes;
      const left = taken.get(name)! - bytes;
      if (left > 0) taken.set(name, left);
      else taken.delete(name);
    };
  };
}

function noRoomForBodies({ bodies_mb: value }: Limits): GatewayError {
  return new GatewayError("too_many_requests", "Too much is being sent at the moment. Try again later.", {
    limit: "bodies_mb",
    value,
    retry_after_s: 1,
  });
}
