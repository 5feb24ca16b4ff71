// Counts of tests that repeat themselves: short in `npm test`, full in `npm run test:long`.
/** Whether this is `npm run test:long`. */
export const isLong = process.env["SLUICE_TEST_LONG"] === "1";

/** The count for this run. */
export function scaled(counts: { short: number; long: number }): number {
  return isLong ? counts.long : counts.short;
}

/** A seed for random points: printed by whoever uses it, and set again by SLUICE_TEST_SEED to replay a run. */
export function testSeed(): number {
  return Number(process.env["SLUICE_TEST_SEED"] ?? Math.floor(Math.random() * 0x7fffffff));
}

/** Numbers in [0, 1), the same ones for the same seed. */
export function random(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
