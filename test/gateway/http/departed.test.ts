// [S2] Readers that are gone before their stream begins: what was opened for them is closed, though no event says so any more.
import { once } from "node:events";
import type { Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { createAdaptorServer } from "@hono/node-server";
import { expect, test } from "vitest";
import { openApp, secrets, type AppScene } from "../../support/app-scene.ts";
import { until } from "../../support/wait.ts";

const body = JSON.stringify({ prompt: "hello" });
const head = (method: string, path: string, more: string[]) =>
  [`${method} ${path} HTTP/1.1`, "host: localhost", `authorization: Bearer ${secrets.alice}`, ...more, "", ""].join(
    "\r\n",
  );
const post = (...more: string[]) =>
  head("POST", "/api/turns", ["content-type: application/json", `content-length: ${body.length}`, ...more]) + body;

/** How many cursors were opened, and how many of them still are. */
function countCursors({ log }: AppScene): { opened: number; open: number } {
  const count = { opened: 0, open: 0 };
  const { subscribe } = log;
  log.subscribe = async (...asked) => {
    const cursor = await subscribe(...asked);
    if (!cursor) return undefined;
    const { close } = cursor;
    let isOpen = true;
    count.opened += 1;
    count.open += 1;
    return Object.assign(cursor, {
      close() {
        if (isOpen) count.open -= 1;
        isOpen = false;
        close();
      },
    });
  };
  return count;
}

test.each([
  ["a POST that would be answered as a stream", () => post("accept: text/event-stream")],
  ["a POST that waits for its turn", () => post("prefer: wait=30")],
  ["a GET of a turn's events", (turn: string) => head("GET", `/api/turns/${turn}/events`, [])],
  ["a GET that waits for a turn", (turn: string) => head("GET", `/api/turns/${turn}`, ["prefer: wait=30"])],
])("[S2] %s leaves nothing open when its client goes while the gateway looks", async (_, request) => {
  const scene = await openApp({ limits: { rates: { key: { streams: 1 } } } });
  const server = createAdaptorServer({ fetch: scene.app.fetch }) as Server;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const { turn } = await scene.create();
  const cursors = countCursors(scene);
  // The store takes until the client has gone.
  const gone = Promise.withResolvers<void>();
  const { create, get } = scene.turns;
  const asked = Promise.withResolvers<void>();
  const slowly = async <Result>(look: () => Promise<Result>): Promise<Result> => {
    const found = await look();
    asked.resolve();
    await gone.promise;
    return found;
  };
  scene.turns.create = (...given) => slowly(() => create(...given));
  scene.turns.get = (...given) => slowly(() => get(...given));
  server.on("connection", (socket) => socket.on("close", () => gone.resolve()));
  const client = connect(port, "127.0.0.1");
  client.write(request(turn));
  await asked.promise;
  client.resetAndDestroy();
  await until("the request to be answered to nobody", () => scene.requests.length === 1);
  expect(cursors.open).toBe(0);
  // The one place for a stream is free.
  const next = await fetch(`http://127.0.0.1:${port}/api/turns/${turn}/events`, {
    headers: { authorization: `Bearer ${secrets.alice}`, accept: "application/x-ndjson" },
  });
  expect(next.status).toBe(200);
  await next.body!.cancel();
  await until("the reader to be gone", () => cursors.opened > 0 && cursors.open === 0);
  server.close();
  await once(server, "close");
  await scene.close();
});
