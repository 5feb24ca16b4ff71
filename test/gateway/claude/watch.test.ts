import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { watch } from "../../../gateway/claude/watch.ts";
import type { TurnEvent } from "../../../gateway/protocol/events.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const said: TurnEvent = { turn: "t", type: "notice", kind: "test", text: "" };

function watched({ turnMs = 10_000, silenceMs = 1000 } = {}) {
  const timeouts: string[] = [];
  const turn = watch(
    "t",
    { turnMs, silenceMs },
    () => {},
    (code) => timeouts.push(code),
  );
  turn.hasPrompt = true;
  turn.heard([said]);
  return { turn, timeouts };
}

test("[T5] a turn that says nothing for too long is silent, and one that goes on too long is too long", () => {
  const silent = watched();
  vi.advanceTimersByTime(999);
  expect(silent.timeouts).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(silent.timeouts).toEqual(["silence_timeout"]);

  const long = watched({ silenceMs: 60_000 });
  vi.advanceTimersByTime(10_000);
  expect(long.timeouts).toEqual(["turn_timeout"]);
});

test("[T5] an announced retry is no silence for as long as it was announced, also where a limit is told behind it", () => {
  const { turn, timeouts } = watched({ turnMs: 100_000 });
  turn.heard([{ turn: "t", type: "api_retry", attempt: 1, max_attempts: 10, delay_ms: 30_000, status: 429 }]);
  vi.advanceTimersByTime(500);
  turn.heard([
    { turn: "t", type: "rate_limit", status: "allowed", limit: null, resets_at: null, using_overage: false },
  ]);
  vi.advanceTimersByTime(30_999);
  expect(timeouts).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(timeouts).toEqual(["silence_timeout"]);
});

test("[T5] a retry that is announced for longer than a timer can wait is no silence", () => {
  const { turn, timeouts } = watched({ turnMs: 100_000 });
  turn.heard([{ turn: "t", type: "api_retry", attempt: 1, max_attempts: 10, delay_ms: 3_000_000_000, status: 529 }]);
  vi.advanceTimersByTime(99_999);
  expect(timeouts).toEqual([]);
});

test("[T5] neither watchdog counts while a person is asked, and each goes on where it was", () => {
  const { turn, timeouts } = watched({ silenceMs: 4000 });
  vi.advanceTimersByTime(3000);
  turn.asks();
  vi.advanceTimersByTime(1_000_000);
  turn.heard([said]);
  vi.advanceTimersByTime(1_000_000);
  expect(timeouts).toEqual([]);
  turn.answered();
  vi.advanceTimersByTime(3999);
  expect(timeouts).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(timeouts).toEqual(["silence_timeout"]);
  turn.heard([said]);
  vi.advanceTimersByTime(2999);
  expect(timeouts).toEqual(["silence_timeout"]);
  vi.advanceTimersByTime(1);
  expect(timeouts).toEqual(["silence_timeout", "turn_timeout"]);
});

test("[T5] of several questions the last answer counts", () => {
  const { turn, timeouts } = watched();
  turn.asks();
  turn.asks();
  turn.answered();
  vi.advanceTimersByTime(1_000_000);
  expect(timeouts).toEqual([]);
  turn.answered();
  vi.advanceTimersByTime(1000);
  expect(timeouts).toEqual(["silence_timeout"]);
});

test("[T5] an answer that comes when the turn is over wakes no watchdog", () => {
  const { turn, timeouts } = watched();
  turn.asks();
  turn.stop();
  turn.answered();
  vi.advanceTimersByTime(1_000_000);
  expect(timeouts).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});
