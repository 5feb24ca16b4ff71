import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffLines, type Line } from "../../../widget/view/tools/line-diff.ts";
import { cases } from "../../support/property.ts";

const shown = (before: string, after: string) =>
  diffLines(before, after).map(({ kind, text }) => ({ same: " ", out: "-", in: "+" })[kind] + text);
const side = (lines: readonly Line[], without: Line["kind"]) =>
  lines.filter(({ kind }) => kind !== without).map(({ text }) => text);

describe("the changes of an edit", () => {
  test("are the lines taken out, and behind them those put in", () => {
    expect(shown("a\nb\nc\n", "a\nB\nc\n")).toEqual([" a", "-b", "+B", " c"]);
    expect(shown("", "new\nfile\n")).toEqual(["+new", "+file"]);
    expect(shown("a\nb\nc\nd", "b\nc\nx\nd")).toEqual(["-a", " b", " c", "+x", " d"]);
    expect(shown("same", "same")).toEqual([" same"]);
  });

  test("hold both texts whole, and no line is in both that need not be", () => {
    const line = fc.constantFrom("a", "b", "c", "d", "");
    const text = fc.array(line, { maxLength: 30 }).map((lines) => lines.map((one) => `${one}\n`).join(""));
    fc.assert(
      fc.property(text, text, (before, after) => {
        const lines = diffLines(before, after);
        expect(side(lines, "in")).toEqual(before.split("\n").slice(0, -1));
        expect(side(lines, "out")).toEqual(after.split("\n").slice(0, -1));
      }),
      cases({ short: 2000, long: 50_000 }),
    );
  });

  test("are the fewest there can be", () => {
    const lines = diffLines("a\nb\nc\na\nb\nb\na\n", "c\nb\na\nb\na\nc\n");
    // The example of Myers' paper: five.
    expect(lines.filter(({ kind }) => kind !== "same")).toHaveLength(5);
  });

  test("of texts that have nothing in common are an exchange, however long they are", () => {
    const numbered = (mark: string) => Array.from({ length: 5000 }, (_, index) => `${mark}${index}\n`).join("");
    const lines = diffLines(numbered("a"), numbered("b"));
    expect(lines.slice(0, 5000).every(({ kind }) => kind === "out")).toBe(true);
    expect(lines).toHaveLength(10_000);
  });
});
