// One user floods the gateway with prompts, nearly all of which are refused: what another user of the same key notices.
import { Agent, request } from "node:http";
import { spawnGateway, type ChildGateway } from "../../support/gateway.ts";
import { takeTurns, type Benchmark } from "../bench.ts";

const names = {
  alone: "another user's POST to its answer: alone",
  flooded: "another user's POST to its answer: beside a flood",
};

const floodConnections = 8;
const prompt = "demo:text An answer.";

export const benchmark: Benchmark = {
  name: "Beside a flood",
  ratios: [{ name: "beside a flood against alone", of: names.flooded, to: names.alone }],
  async run({ rounds, scene }) {
    const gateway = await spawnGateway(scene, { limits: { rates: { user: { turns_per_minute: 60 } } } });
    const { session } = await gateway.ended((await gateway.post(prompt, { user: "calm" })).turn);
    const measure = async () => {
      const began = performance.now();
      const { turn } = await gateway.post(prompt, { user: "calm", session });
      await gateway.turn(turn, 30);
      return performance.now() - began;
    };
    const rows = await takeTurns(Math.min(rounds, 20), "ms", {
      [names.alone]: measure,
      [names.flooded]: async () => {
        const flood = startFlood(gateway);
        const ms = await measure();
        await flood.stop();
        return ms;
      },
    });
    await gateway.kill("SIGTERM");
    return rows;
  },
};

/** Prompts of one user, one after the other on each connection. The unknown agent keeps those that are let in from starting anything. */
function startFlood(gateway: ChildGateway): { stop(): Promise<void> } {
  const agent = new Agent({ keepAlive: true, maxSockets: floodConnections });
  const body = JSON.stringify({ prompt, user: "flooder", agent: "unknown" });
  const headers = { ...gateway.headers, "content-type": "application/json" };
  let isOn = true;
  const ask = () =>
    new Promise<void>((resolve, reject) => {
      const asked = request(`${gateway.address}/api/turns`, { method: "POST", agent, headers }, (reply) => {
        reply.resume();
        reply.on("end", resolve);
      });
      asked.on("error", reject).end(body);
    });
  const connections = Array.from({ length: floodConnections }, async () => {
    while (isOn) await ask();
  });
  return {
    async stop() {
      isOn = false;
      await Promise.all(connections);
      agent.destroy();
    },
  };
}
