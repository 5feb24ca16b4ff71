// Debian's Chromium, for what only a browser can show.
import { chromium, type Browser } from "playwright-core";
import { chromiumPath } from "./programs.ts";
import type { WireEvent } from "./reader.ts";

/** There may be none: see programs.ts. */
export async function openBrowser(): Promise<Browser> {
  return chromium.launch({
    executablePath: chromiumPath,
    // Pages are kept for going back, as for everybody.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      // Names of this machine that browsers do not trust as they do `localhost`.
      "--host-resolver-rules=MAP *.example 127.0.0.1",
    ],
  });
}

export interface SeenByPage {
  readonly events: WireEvent[];
  readonly pings: number;
  readonly opened: number;
  /** `readyState` */
  readonly state: number;
}

/** Runs in the page, so it refers to nothing here: an EventSource, and `look()`, which gives what it has seen. */
export function watchInPage({ url, types }: { url: string; types: readonly string[] }): void {
  const source = new EventSource(url);
  const seen = { events: [] as unknown[], pings: 0, opened: 0 };
  source.addEventListener("open", () => (seen.opened += 1));
  source.addEventListener("ping", () => (seen.pings += 1));
  for (const type of types)
    source.addEventListener(type, (event) => seen.events.push(JSON.parse((event as Event & { data: string }).data)));
  Object.assign(globalThis, { look: () => ({ ...seen, state: source.readyState }) });
}
