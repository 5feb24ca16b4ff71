// Who calls, and what of the log that lets them see [L9, A4]. An owner is what a session keeps; a caller is who asks now.
import type { By } from "./events.ts";

/** To whom a session belongs: a service key by its name, and the user it spoke for, where it did. */
export interface Owner {
  readonly key: string;
  readonly user: string | null;
}

/** Visitors of public agents belong to this key: it has no secret, and nobody vouches for them. */
export const visitorKey = "visitors";

/**
 * Who asks. `reach` says what they see: `user` the sessions of just this key and user, `key` those of every user of the key,
 * `all` everything (the gateway itself, and administrators).
 */
export interface Caller extends Owner {
  readonly reach: "user" | "key" | "all";
  /** Sees only sessions of these agents; absent or null: of all. */
  readonly agents?: readonly string[] | null;
  /** Sees only this session; absent: no such limit. */
  readonly session?: string;
  /** The turn of an agent that asks, on behalf of the owner of its session; absent: they ask themselves. */
  readonly as?: { readonly agent: string; readonly turn: string };
}

/** The gateway itself, for what it does of its own accord. */
export const gatewayCaller: Caller = { key: "gateway", user: null, reach: "all" };

/** Whether the caller may see what belongs to the owner. */
export function maySee(caller: Caller, owner: Owner): boolean {
  if (caller.reach === "all") return true;
  if (caller.key !== owner.key) return false;
  return caller.reach === "key" || caller.user === owner.user;
}

/** The caller as events name it. */
export function callerBy(caller: Caller): By {
  return caller.as ?? ownerBy(caller);
}

/** The owner as events name it. */
export function ownerBy(owner: Owner): { key: string; user?: string } {
  return owner.user === null ? { key: owner.key } : { key: owner.key, user: owner.user };
}
