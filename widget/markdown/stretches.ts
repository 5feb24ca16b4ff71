// Draws a text of any length: what goes beyond a few thousand characters goes into stretches of its own. A browser that lays out one more
// word goes through everything inline that stands beside it. Where one ends the text alone decides, not the pieces that it came in.
import { createDrawing, type Drawing } from "./drawing.ts";
import type { Inline } from "./inline-tree.ts";
import type { Sink } from "./sink.ts";

/** The first space behind so many characters ends a stretch, and so a line. */
const stretchLength = 4000;

export function createStretches<N>(sink: Sink<N>, parent: N): Drawing {
  /** Its text stands in the block itself. */
  const first = createDrawing(sink, parent);
  let last = first;
  /** Of the other stretches. */
  const nodes: N[] = [];
  /** Of what is settled in the last stretch. */
  let length = 0;
  let endsInSpace = false;

  function begin(): Drawing {
    const node = sink.add({ kind: "stretch" }, parent, null);
    nodes.push(node);
    last = createDrawing(sink, node);
    return last;
  }

  /** The first part belongs to the stretch that is there, each of the others begins one. */
  function partsOf(inlines: readonly Inline[]): Inline[][] {
    const parts: Inline[][] = [[]];
    const cut = () => {
      parts.push([]);
      length = 0;
    };
    for (const inline of inlines) {
      if (length >= stretchLength && endsInSpace && !/^\s/.test(wordsOf(inline))) cut();
      if (inline.kind === "text") {
        let text = inline.text;
        for (let at = endOf(text, stretchLength - length); at > 0; at = endOf(text, stretchLength)) {
          parts.at(-1)!.push({ kind: "text", text: text.slice(0, at) });
          text = text.slice(at);
          cut();
        }
        parts.at(-1)!.push({ kind: "text", text });
        length += text.length;
        endsInSpace = /\s$/.test(text);
      } else {
        parts.at(-1)!.push(inline);
        length += wordsOf(inline).length;
        endsInSpace = false;
      }
    }
    return parts;
  }

  return {
    draw(settled, rest) {
      const parts = partsOf(settled);
      for (const [index, part] of parts.entries())
        (index === 0 ? last : begin()).draw(part, index === parts.length - 1 ? rest : []);
    },
    addRaw: (text) => last.addRaw(text),
    redraw(inlines) {
      for (const node of nodes.splice(0)) sink.remove(node);
      last = first;
      length = 0;
      endsInSpace = false;
      const parts = partsOf(inlines);
      for (const [index, part] of parts.entries()) (index === 0 ? first : begin()).redraw(part);
    },
  };
}

/** Behind the first space at or behind this place that a word follows; 0: there is none. */
function endOf(text: string, from: number): number {
  const space = /\s(?=\S)/g;
  space.lastIndex = Math.max(from, 0);
  return space.test(text) ? space.lastIndex : 0;
}

function wordsOf(inline: Inline): string {
  if (inline.kind === "text") return inline.text;
  return inline.children.map(wordsOf).join("") || "-";
}
