// From the CLI's write to its PTY to the reader's socket: parsing, translation, the durable store, the stream.
import { chmodSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { join } from "node:path";
import { spawnGateway, type Client } from "../../support/gateway.ts";
import { percentile, type Benchmark, type Row } from "../bench.ts";

const names = {
  p50: "PTY write to SSE byte: p50, one turn",
  p99: "PTY write to SSE byte: p99, one turn",
  p99Many: "PTY write to SSE byte: p99, 50 turns at once",
};

const manyTurns = 50;

export const benchmark: Benchmark = {
  name: "What the gateway adds",
  ratios: [],
  targets: { [names.p50]: "≤ 1", [names.p99]: "≤ 5", [names.p99Many]: "≤ 20" },
  async run({ rounds, scene }) {
    const binary = join(scene.folder, "stamping-cli");
    const script = new URL("../stamping-cli.js", import.meta.url).pathname;
    writeFileSync(binary, `#!/bin/sh\nexec '${process.execPath}' '${script}' "$@"\n`);
    chmodSync(binary, 0o755);
    const gateway = await spawnGateway(
      { ...scene, binary },
      {
        limits: { processes: manyTurns, running_turns: manyTurns, caller_share: 1, min_free_memory_mb: 0 },
      },
    );
    // All processes are up before anything is measured.
    const sessions = await Promise.all(Array.from({ length: manyTurns }, () => started(gateway)));
    const one: number[][] = [];
    const many: number[][] = [];
    for (let round = 0; round < rounds; round++) one.push(await delays(gateway, sessions[0]!, 200, 5));
    // Each of the fifty says ten words a second, as a model does.
    for (let round = 0; round < Math.min(rounds, 3); round++)
      many.push((await Promise.all(sessions.map((session) => delays(gateway, session, 30, 100)))).flat());
    await gateway.kill("SIGTERM");
    const row = (name: string, samples: number[]): Row => ({ name, unit: "ms", samples });
    return [
      row(
        names.p50,
        one.map((delay) => percentile(delay, 50)),
      ),
      row(
        names.p99,
        one.map((delay) => percentile(delay, 99)),
      ),
      row(
        names.p99Many,
        many.map((delay) => percentile(delay, 99)),
      ),
    ];
  },
};

/** A session whose process is up. */
async function started(gateway: Client): Promise<string> {
  const { turn, session } = await gateway.post("1 1");
  await gateway.ended(turn);
  return session;
}

/** The delay of each delta of one turn, in milliseconds. */
async function delays(gateway: Client, session: string, count: number, everyMs: number): Promise<number[]> {
  const { events_url: url } = await gateway.post(`${count} ${everyMs}`, { session });
  const found: number[] = [];
  await new Promise<void>((resolve, reject) => {
    const headers = { ...gateway.headers, accept: "text/event-stream" };
    get(url, { headers }, (reply) => {
      reply.setEncoding("utf8");
      reply.on("data", (chunk: string) => {
        const at = performance.timeOrigin + performance.now();
        for (const [, stamp] of chunk.matchAll(/"text":"([\d.]+) "/g)) found.push(at - Number(stamp));
      });
      reply.on("end", resolve);
    }).on("error", reject);
  });
  return found;
}
