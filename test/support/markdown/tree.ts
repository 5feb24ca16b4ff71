// A sink that builds a tree of plain objects and counts what it is asked to do.
import type { Shape, Sink } from "../../../widget/markdown/sink.ts";

export interface TreeElement {
  shape: Shape | { readonly kind: "document" };
  parent: TreeElement | null;
  children: TreeNode[];
}

export interface TreeText {
  text: string;
  parent: TreeElement | null;
}

export type TreeNode = TreeElement | TreeText;

export interface Work {
  /** Calls. */
  calls: number;
  /** UTF-16 units given as text. */
  units: number;
  /** Nodes taken away, with everything in them. */
  removed: number;
}

export interface Tree {
  readonly root: TreeElement;
  readonly sink: Sink<TreeNode>;
  readonly work: Work;
}

export function createTree(): Tree {
  const root: TreeElement = { shape: { kind: "document" }, parent: null, children: [] };
  const work: Work = { calls: 0, units: 0, removed: 0 };
  const finished = new Set<TreeNode>();

  function insert<T extends TreeNode>(node: T, parent: TreeNode, before: TreeNode | null): T {
    work.calls++;
    const { children } = elementOf(parent);
    if (before === null) children.push(node);
    else children.splice(indexIn(children, before), 0, node);
    return node;
  }

  return {
    root,
    work,
    sink: {
      add: (shape, parent, before) => insert({ shape, parent: elementOf(parent), children: [] }, parent, before),
      addText(text, parent, before) {
        if (text === "") throw new Error("an empty text was added");
        work.units += text.length;
        return insert({ text, parent: elementOf(parent) }, parent, before);
      },
      edit(node, keep, text) {
        if (!("text" in node)) throw new Error("an element was edited as a text");
        if (keep > node.text.length) throw new Error("more is to be kept of a text than there is");
        work.calls++;
        work.units += text.length + node.text.length - keep;
        node.text = node.text.slice(0, keep) + text;
      },
      set(node, shape) {
        work.calls++;
        elementOf(node).shape = shape;
      },
      remove(node) {
        work.calls++;
        work.removed += nodesIn(node);
        const { children } = node.parent!;
        children.splice(indexIn(children, node), 1);
        node.parent = null;
      },
      finish(node) {
        work.calls++;
        if (finished.has(node)) throw new Error("a block has closed twice");
        finished.add(node);
      },
    },
  };
}

export function isText(node: TreeNode): node is TreeText {
  return "text" in node;
}

function elementOf(node: TreeNode): TreeElement {
  if (isText(node)) throw new Error("a text has no children");
  return node;
}

/** From the end, where a growing tree changes. */
function indexIn(children: readonly TreeNode[], node: TreeNode): number {
  const index = children.lastIndexOf(node);
  if (index < 0) throw new Error("the node is not where it was said to be");
  return index;
}

function nodesIn(node: TreeNode): number {
  return isText(node) ? 1 : node.children.reduce((sum, child) => sum + nodesIn(child), 1);
}
