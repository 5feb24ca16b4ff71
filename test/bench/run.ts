// `npm run bench [-- --rounds=20] [--only=widget]`: measures Sluice and what it is compared with side by side in one run, prints a
// table and writes test/bench/results.json. The files of rows/ are the benchmarks; `only`: those whose names begin so.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { availableParallelism, cpus } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { openScene } from "../support/real-cli.ts";
import { median, type Benchmark, type Ratio, type Row } from "./bench.ts";

const { values } = parseArgs({ options: { rounds: { type: "string", default: "7" }, only: { type: "string" } } });
const here = import.meta.dirname;

if (!existsSync(join(here, "node_modules"))) {
  process.stdout.write("Installing what the benchmark compares with (npm ci --prefix test/bench) …\n");
  execFileSync("npm", ["ci", "--prefix", here], { stdio: "inherit" });
}

const rows: Row[] = [];
const ratios: Ratio[] = [];
const targets: Record<string, string> = {};
for (const file of readdirSync(join(here, "rows")).toSorted()) {
  if (!file.startsWith(values.only ?? "")) continue;
  const { benchmark } = (await import(join(here, "rows", file))) as { benchmark: Benchmark };
  process.stdout.write(`${benchmark.name} …\n`);
  const scene = await openScene();
  rows.push(...(await benchmark.run({ rounds: Number(values.rounds), scene })));
  await scene.close();
  ratios.push(...benchmark.ratios);
  Object.assign(targets, benchmark.targets);
}

const medians = new Map(rows.map((row) => [row.name, median(row.samples)]));
const measuredRatios = ratios
  .filter(({ of, to }) => medians.has(of) && medians.has(to))
  .map((ratio) => ({ ...ratio, value: medians.get(ratio.of)! / medians.get(ratio.to)! }));
const machine = `${cpus()[0]?.model.trim() ?? "?"}, ${availableParallelism()} cores, Node ${process.version}`;

process.stdout.write(`\n${machine}\n\n${table(rows)}\n${ratioTable()}\n`);
writeFileSync(
  join(here, "results.json"),
  `${JSON.stringify({ at: new Date().toISOString(), machine, rows, targets, ratios: measuredRatios }, null, 2)}\n`,
);

function table(rows: readonly Row[]): string {
  const cells = rows.map(({ name, unit, samples }) => [
    name,
    shown(median(samples)),
    shown(Math.min(...samples)),
    shown(Math.max(...samples)),
    unit,
    String(samples.length),
    targets[name] === undefined ? "" : `wanted ${targets[name]}`,
  ]);
  return aligned([["", "median", "min", "max", "", "n", ""], ...cells]);
}

function ratioTable(): string {
  return aligned(
    measuredRatios.map(({ name, value, target }) => [name, `${value.toFixed(2)}×`, target ? `wanted ${target}` : ""]),
  );
}

function shown(value: number): string {
  return value >= 1000 ? Math.round(value).toLocaleString("en") : value.toFixed(1);
}

function aligned(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) => line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "))
    .map((line) => `${line.trimEnd()}\n`)
    .join("");
}
