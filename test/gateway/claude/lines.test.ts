import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLineReader, type Line } from "../../../gateway/claude/lines.ts";
import { cases } from "../../support/property.ts";

const utf8 = (text: string) => Buffer.from(text, "utf8");
const json = (value: Record<string, unknown>): Line => ({ kind: "json", value });

function read(text: string | Buffer, maxLineBytes?: number): Line[] {
  const reader = createLineReader(maxLineBytes);
  return [...reader.push(typeof text === "string" ? utf8(text) : text), ...reader.end()];
}

/** Gives the bytes in pieces that all lie in the same memory, as a reader with one buffer would. */
function readInPieces(bytes: Buffer, cuts: readonly number[], maxLineBytes?: number): Line[] {
  const reader = createLineReader(maxLineBytes);
  const memory = Buffer.alloc(bytes.length);
  const points = [...new Set([0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length])].toSorted(
    (a, b) => a - b,
  );
  const lines = points.slice(1).flatMap((to, i) => {
    const from = points[i]!;
    bytes.copy(memory, 0, from, to);
    const read = reader.push(memory.subarray(0, to - from));
    memory.fill(0x21);
    return read;
  });
  return [...lines, ...reader.end()];
}

const text = fc.string({ unit: "binary" });
const jsonObject = fc.dictionary(text, fc.jsonValue(), { maxKeys: 4 });
const words = fc.stringMatching(/^[\p{L} :/.()-]{0,20}$/u).filter((word) => word.trim() !== "");
const controlSequence = fc.constantFrom(
  "\u001b[0m",
  "\u001b[38;5;12m",
  "\u001b[?2004l",
  "\u001b[2 q",
  "\u001b]0;a title {\u0007",
  '\u001b]8;;https://example.com/?q={"a":1}\u001b\\',
  "\u001bP1$r0m\u001b\\",
  "\u001b_Gi=1;AAAA\u001b\\",
  "\u001b(B",
  "\u001b7",
  "\u001b=",
  "\u0007",
  "\r",
);
const sequences = fc.array(controlSequence, { maxLength: 3 }).map((parts) => parts.join(""));
const ending = fc.constantFrom("\n", "\r\n");
const cuts = fc.array(fc.nat(), { maxLength: 12 });

/** A line as text, and what must come of it. */
const item: fc.Arbitrary<{ raw: string; line: Line }> = fc.oneof(
  fc.tuple(jsonObject, sequences, sequences, ending).map(([value, before, after, end]) => ({
    raw: `${before}${JSON.stringify(value)}${after}${end}`,
    line: json(JSON.parse(JSON.stringify(value)) as Record<string, unknown>),
  })),
  fc.tuple(words, sequences, ending).map(([word, before, end]) => ({
    raw: `${before}${word}${end}`,
    line: { kind: "noise" as const, reason: "not_json" as const, text: word.trim() },
  })),
  fc.tuple(fc.oneof(fc.integer(), fc.array(fc.integer())), ending).map(([value, end]) => ({
    raw: `${JSON.stringify(value)}${end}`,
    line: { kind: "noise" as const, reason: "not_json" as const, text: JSON.stringify(value) },
  })),
);

test("[P4] any mixture of JSON lines, control sequences and noise comes out whole and in order, cut anywhere", () => {
  fc.assert(
    fc.property(fc.array(item, { maxLength: 6 }), cuts, (items, cuts) => {
      const bytes = utf8(items.map((item) => item.raw).join(""));
      expect(readInPieces(bytes, cuts)).toEqual(items.map((item) => item.line));
    }),
    cases(),
  );
});

test("[P4] any bytes at all are read without an exception, and the same however they are cut", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc
      .string({
        unit: fc.constantFrom("{", "}", '"', "a", "\n", "\r", "\u001b", "[", "]", "0", "\u0007", "é", "🌍"),
        maxLength: 40,
      })
      .map(utf8),
  );
  fc.assert(
    fc.property(bytes, cuts, fc.integer({ min: 1, max: 60 }), (bytes, cuts, maxLineBytes) => {
      const whole = readInPieces(Buffer.from(bytes), [], maxLineBytes);
      expect(readInPieces(Buffer.from(bytes), cuts, maxLineBytes)).toEqual(whole);
    }),
    cases(),
  );
});

test("[P4] a line split at each byte of its UTF-8 characters is read whole", () => {
  const bytes = utf8('{"text":"Grüße, 世界 🌍 \u2028 \u0001"}\n'.replace("\u0001", "\\u0001"));
  for (let at = 0; at <= bytes.length; at++)
    expect(readInPieces(bytes, [at])).toEqual([json({ text: "Grüße, 世界 🌍 \u2028 \u0001" })]);
});

