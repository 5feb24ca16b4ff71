// A browser without a window: its clock, locks, channels, storage and EventSources, for as many tabs as a test likes. The network is real
// as far as there is one: requests go to the gateway's own app, in this process.
import type { Browser, EventSourceLike, Stored, Timer } from "../../widget/browser.ts";
import { FakeEventSource } from "./fake-event-source.ts";
import { requestLock, type HeldLock, type LockWish } from "./fake-locks.ts";

export interface SeenRequest {
  readonly method: string;
  /** Path and query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: unknown;
}

export interface ProfileOptions {
  /** Answers requests to the gateway. */
  readonly answer: (request: Request) => Response | Promise<Response>;
  /** That of the page; default: another than the gateway's. */
  readonly origin?: string;
  /** Epoch milliseconds at the start. */
  readonly time?: number;
}

/** A browser with its tabs, all of one page's origin. */
export interface Profile {
  time: number;
  /** False: no request gets through, and what is open breaks. */
  isOnline: boolean;
  /** Before the gateway: a reply in its place, or an error thrown; undefined lets the request through. */
  intercept: (request: Request) => Response | Promise<Response> | undefined;
  readonly requests: SeenRequest[];
  readonly storage: Map<string, string>;
  /** EventSources that are open or opening. */
  readonly streams: Set<FakeEventSource>;
  /** Locks that are held, by name. */
  readonly held: Map<string, HeldLock>;
  readonly wishes: LockWish[];
  readonly channels: Set<FakeChannel>;
  readonly timers: Set<FakeTimer>;
  /** blob: addresses that are not revoked. */
  readonly urls: Map<string, Blob>;
  /** Of channel messages: false loses it. */
  isDelivered: (message: unknown) => boolean;
  openTab(more?: Partial<Omit<Browser, "window" | "document">>): Tab;
  /** Lets time pass: timers that are due act, in order; what they begin goes on before the next. */
  advance(ms: number): Promise<void>;
  setOnline(isOnline: boolean): void;
}

export interface Tab extends Browser {
  readonly window: EventTarget;
  readonly document: EventTarget;
  hide(): void;
  show(): void;
  /** As for going to another page; `comeBack` is the way back to one that was kept. */
  leave(): void;
  comeBack(): void;
  /** The page is gone, without having been told. */
  crash(): void;
  /** How many listeners it has. */
  readonly listeners: () => number;
}

interface FakeTimer {
  readonly tab: Tab;
  readonly at: number;
  readonly act: () => void;
}

interface FakeChannel {
  readonly tab: Tab;
  readonly name: string;
  readonly onMessage: (message: unknown) => void;
}

/** What is waited for by `settle`: requests whose reply has not begun, and what else is given to `inFlight`. */
let waiting = 0;
const longestSettlingMs = 5000;

export function inFlight<Result>(promise: Promise<Result>): Promise<Result> {
  waiting += 1;
  return promise.finally(() => (waiting -= 1));
}

/** Lets everything go on that waits for nothing but its turn, or for an answer of the gateway. */
export async function settle(): Promise<void> {
  const deadline = performance.now() + longestSettlingMs;
  for (let quiet = 0; quiet < 20 && performance.now() < deadline; quiet++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (waiting > 0) quiet = 0;
  }
}

export function createProfile({
  answer,
  origin = "https://intranet.example",
  time = Date.now(),
}: ProfileOptions): Profile {
  const tabs = new Set<Tab>();
  const profile: Profile = {
    time,
    isOnline: true,
    intercept: () => undefined,
    requests: [],
    storage: new Map(),
    streams: new Set(),
    held: new Map(),
    wishes: [],
    channels: new Set(),
    timers: new Set(),
    urls: new Map(),
    isDelivered: () => true,
    openTab(more) {
      const tab = createTab(profile, origin, answer, more);
      tabs.add(tab);
      return tab;
    },
    async advance(ms) {
      const end = profile.time + ms;
      for (;;) {
        await settle();
        const [next] = [...profile.timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at);
        if (!next) break;
        profile.timers.delete(next);
        profile.time = Math.max(profile.time, next.at);
        next.act();
      }
      profile.time = end;
    },
    setOnline(isOnline) {
      profile.isOnline = isOnline;
      if (!isOnline) for (const stream of profile.streams) stream.cut();
      for (const tab of tabs) tab.window.dispatchEvent(new Event(isOnline ? "online" : "offline"));
    },
  };
  return profile;
}

