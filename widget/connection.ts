// One EventSource, kept alive: why it has closed is asked by fetch, since it does not say; a silent one is given up.
import { eventTypes } from "../gateway/protocol/codes.ts";
import type { Api } from "./api.ts";
import type { Browser, EventSourceLike, Timer } from "./browser.ts";
import type { Connection } from "./page.ts";
import { asProblem, type ApiProblem } from "./problem.ts";
import { createRetry } from "./retry.ts";
import type { WireEvent } from "./transcript.ts";

export interface ConnectionOptions {
  readonly api: Api;
  readonly browser: Browser;
  readonly session: string;
  /** The `seq` that it goes on after. */
  readonly after: () => number;
  readonly onEvent: (event: WireEvent) => void;
  /** Said again with every ping: it is still there. */
  readonly onState: (state: Connection) => void;
  /** What there was before was live: it is connecting only if that fails. */
  readonly isQuiet: boolean;
}

/** What brings events: an EventSource, or asking again and again. */
export interface Line {
  /** Tries at once, whatever was said before. */
  retry(): void;
  /** Makes sure that it still hears something: after sleep, or when the page is shown again. */
  check(): void;
  close(): void;
}

/** The gateway pings every 15 s. */
export const silenceMs = 45_000;
/** A stream that lived so long was a good one, even if nothing happened on it. */
const goodMs = 5000;

export function openConnection(options: ConnectionOptions): Line {
  const { api, browser, session, onEvent, onState } = options;
  const retry = createRetry(browser);
  const closing = new AbortController();
  /** Of the attempt that counts: what an older one brings is not heeded. */
  let attempt = 0;
  let source: EventSourceLike | undefined;
  let silence: Timer | undefined;
  let renewal: Timer | undefined;
  let beganAt = 0;
  let heardAt = 0;
  let isLive = options.isQuiet;
  let hasBeenLive = options.isQuiet;

  function connect(): void {
    retry.stop();
    if (!isLive) onState(hasBeenLive ? "reconnecting" : "connecting");
    const own = ++attempt;
    beganAt = heardAt = browser.now();
    watch(own);
    ask().then(
      (url) => own === attempt && open(url, own),
      (error: unknown) => own === attempt && refused(asProblem(error)),
    );
  }

  /** The address with a ticket that is still good for a while, and the reason where there is none. */
  async function ask(): Promise<string> {
    const reply = await api.request("GET", `/api/sessions/${session}`, { signal: closing.signal });
    const { events_url } = (await reply.json()) as { events_url: string };
    // Behind a proxy the gateway may know itself by another name than this page does.
    const query = new URL(events_url, api.gateway).searchParams;
    query.set("after", String(options.after()));
    return `${api.gateway}/api/sessions/${session}/events?${query.toString()}`;
  }

  function open(url: string, own: number): void {
    source?.close();
    source = browser.openEventSource(url);
    const heard = ({ data }: MessageEvent<string>) => own === attempt && hear(data);
    for (const type of [...eventTypes, "ping"]) source.addEventListener(type, heard);
    source.addEventListener("error", () => own === attempt && again());
    browser.clearTimeout(renewal);
    const leftMs = api.renewsAt - browser.now();
    // A longer wait than timers can take ends at once.
    if (leftMs < 2 ** 31) renewal = browser.setTimeout(connect, Math.max(leftMs, 0));
  }

  function hear(data: string): void {
    heardAt = browser.now();
    const event = JSON.parse(data) as WireEvent;
    const isPing = event.type === "ping";
    if (!isPing || heardAt - beganAt > goodMs) retry.reset();
    if (!isLive || isPing) {
      isLive = hasBeenLive = true;
      onState("live");
    }
    if (!isPing) onEvent(event);
  }

  function watch(own: number): void {
    browser.clearTimeout(silence);
    const look = () => {
      if (own !== attempt) return;
      const leftMs = heardAt + silenceMs - browser.now();
      if (leftMs > 0) silence = browser.setTimeout(look, leftMs);
      else again();
    };
    silence = browser.setTimeout(look, silenceMs);
  }

  function again(leastMs?: number): void {
    stop();
    onState(lostState(browser, hasBeenLive));
    retry.later(connect, leastMs);
  }

  function refused(problem: ApiProblem): void {
    const final = finalState(problem);
    if (final === undefined) return again(problem.retryAfterMs ?? 0);
    stop();
    onState(final);
  }

  function stop(): void {
    attempt += 1;
    isLive = false;
    source?.close();
    source = undefined;
    browser.clearTimeout(silence);
    browser.clearTimeout(renewal);
  }

  /** The network may be gone, or this network alone: whoever can still be reached answers. */
  function onOffline(): void {
    if (isLive) connect();
  }

  browser.window.addEventListener("offline", onOffline);
  connect();
  return {
    retry() {
      retry.reset();
      connect();
    },
    check() {
      if (isLive && browser.now() - heardAt >= silenceMs) again();
      retry.now();
    },
    close() {
      stop();
      closing.abort();
      retry.stop();
      browser.window.removeEventListener("offline", onOffline);
    },
  };
}

export function lostState(browser: Browser, hasBeenLive: boolean): Connection {
  if (!browser.isOnline()) return "offline";
  return hasBeenLive ? "reconnecting" : "connecting";
}

/** What is not tried again on its own; undefined for everything else. */
export function finalState({ status }: ApiProblem): Connection | undefined {
  if (status === 401) return "signed_out";
  if (status === 403) return "forbidden";
  return status === 404 || status === 410 ? "gone" : undefined;
}
