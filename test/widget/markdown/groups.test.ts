// What is long stands in groups, which no reader sees: the order, the numbers and the room between items are those of one list.
import { describe, expect, test } from "vitest";
import { inPieces } from "../../support/markdown/render.ts";
import { recordedMarkdown, type RecordedElement } from "./recording-document.ts";

/** The groups of the text, drawn in pieces. */
function groupsOf(text: string): RecordedElement[] {
  const { view, root } = recordedMarkdown();
  for (const piece of inPieces(text, 7)) view.append(piece);
  view.end();
  return root.children;
}

const lines = (count: number, line: (index: number) => string, end = "\n") =>
  Array.from({ length: count }, (_, index) => line(index)).join(end);

test("the blocks of an answer stand in groups of twenty, in their order", () => {
  const groups = groupsOf(lines(50, (index) => `paragraph ${index}`, "\n\n"));
  expect(groups.map(({ className, children }) => [className, children.length])).toEqual([
    ["blocks", 20],
    ["blocks", 20],
    ["blocks", 10],
  ]);
  const all = groups.flatMap(({ children }) => children);
  expect(all.map(({ textContent }) => textContent)).toEqual(Array.from({ length: 50 }, (_, i) => `paragraph ${i}`));
});

describe("a list of more than 100 items goes on in another one", () => {
  const listsOf = (text: string) => groupsOf(text)[0]!.children;
  const seen = ({ localName, className, attributes, children }: RecordedElement) => ({
    name: localName,
    className,
    start: attributes.get("start"),
    items: children.length,
  });

  test("with its numbers", () => {
    const lists = listsOf(lines(250, (index) => `${index + 7}. item ${index}`));
    expect(lists.map(seen)).toEqual([
      { name: "ol", className: "followed", start: "7", items: 100 },
      { name: "ol", className: "more followed", start: "107", items: 100 },
      { name: "ol", className: "more", start: "207", items: 50 },
    ]);
    expect(lists.map(({ children }) => children[0]!.textContent)).toEqual(["item 0", "item 100", "item 200"]);
  });

  test("and is loose as a whole, whenever that turns out", () => {
    const late = listsOf(`${lines(201, (index) => `- item ${index}`)}\n\n- and one`);
    expect(late.map(({ className }) => className)).toEqual(["followed loose", "more followed loose", "more loose"]);
    const early = listsOf(lines(101, (index) => `- item ${index}`, "\n\n"));
    expect(early.map(({ className }) => className)).toEqual(["loose followed", "loose more"]);
  });

  test("also within another list, and what comes behind it stands behind all of it", () => {
    const [outer] = listsOf(`- outer\n${lines(101, (index) => `  - inner ${index}`)}\n\n  behind\n- last`);
    expect(outer!.children).toHaveLength(2);
    expect(outer!.children[0]!.children.map(({ localName, children }) => [localName, children.length])).toEqual([
      ["p", 0],
      ["ul", 100],
      ["ul", 1],
      ["p", 0],
    ]);
  });
});
