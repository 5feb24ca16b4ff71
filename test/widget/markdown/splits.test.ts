import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { corpus } from "../../support/markdown/corpus.ts";
import { inPieces, rendered } from "../../support/markdown/render.ts";
import { cases } from "../../support/property.ts";

test("the corpus has at least a hundred documents, all different", () => {
  expect(new Set(corpus).size).toBe(corpus.length);
  expect(corpus.length).toBeGreaterThanOrEqual(100);
});

describe("a text in pieces becomes the same tree as the whole text", () => {
  test.each(corpus)("split at each place, and in pieces of 1, 2, 3 and 7: %j", (text) => {
    const whole = rendered(text);
    for (let at = 0; at <= text.length; at++) expect(rendered(text.slice(0, at), text.slice(at))).toEqual(whole);
    for (const length of [1, 2, 3, 7]) expect(rendered(...inPieces(text, length))).toEqual(whole);
  });

  test("of the whole corpus in one text", () => {
    const text = corpus.join("\n\n");
    const whole = rendered(text);
    for (const length of [1, 4, 61]) expect(rendered(...inPieces(text, length))).toEqual(whole);
  });

  test("of random documents, cut at random places", () => {
    fc.assert(
      fc.property(document, fc.array(fc.nat(), { maxLength: 8 }), (text, cuts) => {
        const points = [0, ...cuts.map((cut) => cut % (text.length + 1)), text.length].toSorted((a, b) => a - b);
        const pieces = points.slice(1).map((to, index) => text.slice(points[index], to));
        expect(rendered(...pieces)).toEqual(rendered(text));
      }),
      cases(),
    );
  });

  test("of random long paragraphs, which settle while they grow", () => {
    fc.assert(
      fc.property(
        fc.array(longPiece, { minLength: 20, maxLength: 60 }),
        fc.integer({ min: 1, max: 9 }),
        (parts, length) => {
          const text = parts.join("");
          expect(rendered(...inPieces(text, length))).toEqual(rendered(text));
        },
      ),
      cases({ short: 1000, long: 20_000 }),
    );
  });

  test("of random paragraphs of several stretches", () => {
    fc.assert(
      fc.property(
        fc.array(longPiece, { minLength: 20, maxLength: 60 }),
        fc.integer({ min: 1, max: 900 }),
        (parts, length) => {
          const text = `[foo]: /u\n\n${parts.join("").repeat(40)}`;
          expect(rendered(...inPieces(text, length))).toEqual(rendered(text));
        },
      ),
      cases({ short: 100, long: 2000 }),
    );
  });
});

const words = ["a", "foo bar", "é", "🌍", " ", "  ", "\n", "\n\n", "\t", "\r\n", "\r"];
const marks = "* ** *** _ __ ~ ~~ ` `` ``` [ ] ( ) ![ \\ | ! < > & &amp; : . - + # = \" '".split(" ");
const beginnings = [
  "\n- ",
  "\n1. ",
  "\n2) ",
  "\n> ",
  "\n# ",
  "\n    ",
  "\n```\n",
  "\n~~~",
  "\n---\n",
  "\n===\n",
  "\n- [x] ",
];
const wholes = [
  "[foo]",
  "[foo]: /u\n",
  "(/u)",
  "\n|a|b|\n|-|-|\n|c|d|\n",
  "https://a.b",
  "www.a.b",
  "a@b.cd",
  "<b>",
  "\n<div>\n",
  "<!-- ",
  "\n[bar]: /v 't'\n",
];
const document = fc
  .array(fc.constantFrom(...words, ...marks, ...beginnings, ...wholes), { maxLength: 14 })
  .map((parts) => parts.join(""));
const longPiece = fc.constantFrom(
  "lorem ipsum dolor ",
  "sit amet, ",
  "*a* ",
  "**b** ",
  "*",
  "_",
  "`c` ",
  "`",
  "[d](e) ",
  "[foo] ",
  "[",
  "]",
  "(",
  ")",
  "https://a.b/c ",
  "a@b.cd ",
  "\n",
  "  \n",
  "\\",
  "<",
  "<b> ",
  "&amp; ",
  "&",
  "~~f~~ ",
  "~~",
  "|",
  "word",
  ". ",
  "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod ",
);
