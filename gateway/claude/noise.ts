// What the CLI writes beside its protocol: for callers a notice without a word of it, for operators its newest 64 KB.
import type { EventOf } from "../protocol/events.ts";
import type { Line } from "./lines.ts";

const maxChars = 64 * 1024;

export interface Noise {
  /** Keeps the line; gives what may be said of it. */
  note(line: Extract<Line, { kind: "noise" }>): EventOf<"notice">;
  /** Keeps a message that a notice was given of. */
  keep(message: Record<string, unknown>): void;
  /** The newest of it. */
  tail(): string;
}

export function createNoise(): Noise {
  let kept = "";
  const add = (text: string) => {
    kept = `${kept}${text}\n`.slice(-maxChars);
  };
  return {
    note(line) {
      add(line.text);
      return noticeOf(line);
    },
    keep: (message) => add(JSON.stringify(message)),
    tail: () => kept,
  };
}

function noticeOf(line: Extract<Line, { kind: "noise" }>): EventOf<"notice"> {
  const said = {
    not_json: "The CLI wrote a line that is not part of its protocol.",
    too_long: "The CLI wrote a line that is too long to read.",
    too_deep: "The CLI wrote a line that is nested too deep to read.",
    incomplete: "The CLI ended in the middle of a line.",
  };
  return { type: "notice", kind: `line_${line.reason}`, text: said[line.reason] };
}
