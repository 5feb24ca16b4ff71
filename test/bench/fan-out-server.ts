// A server that streams the same events to all its readers, in one of three ways: through Sluice's log and stream writer, as a bare
// `node:http` write loop, and by Hono's `streamSSE`. A child of rows/fan-out.ts: it says `{port}`, takes `start`, and says what the sending took.
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createAdaptorServer } from "@hono/node-server";
import { Hono } from "hono";
import { streamSSE, type SSEStreamingApi } from "hono/streaming";
import type { Env } from "../../gateway/http/env.ts";
import { sse } from "../../gateway/formats/sse.ts";
import { streamEvents } from "../../gateway/http/stream.ts";
import { createEventLog } from "../../gateway/log/event-log.ts";
import { gatewayCaller } from "../../gateway/protocol/callers.ts";
import type { EventBody } from "../../gateway/protocol/events.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";

const eventCount = Number(process.argv[3]);
const everyMs = 5;
const session = "00000000-0000-4000-8000-000000000001";

const eventAt = (index: number): EventBody => ({
  type: "content_block_delta",
  message: "msg_1",
  index: 0,
  offset: index * 12,
  delta: { type: "text_delta", text: "twelve chars" },
});
const frame = (index: number) =>
  sse.encode([
    {
      seq: index + 1,
      first: index + 1,
      turn: null,
      at: 0,
      type: "content_block_delta",
      json: JSON.stringify(eventAt(index)),
    },
  ]);

type Way = { listener: ReturnType<typeof createServer>; send(index: number): void | Promise<void>; end(): void };

const ways: Record<string, () => Way | Promise<Way>> = { sluice, bare, hono };

async function sluice(): Promise<Way> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const store = openSqliteStore(join(folder, "log.sqlite"));
  const log = createEventLog(store);
  const owner = { key: "bench", user: null };
  await log.commit([{ kind: "session", session: { session, agent: "bench", owner, createdAt: 0 } }]);
  const app = new Hono<Env>();
  app.get("/", async (c) => {
    const cursor = (await log.subscribe(gatewayCaller, session, 0))!;
    return streamEvents(c, {
      cursor,
      format: sse,
      transcriptUrl: "",
      pingMs: 15_000,
      writeTimeoutMs: 60_000,
      isGood: () => true,
      checkMs: 5000,
    });
  });
  return {
    listener: createAdaptorServer({ fetch: app.fetch }) as ReturnType<typeof createServer>,
    send: async (index) => void (await log.append({ session, events: [{ turn: null, ...eventAt(index) }] })),
    end: () => rmSync(folder, { recursive: true, force: true }),
  };
}

function bare(): Way {
  const readers = new Set<ServerResponse>();
  const listener = createServer((_, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.flushHeaders();
    response.write(sse.ping);
    readers.add(response);
  });
  return {
    listener,
    send(index) {
      const bytes = Buffer.from(frame(index));
      for (const response of readers) response.write(bytes);
    },
    end: () => {},
  };
}

function hono(): Way {
  const readers = new Set<SSEStreamingApi>();
  const app = new Hono();
  app.get("/", (c) =>
    streamSSE(c, async (stream) => {
      await stream.writeSSE({ event: "ping", data: '{"type":"ping"}' });
      readers.add(stream);
      await new Promise(() => {});
    }),
  );
  return {
    listener: createAdaptorServer({ fetch: app.fetch }) as ReturnType<typeof createServer>,
    async send(index) {
      const data = JSON.stringify(eventAt(index));
      await Promise.all(
        [...readers].map((stream) => stream.writeSSE({ id: String(index + 1), event: "content_block_delta", data })),
      );
    },
    end: () => {},
  };
}

const { listener, send, end } = await ways[process.argv[2]!]!();
listener.listen(0, "127.0.0.1", 8192, () =>
  process.send!({ port: (listener.address() as AddressInfo).port, rss: rss() }),
);

process.on("message", (message) => {
  if (message === "rss") process.send!({ rss: rss() });
  if (message === "start") void sendAll();
});

/** Sends all events at their pace, and says what CPU time that took. */
async function sendAll(): Promise<void> {
  const before = process.cpuUsage();
  for (let index = 0; index < eventCount; index++) {
    const began = performance.now();
    await send(index);
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, everyMs - (performance.now() - began))));
  }
  const { user, system } = process.cpuUsage(before);
  process.send!({ cpuUs: user + system });
}

process.on("disconnect", () => {
  end();
  process.exit(0);
});

function rss(): number {
  globalThis.gc?.();
  return process.memoryUsage().rss;
}
