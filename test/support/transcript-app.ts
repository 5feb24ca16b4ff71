// The transcript's route without a socket, over a store that tests write themselves. Who calls is told by a header: who may is not the
// subject here.
import { Hono } from "hono";
import type { Env } from "../../gateway/http/env.ts";
import { createRates } from "../../gateway/http/rates.ts";
import { problem } from "../../gateway/http/problem.ts";
import { mountTranscript, type TranscriptDeps } from "../../gateway/http/transcript.ts";
import type { Caller } from "../../gateway/protocol/callers.ts";
import { GatewayError } from "../../gateway/protocol/errors.ts";
import { limits } from "../../gateway/protocol/limits.ts";
import type { Store } from "../../gateway/store/port.ts";
import { alice } from "./log-drafts.ts";

export interface TranscriptApp {
  /** Throws where the gateway has met a bug. */
  check(): void;
  get(
    session: string,
    query?: string,
    init?: { headers?: Record<string, string>; method?: string; caller?: Caller },
  ): Promise<Response>;
}

export const publicUrl = "https://gateway.example";

export function openTranscriptApp(store: Store): TranscriptApp {
  const bugs: unknown[] = [];
  const used: Partial<TranscriptDeps> = {
    store,
    limits: limits.parse({}),
    publicUrl,
    version: "0.0.0-test",
    isGood: () => true,
    rates: createRates(limits.parse({})),
    onBug: (error) => bugs.push(error),
  };
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    c.set("requestId", "request");
    c.set("caller", JSON.parse(c.req.header("x-caller")!) as Caller);
    await next();
  });
  mountTranscript(app, used as TranscriptDeps);
  app.onError((error, c) => {
    if (error instanceof GatewayError) return problem(c, error);
    bugs.push(error);
    return problem(c, new GatewayError("internal", "a bug"));
  });
  return {
    check() {
      if (bugs.length > 0) throw new AggregateError(bugs, "the gateway has met bugs");
    },
    get: async (session, query = "", { headers = {}, method = "GET", caller = alice } = {}) =>
      app.request(`http://localhost/api/sessions/${session}/transcript${query}`, {
        method,
        headers: { ...headers, "x-caller": JSON.stringify(caller) },
      }),
  };
}
