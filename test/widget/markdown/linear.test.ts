import { expect, test } from "vitest";
import { countSteps } from "../../support/markdown/steps.ts";
import { inPieces, render } from "../../support/markdown/render.ts";
import { shapes } from "../../support/markdown/shapes.ts";
import type { Work } from "../../support/markdown/tree.ts";

const size = 5000;
/** The renderer's, not those of its tests. */
const sources = /(?<!\/test)\/widget\/markdown\//;

/** In pieces of four characters, as a model's deltas come: what the parser runs, and what it asks the sink to do. */
async function measure(text: string): Promise<{ steps: number; drawing: number }> {
  let work: Work | undefined;
  const steps = await countSteps(sources, () => (work = render(inPieces(text, 4)).work));
  return { steps, drawing: work!.calls + work!.units + work!.removed };
}

test.each(Object.entries(shapes))("four times as much text is four times as much work: %s", async (_, shape) => {
  const small = shape(size);
  const large = shape(4 * size);
  const growth = large.length / small.length;
  const before = await measure(small);
  const after = await measure(large);
  expect(before.steps).toBeGreaterThan(small.length);
  expect(after.steps / before.steps / growth).toBeLessThan(1.2);
  // What has not settled before its end is then drawn once more, as far as it goes beyond its first stretch.
  expect(after.drawing / (before.drawing || 1) / growth).toBeLessThan(2);
});
