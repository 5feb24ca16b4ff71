// What the PTY costs: the same command of the same CLI under our driver (PTY and FIFOs, translated) and on plain pipes.
import { driverCli, pipesCli, type LiveCli } from "../cli.ts";
import { takeTurns, type Benchmark } from "../bench.ts";

const words = 1500;
const rowNames = {
  ptyFirst: "live turn, first delta: PTY",
  pipesFirst: "live turn, first delta: plain pipes",
  ptyAll: `live turn, ${words} words: PTY`,
  pipesAll: `live turn, ${words} words: plain pipes`,
};

export const benchmark: Benchmark = {
  name: "PTY beside plain pipes",
  ratios: [
    { name: "PTY against plain pipes, first delta", of: rowNames.ptyFirst, to: rowNames.pipesFirst },
    { name: "PTY against plain pipes, whole answer", of: rowNames.ptyAll, to: rowNames.pipesAll },
  ],
  async run({ rounds, scene }) {
    const pty = await driverCli(scene);
    const pipes = pipesCli(scene);
    for (const cli of [pty, pipes]) {
      await cli.ready;
      await cli.ask("demo:text A first turn.");
    }
    const first = async (cli: LiveCli) => (await cli.ask("demo:text Some words.")).firstDeltaMs;
    const all = async (cli: LiveCli) => (await cli.ask(`demo:long words=${words}`)).allMs;
    const rows = await takeTurns(rounds, "ms", {
      [rowNames.ptyFirst]: () => first(pty),
      [rowNames.pipesFirst]: () => first(pipes),
      [rowNames.ptyAll]: () => all(pty),
      [rowNames.pipesAll]: () => all(pipes),
    });
    await pty.close();
    await pipes.close();
    return rows;
  },
};
