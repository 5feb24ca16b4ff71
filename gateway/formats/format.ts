// A rendering of the log: a pure function from events to text, one file each.
import type { LogEvent } from "../store/port.ts";
import { ownEventTypes, terminalEventTypes } from "../protocol/codes.ts";
import type { EventOf } from "../protocol/events.ts";

export interface Format {
  readonly name: string;
  readonly contentType: string;
  /** The same text for every reader: it may be made once and shared. */
  readonly isShared: boolean;
  encode(events: readonly LogEvent[]): string;
  /** Sent on connect and then every few seconds; empty where the format has none. */
  readonly ping: string;
  /** Says that events are missing; it has no id and is not stored. */
  gap(event: EventOf<"gap">): string;
  /** The end of a session's stream: the session was removed. Not stored, no id. */
  readonly sessionDeleted: string;
  /** The last words of a stream that ends because the gateway shuts down; null where only an abort says that. */
  goodbye(reconnectMs: number): string | null;
}

const own = new Set<string>(ownEventTypes);
const terminal = new Set<string>(terminalEventTypes);

export function isTerminal(event: { readonly type: string }): boolean {
  return terminal.has(event.type);
}

/** One event as the flat JSON object of the wire. */
export function wireJson({ seq, turn, at, type, json }: LogEvent): string {
  const time = own.has(type) ? `,"at":"${new Date(at).toISOString()}"` : "";
  return `{"seq":${seq},"turn":${turn === null ? "null" : `"${turn}"`}${time},${json.slice(1)}`;
}

/** A `gap` as the wire has it. */
export function gapJson(event: EventOf<"gap">): string {
  return JSON.stringify({ ...event, turn: null });
}
