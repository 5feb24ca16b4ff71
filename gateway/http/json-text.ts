// A look at a text of JSON before it is parsed: `JSON.parse` of many small values, and all that comes after it, holds everybody up for seconds; this
// look does not, and makes nothing.
import { GatewayError } from "../protocol/errors.ts";

export interface JsonBounds {
  readonly maxValues: number;
  readonly maxDepth: number;
}

/** Throws where there is more in it; whether it is JSON is not its matter. */
export function checkJsonText(text: string, { maxValues, maxDepth }: JsonBounds): void {
  let values = 1;
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case quote:
        at = endOfString(text, at);
        break;
      case openBracket:
      case openBrace:
        depth += 1;
        values += 1;
        if (depth > maxDepth)
          throw new GatewayError("invalid_request", `The body is nested more than ${maxDepth} deep.`);
        break;
      case closeBracket:
      case closeBrace:
        depth -= 1;
        break;
      case comma:
        values += 1;
    }
    if (values > maxValues)
      throw new GatewayError("payload_too_large", `The body must have at most ${maxValues} values.`, {
        limit: "json_values",
        value: maxValues,
      });
  }
}

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c];
const [openBracket, closeBracket, openBrace, closeBrace] = [0x5b, 0x5d, 0x7b, 0x7d];

function endOfString(text: string, begin: number): number {
  let at = begin + 1;
  for (; at < text.length; at++) {
    const sign = text.charCodeAt(at);
    if (sign === quote) break;
    if (sign === backslash) at += 1;
  }
  return at;
}
