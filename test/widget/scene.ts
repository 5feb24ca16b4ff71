// The whole gateway in this process, and a browser that talks to it.
import { host, mainKey, openWholeApp, type WholeApp, type WholeAppOptions } from "../support/whole-app.ts";
import { readAgent } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";
import { createProfile, inFlight, type Profile } from "./fake-browser.ts";
import type { ScriptedDriver } from "../support/scripted-driver.ts";
import type { Token } from "../../widget/options.ts";

export const gateway = `http://${host}`;
export const page = "https://intranet.example";

export interface Scene extends Profile {
  readonly app: WholeApp;
  /** A token of the page's server for this user. */
  mint(user?: string, more?: object): Promise<Token>;
  /** The process of the session once its turn runs there. */
  running(session: string, turns?: number): Promise<ScriptedDriver>;
  close(): Promise<void>;
}

/** Gateway and browser have one clock, which stands still but for `advance`. */
export async function openScene(options: WholeAppOptions & { origin?: string } = {}): Promise<Scene> {
  const { origin = page, ...more } = options;
  let app: WholeApp | undefined;
  const profile = createProfile({ origin, answer: (request) => app!.app.fetch(request) });
  app = await openWholeApp({
    agents: [
      readAgent({ name: "default" }),
      readAgent({ name: "help", public: { origins: [page, gateway] } }),
      readAgent({ name: "other" }),
    ],
    allowedOrigins: [page],
    now: () => profile.time,
    ...more,
  });
  const opened = app;
  return Object.assign(profile, {
    app: opened,
    mint: (user = "ann", fields: object = {}) =>
      inFlight(opened.json<Token>("/api/tokens", { key: mainKey, json: { user, origins: [page], ...fields } })),
    running: (session: string, turns = 1) =>
      until(`a turn of ${session} to run`, () => {
        const driver = opened.drivers.get(session);
        return driver && driver.requests.length >= turns && driver;
      }),
    close: () => opened.close(),
  });
}
