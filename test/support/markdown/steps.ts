// Counts what a piece of code does, not how long it takes: how often each piece of its sources ran, as V8 counts for coverage. The same
// on any machine. Counting begins when this module is loaded; what was compiled before is not counted.
import { Session, type Profiler } from "node:inspector/promises";
import { setFlagsFromString } from "node:v8";

// Optimised code is not counted everywhere.
setFlagsFromString("--no-opt");

const session = new Session();
session.connect();
await session.post("Profiler.enable");
await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });

/** Of the sources at these addresses. */
export async function countSteps(sources: RegExp, act: () => void): Promise<number> {
  // Taking the counts sets them back.
  await session.post("Profiler.takePreciseCoverage");
  act();
  const { result } = await session.post("Profiler.takePreciseCoverage");
  return result
    .filter(({ url }) => sources.test(url))
    .flatMap(({ functions }) => functions)
    .reduce((sum, { ranges }) => sum + stepsIn(ranges), 0);
}

/** Each character of source counts as often as it ran: what runs as often as what is around it has no range of its own. */
function stepsIn(ranges: readonly Profiler.CoverageRange[]): number {
  let steps = 0;
  const around: Profiler.CoverageRange[] = [];
  for (const range of ranges) {
    while (around.length > 0 && around.at(-1)!.endOffset <= range.startOffset) around.pop();
    const outer = around.at(-1);
    const length = range.endOffset - range.startOffset;
    steps += length * (range.count - (outer?.count ?? 0));
    around.push(range);
  }
  return steps;
}
