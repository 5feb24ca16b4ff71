// What turns have used, and the limits of the accounts that pay for them, in the SQLite store. The rows of `turn_usage` are written
// with their turns' endings and outlive their sessions; a trigger sums them up in `usage_days`.
import type { DatabaseSync } from "node:sqlite";
import type { TerminalEvent } from "../protocol/events.ts";
import { terminalState, type LimitWindow, type Store, type UsageBy, type UsageRow, type Write } from "./port.ts";
import { ofSeenAgents, owned, visibility } from "./sqlite-statements.ts";
import { usageOf } from "./usage.ts";

type Row = Record<string, unknown>;
export type LimitWrite = Extract<Write, { kind: "rate_limit" }>;

const maxRows = 1000;

const sums = `sum(turns) AS turns, sum(completed) AS completed, sum(failed) AS failed,
  sum(cancelled) AS cancelled, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
  sum(cache_creation_tokens) AS cache_creation_tokens, sum(cache_read_tokens) AS cache_read_tokens, sum(cost_usd) AS cost_usd`;

const groups: Record<UsageBy, { columns: string; order: string }> = {
  day: { columns: "day", order: "day DESC" },
  agent: { columns: "agent", order: "turns DESC, agent" },
  user: { columns: "owner_key, owner_user", order: "turns DESC, owner_key, owner_user" },
  api_key_source: { columns: "api_key_source", order: "turns DESC, api_key_source" },
};

function prepareUsageStatements(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  const where = `WHERE ${owned} AND ${ofSeenAgents} AND :seen_session IS NULL AND (:since IS NULL OR day >= :since) AND (:until IS NULL OR day <= :until)`;
  const by = (name: UsageBy) => {
    const { columns, order } = groups[name];
    return prepare(
      `SELECT ${columns}, ${sums} FROM usage_days s ${where}
       GROUP BY ${name === "user" ? "owner_key, owner_user" : name} ORDER BY ${order} LIMIT ${maxRows}`,
    );
  };
  return {
    insert: prepare(
      `INSERT INTO turn_usage (turn, agent, owner_key, owner_user, ended_at, state, input_tokens, output_tokens,
         cache_creation_tokens, cache_read_tokens, cost_usd, api_key_source)
       SELECT t.turn, s.agent, s.owner_key, s.owner_user, :at, :state, :input, :output, :creation, :read, :cost,
         (SELECT e.body ->> '$.api_key_source' FROM events e
          WHERE e.session = t.session AND e.seq >= coalesce(t.started_seq, t.first_seq) AND e.turn = t.turn AND e.type = 'turn_started'
          ORDER BY e.seq LIMIT 1)
       FROM turns t JOIN sessions s USING (session) WHERE t.turn = :turn
       ON CONFLICT DO NOTHING`,
    ),
    total: prepare(`SELECT ${sums} FROM usage_days s ${where}`),
    day: by("day"),
    agent: by("agent"),
    user: by("user"),
    api_key_source: by("api_key_source"),
    putLimit: prepare(
      `INSERT INTO rate_limits (credential, name, status, resets_at, using_overage, api_key_source, at, stops_turns)
       VALUES (:credential, :name, :status, :resets_at, :using_overage, :api_key_source, :at, :stops_turns)
       ON CONFLICT DO UPDATE SET status = excluded.status, resets_at = excluded.resets_at, using_overage = excluded.using_overage,
         api_key_source = excluded.api_key_source, at = excluded.at, stops_turns = excluded.stops_turns`,
    ),
    limits: prepare(`SELECT * FROM rate_limits WHERE :reach <> 'user' ORDER BY at DESC, name`),
  };
}

export interface UsageParts {
  readonly reads: Pick<Store, "usage" | "rateLimits">;
  write(change: LimitWrite): void;
  /** Notes what a turn has used; a second ending of the same turn changes nothing. */
  count(turn: string, at: number, ending: TerminalEvent): void;
}

export function createUsage(database: DatabaseSync): UsageParts {
  const sql = prepareUsageStatements(database);
  return {
    reads: {
      async usage(caller, { by, since, until }) {
        const filter = { since: since ?? null, until: until ?? null, ...visibility(caller) };
        return (sql[by ?? "total"].all(filter) as Row[]).map(readUsage);
      },
      async rateLimits({ reach }) {
        return (sql.limits.all({ reach }) as Row[]).map(readLimit);
      },
    },
    write({ window }) {
      sql.putLimit.run({
        credential: window.credential,
        name: window.limit ?? "",
        status: window.status,
        resets_at: window.resetsAt,
        using_overage: Number(window.usingOverage),
        api_key_source: window.apiKeySource,
        at: window.at,
        stops_turns: Number(window.stopsTurns),
      });
    },
    count(turn, at, ending) {
      const { inputTokens, outputTokens, cacheCreationTokens, cacheReadTokens, costUsd } = usageOf(ending);
      sql.insert.run({
        turn,
        at,
        state: terminalState[ending.type],
        input: inputTokens,
        output: outputTokens,
        creation: cacheCreationTokens,
        read: cacheReadTokens,
        cost: costUsd,
      });
    },
  };
}

function readUsage(row: Row): UsageRow {
  // The sum of no rows is null.
  const number = (name: string) => (row[name] as number | null) ?? 0;
  return {
    ...("day" in row ? { day: row["day"] as string } : {}),
    ...("agent" in row ? { agent: row["agent"] as string } : {}),
    ...("owner_key" in row
      ? { owner: { key: row["owner_key"] as string, user: row["owner_user"] as string | null } }
      : {}),
    ...("api_key_source" in row ? { apiKeySource: row["api_key_source"] as string | null } : {}),
    turns: number("turns"),
    completed: number("completed"),
    failed: number("failed"),
    cancelled: number("cancelled"),
    inputTokens: number("input_tokens"),
    outputTokens: number("output_tokens"),
    cacheCreationTokens: number("cache_creation_tokens"),
    cacheReadTokens: number("cache_read_tokens"),
    costUsd: number("cost_usd"),
  };
}

function readLimit(row: Row): LimitWindow {
  const name = row["name"] as string;
  return {
    credential: row["credential"] as string,
    limit: name === "" ? null : name,
    status: row["status"] as string,
    resetsAt: row["resets_at"] as number | null,
    usingOverage: row["using_overage"] === 1,
    apiKeySource: row["api_key_source"] as string | null,
    at: row["at"] as number,
    stopsTurns: row["stops_turns"] === 1,
  };
}
