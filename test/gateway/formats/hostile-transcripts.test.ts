// A transcript's Markdown as four real renderers show it: whatever people, models and tools have said, there is nothing alive in it.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { safeMarkdown } from "../../../gateway/formats/markdown-text.ts";
import { transcriptMarkdown, transcriptMarkdownHead } from "../../../gateway/formats/transcript-markdown.ts";
import type { TranscriptBlock, TranscriptMessage, TranscriptTurn } from "../../../gateway/protocol/transcript.ts";
import { plainWords, renderers, strangeTags } from "../../support/markdown/renderers.ts";
import { cases } from "../../support/property.ts";

const at = "2026-11-30T12:00:00.000Z";
/** What some take for the end of a line, and others do not. */
const lineEnds = ["\u2028", "\u2029", "\u0085", "\v", "\f", "\r", "\u001c", "\u001d", "\u001e"];

interface Said {
  readonly title: string;
  readonly user: string;
  readonly prompt: string;
  readonly answer: string;
  readonly thinking: string;
  readonly tool: string;
  readonly input: string;
  readonly partial: string;
  readonly output: string;
  readonly file: string;
}

const harmless: Said = {
  title: "A title",
  user: "ann",
  prompt: "Please",
  answer: "Done",
  thinking: "Well",
  tool: "Bash",
  input: "ls",
  partial: '{"comm',
  output: "a file",
  file: "notes.pdf",
};
const places = Object.keys(harmless) as (keyof Said)[];

function message(role: "user" | "assistant", blocks: TranscriptBlock[], rest: Partial<TranscriptMessage>) {
  return { id: role, turn: "t", role, at, seq: 1, state: "complete" as const, blocks, ...rest };
}

/** A transcript in which foreign words stand wherever they can. */
function exported(said: Said): string {
  const source = {
    type: "attachment",
    attachment: "a",
    media_type: said.file,
    url: "https://gateway.example/api/a",
  } as const;
  const call = { type: "tool_use", index: 2, id: "c", name: said.tool, at, input: null, result: null } as const;
  const content = [{ type: "text", text: said.output }, { type: "odd", text: said.output }, source];
  const prompt = message(
    "user",
    [
      { type: "text", index: 0, text: said.prompt },
      { type: "document", index: 1, title: said.file, source },
      { type: "context", index: 2, context: { [said.prompt]: said.prompt } },
    ],
    { by: { key: "k", user: said.user } },
  );
  const answer = message(
    "assistant",
    [
      { type: "thinking", index: 0, thinking: `${said.thinking}\n\nWell` },
      { type: "text", index: 1, text: said.answer },
      { ...call, input: { description: said.input }, result: { content, is_error: true, at } },
      {
        ...call,
        input: { command: said.input, more: said.input },
        result: { content: said.output, is_error: false, at },
      },
      { ...call, partial_json: said.partial },
      { type: "other", index: 5, block: { [said.output]: said.output } },
      { type: "text", index: 6, text: said.answer },
    ],
    { model: said.file },
  );
  const turn: TranscriptTurn = {
    turn: "t",
    state: "failed",
    code: said.tool,
    message: said.output,
    queued_at: at,
    started_at: at,
    ended_at: at,
    first_seq: 1,
    last_seq: 2,
    model: null,
  };
  return (
    transcriptMarkdownHead({ id: "s", agent: "default", title: said.title }) +
    transcriptMarkdown(turn, [prompt, answer])
  );
}

/** Those that make links of bare addresses by the rules of forges, which call nobody within a link. */
const likeForges = new Set(["marked", "micromark"]);

/** What each renderer makes of it that is not Markdown's own structure, or not ours. */
function alive(markdown: string): Record<string, unknown> {
  const ours = foldedIn(exported(harmless));
  const found = Object.entries(renderers).map(([name, render]) => {
    const html = render(markdown);
    return [
      name,
      { strange: strangeTags(html), folded: foldedIn(html), mentions: likeForges.has(name) ? mentionsIn(html) : [] },
    ] as const;
  });
  return Object.fromEntries(
    found.filter(([, { strange, folded, mentions }]) => strange.length > 0 || folded !== ours || mentions.length > 0),
  );
}

/** The tags of folded parts, in their order. */
function foldedIn(html: string): string {
  return (html.match(/<\/?(?:details|summary)>/g) ?? []).join("");
}

function mentionsIn(html: string): string[] {
  return plainWords(html).flatMap((words) => words.match(/(?<![A-Za-z0-9])@\w+/g) ?? []);
}

const image = "<img src=x onerror=alert(1)>";

test("the judges see what is alive: else they would pass anything", () => {
  for (const [name, render] of Object.entries(renderers)) {
    expect(strangeTags(render(`a ${image}`)), name).toEqual([image]);
    expect(strangeTags(render("[x](javascript:alert(1)) [y](java&#115;cript:alert(1))")), name).toHaveLength(2);
    expect(strangeTags(render("![x](https://evil.example/)")), name).toHaveLength(1);
    expect(mentionsIn(render("hello @ann and &#64;bob, but not a@b.example or `@cat`")), name).toEqual([
      "@ann",
      "@bob",
    ]);
  }
});

test("a harmless transcript is whole in every renderer", () => {
  expect(alive(exported(harmless))).toEqual({});
});

