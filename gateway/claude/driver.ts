// One session's live process, turn by turn: it starts the CLI, verifies who pays, puts prompts, translates, watches, interrupts,
// and ends. Whatever the CLI does, a turn that was begun here gets exactly one terminal event [L3, T5, P5]. Its states are seen together or not at all,
// which makes the file long.
import { randomUUID } from "node:crypto";
import { terminalEventTypes, type FailureCode, type PermissionMode } from "../protocol/codes.ts";
import type { By, TerminalEvent, TurnEvent } from "../protocol/events.ts";
import type { PromptBlock } from "../protocol/prompt.ts";
import { billingFits, createControl, paidBy, turnBillingFits, type Account, type Decision } from "./control.ts";
import { launch, StartFailure, type LaunchOptions } from "./launch.ts";
import type { Line } from "./lines.ts";
import { createNoise } from "./noise.ts";
import { isInit, readMessage, type CanUseToolRequest, type CliMessage, type InitMessage } from "./messages.ts";
import { newToolsOff } from "./new-tools.ts";
import { failure, failureOf, type Failure } from "./outcome.ts";
import type { Exit } from "./process.ts";
import { isCommandFor, promptLine } from "./prompt-line.ts";
import { createQuestions, type Decide } from "./questions.ts";
import { createWitness, type Sign } from "./tampering.ts";
import { createTranslator } from "./translate.ts";
import { createTurnSettings, type Wanted } from "./turn-settings.ts";
import { watch, type RunningTurn } from "./watch.ts";

export interface DriverOptions extends LaunchOptions {
  /** Events in order, in batches as the process's output brings them; also of turns that the CLI begins. */
  readonly onEvents: (events: TurnEvent[]) => void;
  /**
   * Decides about tool calls that need permission; without it they are denied, with the reason. `signal` is aborted when the CLI takes the
   * question back, or ends: it must settle then. Several may be open at once; no watchdog counts meanwhile.
   */
  readonly decide?: Decide;
  readonly deadlines?: Partial<Deadlines>;
  /** Tools of this CLI that Sluice does not know, and which are off therefore: the process's first turn says so. */
  readonly newTools?: readonly string[];
  /** Makes the id of a turn that the CLI begins by itself. */
  readonly newTurnId?: () => string;
  /** Something else than the CLI has written into its output: the process is ended, and a running turn fails. Once a process. */
  readonly onTampering?: (sign: Sign) => void;
  /** A bug in reading what the CLI wrote, or in `onEvents`: it ends this process, and a running turn fails. Once a process. */
  readonly onBug: (error: unknown) => void;
}

/** In milliseconds. */
export interface Deadlines {
  /** From the start to the answer to `initialize`. */
  readonly startMs: number;
  /** From an interrupt to the turn's end; then the process is ended. */
  readonly interruptMs: number;
  /** For the whole end of a process. */
  readonly endMs: number;
}

export const defaultDeadlines: Deadlines = { startMs: 60_000, interruptMs: 3000, endMs: 4500 };

/** With a model or a mode: for this turn alone, set back after it. */
export interface TurnRequest extends Wanted {
  /** A UUID. */
  readonly turn: string;
  readonly prompt: readonly PromptBlock[];
  /** Instead of the agent's `turn_timeout_s`. */
  readonly timeoutS?: number;
}

export interface Driver {
  readonly session: string;
  readonly pid: number;
  /** Resolves with who pays once the CLI has said it and it fits; rejects with a `StartFailure`. */
  readonly ready: Promise<Account>;
  /** Resolves when the process is gone. */
  readonly exited: Promise<Exit>;
  /** A process that is not usable has had its last turn. */
  readonly isUsable: boolean;
  /** The uuid of the CLI's newest answer; undefined while it has given none. Its session file holds it a little later. */
  readonly answerUuid: string | undefined;
  /** A turn of ours or of the CLI's own is running. */
  readonly isBusy: boolean;
  /** Runs a turn; resolves with its terminal event, which `onEvents` has got by then. Never rejects. One turn at a time. */
  run(request: TurnRequest): Promise<TerminalEvent>;
  /**
   * Ends the turn as cancelled, its tools too; also one that the CLI began. By default the one that runs. Nothing if it does not run: a
   * cancel that comes late must not meet the next one.
   */
  cancel(by: By, turn?: string): void;
  /** Ends the process and all it started. A running turn fails as `process_died`, or for the given reason, one that the CLI began too. */
  end(reason?: Failure): Promise<void>;
  /** The newest of what the CLI wrote beside its protocol: stderr, and the lines behind notices. For operators alone. */
  diagnostics(): string;
}

