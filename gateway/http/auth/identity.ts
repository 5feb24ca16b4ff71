// Who a request comes from, and what of the gateway is open to them.
import type { Caller } from "../../protocol/callers.ts";
import type { Scope } from "../../protocol/scopes.ts";

export interface Identity {
  readonly caller: Caller;
  readonly scopes: ReadonlySet<Scope>;
  /** The service key that this rests on: when it is revoked, so is this. */
  readonly key: string;
  /** That of its secret: a key that was made anew under the same name is another one. */
  readonly keyHash?: Uint8Array | undefined;
  /** How it was shown. A `visitor` shows nothing, and may only ask for a token of a public agent. */
  readonly kind: "service" | "token" | "ticket" | "cookie" | "visitor" | "open";
  /** Origins of pages that may use it; undefined for no limit of its own. */
  readonly origins?: readonly string[] | undefined;
  /** Seconds since the epoch. */
  readonly expiresAt?: number | undefined;
}
