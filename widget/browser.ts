// What the widget takes of the browser beside the DOM, in one place, so that tests can give it another clock, network and storage.

export type Timer = ReturnType<typeof globalThis.setTimeout>;

/** As much of an EventSource as is used. */
export interface EventSourceLike {
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

/** To the other pages of this origin that have a channel of the same name. */
export interface Channel {
  post(message: unknown): void;
  close(): void;
}

export type Stored = Pick<Storage, "getItem" | "setItem" | "removeItem">;

export interface Browser {
  readonly fetch: (url: string, init?: RequestInit) => Promise<Response>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly random: () => number;
  readonly setTimeout: (act: () => void, ms: number) => Timer;
  readonly clearTimeout: (timer: Timer | undefined) => void;
  readonly openEventSource: (url: string) => EventSourceLike;
  /** Undefined where it is missing: pages by plain http have none. */
  readonly locks: Pick<LockManager, "request"> | undefined;
  /** Undefined where there are no channels. */
  readonly openChannel: ((name: string, onMessage: (message: unknown) => void) => Channel) | undefined;
  /** For all tabs, and for this one until it is closed. They throw where the page may not store anything. */
  readonly storage: () => Stored;
  readonly tabStorage: () => Stored;
  /** The page's own origin. */
  readonly origin: string;
  /** `false`: certainly offline. */
  readonly isOnline: () => boolean;
  readonly isHidden: () => boolean;
  /** `online`, `offline`, `pagehide`, `pageshow` of the window. */
  readonly window: Pick<EventTarget, "addEventListener" | "removeEventListener">;
  /** `visibilitychange`. */
  readonly document: Pick<EventTarget, "addEventListener" | "removeEventListener">;
  readonly createObjectUrl: (blob: Blob) => string;
  readonly revokeObjectUrl: (url: string) => void;
}

/** That of this page. What is looked up late is what the page may patch or lack. */
export function thisBrowser(): Browser {
  return {
    fetch: (url, init) => fetch(url, init),
    now: () => Date.now(),
    random: () => Math.random(),
    setTimeout: (act, ms) => setTimeout(act, ms),
    clearTimeout: (timer) => clearTimeout(timer),
    openEventSource: (url) => new EventSource(url),
    locks: navigator.locks,
    openChannel: typeof BroadcastChannel === "function" ? openChannel : undefined,
    storage: () => localStorage,
    tabStorage: () => sessionStorage,
    // That of the location is the opaque one where a page has no address of its own.
    origin: window.origin,
    isOnline: () => navigator.onLine,
    isHidden: () => document.visibilityState === "hidden",
    window,
    document,
    createObjectUrl: (blob) => URL.createObjectURL(blob),
    revokeObjectUrl: (url) => URL.revokeObjectURL(url),
  };
}

function openChannel(name: string, onMessage: (message: unknown) => void): Channel {
  const channel = new BroadcastChannel(name);
  channel.addEventListener("message", ({ data }) => onMessage(data));
  return {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a channel has just one origin
    post: (message) => channel.postMessage(message),
    close: () => channel.close(),
  };
}
