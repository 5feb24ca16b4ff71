import { expect, test } from "vitest";
import { createRetry } from "../../widget/retry.ts";
import { createProfile } from "./fake-browser.ts";

/** A retry of a page whose random numbers are all this one. */
function open(random: number) {
  const profile = createProfile({ answer: () => new Response() });
  const retry = createRetry(profile.openTab({ random: () => random }));
  return {
    profile,
    retry,
    /** How long it waits this time. */
    async wait(leastMs?: number): Promise<number> {
      const began = profile.time;
      let waitedMs = Infinity;
      retry.later(() => (waitedMs = profile.time - began), leastMs);
      await profile.advance(60_000);
      return waitedMs;
    },
  };
}

test("waits double up to half a minute, and begin anew once it has worked", async () => {
  const { retry, wait } = open(1);
  const waits = [];
  for (let time = 0; time < 9; time++) waits.push(await wait());
  expect(waits).toEqual([250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
  retry.reset();
  expect(await wait()).toBe(250);
});

test("pages that lost the same gateway come back spread over half of the wait", async () => {
  expect(await open(0).wait()).toBe(125);
});

test("nothing is tried before the time that the gateway has named", async () => {
  const { wait } = open(1);
  expect(await wait(20_000)).toBe(20_000);
  expect(await wait(100)).toBe(500);
});

test("what was stopped, or has been tried since, is not tried again", async () => {
  const { profile, retry } = open(1);
  let tries = 0;
  retry.later(() => tries++);
  profile.setOnline(true);
  expect(tries).toBe(1);
  retry.later(() => tries++);
  retry.stop();
  profile.setOnline(true);
  await profile.advance(60_000);
  expect(tries).toBe(1);
});
