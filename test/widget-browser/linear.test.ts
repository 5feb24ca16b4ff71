import { afterAll, beforeAll, expect, test } from "vitest";
import { answerOf, shapeNames, type ShapeName } from "../support/drawing/answers.ts";
import { openDrawingScene, type DrawingScene, type Pump } from "../support/drawing/page.ts";
import { isLong } from "../support/scale.ts";

// Four times as much answer is four times as much work, whatever its shape: through the reducer and the views of the built widget, each
// delta in a task of its own.

declare const drawing: Pump;

let scene: DrawingScene;
beforeAll(async () => {
  scene = await openDrawingScene();
});
afterAll(() => scene.close());

/** The nodes that came and went, and the main thread's time. */
async function draw(shape: ShapeName, kilobytes: number) {
  const { page, during, close } = await scene.openWidget();
  await page.evaluate((parts) => drawing.take(parts), answerOf(shape, kilobytes));
  await page.evaluate(() => drawing.count());
  const taskMs = await during(() => page.evaluate(() => drawing.each()));
  const nodes = await page.evaluate(() => drawing.counted());
  await close();
  return { taskMs, ...nodes };
}

test.each(shapeNames)("four times as much text makes four times as many nodes: %s", async (shape) => {
  const [small, large] = [await draw(shape, 2), await draw(shape, 8)];
  expect(large.added / small.added).toBeLessThan(4.5);
  // Those that were taken for something else at first.
  expect(large.removed).toBeLessThan(large.added);
});

test("the messages of an answer stand in groups, so that a frame looks at few of them", async () => {
  const { page, close } = await scene.openWidget();
  await page.evaluate((parts) => drawing.take(parts), answerOf("tools", 8));
  await page.evaluate(() => drawing.each());
  // Ten messages each, of words and a call.
  const groups = await page.locator(".messages").evaluateAll((all) => all.map((group) => group.childElementCount));
  expect(groups).toEqual([20, 20, expect.any(Number)]);
  await close();
});

/** Of three: what else this machine does makes the browser draw more frames. */
async function shortestMs(shape: ShapeName, kilobytes: number): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 3; round++) times.push((await draw(shape, kilobytes)).taskMs);
  return Math.min(...times);
}

// Times: not in `npm test`, but in `npm run test:long` alone.
test.runIf(isLong).each(shapeNames)(
  "50 KB take about four times as long as 12.5 KB: %s",
  async (shape) => {
    const [small, large] = [await shortestMs(shape, 12.5), await shortestMs(shape, 50)];
    expect(large / small).toBeLessThanOrEqual(5);
  },
  300_000,
);
