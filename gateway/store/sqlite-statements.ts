// All SQL of the SQLite store beside its schema, prepared once.
import type { DatabaseSync } from "node:sqlite";
import type { Caller } from "../protocol/callers.ts";

/** Rows `s` with an owner whose owner the caller may see: three parameters, `:reach`, `:key`, `:user`. */
export const owned = `(:reach = 'all' OR (s.owner_key = :key AND (:reach = 'key' OR s.owner_user IS :user)))`;

/** Rows `s` with an agent, within the caller's own limit, `:seen_agents`. */
export const ofSeenAgents = `(:seen_agents IS NULL OR s.agent IN (SELECT value FROM json_each(:seen_agents)))`;

/** Sessions `s` that a caller may see: with `:seen_session`, only that one. */
export const visible = `(${owned} AND ${ofSeenAgents} AND (:seen_session IS NULL OR s.session = :seen_session))`;

/** The same for a caller of reach `user`, in words that lead to their own sessions, and past everybody else's. */
export const visibleToUser = `(s.owner_key = :key AND s.owner_user IS :user AND ${visible})`;

const turnColumns = `t.*, s.agent, s.owner_key, s.owner_user`;

/** Lists of turns: `whose` is what an index is found by. Without one, each turn is looked at until there are enough. */
function turnsFrom(tables: string, whose: string): string {
  return `SELECT ${turnColumns} FROM ${tables}
    WHERE ${whose} AND (:session IS NULL OR t.session = :session) AND (:agent IS NULL OR s.agent = :agent)
      AND (:state IS NULL OR t.state = :state) AND (:only_user IS NULL OR s.owner_user = :only_user)
      AND (:before IS NULL OR t.turn < :before)
    ORDER BY t.turn DESC LIMIT :limit`;
}

/** Turns of branches, and of older databases, that ran have no `started_seq` of their own: their first event is early enough. */
function turnSpans(range: string, order: string): string {
  return `SELECT t.turn, t.first_seq, t.last_seq,
      coalesce(t.started_seq, CASE WHEN t.started_at IS NOT NULL THEN t.first_seq END) AS started_seq
    FROM turns t JOIN sessions s USING (session)
    WHERE t.session = :session AND t.first_seq > 0 AND ${range} AND ${visible} ORDER BY t.first_seq ${order} LIMIT :limit`;
}

export type Statements = ReturnType<typeof prepareStatements>;

export function prepareStatements(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  return {
    takeSeqs: prepare(`UPDATE sessions SET last_seq = last_seq + :count WHERE session = :session RETURNING last_seq`),
    insertTurn: prepare(
      `INSERT INTO turns (turn, session, by, state, prompt, options, queued_at)
       VALUES (:turn, :session, :by, 'queued', :prompt, :options, :queued_at)`,
    ),
    insertIdempotencyKey: prepare(
      `INSERT INTO idempotency_keys (owner_key, owner_user, key, turn, body_hash, at)
       VALUES (:key, coalesce(:user, ''), :name, :turn, :body_hash, :at)
       ON CONFLICT DO UPDATE SET turn = excluded.turn, body_hash = excluded.body_hash, at = excluded.at`,
    ),
    touchSession: prepare(
      `UPDATE sessions SET updated_at = :at, title = coalesce(title, :title) WHERE session = :session`,
    ),
    idempotencyKey: prepare(
      `SELECT turn, body_hash FROM idempotency_keys
       WHERE owner_key = :key AND owner_user = coalesce(:user, '') AND key = :name AND at >= :since`,
    ),
    dropIdempotencyKeys: prepare(`DELETE FROM idempotency_keys WHERE at < :before`),
    setTurnState: prepare(
      `UPDATE turns SET state = :state, started_at = CASE WHEN :state = 'running' THEN coalesce(started_at, :at) ELSE started_at END,
         started_seq = CASE WHEN :state = 'running' THEN coalesce(started_seq,
           (SELECT last_seq + 1 FROM sessions WHERE sessions.session = turns.session)) ELSE started_seq END
       WHERE turn = :turn AND ended_at IS NULL`,
    ),
    setTurnQueued: prepare(`UPDATE turns SET first_seq = :seq WHERE turn = :turn`),
    endTurn: prepare(
      `UPDATE turns SET state = :state, ended_at = :at, last_seq = :seq, ending = :ending WHERE turn = :turn AND ended_at IS NULL`,
    ),
    turn: prepare(
      `SELECT ${turnColumns} FROM turns t JOIN sessions s USING (session) WHERE t.turn = :turn AND ${visible}`,
    ),
    turns: prepare(turnsFrom("turns t JOIN sessions s USING (session)", visible)),
    turnsOfSession: prepare(
      turnsFrom("turns t JOIN sessions s USING (session)", `t.session = :session AND ${visible}`),
    ),
    lastFailedTurn: prepare(
      `SELECT ${turnColumns} FROM turn_usage u JOIN turns t USING (turn) JOIN sessions s USING (session)
       WHERE u.agent = :agent AND u.state = 'failed' AND ${visible} ORDER BY u.ended_at DESC, t.turn DESC LIMIT 1`,
    ),
    turnsOfUser: prepare(turnsFrom("sessions s CROSS JOIN turns t USING (session)", visibleToUser)),
    unfinishedTurns: prepare(
      `SELECT ${turnColumns} FROM turns t JOIN sessions s USING (session)
       WHERE t.state IN ('queued', 'running', 'waiting') AND ${visible} ORDER BY t.turn`,
    ),
    turnSpans: prepare(turnSpans(`t.first_seq >= :from`, "ASC")),
    turnSpansBack: prepare(turnSpans(`t.first_seq <= :from`, "DESC")),
    insertEvent: prepare(
      `INSERT INTO events (session, seq, first_seq, turn, at, type, body, ends)
       VALUES (:session, :seq, :first, :turn, :at, :type, :body, :ends)`,
    ),
    deleteEvents: prepare(`DELETE FROM events WHERE session = :session AND seq BETWEEN :first AND :last`),
    events: prepare(
      `SELECT e.seq, e.first_seq, e.turn, e.at, e.type, e.body, CASE WHEN e.first_seq <= :after THEN e.ends END AS ends
       FROM events e JOIN sessions s USING (session)
       WHERE e.session = :session AND e.seq > :after AND ${visible} ORDER BY e.seq LIMIT :limit`,
    ),
    putDiagnostics: prepare(
      `INSERT INTO diagnostics (turn, session, text) SELECT turn, session, :text FROM turns WHERE turn = :turn
       ON CONFLICT DO UPDATE SET text = excluded.text`,
    ),
    diagnostics: prepare(
      `SELECT d.text FROM diagnostics d JOIN sessions s USING (session) WHERE d.turn = :turn AND ${visible}`,
    ),
    setRating: prepare(`UPDATE turns SET rating = :rating, rating_comment = :comment WHERE turn = :turn`),
  };
}

/** The parameters of `visible`. */
export function visibility({ reach, key, user, agents = null, session }: Caller) {
  return {
    reach,
    key,
    user,
    seen_agents: agents === null ? null : JSON.stringify(agents),
    seen_session: session ?? null,
  };
}
