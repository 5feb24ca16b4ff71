// [A3] A stream ticket: what an EventSource, which cannot send a header, shows as `?ticket=`. Good for GET of one session's streams, any number of times,
// as long as the token that it was made for.
import type { Owner } from "../../protocol/callers.ts";
import type { Identity } from "./identity.ts";
import type { Signer } from "./signed.ts";

/** Of a key or a sign-in, which name no end that a ticket could share. */
const defaultS = 15 * 60;

export interface Ticket {
  readonly ticket: string;
  /** Seconds since the epoch. */
  readonly expiresAt: number;
}

export interface Tickets {
  /** `origin` is that of the page that asked; the ticket is good on that page alone. */
  mint(
    identity: Identity,
    of: { session: string; agent: string; owner: Owner },
    origin: string | undefined,
  ): Promise<Ticket>;
}

export function createTickets(signer: Signer, now: () => number = Date.now): Tickets {
  return {
    async mint({ key, expiresAt = Math.floor(now() / 1000) + defaultS }, { session, agent, owner }, origin) {
      const claims = { session, agent, key, owner: { key: owner.key, user: owner.user }, origin: origin ?? null };
      return { ticket: await signer.sign({ kind: "ticket", exp: expiresAt, ...claims }), expiresAt };
    },
  };
}
