// Service keys in the SQLite store. A revoked one stays as a row, so that its name is not given to somebody else by mistake.
import type { DatabaseSync } from "node:sqlite";
import { scopes, type Scope } from "../protocol/scopes.ts";
import type { Store, StoredKey } from "./port.ts";

type Row = Record<string, unknown>;

export function createKeys(database: DatabaseSync): Pick<Store, "keys" | "putKey" | "revokeKey"> {
  const all = database.prepare(`SELECT * FROM keys ORDER BY name`);
  const put = database.prepare(
    `INSERT INTO keys (name, hash, scopes, agents, made_at) VALUES (:name, :hash, :scopes, :agents, :made_at)
     ON CONFLICT DO UPDATE SET hash = excluded.hash, scopes = excluded.scopes, agents = excluded.agents,
       made_at = excluded.made_at, revoked_at = NULL WHERE revoked_at IS NOT NULL`,
  );
  const revoke = database.prepare(`UPDATE keys SET revoked_at = :at WHERE name = :name AND revoked_at IS NULL`);
  return {
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
