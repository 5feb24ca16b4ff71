import { describe, expect, test } from "vitest";
import {
  errorStatus,
  eventTypes,
  failureRetryable,
  permissionModes,
  terminalEventTypes,
  turnStates,
} from "../../../gateway/protocol/codes.ts";
import { by, eventBody } from "../../../gateway/protocol/events.ts";
import { prompt, promptText } from "../../../gateway/protocol/prompt.ts";
import { userName } from "../../../gateway/protocol/requests.ts";

const image = { type: "image", source: { type: "base64", media_type: "image/png", data: "iVBORw0KGgo=" } };
const pdf = {
  type: "document",
  source: { type: "base64", media_type: "application/pdf", data: "JVBERi0=" },
  title: "A",
};
const text = (text: string) => ({ type: "text", text });

describe("a prompt", () => {
  test("is a text or blocks, and is parsed to blocks", () => {
    expect(prompt.parse("hello")).toEqual([text("hello")]);
    expect(prompt.parse([text("see"), image, pdf])).toEqual([text("see"), image, pdf]);
    expect(prompt.parse([image])).toEqual([image]);
    expect(prompt.parse("🌍\r\n\u2028\u0001")).toEqual([text("🌍\r\n\u2028\u0001")]);
  });

  test.each([
    ["nothing", undefined],
    ["null", null],
    ["a number", 5],
    ["an empty text", ""],
    ["blanks", " \n\t"],
    ["no blocks", []],
    ["blank blocks", [text(" "), text("")]],
    ["a NUL", "a\u0000b"],
    ["a NUL in a block", [text("a"), text("\u0000")]],
    ["a NUL in a title", [{ ...pdf, title: "\u0000" }]],
    ["101 blocks", Array.from({ length: 101 }, () => text("a"))],
    ["a block of another type", [{ type: "tool_result", tool_use_id: "t", content: "x" }]],
    ["a field that is not known", [{ ...text("a"), cache_control: {} }]],
    ["an image by address", [{ type: "image", source: { type: "url", url: "https://example.com/x.png" } }]],
    ["an image of another type", [{ type: "image", source: { ...image.source, media_type: "image/svg+xml" } }]],
    ["data that is no base64", [{ type: "image", source: { ...image.source, data: "<svg>" } }]],
    ["a PDF as an image", [{ type: "image", source: pdf.source }]],
  ])("is not %s", (_, value) => expect(prompt.safeParse(value).success).toBe(false));

  test("says what is wrong with an empty one and one with a NUL", () => {
    expect(prompt.safeParse(" ").error?.issues[0]?.message).toBe("must not be empty");
    expect(JSON.stringify(prompt.safeParse("\u0000").error?.issues)).toContain("NUL");
  });

  test("has words for titles, without images", () =>
    expect(promptText(prompt.parse([text("a"), image, text("b")]))).toBe("a\nb"));
});

test("[A4] a user's name is text that can be kept as it is: no half of a surrogate pair, which would read as another's", () => {
  for (const name of ["ann", "\u{1f30d}", "\ufffd", "a\u0000b"]) expect(userName.parse(name)).toBe(name);
  for (const name of ["\ud800", "ann\udfff"])
    expect(userName.safeParse(name).error?.issues[0]?.message).toContain("half a surrogate pair");
});

describe("the closed lists", () => {
  test("every event type has a schema, and no other event is one", () => {
    const known = eventBody.options.map((option) => [...option.shape.type.values][0]);
    expect(new Set(known)).toEqual(new Set(eventTypes));
    expect(new Set(eventTypes).size).toBe(eventTypes.length);
    expect(eventBody.safeParse({ type: "something" }).success).toBe(false);
  });

  test("no event is named as EventSource's own", () => {
    for (const name of ["error", "open", "message"]) expect(eventTypes).not.toContain(name);
  });

  test("the terminal events are three of the turn states' ends", () => {
    expect(terminalEventTypes.map((type) => type.replace("turn_", ""))).toEqual(turnStates.slice(-3));
  });

  test("every refusal has a status that a client can act on, and no code is a refusal and a failure but those that are both", () => {
    for (const status of Object.values(errorStatus))
      expect([400, 401, 403, 404, 405, 406, 409, 410, 413, 415, 422, 429, 500, 503]).toContain(status);
    expect(Object.keys(errorStatus).filter((code) => code in failureRetryable)).toEqual(["rate_limited", "internal"]);
  });

  test("permission modes stand from the tightest to the widest", () => {
    expect(permissionModes).toEqual(["dontAsk", "plan", "default", "acceptEdits", "bypassPermissions"]);
  });

  test("who did it is exactly one kind of caller", () => {
    for (const one of [
      { key: "k" },
      { key: "k", user: "u" },
      { agent: "a", turn: "t" },
      { cli: "cron" },
      { gateway: "restart" },
    ])
      expect(by.parse(one)).toEqual(one);
    for (const none of [{}, { user: "u" }, { key: "k", cli: "x" }, { gateway: "somebody" }])
      expect(by.safeParse(none).success).toBe(false);
  });
});
