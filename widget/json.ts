// JSON of what may have arrays: old libraries (Prototype.js) give those a `toJSON` that makes strings of them.

export function toJson(value: unknown, space?: number): string {
  return JSON.stringify(value, arraysAsTheyAre, space);
}

/** `made`: what `toJSON` has made of it. */
function arraysAsTheyAre(this: Readonly<Record<string, unknown>>, key: string, made: unknown): unknown {
  const own = this[key];
  return Array.isArray(own) ? own : made;
}
