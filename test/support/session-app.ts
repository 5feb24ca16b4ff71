// Routes of sessions and turns without a socket: the real store, log, queue and pool. The processes are scripted: a turn runs until it is
// answered or cancelled. Who calls is told by a header, since who may is not the subject here.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Hono } from "hono";
import { createPool } from "../../gateway/agents/pool.ts";
import { createRegistry } from "../../gateway/agents/registry.ts";
import type { Driver } from "../../gateway/claude/driver.ts";
import type { Env } from "../../gateway/http/env.ts";
import { problem } from "../../gateway/http/problem.ts";
import { createRates } from "../../gateway/http/rates.ts";
import { mountSessions } from "../../gateway/http/sessions.ts";
import { mountTurns } from "../../gateway/http/turns.ts";
import { createEventLog } from "../../gateway/log/event-log.ts";
import type { Caller } from "../../gateway/protocol/callers.ts";
import { GatewayError } from "../../gateway/protocol/errors.ts";
import type { By, TerminalEvent } from "../../gateway/protocol/events.ts";
import { limits } from "../../gateway/protocol/limits.ts";
import { scopes } from "../../gateway/protocol/scopes.ts";
import type { Store } from "../../gateway/store/port.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { createSessions } from "../../gateway/turns/sessions.ts";
import { createTurnIds } from "../../gateway/turns/turn-id.ts";
import { createTurns, type Turns } from "../../gateway/turns/turns.ts";
import { completed } from "./log-drafts.ts";
import { readAgent } from "./real-cli.ts";

export interface SessionApp {
  readonly store: Store;
  /** The database, for a look into its tables. */
  readonly file: string;
  /** The sessions whose processes were started, in order. */
  readonly started: string[];
  /** The sessions whose processes live. */
  readonly live: ReadonlySet<string>;
  /** Sessions whose turns run until `answer`. */
  readonly held: Set<string>;
  answer(session: string): void;
  request(method: string, path: string, body?: unknown, caller?: Caller): Promise<Response>;
  /** Rejects where the gateway has met a bug. */
  close(): Promise<void>;
}

export const owner: Caller = { key: "alice", user: null, reach: "key" };

export function openSessionApp(): SessionApp {
  const folder = mkdtempSync(join(tmpdir(), "sluice-app-"));
  const file = join(folder, "s.sqlite");
  const store = openSqliteStore(file);
  const log = createEventLog(store);
  const agents = [readAgent({ name: "default" }), readAgent({ name: "other" })];
  const registry = createRegistry(agents);
  const bugs: unknown[] = [];
  const onBug = (error: unknown) => bugs.push(error);
  // One caller may have them all.
  const allLimits = limits.parse({ min_free_memory_mb: 0, processes: 4, caller_share: 1 });
  const newTurnId = createTurnIds();
  const [started, live, held] = [[] as string[], new Set<string>(), new Set<string>()];
  const answers = new Map<string, () => void>();
  const pool = createPool({
    limits: allLimits,
    registry,
    start: async (_, session) => {
      started.push(session);
      live.add(session);
      return scriptedDriver(session, {
        runs: (turn, ending) => turns.onEvents(session, [{ turn, ...ending }]),
        answered: () => new Promise((resolve) => (held.has(session) ? answers.set(session, resolve) : resolve())),
        ended: () => void live.delete(session),
      });
    },
  });
  const turns: Turns = createTurns({ store, log, registry, pool, limits: allLimits, newTurnId, onBug });
  const places = { environment: { HOME: folder }, sessions: join(folder, "sessions") };
  const sessions = createSessions({ store, log, turns, pool, registry, places, newTurnId });
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    const caller = JSON.parse(c.req.header("x-caller")!) as Caller;
    c.set("requestId", "request");
    c.set("caller", caller);
    c.set("maxJsonValues", allLimits.json_values);
    c.set("identity", { caller, scopes: new Set(scopes), key: caller.key, kind: "service" });
    await next();
  });
  const deps = {
    store,
    log,
    turns,
    sessions,
    // Its routes are not mounted here.
    agents: undefined as never,
    limits: allLimits,
    publicUrl: "https://gateway.example",
    version: "0",
    notReady: () => undefined,
    login: () => "unknown" as const,
    tickets: undefined as never,
    isGood: () => true,
    rates: createRates(allLimits),
  };
  mountTurns(app, deps);
  mountSessions(app, deps);
  app.onError((error, c) => {
    if (error instanceof GatewayError) return problem(c, error);
    bugs.push(error);
    return problem(c, new GatewayError("internal", "bug"));
  });
  return {
    store,
    file,
    started,
    live,
    held,
    answer: (session) => answers.get(session)!(),
    request: async (method, path, body, caller = owner) =>
      app.request(`http://localhost${path}`, {
        method,
        headers: { "x-caller": JSON.stringify(caller), "content-type": "application/json" },
        ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
      }),
    async close() {
      await turns.drain(0);
      await log.close();
      await pool.close();
      await store.close();
      rmSync(folder, { recursive: true });
      if (bugs.length > 0) throw new AggregateError(bugs, "the gateway has met bugs");
    },
  };
}

interface Script {
  readonly runs: (turn: string, ending: TerminalEvent) => void;
  readonly answered: () => Promise<void>;
  readonly ended: () => void;
}

function scriptedDriver(session: string, { runs, answered, ended }: Script): Driver {
  const exited = Promise.withResolvers<never>();
  let cancelled: (by: By) => void = () => {};
  return {
    session,
    pid: 0,
    ready: Promise.resolve({}),
    exited: exited.promise,
    isUsable: true,
    isBusy: false,
    answerUuid: undefined,
    async run({ turn }) {
      const cancelling = new Promise<By>((resolve) => (cancelled = resolve));
      const by = await Promise.race([cancelling, answered().then(() => undefined)]);
      const ending: TerminalEvent = by ? { type: "turn_cancelled", by, text: "" } : completed("An answer.");
      runs(turn, ending);
      return ending;
    },
    cancel: (by) => cancelled(by),
    async end() {
      ended();
      exited.resolve(undefined as never);
    },
    diagnostics: () => "",
  };
}
