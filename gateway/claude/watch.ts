// [T5] A turn that runs on a process, and its two watchdogs: silence and wall clock. Neither counts while a person is asked.
import type { TerminalEvent, TurnEvent } from "../protocol/events.ts";
import { createActivity } from "./activity.ts";

/** A timer that is set for longer goes off at once. */
const longestMs = 2 ** 31 - 1;

export interface RunningTurn {
  readonly turn: string;
  readonly settle: (ending: TerminalEvent) => void;
  hasPrompt: boolean;
  isStopping: boolean;
  killTimer?: NodeJS.Timeout;
  interrupt?: () => void;
  /** The process was heard: these events are its newest. */
  heard(events: readonly TurnEvent[]): void;
  /** A person is asked; there may be several questions at once. */
  asks(): void;
  /** A question has its answer, or is gone. */
  answered(): void;
  stop(): void;
}

export function watch(
  turn: string,
  { turnMs, silenceMs }: { readonly turnMs: number; readonly silenceMs: number },
  settle: (ending: TerminalEvent) => void,
  onTimeout: (code: "silence_timeout" | "turn_timeout") => void,
): RunningTurn {
  const activity = createActivity();
  const wallClock = countdown(turnMs, () => onTimeout("turn_timeout"));
  let silence: NodeJS.Timeout | undefined;
  let questions = 0;
  let isOver = false;
  const watched: RunningTurn = {
    turn,
    settle,
    hasPrompt: false,
    isStopping: false,
    heard(events) {
      for (const event of events) {
        activity.note(event);
        // An interrupt that came before the CLI had begun the turn met nothing to end.
        if (event.type === "turn_started" && event.turn === turn) watched.interrupt?.();
      }
      clearTimeout(silence);
      if (isOver || questions > 0 || activity.isToolRunning || !watched.hasPrompt) return;
      silence = setTimeout(() => onTimeout("silence_timeout"), Math.min(silenceMs + activity.announcedMs, longestMs));
    },
    asks() {
      questions += 1;
      wallClock.pause();
      clearTimeout(silence);
    },
    answered() {
      questions -= 1;
      if (questions > 0 || isOver) return;
      wallClock.resume();
      watched.heard([]);
    },
    stop() {
      isOver = true;
      wallClock.pause();
      clearTimeout(silence);
      clearTimeout(watched.killTimer);
    },
  };
  return watched;
}

/** Calls once after so many milliseconds, those between `pause` and `resume` not counted. */
function countdown(ms: number, onEnd: () => void): { pause(): void; resume(): void } {
  let leftMs = ms;
  let since = performance.now();
  let timer: NodeJS.Timeout | undefined = setTimeout(onEnd, ms);
  return {
    pause() {
      if (timer === undefined) return;
      clearTimeout(timer);
      timer = undefined;
      leftMs -= performance.now() - since;
    },
    resume() {
      if (timer !== undefined) return;
      since = performance.now();
      timer = setTimeout(onEnd, Math.max(0, leftMs));
    },
  };
}