describe("[P4] control sequences", () => {
  const value = json({ type: "result", n: 1 });
  test.each([
    ["in front", '\u001b[?25h\u001b]0;title\u0007\u001b[0m{"type":"result","n":1}\r\n'],
    ["behind", '{"type":"result","n":1}\u001b[0m\u001b]0;\u0007\r\n'],
    ["in the gaps", '{\u001b[1m"type"\u001b[0m:"result",\u001bP+q544e\u001b\\"n":1}\n'],
    ["that end in the string terminator", '\u001b]8;;file:///x\u001b\\{"type":"result","n":1}\n'],
    ["that are cut off in front of the JSON", '\u001b{"type":"result","n":1}\n'],
    ["of one character", '\u0007\u0008{"type":"result","n":1}\u0007\n'],
    ["with words in front", 'Warning: \u001b[33mslow\u001b[0m {"type":"result","n":1}\n'],
  ])("%s of a line are taken out", (_, raw) => expect(read(raw)).toEqual([value]));

  test("a line of nothing else is no line", () => expect(read("\u001b[2J\u001b[H\r\n\r\n\n")).toEqual([]));

  test("escaped ones inside a JSON text stay", () => {
    const value = { text: "\u001b[31mred\u001b[0m" };
    expect(read(`${JSON.stringify(value)}\n`)).toEqual([json(value)]);
  });
});

describe("[P4] a bad line", () => {
  test("is a value, and the next line is read", () => {
    expect(read('{"broken": \nNo conversation found\n[1]\n"a"\nnull\n{"ok":true}\n')).toEqual([
      { kind: "noise", reason: "not_json", text: '{"broken":' },
      { kind: "noise", reason: "not_json", text: "No conversation found" },
      { kind: "noise", reason: "not_json", text: "[1]" },
      { kind: "noise", reason: "not_json", text: '"a"' },
      { kind: "noise", reason: "not_json", text: "null" },
      json({ ok: true }),
    ]);
  });

  test("is cut to 2,000 characters", () => {
    const [line] = read(`${"x".repeat(5000)}\n`);
    expect(line).toEqual({ kind: "noise", reason: "not_json", text: "x".repeat(2000) });
  });
});

describe("[P4] the line limit", () => {
  const filled = (bytes: number) => JSON.stringify({ a: "x".repeat(bytes - 8) });

  test("lets a line of exactly that many bytes through, in any chunking", () => {
    const line = filled(100);
    expect(line).toHaveLength(100);
    for (const cut of [0, 50, 99, 100])
      expect(readInPieces(utf8(`${line}\n`), [cut], 100)).toEqual([json(JSON.parse(line) as Record<string, unknown>)]);
  });

  test("drops a line of one byte more up to its end, says so, and goes on", () => {
    const bytes = utf8(`${filled(101)}\n{"next":1}\n`);
    for (const cut of [0, 1, 100, 101, 102]) {
      const [dropped, next] = readInPieces(bytes, [cut], 100);
      expect(dropped).toMatchObject({ kind: "noise", reason: "too_long" });
      expect(next).toEqual(json({ next: 1 }));
    }
  });

  test("keeps no more than the beginning of a line without an end", () => {
    const reader = createLineReader(1000);
    for (let i = 0; i < 50; i++) expect(reader.push(Buffer.alloc(1000, 0x61))).toEqual([]);
    expect(reader.end()).toEqual([{ kind: "noise", reason: "too_long", text: "a".repeat(1000) }]);
  });

  test("reads an 8 MB line that comes in 4 KB pieces", () => {
    const value = { image: "A".repeat(8 * 1024 * 1024) };
    const bytes = utf8(`${JSON.stringify(value)}\n`);
    const reader = createLineReader();
    const lines: Line[] = [];
    for (let at = 0; at < bytes.length; at += 4096) lines.push(...reader.push(bytes.subarray(at, at + 4096)));
    expect(lines).toEqual([json(value)]);
  });
});

describe("[P4] the depth limit", () => {
  const nested = (levels: number) => `{"a":${"[".repeat(levels - 1)}${"]".repeat(levels - 1)}}`;

  test("lets a line of 500 levels through", () =>
    expect(read(`${nested(500)}\n`)).toEqual([json(JSON.parse(nested(500)) as Record<string, unknown>)]));

  test.each([501, 6000, 200_000])("makes noise of one of %i, and goes on", (levels) => {
    const line = nested(levels);
    const next = json({ next: 1 });
    const dropped = { kind: "noise", reason: "too_deep", text: line.slice(0, 2000) };
    expect(read(`${line}\n\u001b[0m${line}\n{"next":1}\n`)).toEqual([
      dropped,
      expect.objectContaining({ reason: "too_deep" }),
      next,
    ]);
  });

  test("does not take brackets in a text for levels", () => {
    const value = { text: "[".repeat(6000) };
    expect(read(`${JSON.stringify(value)}\n`)).toEqual([json(value)]);
  });
});

describe("the end of the stream", () => {
  test("gives a last line that has no line end", () => expect(read('{"a":1}')).toEqual([json({ a: 1 })]));
  test("reports half a line as incomplete", () =>
    expect(read('{"a":')).toEqual([{ kind: "noise", reason: "incomplete", text: '{"a":' }]));
  test("gives nothing where nothing is left", () => expect(read('{"a":1}\r\n')).toHaveLength(1));
});
