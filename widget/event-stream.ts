// A session's events, from wherever in this browser its one EventSource is: the page that holds the session's lock has it, and tells the
// others. Where locks or channels are missing every page has its own. A hidden page keeps it only while something runs or is queued.
import type { Api } from "./api.ts";
import type { Browser, Channel, Timer } from "./browser.ts";
import { openConnection, type Line } from "./connection.ts";
import { createFollower, type Follower, type Rating, type Told } from "./follower.ts";
import { holdLock, holdOneOf } from "./locks.ts";
import type { Connection } from "./page.ts";
import type { WireEvent } from "./transcript.ts";

export interface EventStream {
  /** Whether anything runs or is queued: a hidden page keeps its stream only then. */
  setBusy(isBusy: boolean): void;
  /** Tries at once, also after a state that is not tried again on its own. */
  reconnect(): void;
  /** To the other pages: it is in no event. */
  share(rating: Rating): void;
  close(): void;
}

export interface EventStreamOptions {
  readonly api: Api;
  readonly browser: Browser;
  readonly session: string;
  /** The `seq` of the newest event that is known without this stream. */
  readonly after: number;
  /** In order, possibly repeated. */
  readonly onEvent: (event: WireEvent) => void;
  readonly onRating: (rating: Rating) => void;
  /** Not called after `close`. */
  readonly onConnection: (connection: Connection) => void;
}

/** More would leave no connection for anything else where a host has six. */
const maxStreams = 4;
/** So long a page waits for a place for its stream before it asks for events without one. */
const patienceMs = 500;

export function openEventStream(options: EventStreamOptions): EventStream {
  const { api, browser, session, onConnection } = options;
  const { locks, openChannel } = browser;
  const name = api.storageKey(`events ${session}`);
  let channel: Channel | undefined;
  let line: Line | undefined;
  let follower: Follower | undefined;
  let giveUp: (() => void) | undefined;
  /** All events up to this one have been passed on. */
  let position = options.after;
  let state: Connection = "idle";
  let isLeading = false;
  let hasFollowers = false;
  let isBusy = false;
  let isRunning = false;
  let isAway = false;
  let isClosed = false;

  function update(): void {
    const isWanted = !isClosed && !isAway && (isBusy || !browser.isHidden());
    if (isWanted === isRunning) return line?.check();
    isRunning = isWanted;
    if (isWanted) start();
    else stop();
  }

  function start(): void {
    if (!locks || !openChannel) return startAlone();
    if (state === "idle") setState("connecting");
    channel?.post({ kind: "hello" } satisfies Told);
    follower?.watch();
    claim(false);
  }

  function startAlone(): void {
    line = openConnection(lineOptions());
  }

  function claim(isForced: boolean): void {
    giveUp?.();
    giveUp = holdLock(locks!, name, { onHeld: lead, onStolen: lose, onRefused: startAlone, isForced });
  }

  /** This page is the one that has the stream, as soon as there is a place for it. */
  function lead(): void {
    isLeading = true;
    follower?.rest();
    channel?.post({ kind: "lead" } satisfies Told);
    const slots = Array.from({ length: maxStreams }, (_, at) => `sluice ${api.gateway} stream ${at}`);
    const giveUpLead = giveUp;
    const stopWaiting = pollAfterAWhile();
    const giveUpSlot = holdOneOf(locks!, slots, () => {
      stopWaiting();
      line?.close();
      line = openConnection(lineOptions());
    });
    giveUp = () => {
      stopWaiting();
      giveUpSlot();
      giveUpLead?.();
    };
  }

  function pollAfterAWhile(): () => void {
    let isOver = false;
    let timer: Timer | undefined;
    const wait = () => {
      if (!isOver) timer = browser.setTimeout(poll, patienceMs);
    };
    // Without a network it does not come.
    const poll = () => void import("./polling.ts").then((polling) => isOver || begin(polling), wait);
    const begin = ({ openPolling }: typeof import("./polling.ts")) => (line = openPolling(lineOptions()));
    wait();
    return () => {
      isOver = true;
      browser.clearTimeout(timer);
    };
  }

  /** Another page heard nothing of this one for too long: it was asleep. */
  function lose(): void {
    stopLine();
    follower?.watch();
    claim(false);
  }

  function stop(): void {
    stopLine();
    follower?.rest();
    setState("idle");
  }

  function stopLine(): void {
    isLeading = false;
    line?.close();
    line = undefined;
    giveUp?.();
    giveUp = undefined;
  }

  function lineOptions() {
    return {
      api,
      browser,
      session,
      after: () => position,
      isQuiet: state === "live",
      onState(next: Connection) {
        setState(next);
        tell({ kind: "state", state: next, seq: position });
      },
      onEvent(given: WireEvent) {
        const event = timed(given);
        tell({ kind: "event", after: position, event });
        take(event);
      },
    };
  }

  function take(event: WireEvent): void {
    position = Math.max(position, event.seq ?? 0);
    options.onEvent(timed(event));
  }

  /** The model's events have no time: that of their arrival is the best there is. */
  function timed(event: WireEvent): WireEvent {
    return event.at === undefined ? { ...event, at: new Date(browser.now()).toISOString() } : event;
  }

  function setState(next: Connection): void {
    if (next === state || isClosed) return;
    state = next;
    onConnection(next);
  }

  function tell(told: Told): void {
    if (hasFollowers) channel?.post(told);
  }

  function hear(told: Told): void {
    switch (told.kind) {
      case "hello":
        hasFollowers = true;
        return isLeading ? tell({ kind: "state", state, seq: position }) : undefined;
      case "lead":
        return channel?.post({ kind: "hello" } satisfies Told);
      case "reconnect":
        return line?.retry();
      case "rating":
        return options.onRating(told);
      case "state":
      case "event":
        return isLeading ? undefined : follower?.hear(told);
    }
  }

  function openShare(): void {
    if (!locks || !openChannel) return;
    channel = openChannel(name, (message) => hear(message as Told));
    channel.post({ kind: "hello" } satisfies Told);
    follower = createFollower({
      api,
      browser,
      session,
      position: () => position,
      take,
      onState: (next) => isRunning && setState(next),
      onSilence: () => claim(true),
    });
  }

  function closeShare(): void {
    follower?.close();
    channel?.close();
    follower = channel = undefined;
  }

  /** A page that the browser keeps for going back must hold neither locks nor connections. */
  function leave(): void {
    isAway = true;
    update();
    closeShare();
  }

  function comeBack(): void {
    if (!isAway) return;
    isAway = false;
    openShare();
    update();
  }

  browser.document.addEventListener("visibilitychange", update);
  browser.window.addEventListener("pagehide", leave);
  browser.window.addEventListener("pageshow", comeBack);
  openShare();
  update();
  return {
    setBusy(next) {
      if (next === isBusy) return;
      isBusy = next;
      update();
    },
    reconnect() {
      if (line) line.retry();
      else channel?.post({ kind: "reconnect" } satisfies Told);
    },
    share: (rating) => channel?.post(rating),
    close() {
      isClosed = true;
      browser.document.removeEventListener("visibilitychange", update);
      browser.window.removeEventListener("pagehide", leave);
      browser.window.removeEventListener("pageshow", comeBack);
      update();
      closeShare();
    },
  };
}
