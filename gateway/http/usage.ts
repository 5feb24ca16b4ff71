// /api/usage: what ended turns have used, within what the caller may see, and what is known of the accounts' limits.
import type { Context, Hono } from "hono";
import { GatewayError } from "../protocol/errors.ts";
import { readUsage } from "../protocol/requests.ts";
import type { LimitWindow, UsageRow } from "../store/port.ts";
import type { Env } from "./env.ts";
import { readQuery } from "./input.ts";
import { timeOf, type RouteDeps } from "./routes.ts";

export function mountUsage(app: Hono<Env>, deps: RouteDeps): void {
  app.get("/api/usage", (c) => getUsage(c, deps));
}

async function getUsage(c: Context<Env>, { store }: RouteDeps): Promise<Response> {
  const { by, since, until } = readQuery(c, readUsage);
  if (since !== undefined && until !== undefined && since > until)
    throw new GatewayError("invalid_request", "until: must not be before since", { field: "until" });
  const caller = c.get("caller");
  const span = { since, until };
  const [total, rows, limits] = await Promise.all([
    store.usage(caller, span),
    store.usage(caller, { ...span, by }),
    store.rateLimits(caller),
  ]);
  c.header("Cache-Control", "no-store");
  return c.json({
    since: since ?? null,
    until: until ?? null,
    by,
    total: usageJson(total[0]!),
    rows: rows.map(usageJson),
    limits: limits.map(limitJson),
  });
}

/** What turns have used, as replies show it. */
export function usageJson({ day, agent, owner, apiKeySource, ...sums }: UsageRow): Record<string, unknown> {
  return {
    ...(day === undefined ? {} : { day }),
    ...(agent === undefined ? {} : { agent }),
    ...owner,
    ...(apiKeySource === undefined ? {} : { api_key_source: apiKeySource }),
    turns: sums.turns,
    completed: sums.completed,
    failed: sums.failed,
    cancelled: sums.cancelled,
    input_tokens: sums.inputTokens,
    output_tokens: sums.outputTokens,
    cache_creation_input_tokens: sums.cacheCreationTokens,
    cache_read_input_tokens: sums.cacheReadTokens,
    cost_usd: sums.costUsd,
  };
}

/** A credential's limit as replies show it. */
export function limitJson(window: LimitWindow): Record<string, unknown> {
  return {
    credential: window.credential,
    api_key_source: window.apiKeySource,
    limit: window.limit,
    status: window.status,
    resets_at: timeOf(window.resetsAt),
    using_overage: window.usingOverage,
    stops_turns: window.stopsTurns && (window.resetsAt ?? 0) > Date.now(),
    seen_at: timeOf(window.at),
  };
}
