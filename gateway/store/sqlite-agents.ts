// Agents that were made by API, and the standing sessions, in the SQLite store.
import type { DatabaseSync } from "node:sqlite";
import type { Store, StoredAgent, Write } from "./port.ts";

type Row = Record<string, unknown>;
type AgentReads = Pick<Store, "agents" | "standingSession">;
export type AgentWrite = Extract<Write, { kind: "agent" | "agent_removed" | "standing_session" }>;

export interface AgentRows {
  readonly reads: AgentReads;
  write(change: AgentWrite): void;
}

export function createAgentRows(database: DatabaseSync): AgentRows {
  const prepare = (sql: string) => database.prepare(sql);
  const all = prepare(
    `SELECT * FROM agents WHERE :seen IS NULL OR name IN (SELECT value FROM json_each(:seen)) ORDER BY name`,
  );
  const put = prepare(
    `INSERT INTO agents (name, settings, made_by, made_at, changed_at) VALUES (:name, :settings, :made_by, :made_at, :changed_at)
     ON CONFLICT DO UPDATE SET settings = excluded.settings, made_by = excluded.made_by, made_at = excluded.made_at,
       changed_at = excluded.changed_at`,
  );
  const remove = prepare(`DELETE FROM agents WHERE name = ?`);
  const removeStanding = prepare(`DELETE FROM standing_sessions WHERE agent = ?`);
  // Only in a session of the same agent and owner can it stand.
  const putStanding = prepare(
    `INSERT INTO standing_sessions (agent, owner_key, owner_user, session)
     SELECT agent, owner_key, coalesce(owner_user, ''), session FROM sessions WHERE session = ?
     ON CONFLICT DO UPDATE SET session = excluded.session`,
  );
  const standing = prepare(
    `SELECT session FROM standing_sessions WHERE agent = :agent AND owner_key = :key AND owner_user = coalesce(:user, '')`,
  );
  return {
    reads: {
      agents: async ({ agents = null }) =>
        (all.all({ seen: agents === null ? null : JSON.stringify(agents) }) as Row[]).map(readAgent),
      standingSession: async ({ key, user }, agent) =>
        (standing.get({ agent, key, user }) as { session: string } | undefined)?.session,
    },
    write(change) {
      switch (change.kind) {
        case "agent": {
          const { name, settings, madeBy, madeAt, changedAt } = change.agent;
          const row = { name, settings: JSON.stringify(settings), made_by: madeBy };
          return void put.run({ ...row, made_at: madeAt, changed_at: changedAt });
        }
        case "agent_removed":
          remove.run(change.name);
          return void removeStanding.run(change.name);
        case "standing_session":
          return void putStanding.run(change.session);
      }
    },
  };
}

function readAgent(row: Row): StoredAgent {
  return {
    name: row["name"] as string,
    settings: JSON.parse(row["settings"] as string) as StoredAgent["settings"],
    madeBy: row["made_by"] as string,
    madeAt: row["made_at"] as number,
    changedAt: row["changed_at"] as number,
  };
}
