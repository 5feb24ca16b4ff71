// For a page that has no place for a stream: asking for events again and again. Loaded when there is such a page.
import type { Timer } from "./browser.ts";
import { finalState, lostState, type ConnectionOptions, type Line } from "./connection.ts";
import { asProblem, type ApiProblem } from "./problem.ts";
import { readEvents } from "./read-events.ts";
import { createRetry } from "./retry.ts";

const everyMs = 2000;

export function openPolling(options: ConnectionOptions): Line {
  const { api, browser, session, onEvent, onState } = options;
  const retry = createRetry(browser);
  const closing = new AbortController();
  let timer: Timer | undefined;
  let hasBeenLive = options.isQuiet;
  let isAsking = false;

  async function ask(): Promise<void> {
    const reply = await api.request("GET", `/api/sessions/${session}`, { signal: closing.signal });
    const { last_seq: until } = (await reply.json()) as { last_seq: number };
    await readEvents({ api, session, after: options.after(), until, onEvent, signal: closing.signal });
  }

  function poll(): void {
    if (isAsking) return;
    isAsking = true;
    browser.clearTimeout(timer);
    ask()
      .finally(() => (isAsking = false))
      .then(heard, (error: unknown) => failed(asProblem(error)));
  }

  function heard(): void {
    if (closing.signal.aborted) return;
    hasBeenLive = true;
    retry.reset();
    onState("live");
    timer = browser.setTimeout(poll, everyMs);
  }

  function failed(problem: ApiProblem): void {
    if (closing.signal.aborted) return;
    const final = finalState(problem);
    onState(final ?? lostState(browser, hasBeenLive));
    if (final === undefined) retry.later(poll, problem.retryAfterMs ?? 0);
  }

  if (!hasBeenLive) onState("connecting");
  poll();
  return {
    retry: poll,
    check: poll,
    close() {
      closing.abort();
      retry.stop();
      browser.clearTimeout(timer);
    },
  };
}
