// How deeply a value is nested. `JSON.parse` takes any depth; `JSON.stringify`, and whatever else recurses, overflows the stack from a few
// thousand levels on.

/** What the gateway takes of the CLI and of the model. */
export const maxLevels = 500;

/** Level by level, since recursion is what the limit is for. */
export function isNestedDeeper(value: unknown, levels: number): boolean {
  let level = isNested(value) ? [value] : [];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth === levels) return true;
    const below: object[] = [];
    for (const node of level)
      for (const child of Array.isArray(node) ? (node as unknown[]) : Object.values(node))
        if (isNested(child)) below.push(child);
    level = below;
  }
  return false;
}

function isNested(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
