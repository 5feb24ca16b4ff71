// The answer's text alone, as it comes: messages parted by an empty line. What does not count, or did not end well, is said in a line of
// its own in brackets. It has no cursor.
import { bodyOf } from "../store/run.ts";
import type { LogEvent } from "../store/port.ts";
import type { Format } from "./format.ts";

/** For one reader: what is a new message depends on what it has had. */
export function createText(): Format {
  let message = "";
  let isAtLineStart = true;

  function say(text: string): string {
    if (text !== "") isAtLineStart = text.endsWith("\n");
    return text;
  }

  const line = (text: string) => say(`${isAtLineStart ? "" : "\n"}${text}\n`);

  function encodeOne(event: LogEvent): string {
    const body = bodyOf(event);
    switch (body.type) {
      case "content_block_delta": {
        const text = body.delta["text"];
        if (body.delta.type !== "text_delta" || typeof text !== "string" || body.parent_tool_use_id) return "";
        const isNext = message !== "" && message !== body.message;
        message = body.message;
        return say(`${isNext ? "\n\n" : ""}${text}`);
      }
      case "message_discarded":
        return body.message === message ? line("[message_discarded]") : "";
      case "turn_failed":
        return line(`[turn_failed: ${body.code}]`);
      case "turn_cancelled":
        return line("[turn_cancelled]");
      default:
        return "";
    }
  }

  return {
    name: "text",
    contentType: "text/plain; charset=utf-8",
    isShared: false,
    encode: (events) => events.map(encodeOne).join(""),
    ping: "",
    gap: () => "",
    sessionDeleted: "",
    goodbye: () => null,
  };
}
