import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { corpus } from "../support/markdown/corpus.ts";
import { hostile } from "../support/markdown/hostile.ts";
import { openMarkdownScene, type MarkdownPage, type MarkdownScene, type SeenNode } from "./markdown-page.ts";
import type { MarkdownInPage } from "./markdown-page-script.ts";
import { RecordedTextNode, recordedMarkdown, type RecordedElement } from "../widget/markdown/recording-document.ts";
import { inPieces } from "../support/markdown/render.ts";

declare const markdown: MarkdownInPage;

let scene: MarkdownScene;
let opened: MarkdownPage;

beforeAll(async () => {
  scene = await openMarkdownScene();
  opened = await scene.open();
});
afterAll(() => scene.close());

/** What the renderer builds of the strict document of the unit tests. */
function recorded(origin: string, text: string): SeenNode {
  const { view, root } = recordedMarkdown([origin]);
  root.className = "md";
  view.append(text);
  view.end();
  return look(root);
}

function look(node: object): SeenNode {
  if (node instanceof RecordedTextNode) return node.data;
  const { localName, className, attributes, childNodes } = node as RecordedElement;
  const all = className === "" ? [...attributes] : [["class", className], ...attributes];
  return [localName, Object.fromEntries(all) as Record<string, string>, ...childNodes.map(look)];
}

async function expectNoComplaints(): Promise<void> {
  expect(opened.complaints).toEqual([]);
  expect(await opened.page.evaluate(() => markdown.violations)).toEqual([]);
}

test("the real document gets the nodes of the corpus, whole and in pieces, under a policy with Trusted Types", async () => {
  const { page } = opened;
  const origin = new URL(page.url()).origin;
  const expected = corpus.map((text) => withJoinedTexts(recorded(origin, text)));
  for (const pieces of [corpus.map((text) => [text]), corpus.map((text) => inPieces(text, 4))]) {
    const drawn = await page.evaluate((all) => markdown.drawAll(all), pieces);
    expect(drawn.map(withJoinedTexts)).toEqual(expected);
  }
  await expectNoComplaints();
});

function withJoinedTexts(node: SeenNode): SeenNode {
  if (typeof node === "string") return node;
  const [name, attributes, ...children] = node;
  const joined: SeenNode[] = [];
  for (const child of children.map(withJoinedTexts)) {
    if (typeof child === "string" && typeof joined.at(-1) === "string") joined.push((joined.pop() as string) + child);
    else joined.push(child);
  }
  return [name, attributes, ...joined];
}

test("[A6] hostile texts run nothing, ask for nothing and break no policy", async () => {
  const { page, requested } = opened;
  const before = requested.length;
  const pieces = hostile.flatMap((text) => [[text], inPieces(text, 3)]);
  const seen = await page.evaluate((all) => markdown.drawAll(all), pieces);
  expect(seen).toHaveLength(pieces.length);
  // Whatever they would have begun has had its turn of the event loop.
  await page.evaluate(() => new Promise((resolve) => setTimeout(resolve)));
  expect(requested.slice(before)).toEqual([]);
  await expectNoComplaints();
});

describe.each([false, true])("a selection (in a shadow tree: %s)", (inShadow) => {
  test("in an earlier paragraph, and the place that was scrolled to, stay while the text goes on", async () => {
    const found = await opened.page.evaluate((inShadow) => {
      const at = markdown.show({ inShadow });
      const target = markdown.target(at);
      Object.assign(target.style, { height: "200px", overflow: "auto" });
      markdown.append(
        at,
        "Some **selected** words.\n\n",
        ...Array.from({ length: 40 }, (_, i) => `Paragraph ${i}\n\n`),
      );
      const words = target.querySelector("p")!;
      const chosen = words.querySelector("strong")!.firstChild as Text;
      const range = document.createRange();
      range.setStart(chosen, 0);
      range.setEnd(chosen, 8);
      const selection = document.getSelection()!;
      selection.removeAllRanges();
      selection.setBaseAndExtent(chosen, 0, chosen, 8);
      target.scrollTop = 30;
      for (const piece of "# More\n\n- and `more`\n- of *it*\n\n```\ncode\n```\n\n| a |\n|---|\n| b |\n\nA [link][1].\n\n[1]: https://example.org\n")
        markdown.append(at, piece);
      markdown.end(at);
      return {
        isSameNode: words.querySelector("strong")!.firstChild === chosen && words === target.querySelector("p"),
        range: range.toString(),
        selected: selection.toString(),
        scrollTop: target.scrollTop,
      };
    }, inShadow);
    // A page is not told what is selected inside of a shadow tree.
    const selected = inShadow ? found.selected : "selected";
    expect(found).toEqual({ isSameNode: true, range: "selected", selected, scrollTop: 30 });
  });
});

