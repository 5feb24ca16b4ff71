// Sessions in the SQLite store: listing and finding, branching, removing, and the CLI's own files.
import type { DatabaseSync } from "node:sqlite";
import type { TurnState } from "../protocol/codes.ts";
import type { Caller } from "../protocol/callers.ts";
import type { ForkedTurn, SessionRow, Snapshot, Store, Write } from "./port.ts";
import { visibility, visible, visibleToUser } from "./sqlite-statements.ts";
import { inTransaction } from "./sqlite-transaction.ts";
import type { Words } from "./sqlite-words.ts";

type Row = Record<string, unknown>;
type SessionReads = Pick<Store, "session" | "sessions" | "removeSession" | "removeOldEvents" | "snapshot">;
export type SessionWrite = Extract<Write, { kind: "session" | "session_title" | "turn_answer" | "snapshot" | "fork" }>;

// The first row of a log, not the least `first_seq`: that would read every one of them.
const columns = `s.*,
  coalesce((SELECT e.first_seq FROM events e WHERE e.session = s.session ORDER BY e.seq LIMIT 1), s.last_seq + 1) AS oldest_seq,
  (SELECT t.state FROM turns t WHERE t.session = s.session ORDER BY t.turn DESC LIMIT 1) AS state`;

/** By their numbers alone: the row of a turn's words, which is read for any other column, is as long as what was said. */
function hasWords(index: "turn_words" | "marked_words"): string {
  return `EXISTS (SELECT 1 FROM turns t
    WHERE t.session = s.session AND t.rowid IN (SELECT rowid FROM ${index} WHERE ${index} MATCH :match))`;
}

function prepareSessionStatements(database: DatabaseSync) {
  const prepare = (sql: string) => database.prepare(sql);
  const list = (whose: string, index: "turn_words" | "marked_words") =>
    prepare(
      `SELECT ${columns} FROM sessions s
       WHERE ${whose} AND (:agent IS NULL OR s.agent = :agent) AND (:only_user IS NULL OR s.owner_user = :only_user)
         AND (:state IS NULL OR :state = (SELECT t.state FROM turns t WHERE t.session = s.session ORDER BY t.turn DESC LIMIT 1))
         AND (:since IS NULL OR s.updated_at >= :since) AND (:until IS NULL OR s.updated_at <= :until)
         AND (:after_at IS NULL OR (s.updated_at, s.session) < (:after_at, :after_session))
         AND (:match IS NULL OR ${hasWords(index)})
       ORDER BY s.updated_at DESC, s.session DESC LIMIT :limit`,
    );
  return {
    insert: prepare(
      `INSERT INTO sessions (session, agent, owner_key, owner_user, title, created_at, updated_at)
       VALUES (:session, :agent, :key, :user, :title, :at, :at)`,
    ),
    one: prepare(`SELECT ${columns} FROM sessions s WHERE s.session = :session AND ${visible}`),
    list: {
      all: list(visible, "turn_words"),
      key: list(visible, "marked_words"),
      user: list(visibleToUser, "marked_words"),
    },
    setTitle: prepare(`UPDATE sessions SET title = :title WHERE session = :session`),
    setAnswer: prepare(`UPDATE turns SET answer_uuid = :answer_uuid WHERE turn = :turn`),
    putSnapshot: prepare(
      `INSERT INTO snapshots (session, origin, answer_uuid, packed, at) VALUES (:session, :origin, :answer_uuid, :packed, :at)
       ON CONFLICT DO UPDATE SET origin = excluded.origin, answer_uuid = excluded.answer_uuid, packed = excluded.packed, at = excluded.at`,
    ),
    snapshot: prepare(
      `SELECT n.* FROM snapshots n JOIN sessions s USING (session) WHERE n.session = :session AND ${visible}`,
    ),
    turnEvents: prepare(`SELECT * FROM events WHERE session = :session ORDER BY seq`),
    copyEvent: prepare(
      `INSERT INTO events (session, seq, first_seq, turn, at, type, body, ends)
       VALUES (:session, :seq, :first, :turn, :at, :type, :body, :ends)`,
    ),
    copyTurn: prepare(
      `INSERT INTO turns (turn, session, by, state, prompt, options, queued_at, started_at, ended_at, first_seq, last_seq, ending, answer_uuid)
       SELECT :copy, :to, by, state, prompt, options, queued_at, started_at, ended_at, :first, :last, ending, answer_uuid
       FROM turns WHERE turn = :turn`,
    ),
    copyAttachments: prepare(
      `INSERT INTO session_attachments (hash, session) SELECT hash, :to FROM session_attachments WHERE session = :from`,
    ),
    setLastSeq: prepare(`UPDATE sessions SET last_seq = :seq WHERE session = :session`),
    turnsOf: prepare(`SELECT rowid, turn FROM turns WHERE session = :session`),
    // Only a beginning of each log goes, so that `oldest_seq` tells of every event that is missing: an old turn's events stay where those
    // of a turn that is young, or has not ended, stand before them.
    oldBeginnings: prepare(
      `SELECT s.session, min(s.last_seq + 1,
         coalesce((SELECT min(t.first_seq) FROM turns t
           WHERE t.session = s.session AND (t.ended_at IS NULL OR t.ended_at >= :before)), s.last_seq + 1),
         coalesce((SELECT min(e.first_seq) FROM events e
           WHERE e.session = s.session AND e.turn IS NULL AND e.at >= :before), s.last_seq + 1)) AS oldest
       FROM sessions s
       WHERE ${visible} AND (SELECT e.at FROM events e WHERE e.session = s.session ORDER BY e.seq LIMIT 1) < :before`,
    ),
    removeBeginning: prepare(`DELETE FROM events WHERE session = :session AND seq < :oldest`),
  };
}

