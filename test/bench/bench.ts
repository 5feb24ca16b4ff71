// What a benchmark is made of: rows of samples, measured in one run, and the ratios between them.
import type { Scene } from "../support/real-cli.ts";

export interface Row {
  /** Unique over all rows: ratios name it. */
  readonly name: string;
  readonly unit: "ms" | "events/s" | "MB" | "µs" | "KB" | "nodes";
  readonly samples: readonly number[];
}

/** How many times `of` is as large as `to`, by medians. */
export interface Ratio {
  readonly name: string;
  readonly of: string;
  readonly to: string;
  /** What it should be: "≥ 20" or "≤ 1.15". */
  readonly target?: string;
}

export interface Context {
  /** How often each row is measured. */
  readonly rounds: number;
  /** The real CLI, an environment for it, and the demo model that answers it. */
  readonly scene: Scene;
}

/** A file of rows/: it exports one of these as `benchmark`. */
export interface Benchmark {
  readonly name: string;
  readonly ratios: readonly Ratio[];
  /** What a row's median should be, in its own unit, by its name. */
  readonly targets?: Readonly<Record<string, string>>;
  run(context: Context): Promise<Row[]>;
}

export function percentile(samples: readonly number[], percent: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil((sorted.length * percent) / 100) - 1)]!;
}

export function median(samples: readonly number[]): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Rows whose rounds take turns, so that whatever slows the machine down for a while slows all of them down. */
export async function takeTurns(
  rounds: number,
  unit: Row["unit"],
  measures: Readonly<Record<string, () => Promise<number> | number>>,
): Promise<Row[]> {
  const rows = Object.entries(measures).map(([name, measure]) => ({ name, unit, measure, samples: [] as number[] }));
  for (let round = 0; round < rounds; round++) for (const row of rows) row.samples.push(await row.measure());
  return rows.map(({ name, unit, samples }) => ({ name, unit, samples }));
}