describe("a block of code", () => {
  const code = Array.from({ length: 40 }, (_, i) => `const a${i} = \`x\`;\n\nif (a) {\n  b(<c />);\n}`).join("\n");

  test("is coloured once it has closed, with the same text, and asks for the colours only then", async () => {
    const { page, requested } = await scene.open();
    await page.evaluate((code) => {
      const at = markdown.show({ isColoured: true });
      for (const piece of `\`\`\`ts\n${code}`) markdown.append(at, piece);
    }, code);
    expect(requested).toEqual([]);
    await page.evaluate(() => markdown.append(0, "\n```\n\nMore."));
    await page.waitForFunction(() => markdown.target(0).querySelector(".hl-keyword"));
    expect(requested.map((url) => new URL(url).pathname)).toEqual(["/highlight.js"]);
    const seen = await page.evaluate(() => {
      const block = markdown.target(0).querySelector(".code code")!;
      const word = block.querySelector(".hl-keyword")!.textContent;
      return { text: block.textContent, lines: block.querySelectorAll(".line").length, word };
    });
    expect(seen).toEqual({ text: code, lines: 200, word: "const" });
  });

  test.each([false, true])(
    "keeps a selection in it, and gets its colours when that has gone (in a shadow tree: %s)",
    async (inShadow) => {
      const { page } = await scene.open();
      const selected = await page.evaluate(
        async ([code, inShadow]) => {
          const at = markdown.show({ isColoured: true, inShadow });
          markdown.append(at, `\`\`\`ts\n${code}`);
          const block = markdown.target(at).querySelector(".code code")!;
          const selection = document.getSelection()!;
          selection.selectAllChildren(block);
          markdown.append(at, "\n```\n");
          // Another block shows when the colours have come and been used.
          const other = markdown.show({ isColoured: true });
          markdown.append(other, "```ts\nconst b = 1;\n```\n");
          while (!markdown.target(other).querySelector(".hl-keyword"))
            await new Promise((resolve) => requestAnimationFrame(resolve));
          return selection.toString();
        },
        [code, inShadow] as const,
      );
      // A page is not told what is selected inside of a shadow tree.
      expect(inShadow || selected === code).toBe(true);
      expect(await page.evaluate(() => markdown.target(0).querySelector(".hl-keyword"))).toBeNull();
      await page.evaluate(() => document.getSelection()!.removeAllRanges());
      await page.waitForFunction(() => markdown.target(0).querySelector(".hl-keyword"));
    },
  );

  test.each([true, false])("is copied by its button (by the browser's clipboard: %s)", async (hasClipboard) => {
    const { page } = await scene.open();
    if (!hasClipboard)
      await page.evaluate(() =>
        Object.defineProperty(navigator, "clipboard", { value: undefined, configurable: true }),
      );
    await page.evaluate((code) => markdown.append(markdown.show(), `\`\`\`\n${code}\n\`\`\`\n`), code);
    const button = page.getByRole("button");
    await button.click();
    await button.filter({ hasText: "Copied" }).waitFor();
    await page.evaluate(() => document.body.append(document.createElement("textarea")));
    await page.locator("textarea").focus();
    await page.keyboard.press("Control+V");
    expect(await page.locator("textarea").inputValue()).toBe(code);
    await button.filter({ hasText: /^Copy$/ }).waitFor();
  });
});

test("reset starts over with nothing", async () => {
  const seen = await opened.page.evaluate(() => {
    const at = markdown.show();
    markdown.append(at, "# Old\n\n- text **and");
    markdown.reset(at);
    const between = markdown.look(at);
    markdown.append(at, "New *text*");
    markdown.end(at);
    return { between, after: markdown.target(at).textContent };
  });
  expect(seen).toEqual({ between: ["div", { class: "md" }], after: "New text" });
});
