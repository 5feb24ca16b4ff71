// How long a page stands still while the widget begins, on a machine that is four times slower; and until a long conversation is there.
import { setup as buildWidget } from "../../support/build-widget.ts";
import { chunksLoaded, openDrawingScene, type DrawingScene, type Pump, type Work } from "../../support/drawing/page.ts";
import { longMessages, longSession } from "../../support/drawing/transcripts.ts";
import type { Benchmark, Row } from "../bench.ts";

declare const drawing: Pump;

const slower = 4;
const modes = ["bubble", "inline"] as const;

const startName = (mode: string, what: string) => `widget start, ${mode}, CPU 1/${slower}: ${what}`;
const openName = `openSession to its newest page drawn, ${longMessages} messages`;
const allName = `all pages of ${longMessages} messages fetched and drawn: main thread`;

export const benchmark: Benchmark = {
  name: "The widget begins",
  ratios: [],
  targets: {
    ...Object.fromEntries(modes.map((mode) => [startName(mode, "main thread"), "≤ 100"])),
    [openName]: "≤ 300",
  },
  async run({ rounds }) {
    buildWidget();
    const scene = await openDrawingScene();
    const rows: Row[] = [];
    for (const mode of modes) {
      const works = [];
      for (let round = 0; round < rounds; round++) works.push(await start(scene, mode));
      rows.push({ name: startName(mode, "main thread"), unit: "ms", samples: works.map(({ taskMs }) => taskMs) });
      rows.push({
        name: startName(mode, "longest task"),
        unit: "ms",
        samples: works.map(({ longestMs }) => longestMs),
      });
    }
    const opened = [];
    for (let round = 0; round < rounds; round++) opened.push(await openLong(scene));
    rows.push({ name: openName, unit: "ms", samples: opened.map(({ openMs }) => openMs) });
    rows.push({ name: allName, unit: "ms", samples: opened.map(({ allMs }) => allMs) });
    await scene.close();
    return rows;
  },
};

/** From the tag of the README to an idle page; with a panel its chunks belong to it. */
async function start(scene: DrawingScene, mode: (typeof modes)[number]): Promise<Work> {
  const { page, throttle, watched, close } = await scene.openPage("<p>A page</p>");
  // What is put into a page to be asked is there by then.
  await page.waitForFunction(() => true);
  await throttle(slower);
  const work = await watched(async () => {
    await page.evaluate((mode) => drawing.start(mode), mode);
    if (mode === "inline") await chunksLoaded(page);
    else await page.evaluate(() => drawing.settled());
  });
  await close();
  return work;
}

async function openLong(scene: DrawingScene): Promise<{ openMs: number; allMs: number }> {
  const { page, during, close } = await scene.openWidget();
  const openMs = await page.evaluate((session) => drawing.open(session), longSession);
  const taskMs = await during(() => page.evaluate((messages) => drawing.scrollUp(messages), longMessages));
  await close();
  return { openMs, allMs: taskMs };
}
