import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EventBody } from "../../../gateway/protocol/events.ts";
import type { LogEvent } from "../../../gateway/store/port.ts";
import { bodyOf, foldedRuns, maxRunChars, mergeDeltas, restOfRun } from "../../../gateway/store/run.ts";
import { createFolding } from "../../../gateway/log/folding.ts";
import { blockStop, completed, delta, deltasOf, newEvent, notice, textsOf } from "../../support/log-drafts.ts";
import { cases } from "../../support/property.ts";

/** Events with numbers from 1. */
function logOf(bodies: readonly EventBody[], turn = "t"): LogEvent[] {
  return bodies.map((body, index) => ({ ...newEvent(body, turn), seq: index + 1, first: index + 1 }));
}

const text = fc.string({ unit: "grapheme", maxLength: 6 });
const block = fc.record({
  message: fc.constantFrom("m1", "m2"),
  index: fc.nat(1),
  type: fc.constantFrom("text_delta", "thinking_delta", "input_json_delta", "signature_delta"),
});

/** Any sequence of deltas of several blocks, each at its right offset, with other events among them. */
const anyLog = fc
  .array(
    fc.oneof(
      { weight: 5, arbitrary: fc.tuple(block, fc.array(text, { minLength: 1, maxLength: 5 })) },
      fc.constant(undefined),
    ),
    { maxLength: 12 },
  )
  .map((steps) => {
    const lengths = new Map<string, number>();
    return logOf(
      steps.flatMap((step): EventBody[] => {
        if (!step) return [notice("between")];
        const [at, texts] = step;
        const key = JSON.stringify(at);
        return texts.map((one) => {
          const offset = lengths.get(key) ?? 0;
          lengths.set(key, offset + one.length);
          return delta(one, offset, at);
        });
      }),
    );
  });

describe("mergeDeltas", () => {
  test("[L7] merged or not, from any cursor, the text is the same and nothing else changes", () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const merged = mergeDeltas(log);
        expect(textsOf(merged)).toEqual(textsOf(log));
        const others = (events: readonly LogEvent[]) => events.filter((event) => event.type === "notice");
        expect(others(merged)).toEqual(others(log));
        // They cover the log without hole or overlap.
        let next = 1;
        for (const event of merged) {
          expect(event.first).toBe(next);
          next = event.seq + 1;
        }
        expect(next).toBe(log.length + 1);
        // A reader that has some of the deltas and gets the merged frame over them has the same text.
        for (let after = 0; after <= log.length; after++)
          expect(
            textsOf(
              merged.filter((event) => event.seq > after),
              textsOf(log.slice(0, after)),
            ),
          ).toEqual(textsOf(log));
      }),
      cases({ short: 1000, long: 50_000 }),
    );
  });

  test("[L7] merging what is merged already changes nothing", () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const plain = (events: readonly LogEvent[]) => events.map(({ seq, first, json }) => ({ seq, first, json }));
        expect(plain(mergeDeltas(mergeDeltas(log)))).toEqual(plain(mergeDeltas(log)));
      }),
      cases({ short: 500, long: 50_000 }),
    );
  });

  test("[L7] only what follows directly in the same block of the same turn is merged", () => {
    const merged = (...bodies: EventBody[]) => mergeDeltas(logOf(bodies)).length;
    expect(merged(delta("a", 0), delta("b", 1))).toBe(1);
    expect(merged(delta("a", 0), notice("x"), delta("b", 1))).toBe(3);
    expect(merged(delta("a", 0), delta("b", 0, { index: 1 }))).toBe(2);
    expect(merged(delta("a", 0), delta("b", 0, { message: "m2" }))).toBe(2);
    expect(merged(delta("a", 0), delta("b", 0, { type: "thinking_delta" }))).toBe(2);
    expect(merged(delta("a", 0, { type: "signature_delta" }), delta("b", 0, { type: "signature_delta" }))).toBe(2);
    const [one, two] = logOf([delta("a", 0), delta("b", 1)]);
    expect(mergeDeltas([one!, { ...two!, turn: "other" }])).toHaveLength(2);
    expect(mergeDeltas([one!, { ...two!, seq: 3, first: 3 }])).toHaveLength(2);
  });

  test("[L7] deltas that do not join at their offsets are not merged", () => {
    expect(mergeDeltas(logOf([delta("abc", 0), delta("x", 1)]))).toHaveLength(2);
  });

  test("[L8] no merged event holds more than 256 K units", () => {
    const log = logOf(deltasOf(Array.from({ length: 9 }, () => "x".repeat(100_000))));
    const lengths = mergeDeltas(log).map(
      (event) => [...textsOf([{ json: event.json.replace(/"offset":\d+/, '"offset":0') }]).values()][0]!.length,
    );
    expect(Math.max(...lengths)).toBeLessThanOrEqual(maxRunChars);
    expect(lengths.reduce((sum, length) => sum + length)).toBe(900_000);
  });
});

