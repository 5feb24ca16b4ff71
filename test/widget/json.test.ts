import { afterEach, expect, test } from "vitest";
import { toJson } from "../../widget/json.ts";

const arrays = Array.prototype as { toJSON?: () => unknown };
afterEach(() => {
  delete arrays.toJSON;
});

test("is that of JSON.stringify, also on a page that has given arrays a toJSON", () => {
  const value = [{ prompt: [{ type: "text", text: "x" }], at: new Date(0), none: undefined }, [null, [1]]];
  const plain = JSON.stringify(value);
  arrays.toJSON = () => "a string";
  expect(JSON.stringify(value)).toBe('"a string"');
  expect(toJson(value)).toBe(plain);
  expect(toJson([1], 2)).toBe("[\n  1\n]");
});
