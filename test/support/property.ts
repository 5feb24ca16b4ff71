// Parameters of property tests. fast-check prints seed and path of a failure; SLUICE_TEST_SEED replays a run.
import { scaled } from "./scale.ts";

const seed = process.env["SLUICE_TEST_SEED"];

/** For `fc.assert`: the main properties run 10,000 cases in `npm test`. */
export function cases(counts: { short: number; long: number } = { short: 10_000, long: 200_000 }): {
  numRuns: number;
  seed?: number;
} {
  return { numRuns: scaled(counts), ...(seed === undefined ? {} : { seed: Number(seed) }) };
}
