// Draws a block's inline elements, again and again as its text grows: what is drawn already and still right stays the same node, so a
// selection in it stays too. Only what a longer text reads otherwise is replaced.
import type { Inline } from "./inline.ts";
import type { Sink } from "./sink.ts";

/** A longer text goes on in a new node: browsers copy a text whenever it grows. */
const maxTextLength = 2000;

interface Drawn<N> {
  readonly node: N;
  /** Of a text: what of it is settled, which comes before `inline.text`. */
  head: string;
  inline: Inline;
  children: Drawn<N>[];
}

export interface Drawing {
  /** What is drawn is now `settled` and then `rest`; the former never comes again. */
  draw(settled: readonly Inline[], rest: readonly Inline[]): void;
  /** Puts a text behind it all, to be read when the next `draw` comes. */
  addRaw(text: string): void;
  /** Everything anew, the settled too. */
  redraw(inlines: readonly Inline[]): void;
}

export function createDrawing<N>(sink: Sink<N>, parent: N): Drawing {
  const settledOnes: Drawn<N>[] = [];
  let loose: Drawn<N>[] = [];

  function draw(settled: readonly Inline[], rest: readonly Inline[]): void {
    const next = joined(settled, rest);
    const first = loose[0];
    if (first && first.head !== "" && next[0]?.kind !== "text") {
      sink.edit(first.node, first.head.length, "");
      first.inline = { kind: "text", text: "" };
      settledOnes.push(loose.shift()!);
    }
    loose = reconcile(sink, parent, loose, next);
    const isShared = next.length < settled.length + rest.length;
    settledOnes.push(...loose.splice(0, settled.length - (isShared ? 1 : 0)));
    const last = settled.at(-1);
    if (isShared && last?.kind === "text") {
      const shared = loose[0]!;
      shared.head += last.text;
      shared.inline = rest[0]!;
      if (shared.head.length > maxTextLength) splitText(shared);
    }
  }

  /** Ends a long text where it is settled, and goes on in another node. */
  function splitText(shared: Drawn<N>): void {
    const text = shared.inline.kind === "text" ? shared.inline.text : "";
    sink.edit(shared.node, shared.head.length, "");
    settledOnes.push({ ...shared, inline: { kind: "text", text: "" } });
    loose[0] = create(sink, parent, { kind: "text", text }, loose[1]?.node ?? null);
  }

  function addRaw(text: string): void {
    const last = loose.at(-1);
    if (last?.inline.kind === "text") {
      sink.edit(last.node, last.head.length + last.inline.text.length, text);
      last.inline = { kind: "text", text: last.inline.text + text };
    } else loose.push(create(sink, parent, { kind: "text", text }, null));
  }

  function redraw(inlines: readonly Inline[]): void {
    const all = [...settledOnes.splice(0), ...loose];
    for (const drawn of all) {
      if (drawn.inline.kind === "text") drawn.inline = { kind: "text", text: drawn.head + drawn.inline.text };
      drawn.head = "";
    }
    loose = reconcile(sink, parent, all, inlines);
  }

  return { draw, addRaw, redraw };
}

/** One list; where both parts meet in a text it is one text. */
function joined(settled: readonly Inline[], rest: readonly Inline[]): readonly Inline[] {
  const last = settled.at(-1);
  const first = rest[0];
  if (last?.kind !== "text" || first?.kind !== "text") return [...settled, ...rest];
  return [...settled.slice(0, -1), { kind: "text", text: last.text + first.text }, ...rest.slice(1)];
}

/** Brings the children of a node to what they are to be; keeps what is alike at both ends. */
function reconcile<N>(sink: Sink<N>, parent: N, old: Drawn<N>[], next: readonly Inline[]): Drawn<N>[] {
  let front = 0;
  while (front < old.length && front < next.length && isAlike(old[front]!.inline, next[front]!)) {
    update(sink, old[front]!, next[front]!);
    front++;
  }
  if (front === old.length && front === next.length) return old;
  let oldEnd = old.length;
  let nextEnd = next.length;
  while (oldEnd > front && nextEnd > front && isSame(old[oldEnd - 1]!.inline, next[nextEnd - 1]!)) {
    oldEnd--;
    nextEnd--;
  }
  for (const { node } of old.slice(front, oldEnd)) sink.remove(node);
  const before = old[oldEnd]?.node ?? null;
  const created = next.slice(front, nextEnd).map((inline) => create(sink, parent, inline, before));
  return [...old.slice(0, front), ...created, ...old.slice(oldEnd)];
}

function update<N>(sink: Sink<N>, drawn: Drawn<N>, next: Inline): void {
  const { inline: old, node } = drawn;
  drawn.inline = next;
  if (next.kind === "text") {
    const text = old.kind === "text" ? old.text : "";
    const keep = commonLength(text, next.text);
    if (keep < text.length || keep < next.text.length) sink.edit(node, drawn.head.length + keep, next.text.slice(keep));
    return;
  }
  if (old.kind === "element" && !hasSameShape(old.shape, next.shape)) sink.set(node, next.shape);
  drawn.children = reconcile(sink, node, drawn.children, next.children);
}

function create<N>(sink: Sink<N>, parent: N, inline: Inline, before: N | null): Drawn<N> {
  if (inline.kind === "text")
    return { node: sink.addText(inline.text, parent, before), head: "", inline, children: [] };
  const node = sink.add(inline.shape, parent, before);
  const children = inline.children.map((child) => create(sink, node, child, null));
  return { node, head: "", inline, children };
}

/** One can become the other. */
function isAlike(a: Inline, b: Inline): boolean {
  if (a.kind === "text" || b.kind === "text") return a.kind === b.kind;
  return a.shape.kind === b.shape.kind && (a.shape.kind !== "image" || hasSameShape(a.shape, b.shape));
}

function isSame(a: Inline, b: Inline): boolean {
  if (a.kind === "text" || b.kind === "text") return a.kind === "text" && b.kind === "text" && a.text === b.text;
  return (
    hasSameShape(a.shape, b.shape) &&
    a.children.length === b.children.length &&
    a.children.every((child, index) => isSame(child, b.children[index]!))
  );
}

function hasSameShape(a: object, b: object): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function commonLength(a: string, b: string): number {
  if (b.startsWith(a)) return a.length;
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return length;
}
