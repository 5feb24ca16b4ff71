// The same answer, each delta in a task of its own, as others draw it: deep-chat's own element, and the whole text parsed anew for each delta, as most
// chats do. At smaller sizes than the widget's: they would take minutes.
import { join } from "node:path";
import { markdownOf } from "../../support/drawing/answers.ts";
import { openDrawingScene, type DrawingScene, type Pump } from "../../support/drawing/page.ts";
import { inPieces } from "../../support/markdown/render.ts";
import type { Benchmark, Row } from "../bench.ts";

declare const drawing: Pump;

const [smallKb, largeKb] = [3, 12.5];
const limitMs = 40_000;

interface Peer {
  readonly name: string;
  readonly key: keyof Pump["others"];
}

const peers: readonly Peer[] = [
  { name: "marked, whole text each time", key: "marked" },
  { name: "deep-chat", key: "deepChat" },
];

const nameOf = (peer: Peer, kilobytes: number) => `${peer.name}, mixed ${kilobytes} KB, each delta a task`;

export const benchmark: Benchmark = {
  name: "Others draw an answer that grows",
  ratios: [
    ...peers.map((peer) => ({
      name: `${peer.name}: ${largeKb} KB against ${smallKb} KB`,
      of: nameOf(peer, largeKb),
      to: nameOf(peer, smallKb),
    })),
    ...peers.map((peer) => ({
      name: `${peer.name} against the widget, mixed ${largeKb} KB`,
      of: nameOf(peer, largeKb),
      to: `widget, mixed ${largeKb} KB, each delta a task`,
    })),
  ],
  async run() {
    const modules = join(import.meta.dirname, "../node_modules");
    const scene = await openDrawingScene({
      marked: join(modules, "marked/lib"),
      "deep-chat": join(modules, "deep-chat/dist"),
    });
    const rows: Row[] = [];
    for (const peer of peers)
      for (const kilobytes of [smallKb, largeKb]) rows.push(await measure(scene, peer, kilobytes));
    await scene.close();
    return rows;
  },
};

async function measure(scene: DrawingScene, peer: Peer, kilobytes: number): Promise<Row> {
  const { page, during, close } = await scene.openPage("");
  const deltas = inPieces(markdownOf("mixed", kilobytes), 4);
  await page.evaluate((key) => drawing.others[key](), peer.key);
  await page.evaluate((parts) => drawing.take(parts), deltas);
  let shown = 0;
  const taskMs = await during(async () => {
    shown = await page.evaluate((limitMs) => drawing.each({ limitMs }), limitMs);
  });
  await close();
  const stopped = shown < deltas.length ? `: stopped at ${shown * 4} characters` : "";
  // Of what was not finished in time no ratio is made: it has another name.
  return { name: nameOf(peer, kilobytes) + stopped, unit: "ms", samples: [taskMs] };
}
