// Trying again: later and later, spread so that not all pages come at once, and at once when the network is back.
import type { Browser, Timer } from "./browser.ts";

export interface Retry {
  /** Calls `act` once, after a while that grows with every call, but not before `leastMs`. */
  later(act: () => void, leastMs?: number): void;
  /** Calls at once what waits. */
  now(): void;
  /** It has worked: the next wait is short again. */
  reset(): void;
  /** Nothing that waits is called any more. */
  stop(): void;
}

const firstMs = 250;
const longestMs = 30_000;

export function createRetry(browser: Browser): Retry {
  let failures = 0;
  let timer: Timer | undefined;
  let waiting: (() => void) | null = null;

  function now(): void {
    const act = waiting;
    stop();
    act?.();
  }

  function stop(): void {
    browser.clearTimeout(timer);
    browser.window.removeEventListener("online", now);
    waiting = null;
  }

  return {
    later(act, leastMs = 0) {
      stop();
      waiting = act;
      const ms = Math.min(longestMs, firstMs * 2 ** failures) * (0.5 + browser.random() / 2);
      failures += 1;
      timer = browser.setTimeout(now, Math.max(ms, leastMs));
      browser.window.addEventListener("online", now);
    },
    now,
    reset: () => (failures = 0),
    stop,
  };
}
