import { array, assert, constantFrom, oneof, property, string } from "fast-check";
import { expect, test } from "vitest";
import { escapedLine } from "../../gateway/error-log.ts";

test("[A7] a line of the log hides nothing: C1, bidi and zero-width characters and tags are written out, and it means the same", () => {
  const hidden = [
    "\u009b31m",
    "\u0085",
    "\u007f",
    "\u202e",
    "\u2066",
    "\u200b",
    "\ufeff",
    "\u2028",
    "\u2029",
    "\u00ad",
    "\u{e0041}",
  ];
  const part = oneof(constantFrom(...hidden), string({ unit: "binary" }));
  assert(
    property(array(part), (parts) => {
      const said = { path: parts.join("") };
      const line = escapedLine(`${JSON.stringify(said)}\n`);
      expect(JSON.parse(line)).toEqual(said);
      expect(line).toMatch(/^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]*\n$/u);
    }),
  );
});
