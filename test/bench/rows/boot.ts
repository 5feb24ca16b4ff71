// From the start of node to the line that says where the gateway listens, and what it takes while nothing happens.
import { readFileSync } from "node:fs";
import { setTimeout as wait } from "node:timers/promises";
import { spawnGateway } from "../../support/gateway.ts";
import type { Scene } from "../../support/real-cli.ts";
import type { Benchmark, Row } from "../bench.ts";

const names = { listening: "start of node to the listening line", idle: "RSS of an idle gateway" };
const settleMs = 1000;

export const benchmark: Benchmark = {
  name: "The gateway itself",
  ratios: [],
  targets: { [names.listening]: "≤ 500", [names.idle]: "≤ 120" },
  async run({ rounds, scene }) {
    const listening: number[] = [];
    const idle: number[] = [];
    // The first one fills the compile cache.
    for (let round = -1; round < rounds; round++) {
      const { ms, megabytes } = await boot(scene);
      if (round < 0) continue;
      listening.push(ms);
      idle.push(megabytes);
    }
    const rows: Row[] = [
      { name: names.listening, unit: "ms", samples: listening },
      { name: names.idle, unit: "MB", samples: idle },
    ];
    return rows;
  },
};

async function boot(scene: Scene): Promise<{ ms: number; megabytes: number }> {
  const began = performance.now();
  const gateway = await spawnGateway(scene, {});
  const ms = performance.now() - began;
  await wait(settleMs);
  const kilobytes = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway.pid}/status`, "utf8"))?.[1]);
  await gateway.kill("SIGTERM");
  return { ms, megabytes: kilobytes / 1024 };
}
