import { expect, test } from "vitest";
import { createLoginWatch } from "../../gateway/login.ts";
import type { LogEvent } from "../../gateway/store/port.ts";

let at = 0;
const ended = (type: string, code?: string): LogEvent[] => [
  {
    seq: 1,
    first: 1,
    turn: "a-turn",
    at,
    type,
    json: JSON.stringify({ type, code, text: "secret words" }),
  } as LogEvent,
];

function open(ask: () => Promise<boolean>) {
  const said: unknown[][] = [];
  const logger = { warn: (...line: unknown[]) => void said.push(line) };
  return { watch: createLoginWatch({ ask, logger: logger as never, now: () => at }), said };
}

test("is asked once, and then learnt from how turns end", async () => {
  const { watch, said } = open(() => Promise.resolve(false));
  expect(watch.state).toBe("unknown");
  expect(await watch.check()).toBe("not_logged_in");
  expect(said).toEqual([[expect.stringContaining("not logged in")]]);
  watch.note(ended("turn_completed"));
  expect(watch.state).toBe("logged_in");
  watch.note(ended("turn_failed", "overloaded"));
  expect(watch.state).toBe("logged_in");
  watch.note(ended("turn_failed", "not_logged_in"));
  expect(watch.state).toBe("not_logged_in");
});

test("is unknown where the CLI could not be asked", async () => {
  const { watch, said } = open(() => Promise.reject(new Error("aborted")));
  expect([await watch.check(), said]).toEqual(["unknown", []]);
});

test("turns that fail for want of a login or a CLI are one line a minute, without any text of theirs", () => {
  const { watch, said } = open(() => Promise.resolve(true));
  for (const code of ["not_logged_in", "cli_missing", "overloaded", "not_logged_in"])
    watch.note(ended("turn_failed", code));
  at += 60_000;
  watch.note(ended("turn_failed", "overloaded"));
  expect(said.map(([fields]) => fields)).toEqual([{ turn: "a-turn", code: "not_logged_in" }]);
  watch.note(ended("turn_failed", "cli_missing"));
  expect(said.map(([fields]) => fields)[1]).toEqual({ turn: "a-turn", code: "cli_missing" });
  expect(JSON.stringify(said)).not.toContain("secret");
});
