// What every handler finds in its context.
import type { HttpBindings } from "@hono/node-server";
import type { Identity } from "./auth/identity.ts";
import type { Caller } from "../protocol/callers.ts";

export interface Env {
  /** The Node request and response; absent where the app is called without a socket. */
  Bindings: Partial<HttpBindings>;
  Variables: {
    requestId: string;
    /** Set by the guard: no other site's page sent it, as far as its `Origin` says. */
    isOfOwnPage: boolean;
    /** Set by authentication: who it is, and as whom they ask. */
    identity: Identity;
    caller: Caller;
    /** So many values may be in a body of JSON. */
    maxJsonValues: number;
  };
}
