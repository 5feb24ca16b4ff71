import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { EventBody, EventOf } from "../../../gateway/protocol/events.ts";
import { spill } from "../../../gateway/log/spill.ts";
import { completed, delta, notice, textsOf } from "../../support/log-drafts.ts";
import { cases } from "../../support/property.ts";

const limit = 256 * 1024;
const toolResult = (content: unknown): EventOf<"tool_result"> => ({
  type: "tool_result",
  tool_use_id: "t",
  content,
  is_error: false,
  parent_tool_use_id: null,
});

describe("spill", () => {
  test("[L8] what is small is left as it is", () => {
    for (const body of [notice("x"), toolResult("y".repeat(200_000)), delta("z".repeat(200_000), 7)])
      expect(spill(body)).toEqual({ jsons: [JSON.stringify(body)], attachments: [] });
  });

  test("[L8] a field over 256 KB becomes an attachment, named by the hash of its bytes; the others stay", () => {
    const content = `${"ä".repeat(limit)} 🌍`;
    const { jsons, attachments } = spill(toolResult(content));
    const bytes = Buffer.from(content);
    const hash = createHash("sha256").update(bytes).digest("hex");
    expect(attachments).toEqual([{ hash, mediaType: "text/plain; charset=utf-8", bytes }]);
    expect(jsons.map((json) => JSON.parse(json) as unknown)).toEqual([
      toolResult({ attachment: hash, media_type: "text/plain; charset=utf-8", bytes: bytes.length }),
    ]);
  });

  test("[L8] a large field that is no string is kept as JSON, and two large fields are two attachments", () => {
    const content = [{ type: "text", text: "x".repeat(limit) }];
    const { attachments } = spill(toolResult(content));
    expect(attachments.map(({ mediaType, bytes }) => [mediaType, JSON.parse(Buffer.from(bytes).toString())])).toEqual([
      ["application/json", content],
    ]);
    const both = spill({ ...completed("a".repeat(limit + 1)), answer: "b".repeat(limit + 1) });
    expect(both.attachments.map(({ bytes }) => Buffer.from(bytes).toString()[0])).toEqual(["a", "b"]);
    expect(both.jsons[0]!.length).toBeLessThan(1000);
  });

  test("[L8] many fields below 256 KB stay in their event, however large it is in all", () => {
    const body = { ...completed("a".repeat(200_000)), answer: "b".repeat(200_000) };
    expect(spill(body)).toEqual({ jsons: [JSON.stringify(body)], attachments: [] });
  });

  test("[L8] an image that a tool gave becomes an attachment, however small; what stands beside it stays", () => {
    const bytes = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0, 255]);
    const hash = createHash("sha256").update(bytes).digest("hex");
    const text = { type: "text", text: "a picture" };
    const odd = { type: "image", source: { type: "url", url: "https://example.com/x.png" } };
    const source = { type: "base64", media_type: "image/png", data: bytes.toString("base64") };
    const result = {
      type: "tool_result",
      tool_use_id: "c",
      is_error: false,
      parent_tool_use_id: null,
      content: [text, { type: "image", source }, odd, "bare"],
    } as const;
    const { jsons, attachments } = spill(result);
    expect(attachments).toEqual([{ hash, mediaType: "image/png", bytes }]);
    expect(JSON.parse(jsons[0]!)).toEqual({
      ...result,
      content: [
        text,
        { type: "image", source: { type: "attachment", attachment: hash, media_type: "image/png" } },
        odd,
        "bare",
      ],
    });
  });

  test("[L8] a large delta is cut into several that give the same text, no surrogate pair cut", () => {
    const filler = fc.constantFrom("🌍", "a🌍", "x", "ä");
    fc.assert(
      fc.property(filler, fc.integer({ min: limit - 3, max: limit * 3 }), fc.nat(1000), (unit, length, offset) => {
        const text = unit.repeat(Math.ceil(length / unit.length));
        const { jsons, attachments } = spill(delta(text, offset, { type: "thinking_delta" }) satisfies EventBody);
        expect(attachments).toEqual([]);
        const known = new Map([["m1 0 thinking_delta", "_".repeat(offset)]]);
        expect([
          ...textsOf(
            jsons.map((json) => ({ json })),
            known,
          ).values(),
        ]).toEqual(["_".repeat(offset) + text]);
        for (const json of jsons) {
          const part = (JSON.parse(json) as { delta: { thinking: string } }).delta.thinking;
          expect(part.length).toBeLessThanOrEqual(limit);
          expect(part.isWellFormed()).toBe(true);
        }
      }),
      cases({ short: 40, long: 1000 }),
    );
  });

  test("[L8] a delta that carries no text is never replaced, however large", () => {
    const body = delta("s".repeat(limit * 2), 0, { type: "signature_delta" });
    expect(spill(body)).toEqual({ jsons: [JSON.stringify(body)], attachments: [] });
  });
});
