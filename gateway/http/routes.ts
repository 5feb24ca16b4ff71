// What the routes share: their dependencies, and addresses that replies carry.
import type { Context } from "hono";
import type { EventLog } from "../log/event-log.ts";
import type { Limits } from "../protocol/limits.ts";
import type { Store } from "../store/port.ts";
import type { Agents } from "../turns/agents.ts";
import type { Sessions } from "../turns/sessions.ts";
import type { Turns } from "../turns/turns.ts";
import type { Identity } from "./auth/identity.ts";
import type { Tickets } from "./auth/tickets.ts";
import type { Env } from "./env.ts";
import type { Rates } from "./rates.ts";

export interface RouteDeps {
  readonly store: Store;
  readonly log: EventLog;
  readonly turns: Turns;
  readonly sessions: Sessions;
  readonly agents: Agents;
  readonly limits: Limits;
  readonly tickets: Tickets;
  readonly rates: Rates;
  /** Whether whoever opened a stream may still read it. */
  readonly isGood: (identity: Identity) => boolean;
  /** Without a slash at its end; where it is not configured, the request's own address is used. */
  readonly publicUrl: string | undefined;
  /** Why the gateway cannot take work now; undefined when it can. */
  readonly notReady: () => string | undefined;
  /** What is known of the CLI's login; it makes no gateway unready, since that is found out by turns alone. */
  readonly login: () => "unknown" | "logged_in" | "not_logged_in";
  readonly version: string;
}

/** An absolute address on this gateway. The Host header was checked before. */
export function absoluteUrl(c: Context<Env>, deps: RouteDeps, path: string): string {
  return `${deps.publicUrl ?? new URL(c.req.url).origin}${path}`;
}

/** Where the events of a session, or of one of its turns, are. For a page's EventSource, which can send no header, with a ticket. */
export async function eventsUrl(
  c: Context<Env>,
  deps: RouteDeps,
  path: string,
  of: Parameters<Tickets["mint"]>[1],
): Promise<string> {
  const url = absoluteUrl(c, deps, `${path}/events`);
  const identity = c.get("identity");
  if (identity.kind !== "token") return url;
  const { ticket } = await deps.tickets.mint(identity, of, c.req.header("origin"));
  return `${url}?ticket=${ticket}`;
}

export function timeOf(epochMs: number | null): string | null {
  return epochMs === null ? null : new Date(epochMs).toISOString();
}

/** What every stream of a session is given, whatever it shows. */
export function streamBasics(c: Context<Env>, deps: RouteDeps, session: string) {
  const identity = c.get("identity");
  return {
    transcriptUrl: absoluteUrl(c, deps, `/api/sessions/${session}/transcript`),
    pingMs: deps.limits.ping_s * 1000,
    writeTimeoutMs: deps.limits.write_timeout_s * 1000,
    isGood: () => deps.isGood(identity),
    checkMs: revocationCheckMs(deps.limits),
  };
}

/** How often a key that has something open is looked at. */
export function revocationCheckMs({ revocation_s }: Pick<Limits, "revocation_s">): number {
  return (revocation_s * 1000) / 3;
}
