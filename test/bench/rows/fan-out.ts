// Many readers of one stream: the server's CPU time for each event and reader, and its memory for a reader that waits.
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { takeTurns, type Benchmark } from "../bench.ts";

const readers = 2000;
const events = 100;
const ways = { sluice: "Sluice", bare: "bare node:http", hono: "Hono streamSSE" } as const;
type Way = keyof typeof ways;

const cpu = (way: Way) => `${readers} readers: CPU an event and reader, ${ways[way]}`;
const memory = (way: Way) => `${readers} readers: memory of an idle one, ${ways[way]}`;

export const benchmark: Benchmark = {
  name: "Many readers",
  ratios: [
    { name: "CPU of Sluice against bare node:http", of: cpu("sluice"), to: cpu("bare"), target: "≤ 1.15" },
    { name: "CPU of Hono streamSSE against bare node:http", of: cpu("hono"), to: cpu("bare") },
    { name: "memory of Sluice against bare node:http", of: memory("sluice"), to: memory("bare"), target: "≤ 1.15" },
  ],
  async run({ rounds }) {
    const idle = new Map<Way, number[]>(Object.keys(ways).map((way) => [way as Way, []]));
    const measures = Object.keys(ways).map(
      (way) => [cpu(way as Way), () => measure(way as Way, idle.get(way as Way)!)] as const,
    );
    const rows = await takeTurns(Math.min(rounds, 5), "µs", Object.fromEntries(measures));
    return [...rows, ...[...idle].map(([way, samples]) => ({ name: memory(way), unit: "KB" as const, samples }))];
  },
};

/** CPU microseconds an event and reader; the memory of a waiting reader goes to `idle`. */
async function measure(way: Way, idle: number[]): Promise<number> {
  const script = new URL("../fan-out-server.ts", import.meta.url).pathname;
  const child = fork(script, [way, String(events)], { execArgv: ["--expose-gc"] });
  const { port, rss: before } = await said<{ port: number; rss: number }>(child);
  const counts: { seen: number }[] = [];
  const sockets: Socket[] = [];
  for (let index = 0; index < readers; index++) {
    const count = { seen: 0 };
    counts.push(count);
    sockets.push(await reader(port, count));
  }
  await wait(500);
  child.send("rss");
  const { rss } = await said<{ rss: number }>(child);
  idle.push((rss - before) / readers / 1024);
  child.send("start");
  const { cpuUs } = await said<{ cpuUs: number }>(child);
  const deadline = performance.now() + 10_000;
  while (counts.some(({ seen }) => seen < events) && performance.now() < deadline) await wait(20);
  const missing = counts.filter(({ seen }) => seen < events).length;
  for (const socket of sockets) socket.destroy();
  child.disconnect();
  await once(child, "exit");
  if (missing > 0) throw new Error(`${missing} readers of ${way} did not get every event`);
  return cpuUs / events / readers;
}

/** A raw socket that counts frames; resolves when it has the first ping. */
function reader(port: number, count: { seen: number }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"));
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      if (text.includes("event: ping")) resolve(socket);
      // A delta may stand for several, merged: the last id says how far it goes.
      for (const [, id] of text.matchAll(/^id: (\d+)$/gm)) count.seen = Number(id);
    });
    socket.on("error", reject);
  });
}

async function said<T>(child: ChildProcess): Promise<T> {
  const [message] = (await once(child, "message")) as [T];
  return message;
}
