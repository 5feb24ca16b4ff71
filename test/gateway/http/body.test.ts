import { expect, test } from "vitest";
import { streamBody } from "../../../gateway/http/body.ts";
import { until } from "../../support/wait.ts";

/** Counts what was asked for, and tells when it was ended. */
function counted(count: number, fail = false) {
  const seen = { made: 0, isEnded: false };
  async function* pieces() {
    try {
      for (; seen.made < count;) yield `piece ${seen.made++};`;
      if (fail) throw new Error("cannot go on");
    } finally {
      seen.isEnded = true;
    }
  }
  return { seen, pieces: pieces() };
}

const options = { stallMs: 20_000, onError: () => {} };

test("[S2] nothing is made before it is asked for, nor after the reader has gone", async () => {
  const { seen, pieces } = counted(100);
  const reader = streamBody(pieces, options).getReader();
  await Promise.resolve();
  expect(seen.made).toBe(0);
  await reader.read();
  await reader.read();
  expect(seen.made).toBe(2);
  await reader.cancel();
  await until("the end", () => seen.isEnded);
  expect(seen.made).toBe(2);
});

test("a whole body is all pieces in order", async () => {
  expect(await new Response(streamBody(counted(3).pieces, options)).text()).toBe("piece 0;piece 1;piece 2;");
});

test("[S2] a reader that takes nothing for too long is cut, and nothing is kept for it", async () => {
  const { seen, pieces } = counted(100);
  const reader = streamBody(pieces, { ...options, stallMs: 50 }).getReader();
  await reader.read();
  await until("the end", () => seen.isEnded);
  await expect(reader.read()).rejects.toThrow("takes nothing");
});

test("a body that cannot be finished is cut, not ended, and the reason is told once", async () => {
  const errors: unknown[] = [];
  const body = streamBody(counted(2, true).pieces, { stallMs: 20_000, onError: (error) => errors.push(error) });
  await expect(new Response(body).text()).rejects.toThrow("cannot go on");
  expect(errors).toHaveLength(1);
});
