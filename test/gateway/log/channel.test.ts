import * as fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { createChannel } from "../../../gateway/log/channel.ts";
import type { LogEvent } from "../../../gateway/store/port.ts";
import { delta, newEvent, notice, textsOf } from "../../support/log-drafts.ts";
import { cases } from "../../support/property.ts";

const event = (seq: number, text = "x"): LogEvent => ({ ...newEvent(notice(text), "t"), seq, first: seq });
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => event(from + index));

describe("a channel", () => {
  test("[L4] gives every event behind a position once, whatever the batches", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 60 }),
        fc.nat(50),
        (sizes, begin) => {
          const channel = createChannel();
          let last = begin;
          for (const size of sizes) channel.push(range(last + 1, (last += size)));
          for (let after = begin; after <= last; after++) {
            const found: number[] = [];
            for (let batch = channel.after(after); batch; batch = channel.after(batch.last)) {
              found.push(...batch.events.map(({ seq }) => seq));
              expect(batch.last).toBe(found.at(-1));
            }
            expect(found).toEqual(range(after + 1, last).map(({ seq }) => seq));
          }
          expect(channel.last).toBe(last);
        },
      ),
      cases({ short: 300, long: 10_000 }),
    );
  });

  test("[L7] a reader that keeps up shares its batch with others; one far behind gets deltas merged", () => {
    const channel = createChannel();
    let offset = 0;
    for (let seq = 1; seq <= 100; seq++) {
      channel.push([{ ...newEvent(delta(`${seq} `, offset), "t"), seq, first: seq }]);
      offset += `${seq} `.length;
    }
    expect(channel.after(99)).toBe(channel.after(99));
    const bulk = channel.after(10)!;
    expect(bulk.events).toHaveLength(1);
    expect(bulk.last).toBe(100);
    const known = Array.from({ length: 10 }, (_, index) => `${index + 1} `).join("");
    const [text] = textsOf(bulk.events, new Map([["m1 0 text_delta", known]])).values();
    expect(text).toBe(Array.from({ length: 100 }, (_, index) => `${index + 1} `).join(""));
  });

  test("has nothing for a reader that is behind what it holds, and is bounded in batches and size", () => {
    const channel = createChannel();
    for (let seq = 1; seq <= 600; seq++) channel.push([event(seq)]);
    expect(channel.after(0)).toBeUndefined();
    expect(channel.after(99)).toBeUndefined();
    expect(channel.after(100)?.events[0]?.seq).toBe(101);
    for (let seq = 601; seq <= 610; seq++) channel.push([event(seq, "x".repeat(1_000_000))]);
    expect(channel.after(607)).toBeUndefined();
    expect(channel.after(608)?.events.map(({ seq }) => seq)).toEqual([609]);
    channel.push([event(611, "x".repeat(5_000_000))]);
    expect(channel.after(610)?.events).toHaveLength(1);
    expect(channel.after(611)).toBeUndefined();
  });

  test("wakes each listener once, at the next push or wake, and none that was taken back", () => {
    const channel = createChannel();
    const [one, two, gone] = [vi.fn<() => void>(), vi.fn<() => void>(), vi.fn<() => void>()];
    for (const listener of [one, two, gone]) channel.once(listener);
    channel.off(gone);
    channel.push([event(1)]);
    channel.push([event(2)]);
    channel.once(two);
    channel.wake();
    expect([one, two, gone].map((listener) => listener.mock.calls.length)).toEqual([1, 2, 0]);
  });
});
