// A reader of a gateway's stream, as a careful client would be one, and what two readers of the same events must agree in.
import { createParser } from "eventsource-parser";
import { until } from "./wait.ts";

export interface WireEvent {
  readonly seq: number;
  readonly type: string;
  readonly turn: string | null;
  readonly [field: string]: unknown;
}

export interface Reader {
  /** What has a `seq`, in order. */
  readonly events: WireEvent[];
  /** What has none: `ping` and `gap`. */
  readonly asides: WireEvent[];
  readonly status: number;
  readonly headers: Headers;
  /** The newest `seq`. */
  readonly cursor: number;
  /** How the stream ended: `cut` is an end in the middle. */
  readonly ended: Promise<"end" | "cut">;
  /** Resolves with the first event that fits. */
  find(what: string, fits: (event: WireEvent) => boolean, withinMs?: number): Promise<WireEvent>;
  /** Goes away. */
  leave(): void;
}

export interface ReaderOptions {
  readonly headers?: Readonly<Record<string, string>>;
  /** As `Last-Event-ID`. */
  readonly after?: number;
  readonly format?: "sse" | "ndjson";
  readonly init?: RequestInit;
}

export async function openReader(url: string | URL, options: ReaderOptions = {}): Promise<Reader> {
  const { after, format = "sse", init = {} } = options;
  const controller = new AbortController();
  const reply = await fetch(url, {
    ...init,
    headers: {
      ...(init.headers as Record<string, string>),
      ...options.headers,
      accept: format === "sse" ? "text/event-stream" : "application/x-ndjson",
      ...(after === undefined ? {} : { "last-event-id": String(after) }),
    },
    signal: controller.signal,
  });
  const events: WireEvent[] = [];
  const asides: WireEvent[] = [];
  const take = (event: WireEvent) => (event.seq === undefined ? asides : events).push(event);
  const ended = pump(reply, format, take);
  return {
    events,
    asides,
    status: reply.status,
    headers: reply.headers,
    get cursor() {
      return events.at(-1)?.seq ?? after ?? 0;
    },
    ended,
    find: (what, fits, withinMs = 30_000) => until(what, () => [...events, ...asides].find(fits), withinMs),
    leave: () => controller.abort(),
  };
}

/** Reads a stream to its end. */
export async function readAll(url: string | URL, options: ReaderOptions = {}): Promise<WireEvent[]> {
  const reader = await openReader(url, options);
  const how = await reader.ended;
  if (reader.status !== 200 || how !== "end") throw new Error(`the stream was not whole: ${reader.status}, ${how}`);
  return reader.events;
}

async function pump(
  reply: Response,
  format: "sse" | "ndjson",
  take: (event: WireEvent) => void,
): Promise<"end" | "cut"> {
  const push = format === "sse" ? sseParser(take) : lineParser(take);
  const decoder = new TextDecoder();
  try {
    for await (const chunk of reply.body ?? []) push(decoder.decode(chunk, { stream: true }));
    return "end";
  } catch {
    // The connection broke: that is what the caller wants to know.
    return "cut";
  }
}

/** Takes the text of a stream in any pieces. The `id` and `event` fields must say what the data says. */
export function sseParser(take: (event: WireEvent) => void): (text: string) => void {
  const parser = createParser({
    onEvent({ id, event, data }) {
      const wire = JSON.parse(data) as WireEvent;
      if (wire.type !== event || (wire.seq === undefined ? undefined : String(wire.seq)) !== id)
        throw new Error(`the frame ${id} ${event} holds ${data.slice(0, 100)}`);
      take(wire);
    },
  });
  return (text) => parser.feed(text);
}

function lineParser(take: (event: WireEvent) => void): (text: string) => void {
  let rest = "";
  return (text) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop()!;
    for (const line of lines) take(JSON.parse(line) as WireEvent);
  };
}

/** The fields of deltas that carry text. */
const textOfDelta = ["text", "thinking", "partial_json"] as const;

/**
 * Events with adjacent deltas of a block joined, so that two readers can be compared of whom one was caught up in bulk [L7]. Throws
 * where a delta's offset leaves a hole or repeats something, and where `seq` does not grow.
 */
export function joined(events: readonly WireEvent[]): WireEvent[] {
  const result: WireEvent[] = [];
  const lengths = new Map<string, number>();
  let last = 0;
  for (const event of events) {
    if (event.seq <= last) throw new Error(`event ${event.seq} came after ${last}`);
    last = event.seq;
    const text = deltaText(event);
    if (text === undefined) {
      result.push(event);
      continue;
    }
    const key = blockKey(event);
    const known = lengths.get(key) ?? 0;
    if (event["offset"] !== known)
      throw new Error(`delta ${event.seq} is for ${String(event["offset"])}, not ${known}`);
    lengths.set(key, known + text.length);
    const before = result.at(-1);
    const joinedText = before && deltaText(before) !== undefined && blockKey(before) === key && deltaText(before);
    if (typeof joinedText !== "string") result.push(event);
    else result[result.length - 1] = { ...event, offset: before!["offset"], delta: withText(event, joinedText + text) };
  }
  return result;
}

/** All top-level text of the events, messages put together without anything between them. */
export function textOf(events: readonly WireEvent[]): string {
  return events.map((event) => (deltaType(event) === "text_delta" ? (deltaText(event) ?? "") : "")).join("");
}

function deltaType(event: WireEvent): string | undefined {
  return event.type === "content_block_delta" ? (event["delta"] as { type: string }).type : undefined;
}

function deltaText(event: WireEvent): string | undefined {
  if (event.type !== "content_block_delta") return undefined;
  const delta = event["delta"] as Record<string, unknown>;
  const field = textOfDelta.find((name) => typeof delta[name] === "string");
  return field && (delta[field] as string);
}

function withText(event: WireEvent, text: string): Record<string, unknown> {
  const delta = event["delta"] as Record<string, unknown>;
  const field = textOfDelta.find((name) => typeof delta[name] === "string")!;
  return { ...delta, [field]: text };
}

function blockKey(event: WireEvent): string {
  return `${String(event["message"])} ${String(event["index"])} ${deltaType(event)}`;
}
