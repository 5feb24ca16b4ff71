import { describe, expect, test } from "vitest";
import { highlight } from "../../../widget/markdown/highlight.ts";

const samples: Readonly<Record<string, readonly [code: string, word: string, kind: string]>> = {
  ts: ["const a: string = `x ${b}`;\n", "const", "keyword"],
  js: ["if (a) return null;", "if", "keyword"],
  jsx: ["const a = <b c='d'>e</b>;", "const", "keyword"],
  json: ['{"a": [1, true, null]}', "1", "number"],
  py: ["def f(a):\n    return 'x'  # y\n", "def", "keyword"],
  sh: ['if [ -f "$A" ]; then echo hi; fi', "if", "keyword"],
  html: ['<a href="x">y</a><script>let z = 1;</script><style>p { color: red }</style>', "let", "keyword"],
  css: ["p > a:hover { color: red; }", "color", "attribute"],
  sql: ["SELECT a FROM b WHERE c = 'd'", "SELECT", "keyword"],
  yaml: ["a: 1\nb:\n  - true\n", "a:", "attr"],
  go: ["func f() error { return nil }", "func", "keyword"],
  rust: ["fn f() -> u8 { 1 }", "fn", "keyword"],
  java: ["class A { int b = 1; }", "class", "keyword"],
  diff: ["-old\n+new\n", "+new", "addition"],
};

describe("code in colours", () => {
  test.each(Object.entries(samples))(
    "of %s keeps every character, and knows its words",
    (language, [code, word, kind]) => {
      const tokens = highlight(code, language)!;
      expect(tokens.map((token) => token.text).join("")).toBe(code);
      expect(tokens).toContainEqual({ text: word, kind });
    },
  );

  test("of a language that is not known there are none", () => {
    expect(highlight("x", "brainfuck")).toBeNull();
    expect(highlight("x", "__proto__")).toBeNull();
  });

  test("of HTML they are words, not elements", () => {
    const code = "<img src=x onerror=alert(1)>";
    expect(
      highlight(code, "html")!
        .map((token) => token.text)
        .join(""),
    ).toBe(code);
  });
});
