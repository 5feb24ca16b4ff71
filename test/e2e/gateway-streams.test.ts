// The reader's side of a stream, byte by byte: cuts, pings, readers that take nothing or little, and what they leave behind.
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEventLog } from "../../gateway/log/event-log.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import {
  newFolder,
  openGateway,
  spawnGateway,
  type ChildGateway,
  type Client,
  type OwnGateway,
} from "../support/gateway.ts";
import { joined, openReader, readAll, sseParser, type WireEvent } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { random, scaled, testSeed } from "../support/scale.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, { limits: { ping_s: 0.3, write_timeout_s: 1 } });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

interface RawOptions {
  readonly accept?: string;
  readonly after?: number;
  readonly onData?: (chunk: Buffer) => void;
}

/** A GET on a socket of its own. HTTP/1.0, so that the bytes behind the head are the stream's own. */
function rawGet(client: Client, url: string, { accept = "text/event-stream", after, onData }: RawOptions = {}): Socket {
  const { port, pathname, search } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1");
  const head = [`GET ${pathname}${search} HTTP/1.0`, `Host: 127.0.0.1:${port}`, `Accept: ${accept}`];
  for (const [name, value] of Object.entries(client.headers)) head.push(`${name}: ${value}`);
  if (after !== undefined) head.push(`Last-Event-ID: ${after}`);
  socket.write(`${head.join("\r\n")}\r\n\r\n`);
  socket.on("error", () => socket.destroy());
  if (onData) socket.on("data", onData);
  return socket;
}

/** What of a stream is in the first `limit` bytes of its reply; the connection is destroyed there. */
async function readBytes(client: Client, url: string, limit: number, options: RawOptions = {}) {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const socket = rawGet(client, url, {
    ...options,
    onData(chunk) {
      chunks.push(chunk.subarray(0, limit - bytes));
      bytes += chunk.length;
      if (bytes >= limit) socket.destroy();
    },
  });
  await new Promise((resolve) => socket.once("close", resolve));
  const reply = Buffer.concat(chunks);
  const headEnd = reply.indexOf("\r\n\r\n");
  const head = headEnd < 0 ? reply : reply.subarray(0, headEnd + 4);
  const status = Number(/^HTTP\/1.1 (\d+)/.exec(head.toString("latin1"))?.[1]);
  return { status, isCut: bytes >= limit, headBytes: head.length, body: reply.subarray(head.length) };
}

/** Reads a turn's stream to its 204 through ever new connections, each cut at some byte. */
async function readInPieces(
  client: Client,
  url: string,
  cutAt: () => number,
): Promise<{ events: WireEvent[]; cuts: number }> {
  const events: WireEvent[] = [];
  for (let cuts = 0, inVain = 0; ;) {
    const after = events.at(-1)?.seq ?? 0;
    // By header or by query: both mean the same.
    const [address, options] = cuts % 2 === 0 ? [url, { after }] : [`${url}?after=${after}`, {}];
    // A frame that is longer than the cuts would be asked for again for ever.
    const piece = await readBytes(client, address, cutAt() * 2 ** inVain, options);
    if (piece.status === 204) return { events, cuts };
    if (piece.isCut) cuts += 1;
    const feed = sseParser((event) => event.seq !== undefined && events.push(event));
    feed(new TextDecoder().decode(piece.body, { stream: true }));
    inVain = (events.at(-1)?.seq ?? 0) === after ? inVain + 1 : 0;
  }
}

test("[L4] two readers of a live turn and one of a finished one, cut at random bytes, get what an uncut reader gets", async () => {
  const seed = testSeed();
  console.log(`seed ${seed}: set SLUICE_TEST_SEED to it to replay`);
  const next = random(seed);
  const wantedCuts = scaled({ short: 200, long: 2000 });
  const live = await gateway.post('demo:tool Glob {"pattern":"*"}\ndemo:long words=600 rate=150');
  // Shorter than a head at times, longer than many frames at others.
  const liveCut = () => 100 + Math.floor(next() ** 2 * 6000);
  const [uncut, one, two] = await Promise.all([
    readAll(live.events_url, gateway),
    readInPieces(gateway, live.events_url, liveCut),
    readInPieces(gateway, live.events_url, liveCut),
  ]);
  for (const { events } of [one, two]) expect(joined(events)).toEqual(joined(uncut));
  let cuts = one.cuts + two.cuts;
  expect(cuts).toBeGreaterThan(20);

  const finished = await gateway.post(`demo:tool Glob {"pattern":"🦥"}\ndemo:text ${"🦥 ünd ".repeat(500)}`);
  await gateway.ended(finished.turn);
  const wanted = joined(await readAll(finished.events_url, gateway));
  const { length } = (await readBytes(gateway, finished.events_url, Infinity)).body;
  while (cuts < wantedCuts) {
    const read = await readInPieces(gateway, finished.events_url, () => 300 + Math.floor(next() * (length + 600)));
    expect(joined(read.events)).toEqual(wanted);
    cuts += read.cuts;
  }
});

