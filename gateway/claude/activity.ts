// [T5] What a running turn waits for, read from its events: the silence watchdog counts only while nothing is named here. Pure.
import type { TurnEvent } from "../protocol/events.ts";

export interface Activity {
  note(event: TurnEvent): void;
  /** A tool runs: the CLI is silent for as long as it takes. */
  readonly isToolRunning: boolean;
  /** Milliseconds for which the CLI has announced to be silent: until it goes on with its turn. */
  readonly announcedMs: number;
}

export function createActivity(): Activity {
  const calls = new Map<string, { tool: string; message: string; index: number }>();
  const running = new Map<string, { message: string; index: number }>();
  let announcedMs = 0;
  return {
    note(event) {
      if (event.type === "api_retry") announcedMs = event.delay_ms;
      // What is said beside the turn does not end the wait.
      else if (event.type !== "notice" && event.type !== "rate_limit") announcedMs = 0;
      // The model goes on only when all that it has called has ended: what has no result by then gets none.
      if (event.type === "message_start" && (event.parent_tool_use_id ?? null) === null) running.clear();
      if (event.type === "content_block_start") {
        const { type, id } = event.content_block;
        if (type === "tool_use" && typeof id === "string")
          calls.set(`${event.message} ${event.index}`, { tool: id, message: event.message, index: event.index });
      } else if (event.type === "content_block_stop") {
        const call = calls.get(`${event.message} ${event.index}`);
        if (call) running.set(call.tool, call);
      } else if (event.type === "tool_result") {
        running.delete(event.tool_use_id);
      } else if (event.type === "message_discarded") {
        for (const [tool, call] of running)
          if (call.message === event.message && call.index >= (event.from_index ?? 0)) running.delete(tool);
      }
    },
    get isToolRunning() {
      return running.size > 0;
    },
    get announcedMs() {
      return announcedMs;
    },
  };
}
