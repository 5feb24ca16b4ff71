// How long it takes to keep an attachment tells whether somebody else has sent it before: what is there already is not written again. Who sends
// one waits for as long as a new one may take, and then nothing is left to tell: the second time it is their own.
import { setTimeout as pass } from "node:timers/promises";

const leastMs = 20;
/** Some three times of what writing takes, also on a busy machine. */
const msPerMegabyte = 25;

/** Begins to count; what it returns resolves no sooner than this time after. */
export function evenTime(bytes: number): () => Promise<void> {
  const until = performance.now() + leastMs + (bytes / 1024 / 1024) * msPerMegabyte;
  return async () => {
    const left = until - performance.now();
    if (left > 0) await pass(left);
  };
}
