// The life of turns on a real store, log, pool and queue; the processes are scripted.
import type { z } from "zod";
import { createPool, type Pool } from "../../gateway/agents/pool.ts";
import { createRegistry, type Registry } from "../../gateway/agents/registry.ts";
import { createEventLog, type EventLog } from "../../gateway/log/event-log.ts";
import type { AgentConfig } from "../../gateway/protocol/agents.ts";
import type { Caller } from "../../gateway/protocol/callers.ts";
import type { TurnEvent } from "../../gateway/protocol/events.ts";
import { limits, type Limits } from "../../gateway/protocol/limits.ts";
import { createTurn } from "../../gateway/protocol/requests.ts";
import { bodyOf } from "../../gateway/store/run.ts";
import { createTurns, type Turns, type TurnView } from "../../gateway/turns/turns.ts";
import { openTestStore, type TestStore } from "./full-store.ts";
import { alice } from "./log-drafts.ts";
import { readAgent } from "./real-cli.ts";
import { createScriptedDriver, type ScriptedDriver } from "./scripted-driver.ts";
import { until } from "./wait.ts";

export interface TurnsScene {
  readonly store: TestStore;
  readonly log: EventLog;
  readonly pool: Pool;
  readonly registry: Registry;
  readonly turns: Turns;
  readonly limits: Limits;
  readonly bugs: unknown[];
  /** Every process that was started, in order. */
  readonly started: ScriptedDriver[];
  freeMemory: number;
  time: number;
  create(fields?: Partial<z.input<typeof createTurn>>, caller?: Caller, key?: string): Promise<TurnView>;
  /** The process in which the turn runs; waits until it does. */
  running(turn: string): Promise<ScriptedDriver>;
  /** The turn once it is in this state. */
  inState(turn: string, state: TurnView["state"]): Promise<TurnView>;
  /** The bodies of the turn's events, in order, once all that was appended is stored. */
  events(turn: TurnView): Promise<ReturnType<typeof bodyOf>[]>;
  /** Ends what runs, closes all, and throws where a bug was noted. */
  close(): Promise<void>;
}

export interface TurnsOptions {
  readonly agents?: readonly AgentConfig[];
  readonly limits?: z.input<typeof limits>;
  readonly isQuick?: boolean;
  /** Every start of a process waits for this, and fails with it. */
  readonly starting?: (isAnew: boolean) => Promise<unknown>;
  /** A process that was started is ready then. */
  readonly ready?: ScriptedDriver["ready"];
  /** Of an earlier scene: this one is the next gateway on it. */
  readonly store?: TestStore;
}

export function openTurns(options: TurnsOptions = {}): TurnsScene {
  const { agents = [readAgent()], store = openTestStore(), isQuick = false, starting, ready } = options;
  const allLimits = limits.parse({ min_free_memory_mb: 100, ...options.limits });
  const log = createEventLog(store);
  const registry = createRegistry(agents);
  const started: ScriptedDriver[] = [];
  const bugs: unknown[] = [];
  const pool = createPool({
    limits: allLimits,
    registry,
    start: async (_, session, isAnew) => {
      await starting?.(isAnew);
      const onEvents = (events: TurnEvent[]) => turns.onEvents(session, events);
      const driver = createScriptedDriver({ session, isQuick, ready, onEvents });
      started.push(driver);
      return driver;
    },
  });
  const turns: Turns = createTurns({
    store,
    log,
    pool,
    registry,
    limits: allLimits,
    now: () => scene.time,
    freeMemory: () => scene.freeMemory,
    onBug: (error) => bugs.push(error),
  });
  const findRunning = (turn: string) =>
    started.find(({ requests }) => requests.some((request) => request.turn === turn));
  const scene: TurnsScene = {
    store,
    log,
    pool,
    registry,
    turns,
    limits: allLimits,
    bugs,
    started,
    freeMemory: Infinity,
    time: Date.now(),
    create: (fields = {}, caller = alice, key) =>
      turns.create(caller, createTurn.parse({ prompt: "hello", ...fields }), key),
    running: (turn) => until(`the turn ${turn} to run`, () => findRunning(turn), 30_000),
    inState: (turn, state) =>
      until(
        `the turn to be ${state}`,
        async () => {
          const view = await turns.get(alice, turn);
          return view.state === state && view;
        },
        30_000,
      ),
    async events({ turn, session }) {
      await log.append({ session, events: [] });
      const all = await store.events({ ...alice, reach: "all" }, session, 0, 1000);
      return all.filter((event) => event.turn === turn).map(bodyOf);
    },
    async close() {
      await turns.drain(0);
      await log.close();
      await pool.close();
      await store.remove();
      if (bugs.length > 0) throw new AggregateError(bugs, "bugs were noted");
    },
  };
  return scene;
}