const maxDiagnosticChars = 64 * 1024;
const billedByUse = "The CLI began this turn with a key that is billed by use, so it was stopped.";

/** Starts the process. Rejects with a `StartFailure` only where the operating system refuses; all else is `ready`'s. */
export async function startDriver(options: DriverOptions): Promise<Driver> {
  const { agent, session } = options;
  const deadlines = { ...defaultDeadlines, ...options.deadlines };
  const translator = createTranslator({ session, agent: agent.name, newTurnId: options.newTurnId ?? randomUUID });
  const { promise: ready, resolve: setReady, reject: setNotReady } = Promise.withResolvers<Account>();
  ready.catch(() => {});

  let isReady = false;
  let isUsable = true;
  let isGone = false;
  let isBroken = false;
  let answerUuid: string | undefined;
  let endedFor: Failure | undefined;
  let { newTools = [] } = options;
  const noise = createNoise();
  let running: RunningTurn | undefined;
  /** What the running turn asked for itself. */
  let wanted: Wanted = {};
  /** A turn that the CLI began by itself. */
  let own: RunningTurn | undefined;
  const questions = createQuestions(options.decide);

  const child = await launch(options, (lines) => containBugs(() => isBroken || onLines(lines)));
  const control = createControl({ write: child.write, decide: ask });
  const witness = createWitness({
    agent,
    isOurRequest: control.hasSent,
    isStray: translator.isStray,
    mode: presentMode,
  });
  const settings = createTurnSettings(agent, {
    setModel: control.setModel,
    setPermissionMode: (mode) => {
      witness.told(mode);
      return control.setPermissionMode(mode);
    },
  });

  const startTimer = setTimeout(
    () => fail(failure("spawn_failed", "The CLI did not answer after its start.")),
    deadlines.startMs,
  );
  control.initialize().then(
    (account) => {
      clearTimeout(startTimer);
      const payer = paidBy(account);
      if (payer === "nobody") return fail(failure("not_logged_in"));
      if (!billingFits(agent.billing, account)) return fail(failure("billing_mismatch"));
      isReady = true;
      setReady(account);
    },
    () => fail(failure("spawn_failed")),
  );
  const exited = child.exited.then((exit) => {
    clearTimeout(startTimer);
    isUsable = false;
    isGone = true;
    own?.stop();
    const reason = isReady ? (endedFor ?? failure("process_died")) : failure("spawn_failed");
    setNotReady(new StartFailure(reason));
    control.close();
    emit(translator.abandon(reason));
    void child.end(deadlines.endMs);
    return exit;
  });

  /** The process did not come up: it is of no use. */
  function fail(reason: Failure): void {
    setNotReady(new StartFailure(reason));
    isUsable = false;
    void end();
  }

  /** Output comes from an event of the PTY: what were thrown there would end the gateway. */
  function containBugs(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (isBroken) return;
      isBroken = true;
      options.onBug(error);
      void end(failure("internal"));
    }
  }

  function onLines(lines: Line[]): void {
    const events: TurnEvent[] = [];
    for (const line of lines) {
      if (line.kind === "json") {
        const message = readMessage(line.value);
        // What was said before a question stands before it in the log.
        if (message.type === "control_request") deliver(events.splice(0));
        // What comes once the process is being ended need not fit any more.
        const sign = isReady && isUsable ? witness.look(message) : undefined;
        const said = sign === undefined ? onMessage(message) : onSuspect(message, sign);
        if (sign !== undefined || said.some(({ type }) => type === "notice")) noise.keep(line.value);
        events.push(...said);
        if (isInit(message)) events.push(...newToolsNotice());
      } else {
        events.push({ ...noise.note(line), turn: translator.ours ?? null });
      }
    }
    // [T5] A CLI that writes nothing but what is no message is as good as silent.
    if (lines.some(({ kind }) => kind === "json")) deliver(events);
    else emit(events);
  }

  function newToolsNotice(): TurnEvent[] {
    const notice = newToolsOff(newTools, agent);
    newTools = [];
    return notice ? [{ turn: translator.current ?? null, ...notice }] : [];
  }

  function deliver(events: TurnEvent[]): void {
    running?.heard(events);
    for (const event of events)
      if (isTerminal(event)) questions.clear();
      else questions.note(event);
    watchOwn(events);
    emit(events);
  }

  /** [T5, P7] The CLI's own turns are watched too. One that is to end takes its process along. */
  function watchOwn(events: readonly TurnEvent[]): void {
    for (const event of events) {
      // Only such a turn is queued here.
      if (event.type === "turn_queued") {
        own = watch(event.turn!, watchdogs(), () => {}, endOwn);
        own.hasPrompt = true;
      } else if (own && event.turn === own.turn && isTerminal(event)) {
        own.stop();
        own = undefined;
        // A prompt may be waiting behind it: it is not to find what this one has changed.
        if (settings.isChanged) settings.set(wanted).catch(() => {});
      }
    }
    own?.heard(events);
  }

  function endOwn(code: FailureCode): void {
    translator.condemn(failure(code), own?.turn);
    void end(failure(code));
  }

  function watchdogs(timeoutS = agent.turn_timeout_s): { turnMs: number; silenceMs: number } {
    return { turnMs: timeoutS * 1000, silenceMs: agent.silence_timeout_s * 1000 };
  }

  /** No watchdog counts while a question is open. */
  async function ask(request: CanUseToolRequest, signal: AbortSignal): Promise<Decision> {
    const asking = [running, own];
    for (const turn of asking) turn?.asks();
    try {
      const asker = { turn: translator.current, mode: presentMode() };
      const decision = await questions.ask(request, asker, signal);
      if (decision.behavior === "allow") witness.allowed(request.tool_use_id);
      return decision;
    } finally {
      for (const turn of asking) turn?.answered();
    }
  }

  /** The mode that the turn which runs now was given. */
  function presentMode(): PermissionMode {
    const asked = translator.current === running?.turn ? wanted.permissionMode : undefined;
    return asked ?? agent.permission_mode;
  }

  /** [A5] What somebody else wrote in the CLI's place is believed by nobody; what it has brought about is said all the same. */
  function onSuspect(message: CliMessage, sign: Sign): TurnEvent[] {
    const reason = failure("tampered");
    const { current } = translator;
    translator.condemn(reason, current);
    translator.condemn(reason);
    options.onTampering?.(sign);
    void end(reason);
    const isForged = message.type === "result" || message.type === "control_response";
    const notice: TurnEvent = { turn: null, type: "notice", kind: "tampered", text: reason.message };
    return [...(isForged ? [] : onMessage(message)), ...(current === undefined ? [notice] : [])];
  }

  function onMessage(message: CliMessage): TurnEvent[] {
    if (message.type === "control_response") control.answered(message);
    else if (message.type === "control_request") control.asked(message);
    else if (message.type === "control_cancel_request") control.withdrawn(message.request_id);
    else if (message.type === "result" && !isReady) {
      // Before it is ready a process has no turn: this `result` says why it cannot start.
      fail(failureOf(message) ?? failure("spawn_failed"));
      return [];
    }
    if (message.type === "result" && message.subtype === "error_max_budget_usd") isUsable = false;
    answerUuid = answerUuidOf(message) ?? answerUuid;
    settings.note(message);
    const said = translator.push(message);
    if (isInit(message)) confirmBilling(message);
    return said;
  }

  /** [P5] What the CLI said at its start must still hold when it begins a turn: its login may have changed meanwhile. */
  function confirmBilling({ apiKeySource }: InitMessage): void {
    if (turnBillingFits(agent.billing, apiKeySource)) return;
    isUsable = false;
    if (running && translator.current === running.turn) endTurnAs(failure("billing_mismatch", billedByUse));
    else void end();
  }

  function emit(events: TurnEvent[]): void {
    if (events.length === 0) return;
    containBugs(() => options.onEvents(events));
    const ending = events.find((event) => running && event.turn === running.turn && isTerminal(event));
    if (!ending || !running) return;
    const { settle } = running;
    running.stop();
    running = undefined;
    settle(ending as TerminalEvent);
  }

  async function run(request: TurnRequest): Promise<TerminalEvent> {
    const { turn, prompt } = request;
    if (running) throw new Error("a turn is running on this process already");
    const ended = Promise.withResolvers<TerminalEvent>();
    translator.expect(turn);
    running = watch(turn, watchdogs(request.timeoutS), ended.resolve, (code) => endTurnAs(failure(code)));
    wanted = request;
    const isRunning = () => running?.turn === turn;
    let setting = Promise.resolve();
    ready
      .then(() => {
        // It may have ended while the process came up.
        if (isRunning() && !isGone) setting = settings.set(request);
        return setting;
      })
      .then(
        () => {
          if (!isRunning()) return;
          if (isGone) return emit(translator.abandon(failure("process_died")));
          if (running!.isStopping) return;
          running!.hasPrompt = true;
          running!.heard([]);
          void child.write(promptLine(turn, prompt, agent));
        },
        (error: unknown) => {
          if (!isRunning()) return;
          emit(translator.abandon(error instanceof StartFailure ? error.failure : failure("internal")));
        },
      );
    const ending = await ended.promise;
    wanted = {};
    if (isCommandFor(prompt, agent)) settings.forget();
    if (settings.isChanged && isUsable) await setBack(setting);
    return ending;
  }

  /** What the turn has changed must be set back before the next one: a process that does not do so, or not in time, takes none. */
  async function setBack(setting: Promise<void>): Promise<void> {
    const isDone = setting
      .then(() => settings.set())
      .then(
        () => true,
        () => false,
      );
    if (await Promise.race([isDone, timeout(deadlines.interruptMs)])) return;
    isUsable = false;
    void end();
  }

  function endTurnAs(reason: Failure): void {
    translator.condemn(reason);
    stopTurn(reason);
  }

  /** Asks the CLI to end its turn, and ends the process if it does not. */
  function stopTurn(otherwise: Failure): void {
    const turn = running;
    if (!turn || turn.isStopping) return;
    turn.isStopping = true;
    if (!turn.hasPrompt) return emit(translator.abandon(otherwise));
    turn.interrupt = () => void control.interrupt().catch(() => {});
    turn.interrupt();
    turn.killTimer = setTimeout(() => {
      isUsable = false;
      emit(translator.abandon(otherwise));
      void end();
    }, deadlines.interruptMs);
  }

  async function end(given?: Failure): Promise<void> {
    const reason = given ?? failure("process_died");
    isUsable = false;
    endedFor ??= reason;
    if (translator.ours !== undefined || translator.isBusyOnItsOwn) {
      // The CLI ends its tools only when it is interrupted: killed, it leaves them behind. Its `result` then speaks of an error.
      if (running?.hasPrompt) translator.condemn(reason);
      if (own && given) translator.condemn(given, own.turn);
      const third = deadlines.endMs / 3;
      await Promise.race([control.interrupt().catch(() => {}), timeout(third), child.exited]);
      await child.end(deadlines.endMs - third);
    } else await child.end(deadlines.endMs);
    await exited;
  }

  return {
    session,
    pid: child.pid,
    ready,
    exited,
    get isUsable() {
      return isUsable;
    },
    get answerUuid() {
      return answerUuid;
    },
    get isBusy() {
      return running !== undefined || translator.isBusyOnItsOwn;
    },
    run,
    cancel(by, turn) {
      translator.cancel(by, turn);
      if (running && (turn ?? running.turn) === running.turn) stopTurn(failure("internal"));
      else if (translator.isBusyOnItsOwn && (turn ?? translator.current) === translator.current)
        void control.interrupt().catch(() => {});
    },
    end,
    diagnostics: () => `${child.stderrTail()}${noise.tail()}`.slice(-maxDiagnosticChars),
  };
}

/** Answers of subagents, and those that the CLI makes up itself, are none to go on from. */
function answerUuidOf(message: CliMessage): string | undefined {
  if (message.type !== "assistant" || message.parent_tool_use_id !== null) return undefined;
  const uuid = message["uuid"];
  return message.message.model !== "<synthetic>" && typeof uuid === "string" ? uuid : undefined;
}

function isTerminal(event: TurnEvent): boolean {
  return terminalEventTypes.some((type) => type === event.type);
}

function timeout(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms).unref());
}
