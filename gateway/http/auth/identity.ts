// Who a request comes from, and what of the gateway is open to them.
import type { Supervisor } from "../../agents/supervisors.ts";
import type { Caller } from "../../protocol/callers.ts";
import type { Scope } from "../../protocol/scopes.ts";

/** Where agents are tools. The tokens of supervising processes are good here alone. */
export const mcpPath = "/mcp";

export interface Identity {
  readonly caller: Caller;
  readonly scopes: ReadonlySet<Scope>;
  /** The service key that this rests on: when it is revoked, so is this. */
  readonly key: string;
  /** That of its secret: a key that was made anew under the same name is another one. */
  readonly keyHash?: Uint8Array | undefined;
  /** How it was shown. A `visitor` shows nothing, and may only ask for a token of a public agent. */
  readonly kind: "service" | "token" | "ticket" | "cookie" | "visitor" | "open" | "supervisor";
  /** The process of a supervising agent, which asks in the turn that it runs just then. Until that is known it sees nothing. */
  readonly supervisor?: Supervisor | undefined;
  /** Origins of pages that may use it; undefined for no limit of its own. */
  readonly origins?: readonly string[] | undefined;
  /** Seconds since the epoch. */
  readonly expiresAt?: number | undefined;
  /** The same; of what was signed for one user, and is ended with them. */
  readonly issuedAt?: number | undefined;
}
