// What a box costs: the same CLI in one, with the copy of it that a gateway makes, and as a program of its own.
import { join } from "node:path";
import { copyCli } from "../../../gateway/claude/box/cli-copy.ts";
import { locateCli } from "../../../gateway/claude/locate.ts";
import { measureMemory } from "../../../gateway/claude/process-memory.ts";
import { testBox } from "../../support/box.ts";
import type { Scene } from "../../support/real-cli.ts";
import { takeTurns, type Benchmark } from "../bench.ts";
import { driverCli, type DrivenCli } from "../cli.ts";

const prompt = "demo:text The first words of an answer.";
const atOnce = 8;

type Start = () => Promise<DrivenCli>;

const measures = {
  "initialize is answered": (start: Start) => started(start, async ({ ready }, since) => ready.then(() => since())),
  "first delta of a second turn": (start: Start) =>
    started(start, async (cli) => {
      await cli.ask(prompt);
      return (await cli.ask(prompt)).firstDeltaMs;
    }),
  "eight started at once, the last initialize": async (start: Start) => {
    const since = stopwatch();
    const all = await Promise.all(Array.from({ length: atOnce }, start));
    await Promise.all(all.map(({ ready }) => ready));
    const took = since();
    await Promise.all(all.map((cli) => cli.close()));
    return took;
  },
} as const;

const memory = "memory after a turn, with all that it started";
const rowOf = (what: string, isBoxed: boolean) => `${isBoxed ? "in a box" : "without"}: ${what}`;

export const benchmark: Benchmark = {
  name: "Boxes",
  ratios: [...Object.keys(measures), memory].map((what) => ({
    name: `in a box against without: ${what}`,
    of: rowOf(what, true),
    to: rowOf(what, false),
    target: "≤ 1.15",
  })),
  async run({ rounds, scene }) {
    const starts = { true: await boxedStart(scene), false: () => driverCli(scene) };
    const each = [false, true].map((isBoxed) => ({ isBoxed, start: starts[`${isBoxed}`] }));
    const times = each.flatMap(({ isBoxed, start }) =>
      Object.entries(measures).map(([what, measure]) => [rowOf(what, isBoxed), () => measure(start)] as const),
    );
    const sizes = each.map(({ isBoxed, start }) => [rowOf(memory, isBoxed), () => megabytes(start)] as const);
    return [
      ...(await takeTurns(rounds, "ms", Object.fromEntries(times))),
      ...(await takeTurns(Math.min(rounds, 3), "MB", Object.fromEntries(sizes))),
    ];
  },
};

async function boxedStart(scene: Scene): Promise<Start> {
  const cli = await copyCli(await locateCli(undefined, ""), join(scene.folder, "cli"));
  return () =>
    driverCli(scene, (session) => {
      const sessionFolder = join(scene.folder, "sessions", session);
      return testBox({ sessionFolder, cli, read: [], environment: scene.environment });
    });
}

async function started(
  start: Start,
  measure: (cli: DrivenCli, since: () => number) => Promise<number>,
): Promise<number> {
  const since = stopwatch();
  const cli = await start();
  const value = await measure(cli, since);
  await cli.close();
  return value;
}

async function megabytes(start: Start): Promise<number> {
  return started(start, async (cli) => {
    await cli.ask(prompt);
    return (await measureMemory([cli.pid])).get(cli.pid)! / 1024 / 1024;
  });
}

function stopwatch(): () => number {
  const startedAt = performance.now();
  return () => performance.now() - startedAt;
}
