// Approvals in the SQLite store: rows that their events make and settle, so that the log and the table never disagree.
import type { DatabaseSync } from "node:sqlite";
import type { EventOf } from "../protocol/events.ts";
import type { ApprovalRow, NewEvent, Store } from "./port.ts";
import { visibility, visible } from "./sqlite-statements.ts";

type Row = Record<string, unknown>;
type ApprovalReads = Pick<Store, "approval" | "approvals" | "isGranted">;

function prepareApprovalStatements(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  /** `whose` is what an index is found by: most approvals are old ones. */
  const list = (whose: string) =>
    prepare(
      `SELECT a.* FROM approvals a JOIN sessions s USING (session)
       WHERE ${whose} AND (:session IS NULL OR a.session = :session) AND (:only_user IS NULL OR s.owner_user = :only_user)
         AND (:is_pending IS NULL OR (a.resolved IS NULL) = :is_pending) AND (:before IS NULL OR a.approval < :before)
       ORDER BY a.approval DESC LIMIT :limit`,
    );
  return {
    insert: prepare(
      `INSERT INTO approvals (approval, session, turn, tool, requested, requested_at)
       VALUES (:body ->> 'approval', :session, :turn, :body ->> 'tool', :body, :at)`,
    ),
    settle: prepare(
      `UPDATE approvals SET resolved = :body, resolved_at = :at, is_grant = coalesce(:body ->> 'scope', '') = 'session'
       WHERE approval = :body ->> 'approval' AND session = :session AND resolved IS NULL`,
    ),
    one: prepare(
      `SELECT a.* FROM approvals a JOIN sessions s USING (session) WHERE a.approval = :approval AND ${visible}`,
    ),
    list: list(visible),
    listOfSession: list(`a.session = :session AND ${visible}`),
    listOfPending: list(`a.resolved IS NULL AND ${visible}`),
    grant: prepare(
      `SELECT 1 FROM approvals a JOIN sessions s USING (session)
       WHERE a.session = :session AND a.tool = :tool AND a.is_grant = 1 AND ${visible} LIMIT 1`,
    ),
  };
}

export function createApprovalRows(
  database: DatabaseSync,
): ApprovalReads & { note(session: string, event: NewEvent): void } {
  const sql = prepareApprovalStatements(database);
  return {
    note(session, { turn, type, at, json: body }) {
      if (type === "approval_requested") sql.insert.run({ session, turn, body, at });
      else if (type === "approval_resolved") sql.settle.run({ session, body, at });
    },
    async approval(caller, approval) {
      const row = sql.one.get({ approval, ...visibility(caller) }) as Row | undefined;
      return row && readApproval(row);
    },
    async approvals(caller, { session, user, state, before, limit }) {
      const waiting = state === "pending" ? sql.listOfPending : sql.list;
      const rows = (session === undefined ? waiting : sql.listOfSession).all({
        session: session ?? null,
        only_user: user ?? null,
        is_pending: state === undefined ? null : Number(state === "pending"),
        before: before ?? null,
        limit,
        ...visibility(caller),
      }) as Row[];
      return rows.map(readApproval);
    },
    isGranted: async (caller, session, tool) => sql.grant.get({ session, tool, ...visibility(caller) }) !== undefined,
  };
}

function readApproval(row: Row): ApprovalRow {
  const resolved = row["resolved"] as string | null;
  return {
    approval: row["approval"] as string,
    session: row["session"] as string,
    turn: row["turn"] as string,
    requested: JSON.parse(row["requested"] as string) as EventOf<"approval_requested">,
    requestedAt: row["requested_at"] as number,
    resolved: resolved === null ? null : (JSON.parse(resolved) as EventOf<"approval_resolved">),
    resolvedAt: row["resolved_at"] as number | null,
  };
}
