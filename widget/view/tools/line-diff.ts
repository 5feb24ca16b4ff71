// Which lines were taken out and which put in: Myers' algorithm. Pure.
// http://www.xmailserver.org/diff2.pdf

export interface Line {
  readonly kind: "same" | "out" | "in";
  readonly text: string;
}

/** Beyond so many lines taken out and put in all are shown as exchanged: the search costs their square. */
const maxEdits = 1000;

export function diffLines(before: string, after: string): Line[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start++;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end++;
  const same = (lines: readonly string[]) => lines.map((text): Line => ({ kind: "same", text }));
  return [
    ...same(a.slice(0, start)),
    ...changed(a.slice(start, a.length - end), b.slice(start, b.length - end)),
    ...same(a.slice(a.length - end)),
  ];
}

function linesOf(text: string): string[] {
  const lines = text.split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}

function changed(a: readonly string[], b: readonly string[]): Line[] {
  const trace = search(a, b);
  if (!trace)
    return [...a.map((text): Line => ({ kind: "out", text })), ...b.map((text): Line => ({ kind: "in", text }))];
  const lines: Line[] = [];
  let [x, y] = [a.length, b.length];
  for (let d = trace.length - 1; d >= 0; d--) {
    const reached = trace[d]!;
    const k = x - y;
    const isDown = k === -d || (k !== d && at(reached, k - 1) < at(reached, k + 1));
    const from = isDown ? k + 1 : k - 1;
    const [startX, startY] = d === 0 ? [0, 0] : [at(reached, from), at(reached, from) - from];
    while (x > startX && y > startY) {
      lines.push({ kind: "same", text: a[--x]! });
      y--;
    }
    if (d === 0) break;
    if (isDown) lines.push({ kind: "in", text: b[--y]! });
    else lines.push({ kind: "out", text: a[--x]! });
  }
  return lines.toReversed();
}

/** How far each diagonal was reached before each number of edits; undefined: they are too many. */
function search(a: readonly string[], b: readonly string[]): Map<number, number>[] | undefined {
  const reached = new Map([[1, 0]]);
  const trace: Map<number, number>[] = [];
  for (let d = 0; d <= maxEdits; d++) {
    trace.push(new Map(reached));
    for (let k = -d; k <= d; k += 2) {
      const isDown = k === -d || (k !== d && at(reached, k - 1) < at(reached, k + 1));
      let x = isDown ? at(reached, k + 1) : at(reached, k - 1) + 1;
      let y = x - k;
      while (x < a.length && y < b.length && a[x] === b[y]) {
        x++;
        y++;
      }
      reached.set(k, x);
      if (x >= a.length && y >= b.length) return trace;
    }
  }
  return undefined;
}

function at(reached: ReadonlyMap<number, number>, k: number): number {
  return reached.get(k) ?? 0;
}