describe("[A6] nothing of a transcript is alive in a renderer of Markdown", () => {
  test.each(lineEnds.map((end) => [JSON.stringify(end), end]))(
    "the opening line of a fence that has a line end of another kind hides no HTML: %s",
    (_, end) => {
      for (const fence of ["```", "~~~", "- ```", "  ~~~~"])
        for (const opening of [`${fence}${end}`, `${fence}js${end}x`, `${end}${fence}`, `${fence}js ${end}`])
          for (const place of ["prompt", "answer", "thinking"] as const) {
            const text = `${opening}\ncode\n${fence.trim().replace("- ", "")}\n${image}`;
            expect(alive(exported({ ...harmless, [place]: text })), JSON.stringify({ opening, place })).toEqual({});
          }
    },
  );

  test.each([
    "http://a.example",
    "https://a.example/b",
    "www.a.example",
    "a@b.example",
    "mailto:a@b.example",
    "ftp://a.example",
  ])("an address right before an escape takes nothing of it in: %s", (address) => {
    for (const place of places)
      for (const text of [
        `${address}${image}`,
        `${address}\\${image}`,
        `${address}/${image}`,
        `${address}![x](https://evil.example/)`,
      ])
        expect(alive(exported({ ...harmless, [place]: text })), JSON.stringify({ place, text })).toEqual({});
    // No link leads to the signs of an escape, or shows them.
    const joined = ["<i>", "\\<i>", "![x](https://b.example/)", "@ann", "](x:y)"]
      .map((more) => address + more)
      .join(" ");
    for (const [name, render] of Object.entries(renderers))
      expect(render(safeMarkdown(joined)), name).not.toMatch(/<a [^>]*(?:&amp;|%5C|%26)|&amp;(?:lt|#)/);
    // Nor is it shown with the signs of an escape.
    for (const [name, render] of Object.entries(renderers))
      expect(
        plainWords(render(transcriptMarkdownHead({ id: "s", agent: "a", title: `${address}<i>` }))).join(""),
        name,
      ).toContain(`${address}<i>`);
  });

  test.each([
    "[x](javascript:alert(1))",
    "[x]( JavaScript:alert(1))",
    "[x](java&#115;cript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](java\\script:alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](&#1;javascript:alert(1))",
    "[x](\u0001javascript:alert(1))",
    "[x](\u2028javascript:alert(1))",
    "[x](\njavascript:alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x][y]\n\n[y]: javascript:alert(1)",
    "[x][y]\n\n[y]:\njavascript:alert(1)",
    "[x][y]\n\n> [y]:\n> javascript:alert(1)",
    "[y]\n\n[y]:\t<javascript:alert(1)>",
    "[x](data:text/html,<script>alert(1)</script>)",
    "[x](vbscript:x)",
    "[![x](javascript:alert(1))](javascript:alert(1))",
    "<javascript:alert(1)>",
    "| a |\n|---|\n| [x](javascript:alert(1)) |",
    "[^1]\n\n[^1]: [x](javascript:alert(1))",
  ])("a link leads to a page or a mailbox, never to a script: %j", (text) => {
    for (const place of places) expect(alive(exported({ ...harmless, [place]: text })), place).toEqual({});
  });

  test.each([
    "@ann look",
    "*@ann* _@ann_ (@ann) \\@ann x/@ann",
    "&#64;ann &#x40;ann &commat;ann &#00064;ann",
    "[x](https://a.example)@ann",
    "https://@ann https://a.example/](x)@ann",
    "| a |\n|---|\n| @ann |",
  ])("nobody is called by their name: %j", (text) => {
    for (const place of places) expect(alive(exported({ ...harmless, [place]: text })), place).toEqual({});
  });

  test.each([
    "```js onload=x\n```",
    '```"><img src=x onerror=alert(1)>\n```',
    "~~~ a`b &quot; c\n~~~",
    "```{.js #id}\n```",
    "```@ann\n```",
    "> ~~~<img src=x onerror=alert(1)>\n> a\n> ~~~",
    "[^1]: ~~~ x<img src=x onerror=alert(1)>\n    a\n\n[^1]",
    "1. > ```{onclick=alert(1)}\n   > a\n   > ```",
  ])("the words after a fence are a language or nothing: %j", (text) => {
    expect(alive(exported({ ...harmless, answer: text, prompt: text }))).toEqual({});
  });

  test("whatever is said, wherever it stands", () => {
    const pieces = [
      [image, "<script>", "</details>", "<zz a=b>", "<!--", "<a href=x onclick=y>", "</summary>", "<", ">"],
      ["`", "``", "```", "````", "~~~", "```js", "~~~ x", "$$", "\\", "\\`", "&", "&#60;", "&lt", "|", "\n|-|\n"],
      ["\n", "\n\n", "\r\n", " ", "  ", "    ", "\t", "\u00a0", "\ufeff", "\u0000", "\u001b", ...lineEnds],
      ["- ", "1. ", "> ", "# ", "===", "---", "[^1]: ", "[^1]", "[x]: ", "[x]", "[x](", "[x]:\n", "![", "](", ")"],
      ["*", "_", "~~", "javascript:x", "java", "script:x", ":", "@ann", "@", "a"],
      ["x@y.example", "http://a.example", "www.a.example", "https://a.example/"],
    ];
    const piece = fc.constantFrom(...pieces.flat());
    const words = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(""));
    const all = fc.record(
      Object.fromEntries(places.map((place) => [place, words])) as Record<keyof Said, typeof words>,
    );
    fc.assert(
      fc.property(all, (said) => {
        expect(alive(exported(said))).toEqual({});
      }),
      cases({ short: 150, long: 5000 }),
    );
  }, 120_000);
});
