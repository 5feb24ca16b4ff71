// Waiting for what somebody must see of a turn: its end, or a question that it asks. From the log alone, as every reader.
import type { EventLog } from "../log/event-log.ts";
import type { Caller } from "../protocol/callers.ts";
import { terminalEventTypes } from "../protocol/codes.ts";
import type { Store, TurnRow } from "../store/port.ts";
import { hasEnded } from "./machine.ts";

export interface NewsOptions {
  readonly store: Store;
  readonly log: EventLog;
  readonly ms: number;
  readonly signal: AbortSignal;
  /** Approvals that are no news. */
  readonly shown?: ReadonlySet<string> | undefined;
}

const newsTypes: ReadonlySet<string> = new Set([...terminalEventTypes, "approval_requested"]);
const maxApprovals = 200;

/** Resolves when the turn has ended or asks something, after so many milliseconds, or when the signal says so. */
export async function untilNews(caller: Caller, { turn, session }: TurnRow, options: NewsOptions): Promise<void> {
  const { store, log, ms, signal, shown } = options;
  // The session first: whatever happens after this look stands behind the cursor.
  const row = await store.session(caller, session);
  const now = await store.turn(caller, turn);
  if (!row || !now || hasEnded(now.state)) return;
  const cursor = await log.subscribe(caller, session, row.lastSeq);
  if (!cursor) return;
  const close = () => cursor.close();
  const timer = setTimeout(close, ms);
  signal.addEventListener("abort", close);
  try {
    const pending = await store.approvals(caller, { session, state: "pending", limit: maxApprovals });
    if (signal.aborted || pending.some((one) => one.turn === turn && !shown?.has(one.approval))) return;
    for (let batch = await cursor.next(); batch; batch = await cursor.next())
      if (batch.events.some((event) => event.turn === turn && newsTypes.has(event.type))) return;
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", close);
    close();
  }
}
