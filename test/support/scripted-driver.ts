// A process that does what the test says: the pool and the life of turns without the CLI.
import type { Driver, TurnRequest } from "../../gateway/claude/driver.ts";
import type { Exit } from "../../gateway/claude/process.ts";
import { turnFailed, failure } from "../../gateway/claude/outcome.ts";
import type { By, EventBody, TerminalEvent, TurnEvent } from "../../gateway/protocol/events.ts";
import { completed } from "./log-drafts.ts";

export interface ScriptedDriver extends Driver {
  isUsable: boolean;
  isBusy: boolean;
  isEnded: boolean;
  /** Every turn that was run, in order. */
  readonly requests: TurnRequest[];
  /** Events of the running turn. */
  say(...bodies: EventBody[]): void;
  /** Ends the running turn; its `run` resolves once `isSetBack` does. */
  finish(ending?: TerminalEvent, isSetBack?: Promise<void>): void;
  /** The process is gone without anybody having asked. */
  die(): void;
}

export interface ScriptedOptions {
  readonly session: string;
  readonly onEvents?: (events: TurnEvent[]) => void;
  readonly ready?: Driver["ready"] | undefined;
  /** Ends every turn at once. */
  readonly isQuick?: boolean;
}

let nextPid = 1;

export function createScriptedDriver({
  session,
  onEvents = () => {},
  ready = Promise.resolve({}),
  isQuick = false,
}: ScriptedOptions): ScriptedDriver {
  const exited = Promise.withResolvers<Exit>();
  const requests: TurnRequest[] = [];
  let running: { turn: string; resolve: (ending: TerminalEvent) => void } | undefined;

  const driver: ScriptedDriver = {
    session,
    pid: nextPid++,
    ready,
    exited: exited.promise,
    answerUuid: undefined,
    isUsable: true,
    isBusy: false,
    isEnded: false,
    requests,
    run(request) {
      if (running) return Promise.reject(new Error("a turn is running on this process already"));
      requests.push(request);
      const ended = Promise.withResolvers<TerminalEvent>();
      running = { turn: request.turn, resolve: ended.resolve };
      if (isQuick) driver.finish();
      return ended.promise;
    },
    say(...bodies) {
      const { turn } = running!;
      onEvents(bodies.map((body) => ({ turn, ...body })));
    },
    finish(ending = completed("done"), isSetBack) {
      const { resolve } = running!;
      driver.say(ending);
      running = undefined;
      if (isSetBack) void isSetBack.then(() => resolve(ending));
      else resolve(ending);
    },
    cancel(by: By, turn = running?.turn) {
      if (running && running.turn === turn) driver.finish({ type: "turn_cancelled", by, text: "" });
    },
    die() {
      driver.isUsable = false;
      driver.isEnded = true;
      if (running) driver.finish(turnFailed(failure("process_died"), ""));
      exited.resolve({ code: 1, signal: 0 });
    },
    async end(reason) {
      if (running) driver.finish(turnFailed(reason ?? failure("process_died"), ""));
      if (!driver.isEnded) driver.die();
      await exited.promise;
    },
    diagnostics: () => "",
  };
  return driver;
}
