// [A1, A8] The service keys of this gateway: those of the environment, those that `sluice key` made, and the self-made one. Secrets are compared
// as hashes, in constant time, against every key. What is revoked in the store is noticed at the next `refresh`.
import { createHash, timingSafeEqual } from "node:crypto";
import type { Scope } from "../../protocol/scopes.ts";
import type { RevokedUser } from "../../store/port.ts";

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
  /** Until when, in epoch milliseconds, what was signed for this user of the key is not good any more; -1 if all is. */
  revokedUntil(key: string, user: string | null): number;
  /** How many users are revoked; each is kept in memory, and read at each `refresh`. */
  readonly revokedUsers: number;
  /** Reads the store's keys and revoked users again. */
  refresh(): Promise<void>;
}

export interface KeyRingDeps {
  /** Keys that never change while the gateway runs. */
  readonly fixed: readonly ServiceKey[];
  /** The store's keys that are not revoked. */
  readonly readStored: () => Promise<readonly ServiceKey[]>;
  readonly readRevoked: () => Promise<readonly RevokedUser[]>;
}

/** The hash of no secret: for a key that nobody can show. */
export const nobodysHash: Uint8Array = new Uint8Array(32);

export function hashSecret(secret: string): Uint8Array {
  return createHash("sha256").update(secret).digest();
}

export async function createKeyRing({ fixed, readStored, readRevoked }: KeyRingDeps): Promise<KeyRing> {
  let keys: readonly ServiceKey[] = [];
  let revoked: ReadonlyMap<string, number> = new Map();
  const refresh = async () => {
    const [stored, users] = await Promise.all([readStored(), readRevoked()]);
    revoked = new Map(users.map(({ key, user, at }) => [JSON.stringify([key, user]), at]));
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
    get revokedUsers() {
      return revoked.size;
    },
    revokedUntil: (key, user) => (user === null ? -1 : (revoked.get(JSON.stringify([key, user])) ?? -1)),
    refresh,
  };
}
