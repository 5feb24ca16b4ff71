// Routes without a socket: the real store, log and queue; the processes are scripted. Who calls is told by a header, since who may is
// not the subject here.
import { randomUUID } from "node:crypto";
import { Hono } from "hono";
import type { z } from "zod";
import type { Driver, TurnRequest } from "../../gateway/claude/driver.ts";
import { createRegistry } from "../../gateway/agents/registry.ts";
import type { Pool } from "../../gateway/agents/pool.ts";
import type { Env } from "../../gateway/http/env.ts";
import { mountAttachments } from "../../gateway/http/attachments.ts";
import { problem } from "../../gateway/http/problem.ts";
import { createRates } from "../../gateway/http/rates.ts";
import { mountRatings } from "../../gateway/http/ratings.ts";
import { mountTurns } from "../../gateway/http/turns.ts";
import { mountUsage } from "../../gateway/http/usage.ts";
import { createEventLog } from "../../gateway/log/event-log.ts";
import type { AgentConfig } from "../../gateway/protocol/agents.ts";
import type { Caller } from "../../gateway/protocol/callers.ts";
import { GatewayError } from "../../gateway/protocol/errors.ts";
import type { EventBody, TerminalEvent } from "../../gateway/protocol/events.ts";
import { limits } from "../../gateway/protocol/limits.ts";
import type { Store } from "../../gateway/store/port.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { createTurns, type Turns } from "../../gateway/turns/turns.ts";
import { scopes } from "../../gateway/protocol/scopes.ts";
import { completed } from "./log-drafts.ts";
import { readAgent } from "./real-cli.ts";

export interface TestApp {
  readonly store: Store;
  readonly turns: Turns;
  /** Every prompt that reached a process. */
  readonly runs: TurnRequest[];
  /** A request by this caller. */
  request(caller: Caller, path: string, init?: RequestInit): Promise<Response>;
  post(caller: Caller, path: string, body: unknown): Promise<Response>;
  close(): Promise<void>;
}

export interface TestAppOptions {
  readonly agents?: readonly AgentConfig[];
  readonly limits?: z.input<typeof limits>;
  /** What a process says to a prompt; the last is the turn's ending. */
  readonly answer?: (request: TurnRequest) => readonly EventBody[];
  /** Instead of `answer`: how a turn runs. */
  readonly run?: (request: TurnRequest) => Promise<TerminalEvent>;
  readonly store?: Store;
  readonly now?: () => number;
}

export function openApp(options: TestAppOptions = {}): TestApp {
  const { agents = [readAgent()], answer = () => [completed("done")], store = openSqliteStore(":memory:") } = options;
  const { now = Date.now } = options;
  const log = createEventLog(store, now);
  const registry = createRegistry(agents);
  const runs: TurnRequest[] = [];
  const bugs: unknown[] = [];
  const allLimits = limits.parse({ min_free_memory_mb: 0, ...options.limits });
  const turns: Turns = createTurns({
    store,
    log,
    registry,
    pool: scriptedPool(async (session, request) => {
      runs.push(request);
      if (options.run) return options.run(request);
      const bodies = answer(request);
      turns.onEvents(
        session,
        bodies.map((body) => ({ turn: request.turn, ...body })),
      );
      return bodies.at(-1) as TerminalEvent;
    }),
    limits: allLimits,
    now,
    onBug: (error) => bugs.push(error),
  });
  // Only what these routes use.
  const deps = {
    store,
    log,
    turns,
    limits: allLimits,
    publicUrl: "https://gateway.example",
    notReady: () => undefined,
    login: () => "unknown" as const,
    version: "0.0.0-test",
    // Its routes are not mounted here.
    sessions: undefined as never,
    agents: undefined as never,
    tickets: undefined as never,
    isGood: () => true,
    rates: createRates(allLimits),
  };
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    c.set("requestId", "request");
    const caller = JSON.parse(c.req.header("x-caller")!) as Caller;
    c.set("caller", caller);
    c.set("maxJsonValues", allLimits.json_values);
    c.set("identity", { caller, scopes: new Set(scopes), key: caller.key, kind: "service" });
    await next();
  });
  mountTurns(app, deps);
  mountAttachments(app, deps);
  mountRatings(app, deps);
  mountUsage(app, deps);
  app.onError((error, c) => {
    if (error instanceof GatewayError) return problem(c, error);
    bugs.push(error);
    return problem(c, new GatewayError("internal", "bug"));
  });
  const request = async (caller: Caller, path: string, init: RequestInit = {}) => {
    const headers = new Headers(init.headers);
    headers.set("x-caller", JSON.stringify(caller));
    return app.request(`http://localhost${path}`, { ...init, headers });
  };
  return {
    store,
    turns,
    runs,
    request,
    post: (caller, path, body) =>
      request(caller, path, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    async close() {
      await turns.drain(0);
      await log.close();
      await store.close();
      if (bugs.length > 0) throw new AggregateError(bugs, "the gateway has logged bugs");
    },
  };
}

function scriptedPool(run: (session: string, request: TurnRequest) => Promise<TerminalEvent>): Pool {
  const driver = (session: string): Driver => ({
    session,
    pid: 0,
    ready: Promise.resolve({}),
    exited: new Promise(() => {}),
    isUsable: true,
    isBusy: false,
    answerUuid: undefined,
    run: (request) => run(session, request),
    cancel: () => {},
    end: async () => {},
    diagnostics: () => "",
  });
  return {
    acquire: async (_, session) => driver(session),
    has: () => false,
    release: () => {},
    find: async () => undefined,
    end: async () => {},
    endAgent: async () => {},
    newSession: () => randomUUID(),
    fill: () => {},
    size: 0,
    processesOf: () => ({ live: 0, busy: 0, idle: 0, spare: 0, memoryBytes: 0 }),
    close: async () => {},
  };
}
