// The writing side of the SQLite store: all changes of a commit in one transaction, in their order, or none.
import type { DatabaseSync } from "node:sqlite";
import type { TerminalEventType } from "../protocol/codes.ts";
import type { EventBody, TerminalEvent } from "../protocol/events.ts";
import { promptText } from "../protocol/prompt.ts";
import { terminalState, type NewEvent, type Store, type Write } from "./port.ts";
import { bodyOf } from "./run.ts";
import type { AgentRows } from "./sqlite-agents.ts";
import type { AttachmentParts } from "./sqlite-attachments.ts";
import { migrations } from "./sqlite-schema.ts";
import type { SessionWrite } from "./sqlite-sessions.ts";
import type { Statements } from "./sqlite-statements.ts";
import { inTransaction } from "./sqlite-transaction.ts";
import type { UsageParts } from "./sqlite-usage.ts";
import type { Words } from "./sqlite-words.ts";

/** Of a prompt and of an answer so much can be found by search. */
const maxWordChars = 200_000;
const maxTitleChars = 80;

/** Those who write the rows of their own tables. */
export interface CommitParts {
  readonly sessions: { write(change: SessionWrite): void };
  readonly approvals: { note(session: string, event: NewEvent): void };
  readonly attachments: Pick<AttachmentParts, "write">;
  readonly usage: Pick<UsageParts, "write" | "count">;
  readonly agents: Pick<AgentRows, "write">;
  readonly wordIndex: Pick<Words, "add" | "append">;
}

export function createCommit(
  database: DatabaseSync,
  sql: Statements,
  { sessions, approvals, attachments, usage, agents, wordIndex }: CommitParts,
): Store["commit"] {
  function write(change: Write): number {
    switch (change.kind) {
      case "session":
      case "session_title":
      case "turn_answer":
      case "snapshot":
      case "fork":
        sessions.write(change);
        return 0;
      case "turn": {
        const { turn, session, by, prompt, options, queuedAt } = change.turn;
        const [byJson, promptJson, optionsJson] = [by, prompt, options].map((value) => JSON.stringify(value));
        sql.insertTurn.run({
          turn,
          session,
          by: byJson!,
          prompt: promptJson!,
          options: optionsJson!,
          queued_at: queuedAt,
        });
        const words = promptText(prompt);
        wordIndex.add(turn, words.slice(0, maxWordChars));
        sql.touchSession.run({ session, at: queuedAt, title: titleOf(words) });
        if (change.idempotency) {
          const { caller, key: name, bodyHash } = change.idempotency;
          const { key, user } = caller;
          sql.insertIdempotencyKey.run({ key, user, name, turn, body_hash: bodyHash, at: queuedAt });
        }
        return 0;
      }
      case "events":
        return writeEvents(change.session, change.events);
      case "turn_state":
        sql.setTurnState.run({ turn: change.turn, state: change.state, at: change.at });
        return 0;
      case "fold": {
        const { run, session } = change;
        sql.deleteEvents.run({ session, first: run.first, last: run.seq });
        insertEvent(session, run, run.seq, run.first, new Uint8Array(new Uint32Array(run.ends).buffer));
        return 0;
      }
      case "attachment":
      case "attachment_link":
      case "upload":
        attachments.write(change);
        return 0;
      case "diagnostics":
        sql.putDiagnostics.run({ turn: change.turn, text: change.text });
        return 0;
      case "rate_limit":
        usage.write(change);
        return 0;
      case "agent":
      case "agent_removed":
      case "standing_session":
        agents.write(change);
        return 0;
      case "rating": {
        const { turn, rating } = change;
        sql.setRating.run({ turn, rating: rating?.rating ?? null, comment: rating?.comment ?? null });
        return 0;
      }
      case "probe":
        // Writes the first page anew, with what it holds.
        database.exec(`PRAGMA user_version = ${migrations.length}`);
        return 0;
    }
  }

  function writeEvents(session: string, events: readonly NewEvent[]): number {
    const row = sql.takeSeqs.get({ session, count: events.length }) as { last_seq: number } | undefined;
    if (!row) throw new Error("events for a session that does not exist");
    const first = row.last_seq - events.length + 1;
    for (const [index, event] of events.entries()) {
      const seq = first + index;
      insertEvent(session, event, seq, seq, null);
      const { turn, type, at, json } = event;
      if (turn === null) continue;
      approvals.note(session, event);
      if (type === "turn_queued") sql.setTurnQueued.run({ turn, seq });
      else if (isTerminal(type)) {
        sql.endTurn.run({ turn, seq, at, state: terminalState[type], ending: json });
        const ending = bodyOf(event) as TerminalEvent;
        usage.count(turn, at, ending);
        // A text that was too large for the log is an attachment here.
        const { text } = ending as { text: unknown };
        if (typeof text === "string" && text !== "") wordIndex.append(turn, text.slice(0, maxWordChars));
      }
    }
    return first;
  }

  function insertEvent(session: string, event: NewEvent, seq: number, first: number, ends: Uint8Array | null): void {
    const { turn, at, type, json } = event;
    sql.insertEvent.run({ session, seq, first, turn, at, type, body: json, ends });
  }

  return async (writes) => inTransaction(database, () => writes.map(write));
}

/** A session is called after its first prompt; null where that has no words. */
function titleOf(words: string): string | null {
  const line = words.trim().split("\n")[0]!.trim();
  if (line === "") return null;
  return line.length <= maxTitleChars ? line : `${[...line].slice(0, maxTitleChars - 1).join("")}…`;
}

function isTerminal(type: EventBody["type"]): type is TerminalEventType {
  return Object.hasOwn(terminalState, type);
}