describe("restOfRun", () => {
  test("[L8] from any cursor inside, exactly what is behind it is left, its offset right", () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 12 }), fc.nat(100), (texts, before) => {
        const log = logOf([
          delta("z".repeat(before), 0),
          ...deltasOf(texts).map((body) => ({ ...body, offset: body.offset + before })),
        ]).slice(1);
        const [run] = foldedRuns(log);
        for (const [index, { seq }] of log.entries()) {
          const rest = restOfRun(run!, seq);
          if (index === log.length - 1) continue;
          expect(rest).toMatchObject({ first: seq + 1, seq: log.at(-1)!.seq });
          const { offset, delta: inner } = bodyOf(rest) as ReturnType<typeof delta>;
          expect(offset).toBe(before + texts.slice(0, index + 1).join("").length);
          expect(inner).toEqual({ type: "text_delta", text: texts.slice(index + 1).join("") });
          expect(rest).not.toHaveProperty("ends");
        }
        expect(bodyOf(restOfRun(run!, run!.first - 1))).toEqual(bodyOf(run!));
      }),
      cases({ short: 1000, long: 50_000 }),
    );
  });
});

describe("folding", () => {
  test("[L8] a block is folded when it ends, in however many batches its deltas came", () => {
    fc.assert(
      fc.property(fc.array(text, { minLength: 2, maxLength: 10 }), fc.nat(9), (texts, cut) => {
        const log = logOf([...deltasOf(texts), blockStop()]);
        const folding = createFolding();
        const runs = [...folding.note(log.slice(0, cut)), ...folding.note(log.slice(cut))];
        expect(runs).toEqual(foldedRuns(log.slice(0, -1)));
        expect(runs).toMatchObject([{ first: 1, seq: texts.length }]);
        expect(folding.isEmpty).toBe(true);
      }),
      cases({ short: 500, long: 10_000 }),
    );
  });

  test("[L8] every run that is folded gives the same text as its deltas, whatever the log", () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const runs = createFolding().note([
          ...log,
          { ...newEvent(completed(), "t"), seq: log.length + 1, first: log.length + 1 },
        ]);
        const isFolded = (event: LogEvent) => runs.some((run) => run.first <= event.seq && event.seq <= run.seq);
        const rows = [...log.filter((event) => !isFolded(event)), ...runs].toSorted((a, b) => a.seq - b.seq);
        expect(textsOf(rows)).toEqual(textsOf(log));
        for (const run of runs) expect(run.ends).toHaveLength(run.seq - run.first + 1);
      }),
      cases({ short: 1000, long: 50_000 }),
    );
  });

  test("[L8] blocks that are open when the turn ends are folded then; two that take turns are not mixed", () => {
    const folding = createFolding();
    const log = logOf([
      delta("a", 0),
      delta("b", 1),
      delta("x", 0, { index: 1 }),
      delta("c", 2),
      delta("d", 3),
      delta("y", 1, { index: 1 }),
    ]);
    expect(folding.note(log)).toEqual([]);
    expect(folding.isEmpty).toBe(false);
    const ending = { ...newEvent(completed(), "t"), seq: 7, first: 7 };
    expect(folding.note([ending]).map(({ first, seq, ends }) => [first, seq, ends])).toEqual([
      [1, 2, [1, 2]],
      [4, 5, [1, 2]],
    ]);
    expect(folding.isEmpty).toBe(true);
  });

  test("[L8] one delta alone, and deltas that carry no text, are left as they are", () => {
    const signature = { type: "signature_delta" };
    expect(createFolding().note(logOf([delta("a", 0), blockStop()]))).toEqual([]);
    expect(createFolding().note(logOf([delta("a", 0, signature), delta("b", 1, signature), blockStop()]))).toEqual([]);
  });
});
