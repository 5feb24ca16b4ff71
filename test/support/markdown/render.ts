// Markdown through our parser into a tree, whole or in pieces.
import { createParser } from "../../../widget/markdown/parser.ts";
import { normalTree, type Normal } from "./normal.ts";
import { createTree, type Tree } from "./tree.ts";

export function render(pieces: readonly string[]): Tree {
  const tree = createTree();
  const parser = createParser(tree.sink, tree.root);
  for (const piece of pieces) parser.append(piece);
  parser.end();
  return tree;
}

export function rendered(...pieces: string[]): Normal[] {
  return normalTree(render(pieces).root);
}

/** In pieces of so many UTF-16 units. */
export function inPieces(text: string, length: number): string[] {
  return Array.from({ length: Math.ceil(text.length / length) }, (_, index) =>
    text.slice(index * length, (index + 1) * length),
  );
}
