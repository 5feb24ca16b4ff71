// [L8] Which deltas can be folded now: those of a block that has ended, or whose turn has. It keeps the open blocks' deltas; nothing
// else of the log is kept in memory for it. Pure.
import type { EventOf } from "../protocol/events.ts";
import { terminalState, type FoldedRun, type LogEvent } from "../store/port.ts";
import { bodyOf, foldedRuns } from "../store/run.ts";

export interface Folding {
  /** Takes events in log order; gives the runs that are complete with them. */
  note(events: readonly LogEvent[]): FoldedRun[];
  /** No block is open: nothing is kept. */
  readonly isEmpty: boolean;
}

type BlockEvent = EventOf<"content_block_delta" | "content_block_stop">;

/** Folding of one session. */
export function createFolding(): Folding {
  const open = new Map<string, LogEvent[]>();
  return {
    note(events) {
      const runs: FoldedRun[] = [];
      for (const event of events) {
        if (event.type === "content_block_delta") {
          const key = blockKey(event);
          const deltas = open.get(key);
          if (deltas) deltas.push(event);
          else open.set(key, [event]);
        } else if (event.type === "content_block_stop") {
          const key = blockKey(event);
          runs.push(...foldedRuns(open.get(key) ?? []));
          open.delete(key);
        } else if (Object.hasOwn(terminalState, event.type)) {
          for (const deltas of open.values()) runs.push(...foldedRuns(deltas));
          open.clear();
        }
      }
      return runs;
    },
    get isEmpty() {
      return open.size === 0;
    },
  };
}

function blockKey(event: LogEvent): string {
  const { message, index } = bodyOf(event) as BlockEvent;
  return `${message} ${index}`;
}
