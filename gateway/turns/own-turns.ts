// [P7, T4] Turns that the CLI began by itself: they stand in no queue and have no runner, so that cancelling one goes to the process.
import type { Pool } from "../agents/pool.ts";
import type { EventLog } from "../log/event-log.ts";
import { gatewayCaller } from "../protocol/callers.ts";
import { terminalEventTypes } from "../protocol/codes.ts";
import type { By } from "../protocol/events.ts";
import type { TurnRow } from "../store/port.ts";

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
