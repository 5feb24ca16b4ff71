// What it takes the widget to draw an answer that grows, by its shape: each delta in a task of its own and drawn at once, as fast as they
// come; and at a fast model's pace, drawn once a frame, also on a machine that is four times slower.
import { answerOf, shapeNames, type Frame, type ShapeName } from "../../support/drawing/answers.ts";
import { setup as buildWidget } from "../../support/build-widget.ts";
import { openDrawingScene, type DrawingScene, type Pump, type Work } from "../../support/drawing/page.ts";
import type { Benchmark, Ratio, Row } from "../bench.ts";

declare const drawing: Pump;

const [smallKb, largeKb] = [12.5, 50];
/** 4,000 characters. */
const deltasPerSecond = 1000;
const slower = 4;

const eachName = (shape: ShapeName, kilobytes: number) => `widget, ${shape} ${kilobytes} KB, each delta a task`;
const pacedName = (shape: ShapeName, times: number, what: string) =>
  `widget, ${shape} ${largeKb} KB at 4,000 characters/s, CPU 1/${times}: ${what}`;

export const benchmark: Benchmark = {
  name: "The widget draws an answer that grows",
  ratios: shapeNames.map((shape): Ratio => ({
    name: `widget, ${shape}: ${largeKb} KB against ${smallKb} KB`,
    of: eachName(shape, largeKb),
    to: eachName(shape, smallKb),
    target: "≤ 5",
  })),
  targets: {
    [eachName("mixed", largeKb)]: "≤ 1500",
    ...Object.fromEntries(
      shapeNames.flatMap((shape) => [
        [pacedName(shape, 1, "longest task"), "≤ 50"],
        [pacedName(shape, slower, "longest task"), "≤ 100"],
      ]),
    ),
  },
  async run() {
    buildWidget();
    const scene = await openDrawingScene();
    const rows: Row[] = [];
    // One round: what is counted is the time of the main thread's own, so that nothing else on this machine is in it.
    for (const shape of shapeNames) {
      rows.push(...(await each(scene, shape, smallKb)), ...(await each(scene, shape, largeKb)));
      const large = answerOf(shape, largeKb);
      for (const times of [1, slower]) {
        const { taskMs, longestMs } = await paced(scene, large, times);
        rows.push({ name: pacedName(shape, times, "main thread"), unit: "ms", samples: [taskMs] });
        rows.push({ name: pacedName(shape, times, "longest task"), unit: "ms", samples: [longestMs] });
      }
    }
    await scene.close();
    return rows;
  },
};

/** The main thread's time; the nodes that came and went, and what the answer holds in the end. */
async function each(scene: DrawingScene, shape: ShapeName, kilobytes: number): Promise<Row[]> {
  const { page, during, heapBytes, close } = await scene.openWidget();
  const before = await heapBytes();
  await page.evaluate(
    (parts) => {
      drawing.take(parts);
      drawing.count();
    },
    answerOf(shape, kilobytes),
  );
  const taskMs = await during(() => page.evaluate(() => drawing.each()));
  const { added, removed } = await page.evaluate(() => {
    drawing.take([]);
    return drawing.counted();
  });
  const after = await heapBytes();
  await close();
  const name = eachName(shape, kilobytes);
  return [
    { name, unit: "ms", samples: [taskMs] },
    { name: `${name}: nodes added`, unit: "nodes", samples: [added] },
    { name: `${name}: nodes removed`, unit: "nodes", samples: [removed] },
    { name: `${name}: heap`, unit: "MB", samples: [(after - before) / 2 ** 20] },
  ];
}

async function paced(scene: DrawingScene, frames: readonly Frame[], times: number): Promise<Work> {
  const { page, throttle, watched, close } = await scene.openWidget();
  await page.evaluate((parts) => drawing.take(parts), frames);
  await throttle(times);
  const work = await watched(() => page.evaluate((perSecond) => drawing.paced(perSecond), deltasPerSecond));
  await close();
  return work;
}
