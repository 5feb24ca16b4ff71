// A new reader of a turn of 10,000 deltas that is over: how long until it has all of it.
import { get } from "node:http";
import { openGateway, type Client } from "../../support/gateway.ts";
import { takeTurns, type Benchmark } from "../bench.ts";

const name = "a finished turn of 10,000 deltas to a new reader";

export const benchmark: Benchmark = {
  name: "Catching up",
  ratios: [],
  targets: { [name]: "≤ 20" },
  async run({ rounds, scene }) {
    const gateway = await openGateway(scene);
    const { turn, events_url: url } = await gateway.post("demo:long words=10000 rate=1000000");
    await gateway.ended(turn);
    const rows = await takeTurns(rounds, "ms", { [name]: () => readAll(gateway, url) });
    await gateway.close();
    return rows;
  },
};

function readAll(gateway: Client, url: string): Promise<number> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    get(url, { headers: { ...gateway.headers, accept: "text/event-stream" } }, (reply) => {
      reply.resume();
      reply.on("end", () => resolve(performance.now() - began));
    }).on("error", reject);
  });
}
