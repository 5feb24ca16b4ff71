// How long a POST waits for the first delta of its answer, over HTTP and with the durable store: beside `claude -p` and the Agent SDK, which
// start.ts measures in the same run.
import { setTimeout as wait } from "node:timers/promises";
import { spawnGateway, type ChildGateway } from "../../support/gateway.ts";
import { takeTurns, type Benchmark } from "../bench.ts";

const prompt = "demo:text The first words of an answer.";
const spareWaitsMs = 2500;

const names = {
  cold: "POST to first delta: cold",
  spare: "POST to first delta: a spare's first",
  live: "POST to first delta: later turn",
};

export const benchmark: Benchmark = {
  name: "An answer over HTTP",
  ratios: [
    { name: "claude -p against a POST to a spare", of: "first delta: claude -p", to: names.spare, target: "≥ 7" },
    { name: "query() against a POST to a spare", of: "first delta: Agent SDK query()", to: names.spare, target: "≥ 7" },
    { name: "claude -p against a later POST", of: "first delta: claude -p", to: names.live, target: "≥ 20" },
    { name: "query() against a later POST", of: "first delta: Agent SDK query()", to: names.live, target: "≥ 20" },
    {
      name: "a later POST against the SDK's second turn",
      of: names.live,
      to: "first delta: Agent SDK streaming input, second turn",
      target: "≤ 1.15",
    },
  ],
  async run({ rounds, scene }) {
    const plain = await spawnGateway(scene, { agents: [{ name: "tester" }] });
    const spare = await spawnGateway(scene, { agents: [{ name: "tester", spares: 1 }], limits: { processes: 3 } });
    const { session } = await plain.ended((await plain.post(prompt)).turn);
    const rows = await takeTurns(rounds, "ms", {
      [names.cold]: () => firstDelta(plain, {}),
      [names.spare]: async () => {
        await wait(spareWaitsMs);
        return firstDelta(spare, {});
      },
      [names.live]: () => firstDelta(plain, { session }),
    });
    await Promise.all([plain.kill("SIGTERM"), spare.kill("SIGTERM")]);
    return rows;
  },
};

/** One prompt, to its end; resolves with the milliseconds from the request to its first delta. */
async function firstDelta(gateway: ChildGateway, body: Record<string, unknown>): Promise<number> {
  const began = performance.now();
  const reply = await gateway.fetch("/api/turns", {
    method: "POST",
    headers: { accept: "text/event-stream", "content-type": "application/json" },
    body: JSON.stringify({ prompt, ...body }),
  });
  let text = "";
  let firstMs: number | undefined;
  for await (const chunk of reply.body!) {
    text += Buffer.from(chunk).toString("utf8");
    if (firstMs === undefined && text.includes("event: content_block_delta")) firstMs = performance.now() - began;
  }
  if (firstMs === undefined) throw new Error(`no answer: ${text.slice(0, 500)}`);
  return firstMs;
}
