// What is known of the CLI's login, for the operator: asked once behind the start, then learnt from how turns end.
import type { Logger } from "pino";
import type { LogEvent } from "./store/port.ts";

/** `unknown`: the CLI was not asked yet. A token that nothing was asked with yet counts as a login, as it does for the CLI. */
export type LoginState = "unknown" | "logged_in" | "not_logged_in";

export interface LoginWatch {
  readonly state: LoginState;
  /** Asks whether there is a login; resolves with what is known then. Never rejects. */
  check(): Promise<LoginState>;
  /** Sees what is stored. */
  note(events: readonly LogEvent[]): void;
}

export interface LoginDeps {
  /** May reject when the gateway ends. */
  readonly ask: () => Promise<boolean>;
  readonly logger: Pick<Logger, "warn">;
  readonly now?: () => number;
}

/** Who has to mend something is told at once, and is not told of every turn. */
const quietMs = 60_000;

export function createLoginWatch({ ask, logger, now = Date.now }: LoginDeps): LoginWatch {
  let state: LoginState = "unknown";
  let saidAt = -Infinity;

  function noteFailure({ turn, json }: LogEvent): void {
    const { code } = JSON.parse(json) as { code: string };
    if (code !== "not_logged_in" && code !== "cli_missing") return;
    if (code === "not_logged_in") state = "not_logged_in";
    if (now() - saidAt < quietMs) return;
    saidAt = now();
    logger.warn({ turn, code }, "a turn failed, and others will until that is mended: see `npx sluice doctor`");
  }

  return {
    get state() {
      return state;
    },
    async check() {
      const isThere = await ask().catch(() => undefined);
      // A turn may have shown it meanwhile.
      if (state === "unknown" && isThere !== undefined) state = isThere ? "logged_in" : "not_logged_in";
      if (state === "not_logged_in")
        logger.warn("the CLI is not logged in, so turns will fail: see `npx sluice doctor`");
      return state;
    },
    note(events) {
      for (const event of events)
        if (event.type === "turn_failed") noteFailure(event);
        else if (event.type === "turn_completed") state = "logged_in";
    },
  };
}
