// Events without a stream of one's own: read up to a place that is known, once or again and again.
import type { Api } from "./api.ts";
import { finalState, lostState, type ConnectionOptions, type Line } from "./connection.ts";
import { ApiProblem, asProblem } from "./problem.ts";
import { createRetry } from "./retry.ts";
import type { WireEvent } from "./transcript.ts";
import type { Timer } from "./browser.ts";

export interface Part {
  readonly api: Api;
  readonly session: string;
  readonly after: number;
  /** Reads on to the event with this `seq`, which must be there. */
  readonly until: number;
  readonly onEvent: (event: WireEvent) => void;
  readonly signal: AbortSignal;
}

/** Rejects with an `ApiProblem` where it did not get so far. */
export async function readEvents({ api, session, after, until, onEvent, signal }: Part): Promise<void> {
  if (after >= until) return;
  const headers = { Accept: "application/x-ndjson" };
  const reply = await api.request("GET", `/api/sessions/${session}/events?after=${after}`, { headers, signal });
  const reader = reply.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      const lines = (rest + part.value).split("\n");
      rest = lines.pop()!;
      for (const line of lines) {
        const event = JSON.parse(line) as WireEvent;
        if (event.type !== "ping") onEvent(event);
        if ((event.seq ?? 0) >= until) return;
      }
    }
  } finally {
    // The stream has no end of its own.
    void reader.cancel().catch(() => {});
  }
  throw new ApiProblem("unreachable", 0, "The events broke off.");
}

const everyMs = 2000;

/** For a page that has no place for a stream: HTTP/1.1 has six connections a host, and other things to do with them. */
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