test("[L4] a finished turn that is cut at every frame's border and one byte beside it is read whole", async () => {
  const turn = await gateway.post('demo:tools [{"name":"Glob","input":{"pattern":"*"}}]\ndemo:text Bytes 🦥.');
  await gateway.ended(turn.turn);
  const wanted = joined(await readAll(turn.events_url, gateway));
  const whole = await readBytes(gateway, turn.events_url, Infinity);
  const borders = [...whole.body.toString("latin1").matchAll(/\n\n/g)].map(({ index }) => index + 2);
  expect(borders.length).toBeGreaterThan(10);
  for (const border of borders)
    for (const beside of [-1, 0, 1]) {
      let isFirst = true;
      const { events } = await readInPieces(gateway, turn.events_url, () => {
        const at = isFirst ? whole.headBytes + border + beside : Infinity;
        isFirst = false;
        return at;
      });
      expect(joined(events)).toEqual(wanted);
    }
});

test("[S1] a reader is pinged on connecting and ever again; pings are not stored, and text has none", async () => {
  const turn = await gateway.post("demo:text Pinged.");
  await gateway.ended(turn.turn);
  const { last_seq: last } = await gateway.session(turn.session);
  const url = `${gateway.address}/api/sessions/${turn.session}/events?after=${last}`;
  const listen = (accept: string, address: string) => {
    let said = "";
    const socket = rawGet(gateway, address, { accept, onData: (chunk) => (said += chunk.toString()) });
    return { socket, body: () => said.split("\r\n\r\n").slice(1).join("") };
  };
  const hanging = await gateway.post("demo:hang");
  const readers = [
    listen("text/event-stream", url),
    listen("application/x-ndjson", url),
    listen("text/plain", hanging.events_url),
  ];
  const [sse, ndjson, text] = readers.map(({ body }) => body);
  const [ssePing, ndjsonPing] = ['event: ping\ndata: {"type":"ping"}\n\n', '{"type":"ping"}\n'];
  await until("three pings each", () => sse!() === ssePing.repeat(3) && ndjson!() === ndjsonPing.repeat(3));
  expect(text!()).toBe("");
  for (const { socket } of readers) socket.destroy();
  await gateway.fetch(`/api/turns/${hanging.turn}/cancel`, { method: "POST" });
  expect((await gateway.session(turn.session)).last_seq).toBe(last);
  expect((await readAll(turn.events_url, gateway)).map(({ type }) => type)).not.toContain("ping");
});

