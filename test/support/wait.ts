// Waiting for a condition, with a deadline; for what no event announces (processes that end, files that appear).
import { setTimeout as wait } from "node:timers/promises";

/** Resolves with the first value of `look` that is not undefined, null or false; rejects after `withinMs`, naming `what`. */
export async function until<T>(
  what: string,
  look: () => T | Promise<T>,
  withinMs = 10_000,
): Promise<Exclude<T, undefined | null | false>> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== null && value !== false) return value as Exclude<T, undefined | null | false>;
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what}`);
    await wait(10);
  }
}
