// How long a prompt waits for the first delta of its answer: with a process that has to be started, one that waits (a spare), and
// one that has had a turn, under our driver and as others run the CLI.
import { setTimeout as wait } from "node:timers/promises";
import { driverCli, printOnce, sdkCli, sdkOnce, type LiveCli } from "../cli.ts";
import { takeTurns, type Benchmark } from "../bench.ts";

const prompt = "demo:text The first words of an answer.";
/** So long a spare has waited: the CLI goes on with its start for a moment after it has answered `initialize`. */
const spareWaitsMs = 1000;

const rowNames = {
  cold: "first delta: our driver, cold",
  print: "first delta: claude -p",
  query: "first delta: Agent SDK query()",
  spare: "first delta: our driver, spare",
  live: "first delta: our driver, second turn",
  streaming: "first delta: Agent SDK streaming input, second turn",
};

export const benchmark: Benchmark = {
  name: "Start of an answer",
  ratios: [
    { name: "claude -p against a spare", of: rowNames.print, to: rowNames.spare, target: "≥ 7" },
    { name: "query() against a spare", of: rowNames.query, to: rowNames.spare, target: "≥ 7" },
    { name: "claude -p against a second turn", of: rowNames.print, to: rowNames.live, target: "≥ 20" },
    { name: "query() against a second turn", of: rowNames.query, to: rowNames.live, target: "≥ 20" },
    { name: "a second turn against the SDK's", of: rowNames.live, to: rowNames.streaming, target: "≤ 1.15" },
  ],
  run: ({ rounds, scene }) =>
    takeTurns(rounds, "ms", {
      [rowNames.cold]: async () => closing(await driverCli(scene), firstDelta),
      [rowNames.print]: async () => (await printOnce(scene, prompt)).firstDeltaMs,
      [rowNames.query]: async () => (await sdkOnce(scene, prompt)).firstDeltaMs,
      [rowNames.spare]: async () =>
        closing(await driverCli(scene), async (cli) => {
          await cli.ready;
          await wait(spareWaitsMs);
          return firstDelta(cli);
        }),
      [rowNames.live]: async () => closing(await driverCli(scene), secondTurn),
      [rowNames.streaming]: async () => closing(await sdkCli(scene), secondTurn),
    }),
};

async function firstDelta(cli: LiveCli): Promise<number> {
  return (await cli.ask(prompt)).firstDeltaMs;
}

async function secondTurn(cli: LiveCli): Promise<number> {
  await cli.ask(prompt);
  return firstDelta(cli);
}

async function closing(cli: LiveCli, measure: (cli: LiveCli) => Promise<number>): Promise<number> {
  const value = await measure(cli);
  await cli.close();
  return value;
}
