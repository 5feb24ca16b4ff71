// The reader side of a stream [S1, S2, S4, S5]: a cursor into the log, written to while it drains, cut when it takes nothing for too long.
// On a socket it writes to the Node response itself; where there is none (tests without a server) the reply has a body.
import type { ServerResponse } from "node:http";
import { RESPONSE_ALREADY_SENT } from "@hono/node-server/utils/response";
import type { Context } from "hono";
import { isTerminal, type Format } from "../formats/format.ts";
import type { Batch } from "../log/channel.ts";
import type { Cursor } from "../log/event-log.ts";
import type { LogEvent } from "../store/port.ts";
import type { Env } from "./env.ts";

export interface StreamOptions {
  readonly cursor: Cursor;
  readonly format: Format;
  /** Only this turn's events; the stream ends after its terminal one. */
  readonly turn?: string | undefined;
  readonly transcriptUrl: string;
  /** The turn's terminal event, where the log has none of its events any more: it is all there is to say. */
  readonly ending?: LogEvent | undefined;
  readonly pingMs: number;
  /** A reader that takes nothing for so long is cut. */
  readonly writeTimeoutMs: number;
  /** Whether the reader may still read; asked every `checkMs`. One who may not is cut. */
  readonly isGood: () => boolean;
  readonly checkMs: number;
}

/** Where a stream goes. */
interface Sink {
  /** False: wait for `drained` before the next write. */
  write(data: string | Uint8Array): boolean;
  /** Rejects when the reader is gone, or takes nothing for `timeoutMs`. */
  drained(timeoutMs: number): Promise<void>;
  end(): void;
  /** Cuts the stream, so that the client sees that it is not whole. */
  abort(): void;
  onClose(listener: () => void): void;
}

const headers = {
  "Cache-Control": "no-cache, no-transform",
  "X-Accel-Buffering": "no",
  "X-Content-Type-Options": "nosniff",
};

/** When a reader should come back after a shutdown, in milliseconds: spread, so that they do not come all at once. */
const reconnectMs = { least: 1000, spread: 4000 };

export function streamEvents(c: Context<Env>, options: StreamOptions): Response {
  for (const [name, value] of Object.entries(headers)) c.header(name, value);
  c.header("Content-Type", options.format.contentType);
  if (c.req.method === "HEAD") {
    options.cursor.close();
    return c.body(null, 200);
  }
  const outgoing = c.env?.outgoing;
  if (!outgoing) return c.body(webBody(options), 200);
  if (outgoing.destroyed) {
    // The reader went away while its turn was taken: nothing will say so any more.
    options.cursor.close();
    return RESPONSE_ALREADY_SENT;
  }
  outgoing.writeHead(200, Object.fromEntries(c.res.headers));
  outgoing.flushHeaders();
  // Hono would merge these headers into the reply that says "sent already", and the server then take it for an ordinary one.
  c.res = undefined;
  c.finalized = false;
  void pump(nodeSink(outgoing), options);
  return RESPONSE_ALREADY_SENT;
}

async function pump(
  sink: Sink,
  { cursor, format, turn, transcriptUrl, ending, pingMs, writeTimeoutMs, isGood, checkMs }: StreamOptions,
): Promise<void> {
  let isBlocked = false;
  let isGone = false;
  let isOver = false;
  const key = `${format.name} ${turn ?? ""}`;
  sink.onClose(() => {
    isGone = true;
    cursor.close();
  });
  const send = async (data: string | Uint8Array) => {
    if (data.length === 0 || sink.write(data)) return;
    await drained();
  };
  const drained = async () => {
    isBlocked = true;
    await sink.drained(writeTimeoutMs);
    isBlocked = false;
  };
  /** Writes a batch; false where the sink has enough for now. */
  const write = (batch: Batch) => {
    const data = encode(batch, format, turn, key);
    isOver = turn !== undefined && batch.events.some((event) => event.turn === turn && isTerminal(event));
    return data.length === 0 || sink.write(data);
  };
  const pings =
    format.ping === "" ? undefined : setInterval(() => isBlocked || isGone || sink.write(format.ping), pingMs);
  const checks = setInterval(() => {
    if (isGood()) return;
    sink.abort();
    cursor.close();
  }, checkMs);
  try {
    await send(format.ping);
    if (cursor.gap) await send(format.gap({ type: "gap", ...cursor.gap, transcript_url: transcriptUrl }));
    if (ending) {
      await send(format.encode([ending]));
      return sink.end();
    }
    for (let batch = await cursor.next(); batch; batch = await cursor.next()) {
      let hasRoom = write(batch);
      // A reader that keeps up is written to as events are stored, with no wait of its own between them.
      if (hasRoom && !isOver) await cursor.follow((live) => (hasRoom = write(live)) && !isOver);
      if (isOver) return sink.end();
      if (!hasRoom) await drained();
    }
    if (cursor.isSessionRemoved) {
      await send(format.sessionDeleted);
      return sink.end();
    }
    const goodbye = format.goodbye(reconnectMs.least + Math.random() * reconnectMs.spread);
    if (goodbye === null) return sink.abort();
    sink.write(goodbye);
    sink.end();
  } catch {
    // The reader is gone or took nothing for too long; it comes back with its cursor.
    sink.abort();
  } finally {
    clearInterval(pings);
    clearInterval(checks);
    cursor.close();
  }
}

/** A batch's bytes, made once for all readers of the same format and filter. */
function encode(batch: Batch, format: Format, turn: string | undefined, key: string): string | Uint8Array {
  const events = () => (turn === undefined ? batch.events : batch.events.filter((event) => event.turn === turn));
  if (!format.isShared) return format.encode(events());
  const known = batch.encoded.get(key);
  if (known instanceof Uint8Array) return known;
  const bytes = Buffer.from(format.encode(events()), "utf8");
  batch.encoded.set(key, bytes);
  return bytes;
}

function nodeSink(response: ServerResponse): Sink {
  return {
    write: (data) => response.write(data),
    drained: (timeoutMs) =>
      new Promise((resolve, reject) => {
        const done = (outcome: () => void) => () => {
          response.off("drain", onDrain).off("close", onClose).setTimeout(0);
          outcome();
        };
        const onDrain = done(resolve);
        const onClose = done(() => reject(new Error("the reader is gone, or takes nothing")));
        // The socket's own timer begins anew whenever a part was taken, so that a slow reader stays; at its end Node closes the socket.
        response.on("drain", onDrain).on("close", onClose).setTimeout(timeoutMs);
      }),
    end: () => void response.end(),
    abort: () => void response.destroy(),
    onClose: (listener) => void response.once("close", listener),
  };
}

function webBody(options: StreamOptions): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder();
  let listener = () => {};
  let pulled = () => {};
  return new ReadableStream({
    start(controller) {
      void pump(
        {
          write(data) {
            controller.enqueue(typeof data === "string" ? encoder.encode(data) : data);
            return (controller.desiredSize ?? 0) > 0;
          },
          drained: () => new Promise((resolve) => (pulled = resolve)),
          end: () => controller.close(),
          abort: () => controller.error(new Error("the stream was cut")),
          onClose: (onClose) => (listener = onClose),
        },
        options,
      );
    },
    pull: () => pulled(),
    cancel: () => listener(),
  });
}
