// Service keys, and users that were revoked, in the SQLite store. A revoked one stays as a row, so that its name is not given to somebody else by mistake.
import type { DatabaseSync } from "node:sqlite";
import { scopes, type Scope } from "../protocol/scopes.ts";
import type { RevokedUser, Store, StoredKey } from "./port.ts";

type Row = Record<string, unknown>;

export interface KeyParts {
  readonly keys: Pick<Store, "keys" | "putKey" | "revokeKey" | "revokeUser" | "revokedUsers">;
  /** Forgets the users that were revoked before `before`. */
  dropRevoked(before: number): void;
}

export function createKeys(database: DatabaseSync): KeyParts {
  const all = database.prepare(`SELECT * FROM keys ORDER BY name`);
  const put = database.prepare(
    `INSERT INTO keys (name, hash, scopes, agents, made_at) VALUES (:name, :hash, :scopes, :agents, :made_at)
     ON CONFLICT DO UPDATE SET hash = excluded.hash, scopes = excluded.scopes, agents = excluded.agents,
       made_at = excluded.made_at, revoked_at = NULL WHERE revoked_at IS NOT NULL`,
  );
  const revoke = database.prepare(`UPDATE keys SET revoked_at = :at WHERE name = :name AND revoked_at IS NULL`);
  const revokeUser = database.prepare(
    `INSERT INTO revoked_users (key, user, at) VALUES (:key, :user, :at)
     ON CONFLICT DO UPDATE SET at = max(at, excluded.at)`,
  );
  const revoked = database.prepare(`SELECT key, user, at FROM revoked_users`);
  const dropRevoked = database.prepare(`DELETE FROM revoked_users WHERE at < :before`);
  return {
    keys: {
      keys: async (caller) => (caller.reach === "all" ? (all.all() as Row[]).map(readKey) : []),
      async putKey({ name, hash, scopes: allowed, agents, madeAt }) {
        const row = {
          name,
          hash,
          scopes: JSON.stringify(allowed),
          agents: agents === null ? null : JSON.stringify(agents),
        };
        return put.run({ ...row, made_at: madeAt }).changes > 0;
      },
      revokeKey: async (name, at) => revoke.run({ name, at }).changes > 0,
      revokeUser: async ({ key, user, at }) => void revokeUser.run({ key, user, at }),
      revokedUsers: async () => revoked.all() as unknown as RevokedUser[],
    },
    dropRevoked: (before) => void dropRevoked.run({ before }),
  };
}

function readKey(row: Row): StoredKey {
  const allowed = JSON.parse(row["scopes"] as string) as string[];
  const agents = row["agents"] as string | null;
  return {
    name: row["name"] as string,
    hash: row["hash"] as Uint8Array,
    // A scope that this version does not know gives nothing.
    scopes: scopes.filter((scope): scope is Scope => allowed.includes(scope)),
    agents: agents === null ? null : (JSON.parse(agents) as string[]),
    madeAt: row["made_at"] as number,
    revokedAt: row["revoked_at"] as number | null,
  };
}
