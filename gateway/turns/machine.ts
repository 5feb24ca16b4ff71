// [T7] The states of a turn and the ways between them. Pure.
import type { TurnState } from "../protocol/codes.ts";
import type { Write } from "../store/port.ts";

const ways: Readonly<Record<TurnState, readonly TurnState[]>> = {
  queued: ["running", "failed", "cancelled"],
  running: ["waiting", "completed", "failed", "cancelled"],
  waiting: ["running", "completed", "failed", "cancelled"],
  completed: [],
  failed: [],
  cancelled: [],
};

export function mayBecome(from: TurnState, to: TurnState): boolean {
  return ways[from].includes(to);
}

/** The stored change of a turn's state. Throws where there is no such way: that is a bug. */
export function stateChange(turn: string, from: TurnState, to: TurnState, at: number): Write {
  if (!mayBecome(from, to)) throw new Error(`a turn cannot go from ${from} to ${to}`);
  return { kind: "turn_state", turn, state: to, at };
}

export function hasEnded(state: TurnState): boolean {
  return ways[state].length === 0;
}
