import { describe, expect, test } from "vitest";
import { isCommandWithMention, promptLine, type PromptRules } from "../../../gateway/claude/prompt-line.ts";
import type { PromptBlock } from "../../../gateway/protocol/prompt.ts";

const neither: PromptRules = { slash_commands: false, file_mentions: false };
const commands: PromptRules = { slash_commands: true, file_mentions: false };
const mentions: PromptRules = { slash_commands: false, file_mentions: true };
const both: PromptRules = { slash_commands: true, file_mentions: true };

const text = (text: string): PromptBlock => ({ type: "text", text });
const image: PromptBlock = { type: "image", source: { type: "base64", media_type: "image/png", data: "AAAA" } };
const guard = text("\n");

/** What stands on the line; the prompt's own blocks must be the first of it. */
function content(prompt: PromptBlock[], rules: PromptRules): unknown[] {
  const line = promptLine("turn-1", prompt, rules);
  expect(line.indexOf("\n")).toBe(line.length - 1);
  const { message } = JSON.parse(line) as { message: { content: unknown[] } };
  expect(message.content.slice(0, prompt.length)).toEqual(prompt);
  return message.content.slice(prompt.length);
}

test("[P1] names the turn, and is one line whatever the prompt holds", () => {
  expect(JSON.parse(promptLine("turn-1", [text("a")], neither))).toMatchObject({
    type: "user",
    uuid: "turn-1",
    message: { role: "user" },
  });
  content([text("a\nb\u2028c\r\n\u0000")], neither);
});

describe("[P1, P2] a last block keeps the CLI from reading a prompt", () => {
  const plain = [[text("a/b")], [text("-p --version")], [text("@/etc/passwd")], [text("/cost"), text("and more")]];
  const withImage = [
    [text("/cost"), image],
    [image, text("a")],
    [text("@/etc/passwd"), image],
  ];
  const command = ["/cost", "  /cost", "\n/compact now", "/"].map((words) => [text(words)]);

  test("behind every prompt of an agent that wants neither commands nor mentions", () => {
    for (const prompt of [...plain, ...withImage, ...command]) expect(content(prompt, neither)).toEqual([guard]);
  });

  test("with commands, behind all but a command", () => {
    for (const prompt of [...plain, ...withImage]) expect(content(prompt, commands)).toEqual([guard]);
    for (const prompt of command) expect(content(prompt, commands)).toEqual([]);
  });

  test("with mentions, behind a command alone", () => {
    for (const prompt of [...plain, ...withImage]) expect(content(prompt, mentions)).toEqual([]);
    for (const prompt of command) expect(content(prompt, mentions)).toEqual([guard]);
  });

  test("with both, never", () => {
    for (const prompt of [...plain, ...withImage, ...command]) expect(content(prompt, both)).toEqual([]);
  });
});

describe("[P2] a command that mentions a file", () => {
  const mentioning = [
    "/review @/etc/passwd",
    '/review @"/etc/pass wd"',
    "/x (@/etc/passwd)",
    "/x\n@a",
    " /x、@a",
    "/x ü@a",
    "/@a",
  ];
  const innocent = ["/review", "/ask somebody@example.com", "/x first.last+tag@example.com", "/x a_b@c"];

  test("is one where the agent has commands and no mentions", () => {
    for (const words of mentioning)
      expect([words, isCommandWithMention([text(words)], commands)]).toEqual([words, true]);
    for (const words of innocent)
      expect([words, isCommandWithMention([text(words)], commands)]).toEqual([words, false]);
    expect(isCommandWithMention([text("@a"), text("/review")], commands)).toBe(false);
    expect(isCommandWithMention([text("look at @a")], commands)).toBe(false);
    for (const rules of [neither, mentions, both])
      for (const words of mentioning) expect(isCommandWithMention([text(words)], rules)).toBe(false);
  });

  test("that comes all the same is no command", () => {
    for (const words of mentioning) expect(content([text(words)], commands)).toEqual([guard]);
  });
});