export function createSessions(
  database: DatabaseSync,
  wordIndex: Pick<Words, "copy" | "remove" | "match">,
): SessionReads & { write(change: SessionWrite): void } {
  const sql = prepareSessionStatements(database);

  /** Copies the turns' events in log order and numbers them anew, without holes. */
  function fork(from: string, to: string, turns: readonly ForkedTurn[]): void {
    const copies = new Map(turns.map(({ turn, copy }) => [turn, { copy, first: 0, last: 0 }]));
    let seq = 0;
    // One after the other: a long session's events are not all held in memory.
    for (const row of sql.turnEvents.iterate({ session: from }) as Iterable<Row>) {
      const target = copies.get(row["turn"] as string);
      if (!target) continue;
      const count = (row["seq"] as number) - (row["first_seq"] as number) + 1;
      if (target.first === 0) target.first = seq + 1;
      target.last = seq + count;
      const { at, type, ends } = row as Record<string, string | number | Uint8Array | null>;
      sql.copyEvent.run({
        session: to,
        seq: seq + count,
        first: seq + 1,
        turn: target.copy,
        at: at!,
        type: type!,
        body: bodyInBranch(row, to),
        ends: ends ?? null,
      });
      seq += count;
    }
    for (const [turn, { copy, first, last }] of copies) {
      if (sql.copyTurn.run({ turn, copy, to, first, last }).changes === 0)
        throw new Error("a turn that a branch takes over does not exist");
      wordIndex.copy(turn, copy, to);
    }
    sql.copyAttachments.run({ from, to });
    sql.setLastSeq.run({ session: to, seq });
  }

  /** Every table that refers to a session, those that refer to its turns first. */
  function removeRows(session: string): { turns: number; events: number; attachments: number } {
    const turns = sql.turnsOf.all({ session }) as { rowid: number; turn: string }[];
    for (const { rowid } of turns) wordIndex.remove(rowid);
    const remove = (table: string) =>
      Number(database.prepare(`DELETE FROM ${table} WHERE session = ?`).run(session).changes);
    const inTurns = `turn IN (SELECT turn FROM turns WHERE session = ?)`;
    database.prepare(`DELETE FROM idempotency_keys WHERE ${inTurns}`).run(session);
    const events = remove("events");
    const hashes = database.prepare(`SELECT hash FROM session_attachments WHERE session = ?`).all(session) as {
      hash: string;
    }[];
    remove("session_attachments");
    // What its owner sent ahead for it would be kept for a week on.
    for (const { hash } of hashes)
      database
        .prepare(
          `DELETE FROM uploads WHERE hash = ?1 AND EXISTS (SELECT 1 FROM sessions s
             WHERE s.session = ?2 AND uploads.owner_key = s.owner_key AND uploads.owner_user IS s.owner_user)`,
        )
        .run(hash, session);
    let attachments = 0;
    for (const { hash } of hashes)
      attachments += Number(
        database
          .prepare(
            `DELETE FROM attachments WHERE hash = ?1 AND NOT EXISTS (SELECT 1 FROM session_attachments WHERE hash = ?1)
               AND NOT EXISTS (SELECT 1 FROM uploads WHERE hash = ?1)`,
          )
          .run(hash).changes,
      );
    for (const table of otherTables(database)) remove(table);
    remove("turns");
    remove("sessions");
    return { turns: turns.length, events, attachments };
  }

  return {
    write(change) {
      switch (change.kind) {
        case "session": {
          const { session, agent, owner, title, createdAt } = change.session;
          return void sql.insert.run({
            session,
            agent,
            key: owner.key,
            user: owner.user,
            title: title ?? null,
            at: createdAt,
          });
        }
        case "session_title":
          return void sql.setTitle.run({ session: change.session, title: change.title });
        case "turn_answer":
          return void sql.setAnswer.run({ turn: change.turn, answer_uuid: change.answerUuid });
        case "snapshot": {
          const { session, origin, answerUuid, packed, at } = change.snapshot;
          return void sql.putSnapshot.run({ session, origin, answer_uuid: answerUuid, packed, at });
        }
        case "fork":
          return fork(change.from, change.to, change.turns);
      }
    },
    async session(caller, session) {
      const row = sql.one.get({ session, ...visibility(caller) }) as Row | undefined;
      return row && readSession(row);
    },
    async sessions(caller, { agent, user, state, since, until, words, after, limit }) {
      const match = words === undefined ? null : wordIndex.match(caller, words);
      if (match === undefined) return [];
      const rows = sql.list[caller.reach].all({
        agent: agent ?? null,
        only_user: user ?? null,
        state: state ?? null,
        since: since ?? null,
        until: until ?? null,
        match,
        after_at: after?.updatedAt ?? null,
        after_session: after?.session ?? null,
        limit,
        ...visibility(caller),
      }) as Row[];
      return rows.map(readSession);
    },
    async removeSession(caller: Caller, session) {
      if (!sql.one.get({ session, ...visibility(caller) })) return undefined;
      return inTransaction(database, () => removeRows(session));
    },
    async removeOldEvents(caller, before) {
      const beginnings = sql.oldBeginnings.all({ before, ...visibility(caller) }) as {
        session: string;
        oldest: number;
      }[];
      return inTransaction(database, () =>
        beginnings.reduce((sum, beginning) => sum + Number(sql.removeBeginning.run(beginning).changes), 0),
      );
    },
    async snapshot(caller, session) {
      const row = sql.snapshot.get({ session, ...visibility(caller) }) as Row | undefined;
      return row && readSnapshot(row);
    },
  };
}

