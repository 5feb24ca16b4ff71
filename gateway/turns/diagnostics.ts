// [A7] What a process has said beside its protocol, kept with the turn in which it said it: for administrators alone, since it may hold
// paths, prompts and anything else.
import type { Driver } from "../claude/driver.ts";
import type { Write } from "../store/port.ts";

export interface Diagnostics {
  /** What the process has said since this was last asked of it; nothing, where it was silent. */
  ofProcess(turn: string, driver: Driver): Write[];
  /** Why there was no process. */
  ofStart(turn: string, error: Error): Write[];
}

const maxBytes = 64 * 1024;

export function createDiagnostics(): Diagnostics {
  /** What is kept with an earlier turn of the same process. */
  const kept = new WeakMap<Driver, string>();
  return {
    ofProcess(turn, driver) {
      const said = driver.diagnostics();
      const earlier = kept.get(driver) ?? "";
      kept.set(driver, said);
      // Once its oldest part has gone the two cannot be told apart, and some is kept twice.
      return write(turn, said.startsWith(earlier) ? said.slice(earlier.length) : said);
    },
    ofStart: (turn, { cause }) => write(turn, cause instanceof Error ? (cause.stack ?? cause.message) : ""),
  };
}

function write(turn: string, text: string): Write[] {
  if (text === "") return [];
  const bytes = Buffer.from(text);
  // Cut inside a character, its rest reads as U+FFFD, which is longer: hence the room.
  const newest = bytes.length <= maxBytes ? text : bytes.subarray(12 - maxBytes).toString("utf8");
  return [{ kind: "diagnostics", turn, text: newest }];
}