describe("with a history of many megabytes", () => {
  let child: ChildGateway;
  let session: string;
  let url: string;
  beforeAll(async () => {
    const dataFolder = newFolder(scene, "large");
    session = await storeLongHistory(dataFolder);
    child = await spawnGateway(scene, { dataFolder, limits: { write_timeout_s: 1 } });
    url = `${child.address}/api/sessions/${session}/events`;
  });
  afterAll(async () => void (await child.kill("SIGTERM")));

  /** The gateway's open connections. */
  const connections = () => {
    const local = `:${Number(new URL(url).port).toString(16).toUpperCase().padStart(4, "0")}`;
    const table = readFileSync("/proc/net/tcp", "utf8")
      .trim()
      .split("\n")
      .map((line) => line.trim().split(/\s+/));
    // State 01 is "established", 08 "ended by the peer, not yet by us".
    return table.filter(([, from, , state]) => from!.endsWith(local) && /^(01|08)$/.test(state!)).length;
  };
  const fds = () => readdirSync(`/proc/${child.pid}/fd`).length;
  const residentMb = () => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, "utf8"))![1]) / 1024;

  test("[S2] readers that take nothing are cut, cost no memory for good, and nobody else feels them", async () => {
    const round = async () => {
      const stuck = Array.from({ length: 20 }, () => rawGet(child, url).pause());
      await until("all of them to be connected", () => connections() >= stuck.length);
      const { last_seq: last } = await child.session(session);
      const reader = await openReader(url, { ...child, after: last });
      const turn = await child.post("demo:long words=100 rate=100", { session });
      await reader.find("the end", ({ type }) => type === "turn_completed");
      reader.leave();
      expect(joined(reader.events)).toEqual(joined(await readAll(turn.events_url, child)));
      await until("the stuck readers to be cut", () => connections() < stuck.length / 2, 30_000);
      for (const socket of stuck) socket.destroy();
      return residentMb();
    };
    // The first rounds bring the CLI up, and the memory that a history's pages need. What is kept for good is there at every later one;
    // what is not collected yet comes and goes.
    const mbBefore = Math.max(await round(), await round());
    expect(Math.min(await round(), await round()) - mbBefore).toBeLessThan(50);
  });

  test("[S2] a reader that takes a few bytes a second is not cut while little waits for it", async () => {
    const { last_seq: last } = await child.session(session);
    const socket = rawGet(child, `${url}?after=${last}`).pause();
    const turn = await child.post("demo:long words=300 rate=200", { session });
    const chunks: Buffer[] = [];
    // Three times as long as the write deadline.
    for (let taken = 0; taken < 30; taken++) {
      await wait(100);
      const byte = socket.read(1) as Buffer | null;
      if (byte) chunks.push(byte);
    }
    expect(chunks.length).toBeGreaterThan(20);
    const events: WireEvent[] = [];
    const feed = sseParser((event) => event.seq !== undefined && events.push(event));
    socket.on("data", (chunk) => chunks.push(chunk)).resume();
    await child.ended(turn.turn);
    await until("the rest", () => Buffer.concat(chunks).includes("event: turn_completed"));
    socket.destroy();
    const reply = Buffer.concat(chunks).toString();
    feed(reply.slice(reply.indexOf("\r\n\r\n") + 4));
    expect(joined(events)).toEqual(joined(await readAll(turn.events_url, child)));
  });

  test("[S2] connections that are dropped at once, or that end their own side, leave no descriptor behind", async () => {
    const { last_seq: last } = await child.session(session);
    await until("earlier connections to be gone", async () => (await child.session(session)) && true);
    const before = fds();
    const live = `${url}?after=${last}`;
    const cycles = scaled({ short: 500, long: 22_500 });
    for (let cycle = 0; cycle < cycles; cycle += 25)
      await Promise.all(
        Array.from({ length: 25 }, async (_, index) => {
          const socket = rawGet(child, index === 0 ? url : live);
          // At once, when the first bytes have come, and with its reading side still open.
          if (index % 3 > 0) await new Promise((resolve) => socket.once("data", resolve));
          const closed = new Promise((resolve) => socket.once("close", resolve));
          if (index % 3 === 2) socket.end().resume();
          else socket.resetAndDestroy();
          await closed;
        }),
      );
    await until("the descriptors to be closed", () => fds() <= before, 10_000);
    expect(await child.ended((await child.post("demo:text Well.")).turn)).toMatchObject({ state: "completed" });
  });
});

const historyMb = 24;

/** A session in this data folder whose log is a finished turn of many megabytes, written by the gateway's own log. */
async function storeLongHistory(dataFolder: string): Promise<string> {
  const [session, turn, at] = [randomUUID(), randomUUID(), Date.now()];
  const owner = { key: "local", user: null };
  const store = openSqliteStore(join(dataFolder, "sluice.sqlite"));
  const log = createEventLog(store);
  const message = "msg_long";
  const common = { turn, message, index: 0 };
  await log.append({
    session,
    before: [
      { kind: "session", session: { session, agent: "tester", owner, createdAt: at } },
      { kind: "turn", turn: { turn, session, by: { key: "local" }, prompt: [], options: {}, queuedAt: at } },
    ],
    events: [
      { turn, type: "turn_queued", session, agent: "tester", prompt: [], position: 1, by: { key: "local" } },
      { turn, type: "message_start", message: { id: message, model: "demo" } },
      { ...common, type: "content_block_start", content_block: { type: "text", text: "" } },
    ],
  });
  const text = "0123456789abcdef".repeat((128 * 1024) / 16);
  for (let part = 0; part < historyMb * 8; part++) {
    const delta = { type: "text_delta", text };
    await log.append({
      session,
      events: [{ ...common, type: "content_block_delta", offset: part * text.length, delta }],
    });
  }
  const ending = { type: "turn_cancelled", by: { key: "local" }, text: "" } as const;
  await log.append({
    session,
    events: [
      { ...common, type: "content_block_stop" },
      { turn, ...ending },
    ],
  });
  await log.close();
  await store.close();
  return session;
}