/** The body of a copied event: what names its session names the branch. */
function bodyInBranch(row: Row, session: string): string {
  const body = row["body"] as string;
  if (row["type"] !== "turn_queued" && row["type"] !== "turn_started") return body;
  return JSON.stringify({ ...(JSON.parse(body) as object), session });
}

/** Tables of other parts that hold rows of a session, by their column of that name. */
function otherTables(database: DatabaseSync): string[] {
  const done = new Set(["sessions", "turns", "events", "session_attachments", "turn_words"]);
  const tables = database
    .prepare(
      `SELECT m.name AS name FROM sqlite_schema m JOIN pragma_table_info(m.name) c
       WHERE m.type = 'table' AND c.name = 'session' AND m.sql NOT LIKE 'CREATE VIRTUAL%' AND m.name NOT LIKE 'turn_words%'`,
    )
    .all() as { name: string }[];
  return tables.map(({ name }) => name).filter((name) => !done.has(name));
}

function readSession(row: Row): SessionRow {
  return {
    session: row["session"] as string,
    agent: row["agent"] as string,
    owner: { key: row["owner_key"] as string, user: row["owner_user"] as string | null },
    lastSeq: row["last_seq"] as number,
    oldestSeq: row["oldest_seq"] as number,
    title: row["title"] as string | null,
    state: row["state"] as TurnState | null,
    createdAt: row["created_at"] as number,
    updatedAt: row["updated_at"] as number,
  };
}

function readSnapshot(row: Row): Snapshot {
  return {
    session: row["session"] as string,
    origin: row["origin"] as string,
    answerUuid: row["answer_uuid"] as string | null,
    packed: row["packed"] as Uint8Array,
    at: row["at"] as number,
  };
}
