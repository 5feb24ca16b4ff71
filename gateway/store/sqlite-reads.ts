// The reading side of the SQLite store. Every statement is held to what the caller may see.
import type { TurnState } from "../protocol/codes.ts";
import type { By, EventBody, TerminalEvent } from "../protocol/events.ts";
import type { SentBlock } from "../protocol/prompt.ts";
import type { LogEvent, Store, TurnRow } from "./port.ts";
import { restOfRun } from "./run.ts";
import { visibility, type Statements } from "./sqlite-statements.ts";

type Row = Record<string, unknown>;

/** At most so much of event bodies in one read. */
const maxPageChars = 1024 * 1024;

type Reads = Pick<
  Store,
  "turn" | "turns" | "turnSpans" | "lastFailedTurn" | "unfinishedTurns" | "idempotentTurn" | "events" | "diagnostics"
>;

export function createReads(sql: Statements): Reads {
  return {
    async turn(caller, turn) {
      const row = sql.turn.get({ turn, ...visibility(caller) }) as Row | undefined;
      return row && readTurn(row);
    },
    async diagnostics(caller, turn) {
      const row = sql.diagnostics.get({ turn, ...visibility(caller) }) as { text: string } | undefined;
      return row?.text;
    },
    async turns(caller, { session, agent, state, user, before, limit }) {
      const none = <T>(value: T | undefined) => value ?? null;
      const filter = {
        session: none(session),
        agent: none(agent),
        state: none(state),
        only_user: none(user),
        before: none(before),
      };
      const ofUser = caller.reach === "user" ? sql.turnsOfUser : sql.turns;
      const list = session === undefined ? ofUser : sql.turnsOfSession;
      return (list.all({ ...filter, limit, ...visibility(caller) }) as Row[]).map(readTurn);
    },
    async turnSpans(caller, session, { from, order, limit }) {
      const statement = order === "asc" ? sql.turnSpans : sql.turnSpansBack;
      return (statement.all({ session, from, limit, ...visibility(caller) }) as Row[]).map((row) => ({
        turn: row["turn"] as string,
        firstSeq: row["first_seq"] as number,
        startedSeq: row["started_seq"] as number | null,
        lastSeq: row["last_seq"] as number | null,
      }));
    },
    async lastFailedTurn(caller, agent) {
      const row = sql.lastFailedTurn.get({ agent, ...visibility(caller) }) as Row | undefined;
      return row && readTurn(row);
    },
    async unfinishedTurns(caller) {
      return (sql.unfinishedTurns.all(visibility(caller)) as Row[]).map(readTurn);
    },
    async idempotentTurn(caller, name, since) {
      const row = sql.idempotencyKey.get({ key: caller.key, user: caller.user, name, since }) as Row | undefined;
      return row && { turn: row["turn"] as string, bodyHash: row["body_hash"] as string };
    },
    async events(caller, session, after, limit) {
      const events: LogEvent[] = [];
      let chars = 0;
      for (const row of sql.events.iterate({ session, after, limit, ...visibility(caller) }) as Iterable<Row>) {
        events.push(readEvent(row, after));
        chars += (row["body"] as string).length;
        if (chars > maxPageChars) break;
      }
      return events;
    },
  };
}

function readTurn(row: Row): TurnRow {
  const ending = row["ending"] as string | null;
  const rating = row["rating"] as "up" | "down" | null;
  return {
    turn: row["turn"] as string,
    session: row["session"] as string,
    agent: row["agent"] as string,
    owner: { key: row["owner_key"] as string, user: row["owner_user"] as string | null },
    by: JSON.parse(row["by"] as string) as By,
    state: row["state"] as TurnState,
    prompt: JSON.parse(row["prompt"] as string) as SentBlock[],
    options: JSON.parse(row["options"] as string) as TurnRow["options"],
    queuedAt: row["queued_at"] as number,
    startedAt: row["started_at"] as number | null,
    endedAt: row["ended_at"] as number | null,
    firstSeq: row["first_seq"] as number,
    lastSeq: row["last_seq"] as number | null,
    answerUuid: row["answer_uuid"] as string | null,
    rating: rating === null ? null : { rating, comment: row["rating_comment"] as string | null },
    ending: ending === null ? null : (JSON.parse(ending) as TerminalEvent),
  };
}

function readEvent(row: Row, after: number): LogEvent {
  const event = {
    seq: row["seq"] as number,
    first: row["first_seq"] as number,
    turn: row["turn"] as string | null,
    at: row["at"] as number,
    type: row["type"] as EventBody["type"],
    json: row["body"] as string,
  };
  const ends = row["ends"] as Uint8Array | null;
  if (ends === null || event.first > after) return event;
  return restOfRun({ ...event, ends: [...new Uint32Array(ends.slice().buffer)] }, after);
}