function createTab(
  profile: Profile,
  origin: string,
  answer: ProfileOptions["answer"],
  more: Partial<Omit<Browser, "window" | "document">> = {},
): Tab {
  const window = countingTarget();
  const document = countingTarget();
  const ofTab = new Map<string, string>();
  let isHidden = false;
  let seed = 7;

  async function send(url: string, init: RequestInit = {}): Promise<Response> {
    const { signal, ...rest } = init;
    const target = new URL(url, origin);
    const headers = new Headers(init.headers);
    headers.set("host", target.host);
    const isChange = init.method !== undefined && init.method !== "GET";
    if (target.origin !== origin || isChange) headers.set("origin", origin);
    const request = new Request(target, { ...rest, headers });
    const body = typeof init.body === "string" ? (JSON.parse(init.body) as unknown) : init.body;
    profile.requests.push({ method: request.method, path: target.pathname + target.search, headers, body });
    if (signal?.aborted) throw signal.reason;
    if (!profile.isOnline) throw new TypeError("Failed to fetch");
    const reply = Promise.resolve(profile.intercept(request) ?? answer(request));
    if (!signal) return inFlight(reply);
    const aborted = new Promise<never>((_, reject) =>
      signal.addEventListener("abort", () => reject(signal.reason as Error)),
    );
    return inFlight(Promise.race([reply, aborted]));
  }

  const tab: Tab = {
    fetch: send,
    now: () => profile.time,
    random: () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647,
    setTimeout(act, ms) {
      // Whole milliseconds, as browsers have it.
      const timer = { tab, at: profile.time + Math.trunc(ms), act };
      profile.timers.add(timer);
      return timer as unknown as Timer;
    },
    clearTimeout: (timer) => void profile.timers.delete(timer as unknown as FakeTimer),
    openEventSource: (url) => new FakeEventSource(profile, tab, url) as unknown as EventSourceLike,
    locks: {
      request: ((...args: Parameters<typeof requestLock> extends [unknown, unknown, ...infer Rest] ? Rest : never) =>
        requestLock(profile, tab, ...args)) as LockManager["request"],
    },
    openChannel: (name, onMessage) => openChannel(profile, { tab, name, onMessage }),
    storage: () => storedIn(profile.storage),
    tabStorage: () => storedIn(ofTab),
    origin,
    isOnline: () => profile.isOnline,
    isHidden: () => isHidden,
    window: window.target,
    document: document.target,
    createObjectUrl(blob) {
      const url = `blob:${crypto.randomUUID()}`;
      profile.urls.set(url, blob);
      return url;
    },
    revokeObjectUrl: (url) => void profile.urls.delete(url),
    ...more,
    hide() {
      isHidden = true;
      document.target.dispatchEvent(new Event("visibilitychange"));
    },
    show() {
      isHidden = false;
      document.target.dispatchEvent(new Event("visibilitychange"));
    },
    leave: () => void window.target.dispatchEvent(new Event("pagehide")),
    comeBack: () => void window.target.dispatchEvent(new Event("pageshow")),
    crash() {
      for (const stream of profile.streams) if (stream.tab === tab) stream.close();
      for (const timer of profile.timers) if (timer.tab === tab) profile.timers.delete(timer);
      for (const channel of profile.channels) if (channel.tab === tab) profile.channels.delete(channel);
      profile.wishes.splice(0, Infinity, ...profile.wishes.filter((wish) => wish.tab !== tab));
      for (const held of profile.held.values()) if (held.tab === tab) held.release();
    },
    listeners: () => window.count() + document.count(),
  };
  return tab;
}

function storedIn(map: Map<string, string>): Stored {
  return {
    getItem: (key) => map.get(key) ?? null,
    setItem: (key, value) => void map.set(key, value),
    removeItem: (key) => void map.delete(key),
  };
}

function countingTarget(): { target: EventTarget; count: () => number } {
  const target = new EventTarget();
  const listeners = new Set<string>();
  const ids = new Map<unknown, number>();
  const keyOf = (type: string, listener: unknown) => {
    if (!ids.has(listener)) ids.set(listener, ids.size);
    return `${type} ${ids.get(listener)}`;
  };
  const { addEventListener: add, removeEventListener: remove } = target;
  target.addEventListener = (type: string, listener: EventListener) => {
    listeners.add(keyOf(type, listener));
    add.call(target, type, listener);
  };
  target.removeEventListener = (type: string, listener: EventListener) => {
    listeners.delete(keyOf(type, listener));
    remove.call(target, type, listener);
  };
  return { target, count: () => listeners.size };
}

function openChannel(profile: Profile, channel: FakeChannel) {
  profile.channels.add(channel);
  return {
    post(message: unknown) {
      const copy = structuredClone(message);
      if (!profile.isDelivered(copy)) return;
      for (const other of profile.channels)
        if (other !== channel && other.name === channel.name)
          queueMicrotask(() => profile.channels.has(other) && other.onMessage(structuredClone(copy)));
    },
    close: () => void profile.channels.delete(channel),
  };
}
