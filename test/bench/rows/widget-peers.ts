// The same answer, each delta in a task of its own, as others draw it. Of the widget's size: what the deltas alone take when nothing is shown, and
// streaming-markdown, which appends as we do and is a renderer alone, in a plain element that follows its end. At smaller sizes, since they would
// take minutes: deep-chat's own element, and the whole text parsed anew for each delta, as most chats do.
import { join } from "node:path";
import { markdownOf } from "../../support/drawing/answers.ts";
import { openDrawingScene, type DrawingScene, type Pump } from "../../support/drawing/page.ts";
import { inPieces } from "../../support/markdown/render.ts";
import type { Benchmark, Row } from "../bench.ts";

declare const drawing: Pump;

const limitMs = 40_000;

interface Peer {
  readonly name: string;
  readonly key: keyof Pump["others"];
  readonly smallKb: number;
  readonly largeKb: number;
}

const appending = { smallKb: 12.5, largeKb: 50 };
const wholeAnew = { smallKb: 3, largeKb: 12.5 };

const peers: readonly Peer[] = [
  { name: "nothing shown", key: "nothing", ...appending },
  { name: "streaming-markdown", key: "streamingMarkdown", ...appending },
  { name: "marked, whole text each time", key: "marked", ...wholeAnew },
  { name: "deep-chat", key: "deepChat", ...wholeAnew },
];

const nameOf = (peer: Peer, kilobytes: number) => `${peer.name}, mixed ${kilobytes} KB, each delta a task`;

export const benchmark: Benchmark = {
  name: "Others draw an answer that grows",
  ratios: [
    ...peers.map((peer) => ({
      name: `${peer.name}: ${peer.largeKb} KB against ${peer.smallKb} KB`,
      of: nameOf(peer, peer.largeKb),
      to: nameOf(peer, peer.smallKb),
    })),
    ...peers.map((peer) => ({
      name: `${peer.name} against the widget, mixed ${peer.largeKb} KB`,
      of: nameOf(peer, peer.largeKb),
      to: `widget, mixed ${peer.largeKb} KB, each delta a task`,
    })),
  ],
  async run() {
    const modules = join(import.meta.dirname, "../node_modules");
    const scene = await openDrawingScene({
      "streaming-markdown": join(modules, "streaming-markdown"),
      marked: join(modules, "marked/lib"),
      "deep-chat": join(modules, "deep-chat/dist"),
    });
    const rows: Row[] = [];
    for (const peer of peers)
      for (const kilobytes of [peer.smallKb, peer.largeKb]) rows.push(await measure(scene, peer, kilobytes));
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
