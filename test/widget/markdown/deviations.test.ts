// Where the tree is not CommonMark's: the list in widget/markdown/README.md.
import { expect, test } from "vitest";
import { inPieces, rendered } from "../../support/markdown/render.ts";
import type { Normal } from "../../support/markdown/normal.ts";

/** Whole and in pieces. */
function drawn(text: string): Normal[] {
  const whole = rendered(text);
  expect(rendered(...inPieces(text, 5))).toEqual(whole);
  return whole;
}

const nameOf = (node: Normal | undefined) => node?.[0];

test("a tag of no known block alone on its line begins a paragraph", () => {
  expect(drawn("<custom>\n*text*\n</custom>")).toEqual([["p", "<custom>\n", ["em", "text"], "\n</custom>"]]);
  expect(nameOf(drawn("<div>\n*text*")[0])).toBe("html");
});

test("a line that begins a fenced block has at most 300 characters", () => {
  expect(nameOf(drawn(`\`\`\`${"a".repeat(297)}\ncode`)[0])).toBe("pre");
  expect(nameOf(drawn(`\`\`\`${"a".repeat(298)}\ncode`)[0])).toBe("p");
});

test("the head of a table has a bar early, and at most 2,000 characters", () => {
  expect(nameOf(drawn("a\n:-")[0])).toBe("p");
  expect(nameOf(drawn(`${"a".repeat(127)}|b\n-|-`)[0])).toBe("table");
  expect(nameOf(drawn(`${"a".repeat(128)}|b\n-|-`)[0])).toBe("p");
  expect(nameOf(drawn(`a|${"b".repeat(1998)}\n-|-`)[0])).toBe("table");
  expect(nameOf(drawn(`a|${"b".repeat(1999)}\n-|-`)[0])).toBe("p");
  expect(drawn("[a]: b|c\n-|-")).toEqual([["p", "-|-"]]);
});

test("a text of one block ends its line at the first space behind 4,000 characters", () => {
  const [begin, end] = ["a".repeat(4000), "b".repeat(4000)];
  expect(drawn(`${begin}c `)).toEqual([["p", `${begin}c`]]);
  expect(drawn(`${begin}c d`)).toEqual([["p", `${begin}c `, ["stretch", "d"]]]);
  expect(drawn(`**${begin} c** ${end} *e*`)).toEqual([
    ["p", ["strong", `${begin} c`], " ", ["stretch", `${end} `], ["stretch", ["em", "e"]]],
  ]);
  // Where what it refers to is defined behind it.
  expect(drawn(`[f] ${begin} c\n\n[f]: /u`)).toEqual([
    ["p", ["a", { href: "/u", title: null }, "f"], ` ${begin} `, ["stretch", "c"]],
  ]);
});

test("a definition has at most 2,000 characters", () => {
  expect(drawn(`[a]: /${"b".repeat(1990)}`)).toEqual([]);
  expect(nameOf(drawn(`[a]: /${"b".repeat(2000)}`)[0])).toBe("p");
});

test("a task whose text turns out to be a heading stays a task", () => {
  expect(drawn("- [x] a\n  ===")).toEqual([
    ["ul", { isLoose: false }, ["li", ["input", { checked: true }], ["h1", "a"]]],
  ]);
});

test("at most 48 quotes and lists stand in each other; deeper marks are text", () => {
  const depth = (node: Normal | undefined): number =>
    nameOf(node) === "blockquote" ? 1 + depth(node![1] as Normal) : 0;
  const [node] = drawn(`${"> ".repeat(60)}text`);
  expect(depth(node)).toBeGreaterThan(20);
  expect(depth(node)).toBeLessThanOrEqual(48);
  expect(JSON.stringify(node)).toContain("> text");
});

test("at most 32 emphases stand in each other", () => {
  const depth = (node: Normal | undefined): number =>
    typeof node === "string" || node === undefined
      ? 0
      : 1 + Math.max(...node.slice(1).map((part) => depth(part as Normal)));
  const [node] = drawn(`${"*a _b ".repeat(40)}c${"_ d*".repeat(40)}`);
  expect(depth(node)).toBe(33);
});

test("of more than 32 open brackets the outer ones are text", () => {
  expect(JSON.stringify(drawn(`${"[".repeat(32)}a](/u)`))).toContain('"/u"');
  const text = `[${"[".repeat(32)}a${"]".repeat(32)}](/u)`;
  expect(drawn(text)).toEqual([["p", text]]);
});

test("a bare address has at most 2,000 characters, and is none with ftp", () => {
  expect(JSON.stringify(drawn(`https://a.b/${"c".repeat(1900)}`))).toContain('"href"');
  expect(JSON.stringify(drawn(`https://a.b/${"c".repeat(2100)}`))).not.toContain('"href"');
  expect(drawn("ftp://a.b")).toEqual([["p", "ftp://a.b"]]);
});

test("names of characters that are not usual are text", () => {
  expect(drawn("&nbsp;&eacute;&hearts;")).toEqual([["p", "\u00a0é&hearts;"]]);
});

test("footnotes are text", () => {
  expect(drawn("a[^1]\n\n[^1]: note")).toEqual([
    ["p", "a[^1]"],
    ["p", "[^1]: note"],
  ]);
});
