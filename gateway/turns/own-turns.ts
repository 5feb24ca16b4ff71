// [P7, T4, T8] Turns that the CLI began by itself: they stand in no queue and have no runner, so that cancelling one goes to the process. They take
// a place all the same, and count as turns that the session's caller has asked for.
import type { Pool } from "../agents/pool.ts";
import { failure } from "../claude/outcome.ts";
import type { EventLog } from "../log/event-log.ts";
import { gatewayCaller, type Owner } from "../protocol/callers.ts";
import { terminalEventTypes } from "../protocol/codes.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { By, TurnEvent } from "../protocol/events.ts";
import { terminalState, type Store, type TurnRow } from "../store/port.ts";
import { placeOf } from "./admission.ts";
import type { Dispatcher } from "./dispatcher.ts";

/** A CLI that does not end its turn for so long is ended itself, and its turn with it. */
const patienceMs = 5000;

/** Cancels the turn; resolves when its end is stored. At once, where its process is gone and whoever ended it is just storing that. */
export async function cancelOwnTurn(
  { turn, session, firstSeq }: TurnRow,
  by: By,
  { pool, log }: { readonly pool: Pool; readonly log: EventLog },
): Promise<void> {
  const driver = await pool.find(session);
  if (!driver?.isBusy) return;
  const cursor = await log.subscribe(gatewayCaller, session, firstSeq);
  if (!cursor) return;
  driver.cancel(by, turn);
  const impatience = setTimeout(() => void pool.end(session), patienceMs);
  const isEnd = (event: { turn: string | null; type: string }) =>
    event.turn === turn && terminalEventTypes.some((type) => type === event.type);
  for (let batch = await cursor.next(); batch; batch = await cursor.next()) if (batch.events.some(isEnd)) break;
  clearTimeout(impatience);
  cursor.close();
}

export interface OwnTurnsDeps {
  readonly store: Store;
  readonly pool: Pool;
  readonly dispatcher: Pick<Dispatcher, "begin" | "finish">;
  /** Rejects with `too_many_requests`. */
  readonly count: (owner: Owner) => Promise<void>;
  /** A process has begun too many, and is ended. */
  readonly onExcess: (session: string, why: GatewayError) => void;
  readonly onBug: (error: unknown, turn: string) => void;
}

export interface OwnTurns {
  /** Hears all events of a process. */
  note(session: string, events: readonly TurnEvent[]): void;
}

export function createOwnTurns({ store, pool, dispatcher, count, onExcess, onBug }: OwnTurnsDeps): OwnTurns {
  const open = new Set<string>();

  async function begin(session: string, turn: string): Promise<void> {
    const row = await store.session(gatewayCaller, session);
    if (!row) return;
    if (open.has(turn)) dispatcher.begin({ turn, session, agent: row.agent, ...placeOf(row.owner) });
    try {
      await count(row.owner);
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      onExcess(session, error);
      // What wakes the CLI up ends with its process, or it would go on for ever.
      await pool.end(session, failure("process_died", wordsOf(error)));
    }
  }

  return {
    note(session, events) {
      for (const { type, turn } of events) {
        if (turn === null) continue;
        if (type === "turn_queued") {
          open.add(turn);
          begin(session, turn).catch((error: unknown) => onBug(error, turn));
        } else if (Object.hasOwn(terminalState, type) && open.delete(turn)) dispatcher.finish(turn);
      }
    },
  };
}

function wordsOf({ extra }: GatewayError): string {
  const limit = `${String(extra["limit"])} (${String(extra["value"])})`;
  return `The CLI was ended: with the turns that it began by itself its caller had more than ${limit}.`;
}
