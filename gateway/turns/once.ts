// [T3] A repeated request with the same Idempotency-Key gives the first one's turn; with another body it is refused.
import { createHash } from "node:crypto";
import type { Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { IdempotencyKey, Store } from "../store/port.ts";
import type { TurnRequest } from "./admission.ts";

/** How long a key is good for. */
const keptMs = 24 * 60 * 60 * 1000;

export interface OnceOptions<Made> {
  readonly store: Store;
  readonly now: () => number;
  /** Makes the turn, and stores the key with it. */
  readonly make: (caller: Caller, request: TurnRequest, key: IdempotencyKey) => Promise<Made>;
  /** Looks up what was made before. */
  readonly find: (caller: Caller, turn: string) => Promise<Made>;
}

export function createOnce<Made>({ store, now, make, find }: OnceOptions<Made>) {
  const inFlight = new Map<string, Promise<Made>>();

  async function makeOrFind(caller: Caller, request: TurnRequest, key: string): Promise<Made> {
    const bodyHash = createHash("sha256").update(JSON.stringify(request)).digest("base64");
    const known = await store.idempotentTurn(caller, key, now() - keptMs);
    if (!known) return make(caller, request, { caller, key, bodyHash });
    if (known.bodyHash !== bodyHash)
      throw new GatewayError("idempotency_mismatch", "This Idempotency-Key was used for another request.");
    return find(caller, known.turn);
  }

  /** Two requests with one key at once: the second waits for what the first has made. */
  return async (caller: Caller, request: TurnRequest, key: string): Promise<Made> => {
    const scope = JSON.stringify([caller.key, caller.user, key]);
    for (let first = inFlight.get(scope); first; first = inFlight.get(scope)) await first.catch(() => undefined);
    const making = makeOrFind(caller, request, key);
    inFlight.set(scope, making);
    try {
      return await making;
    } finally {
      inFlight.delete(scope);
    }
  };
}
