// The turns that wait or run: starts the next one whenever a place is free, tells the others where they stand, and lets go of what has ended.
import { setTimeout as wait } from "node:timers/promises";
import { levelsBelow } from "../agents/levels.ts";
import type { Registry } from "../agents/registry.ts";
import { failure, turnFailed } from "../claude/outcome.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import type { Owner } from "../protocol/callers.ts";
import type { Limits } from "../protocol/limits.ts";
import type { NewTurn } from "../store/port.ts";
import { placeOf } from "./admission.ts";
import type { Places } from "./approvals.ts";
import { createQueue, type Queue } from "./queue.ts";
import { agentNow } from "./recovery.ts";
import type { Waiting } from "./room.ts";
import { runTurn, type RunnerDeps, type RunningTurn } from "./runner.ts";
import type { LiveTurn } from "./supervision.ts";

export interface OpenTurn extends LiveTurn {
  readonly owner: Owner;
  readonly agentName: string;
  /** The one that it runs with, once it does. */
  agent?: AgentConfig;
}

export interface Dispatcher {
  /** To look at. Turns come and go by the functions below. */
  readonly queue: Queue;
  readonly isDraining: boolean;
  find(turn: string): OpenTurn | undefined;
  all(): Iterable<OpenTurn>;
  /** Null: it does not run. */
  run(turn: string): RunningTurn | null;
  /** Takes its place, before it is stored: the next request must see it taken. Returns where it stands, 1 is next. It starts once `release` is called. */
  add(turn: OpenTurn): number;
  /** It is stored, so it may start. `position`: what its readers have been told; undefined: nothing that still holds. */
  release(turn: string, position?: number): void;
  /** Takes one that waits out; false if it does not wait. */
  remove(turn: string): boolean;
  /** A turn that the CLI began by itself takes a place, be there one or not; others wait for it. */
  begin(entry: Waiting): void;
  /** It has ended. */
  finish(turn: string): void;
  /** Starts all that have a place. Call it after every change. */
  dispatch(): void;
  /** [T8] What a turn does with its place while it waits for a person. */
  readonly places: Places;
  /** Starts no more, lets running ones go on for `graceMs`, then cancels them and gives them a moment to end. */
  drain(graceMs: number): Promise<void>;
}

export interface DispatcherDeps extends RunnerDeps {
  readonly registry: Registry;
  readonly limits: Limits;
  /** A turn has ended, and its place is free. */
  readonly onEnded: (turn: string) => Promise<void>;
}

/** For cancelled turns to end in, at a shutdown. */
const lastWordsMs = 8000;

export function createDispatcher({ registry, limits, onEnded, ...runner }: DispatcherDeps): Dispatcher {
  const { log, onBug } = runner;
  const capsOf = (agent: string) => registry.agents.find(({ name }) => name === agent);
  const levelsOfAll = () =>
    Math.max(
      0,
      ...registry.agents.map(({ name }) => levelsBelow(registry.agents, name, { most: limits.supervise_depth })),
    );
  let mostLevels = levelsOfAll();
  const queue = createQueue({
    running: limits.running_turns,
    // A turn without a process of its own would only wait in another place.
    processes: limits.processes,
    runningOfAgent: (agent) => capsOf(agent)?.running_turns ?? Infinity,
    processesOfAgent: (agent) => capsOf(agent)?.processes ?? Infinity,
    shares: { caller: limits.caller_share, visitors: limits.visitors_share },
    levels: () => mostLevels,
  });
  registry.onChange(() => {
    mostLevels = levelsOfAll();
    dispatch();
  });
  const turns = new Map<string, OpenTurn>();
  const running = new Map<string, RunningTurn>();
  const lastPositions = new Map<string, number>();
  /** The others in the queue are about to be stored, and must not start before. */
  const released = new Set<string>();
  let isDraining = false;

  function add(open: OpenTurn): number {
    const { turn, owner, agentName: agent, levels } = open;
    turns.set(turn.turn, open);
    const entry = { turn: turn.turn, session: turn.session, agent, ...placeOf(owner), levels };
    queue.add(entry, turn.options.isFirst ? "first_of_session" : "last");
    return queue.positions().get(turn.turn) ?? 1;
  }

  function dispatch(): void {
    const startNext = () => queue.start((turn) => !isDraining && released.has(turn));
    for (let next = startNext(); next; next = startNext()) start(next);
    announcePositions();
  }

  function start(entry: Waiting): void {
    const known = turns.get(entry.turn)!;
    const { turn } = known;
    // As it is now: it may have been changed since the prompt came.
    const agent = agentNow({ agent: entry.agent, options: turn.options }, registry);
    if (typeof agent !== "string") known.agent = agent;
    const run = typeof agent === "string" ? refuse(turn, agent) : runTurn(turn, agent, runner);
    running.set(entry.turn, run);
    lastPositions.delete(entry.turn);
    void run.ended.then(() => {
      running.delete(entry.turn);
      forget(entry.turn);
      queue.finish(entry.turn);
      dispatch();
      onEnded(entry.turn).catch((error: unknown) => onBug(error, entry.turn));
    });
  }

  /** A turn that cannot run any more. */
  function refuse(turn: NewTurn, why: string): RunningTurn {
    const ending = turnFailed(failure("internal", why), "");
    const ended = log.append({ session: turn.session, events: [{ turn: turn.turn, ...ending }] }).then(
      () => {},
      (error: unknown) => onBug(error, turn.turn),
    );
    return { turn, ended, cancel: () => {} };
  }

  function forget(turn: string): void {
    turns.delete(turn);
    lastPositions.delete(turn);
    released.delete(turn);
  }

  function announcePositions(): void {
    for (const [turn, position] of queue.positions()) {
      if (!released.has(turn) || lastPositions.get(turn) === position) continue;
      lastPositions.set(turn, position);
      const session = turns.get(turn)!.turn.session;
      log
        .append({ session, events: [{ turn, type: "turn_moved", position }] })
        .catch((error: unknown) => onBug(error, turn));
    }
  }

  return {
    queue,
    get isDraining() {
      return isDraining;
    },
    find: (turn) => turns.get(turn),
    all: () => turns.values(),
    run: (turn) => running.get(turn) ?? null,
    add,
    release(turn, position) {
      released.add(turn);
      if (position !== undefined) lastPositions.set(turn, position);
    },
    remove(turn) {
      const isWaiting = queue.remove(turn);
      if (isWaiting) forget(turn);
      return isWaiting;
    },
    begin: queue.begin,
    finish(turn) {
      queue.finish(turn);
      dispatch();
    },
    dispatch,
    places: {
      giveAway(turn) {
        queue.suspend(turn, "person");
        dispatch();
      },
      takeBack(turn, onRunning) {
        queue.resume(turn, onRunning, "person");
        dispatch();
      },
      reclaim: queue.reclaim,
    },
    async drain(graceMs) {
      isDraining = true;
      const allEnded = Promise.all([...running.values()].map((run) => run.ended));
      const timer = setTimeout(() => {
        for (const run of running.values()) run.cancel({ gateway: "shutdown" });
      }, graceMs);
      // A cancelled turn ends soon, but without room in the store its end cannot be told: the next start does.
      await Promise.race([allEnded, wait(graceMs + lastWordsMs, undefined, { ref: false })]);
      clearTimeout(timer);
    },
  };
}
