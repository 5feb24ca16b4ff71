// [A1, A8] The service keys of this gateway: those of the environment, those that `sluice key` made, and the self-made one. Secrets are compared
// as hashes, in constant time, against every key. What is revoked in the store is noticed at the next `refresh`.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Scope } from "../../protocol/scopes.ts";

export interface ServiceKey {
  /** Sessions belong to the name: a new secret keeps them. */
  readonly name: string;
  /** SHA-256 of the secret. */
  readonly hash: Uint8Array;
  readonly scopes: readonly Scope[];
  /** The agents that it is limited to; null for all. */
  readonly agents: readonly string[] | null;
}

export interface KeyRing {
  /** The key with this secret. */
  find(secret: string): ServiceKey | undefined;
  /** The key of this name, as long as it is good. */
  named(name: string): ServiceKey | undefined;
  /** Reads the store's keys again. */
  refresh(): Promise<void>;
}

export interface KeyRingDeps {
  /** Keys that never change while the gateway runs. */
  readonly fixed: readonly ServiceKey[];
  /** The store's keys that are not revoked. */
  readonly readStored: () => Promise<readonly ServiceKey[]>;
}

/** The hash of no secret: for a key that nobody can show. */
export const nobodysHash: Uint8Array = new Uint8Array(32);

export function hashSecret(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest();
}

export async function createKeyRing({ fixed, readStored }: KeyRingDeps): Promise<KeyRing> {
  let keys: readonly ServiceKey[] = [];
  const refresh = async () => {
    const stored = await readStored();
    const taken = new Set(fixed.map(({ name }) => name));
    keys = [...fixed, ...stored.filter(({ name }) => !taken.has(name))];
  };
  await refresh();
  return {
    find(secret) {
      const given = hashSecret(secret);
      let found: ServiceKey | undefined;
      for (const key of keys) if (timingSafeEqual(key.hash, given)) found = key;
      return found;
    },
    named: (name) => keys.find((key) => key.name === name),
    refresh,
  };
}
