import { describe, expect, test } from "vitest";
import { createParser } from "../../../widget/markdown/parser.ts";
import { normalTree, type Normal } from "../../support/markdown/normal.ts";
import { createTree, isText, type TreeNode } from "../../support/markdown/tree.ts";

function growing() {
  const tree = createTree();
  const parser = createParser(tree.sink, tree.root);
  return {
    ...parser,
    root: tree.root,
    work: tree.work,
    get shown(): Normal[] {
      return normalTree(tree.root);
    },
  };
}

/** What is drawn of an unfinished text. */
function shown(text: string): Normal[] {
  const view = growing();
  view.append(text);
  return view.shown;
}

function nodesIn(node: TreeNode): TreeNode[] {
  return isText(node) ? [node] : [node, ...node.children.flatMap(nodesIn)];
}

const textOf = (node: TreeNode): string => (isText(node) ? node.text : node.children.map(textOf).join(""));

describe("what has not closed yet is drawn as if it closed", () => {
  const pending = { href: null, title: null };
  test.each<[text: string, drawn: Normal[]]>([
    ["some **bold", [["p", "some ", ["strong", "bold"]]]],
    ["some **bold*", [["p", "some ", ["strong", "bold"]]]],
    ["some **bold**", [["p", "some ", ["strong", "bold"]]]],
    ["some *emphasis **and bold", [["p", "some ", ["em", "emphasis ", ["strong", "and bold"]]]]],
    ["~~struck", [["p", ["del", "struck"]]]],
    ["some `code", [["p", "some ", ["code", "code"]]]],
    ["some ``code `", [["p", "some ", ["code", "code "]]]],
    ["see [the docs", [["p", "see ", ["a", pending, "the docs"]]]],
    ["see [the docs]", [["p", "see ", ["a", pending, "the docs"]]]],
    ["see [the docs](https://exa", [["p", "see ", ["a", pending, "the docs"]]]],
    ["[the docs", [["p", ["a", pending, "the docs"]]]],
    ["see https://example.org/a", [["p", "see ", ["a", pending, "https://example.org/a"]]]],
    ["a ![chart", [["p", "a ", ["a", pending, "chart"]]]],
    ["```ts\nconst a", [["pre", { language: "ts" }, "const a\n"]]],
    ["- one\n- tw", [["ul", { isLoose: false }, ["li", ["p", "one"]], ["li", ["p", "tw"]]]]],
    ["# Head", [["h1", "Head"]]],
    ["> quo", [["blockquote", ["p", "quo"]]]],
    ["- [x] do", [["ul", { isLoose: false }, ["li", ["input", { checked: true }], ["p", "do"]]]]],
  ])("%j", (text, drawn) => expect(shown(text)).toEqual(drawn));

  test("a cell at a time, in a table", () => {
    expect(shown("| a | b |\n|---|---|\n| one | tw").at(-1)).toEqual([
      "table",
      ["tr", ["th", { align: null }, "a"], ["th", { align: null }, "b"]],
      ["tr", ["td", { align: null }, "one"], ["td", { align: null }, "tw"]],
    ]);
  });

  test("as it stands, where it is unlikely to close", () => {
    expect(shown("2*3 is six")).toEqual([["p", "2*3 is six"]]);
    expect(shown("a * b")).toEqual([["p", "a * b"]]);
    expect(shown("about ~5 minutes")).toEqual([["p", "about ~5 minutes"]]);
    expect(shown(`*a ${"word ".repeat(200)}`)).toEqual([["p", `*a ${"word ".repeat(200)}`]]);
  });
});

describe("nothing is withheld", () => {
  test("of plain words: each is shown as it comes", () => {
    const text = "Plain words of several lines\nand two paragraphs\n\nand a last one of 3 words";
    const view = growing();
    for (const [index, character] of [...text].entries()) {
      view.append(character);
      const soFar = text.slice(0, index + 1);
      // The beginning of a line may be a mark: a number with its point, a line's end.
      expect(textOf(view.root).replaceAll("\n", "")).toBe(soFar.replaceAll("\n", ""));
    }
  });

  test("but a line's mark, and a definition of a link", () => {
    for (const mark of ["#", "##", "-", "- ", "12", "12.", ">", "```", "```ts", "***", "    "])
      expect(shown(mark)).toEqual([]);
    expect(shown("[docs]: https://exam")).toEqual([]);
  });
});

describe("what is settled stays the same node", () => {
  test("a finished block is never touched again", () => {
    const view = growing();
    view.append("First **paragraph** with `code`.\n\n- item\n- item\n\n```\ncode\n```\n\n");
    const before = nodesIn(view.root).slice(1);
    const texts = before.map(textOf);
    for (const character of "Then *more* text, [links](/x)\n\n> and\n\n| a |\n|---|\n| b |\n") view.append(character);
    view.end();
    const after = new Set(nodesIn(view.root));
    expect(before.filter((node) => !after.has(node))).toEqual([]);
    expect(before.map(textOf)).toEqual(texts);
  });

  test("and so are the words of a paragraph that goes on", () => {
    const view = growing();
    view.append("A **bold** word, `code` and a [link](/x). ");
    view.append("lorem ipsum ".repeat(30));
    const before = nodesIn(view.root).filter((node) => !isText(node));
    for (const character of "and *so* on with **more** of `it`, and on. ".repeat(20)) view.append(character);
    view.end();
    const after = new Set(nodesIn(view.root));
    expect(before.filter((node) => !after.has(node))).toEqual([]);
  });

  test("no node is taken away where marks close as they should", () => {
    const view = growing();
    for (const character of "Some **bold**, *emphasis*, `code` and [a link](https://example.org/x) here.\n\n1. one\n2. two\n")
      view.append(character);
    view.end();
    expect(view.work.removed).toBe(0);
  });

  test("a definition that comes later makes links of what waited for it, and leaves the rest", () => {
    const view = growing();
    view.append("Before *emphasis* see [docs] and **bold** behind.\n\nAnother paragraph.\n\n");
    const kept = nodesIn(view.root).filter((node) => !isText(node));
    view.append("[docs]: https://example.org/docs\n\n");
    expect(view.shown[0]).toEqual([
      "p",
      "Before ",
      ["em", "emphasis"],
      " see ",
      ["a", { href: "https://example.org/docs", title: null }, "docs"],
      " and ",
      ["strong", "bold"],
      " behind.",
    ]);
    const after = new Set(nodesIn(view.root));
    expect(kept.filter((node) => !after.has(node))).toEqual([]);
  });

  test("many definitions behind one paragraph are drawn at the end at the latest", () => {
    const view = growing();
    const labels = Array.from({ length: 50 }, (_, index) => `r${index}`);
    view.append(`${labels.map((label) => `[${label}]`).join(" ")}\n\n`);
    view.append(labels.map((label) => `[${label}]: /${label}\n`).join(""));
    view.end();
    const links = nodesIn(view.root).filter((node) => !isText(node) && node.shape.kind === "link");
    expect(links).toHaveLength(50);
  });
});

test("a list that turns out to be loose keeps its nodes", () => {
  const view = growing();
  view.append("- a\n- b\n");
  const before = nodesIn(view.root);
  view.append("\n- c");
  const after = new Set(nodesIn(view.root));
  expect(before.filter((node) => !after.has(node))).toEqual([]);
  expect(view.shown[0]).toMatchObject([
    "ul",
    { isLoose: true },
    ["li", ["p", "a"]],
    ["li", ["p", "b"]],
    ["li", ["p", "c"]],
  ]);
});
