import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isCanUseTool, isInit, readMessage } from "../../../gateway/claude/messages.ts";
import { cases } from "../../support/property.ts";

describe("[P4] what is read of a line", () => {
  test("fields that Sluice does not know are let through", () => {
    expect(readMessage({ type: "stream_event", event: { type: "new", x: 1 }, extra: true })).toEqual({
      type: "stream_event",
      event: { type: "new", x: 1 },
      parent_tool_use_id: null,
      extra: true,
    });
  });

  test("a result is a result whatever its other fields are, so that its turn ends", () => {
    const odd = {
      subtype: 1,
      is_error: "no",
      errors: "x",
      usage: null,
      total_cost_usd: "1",
      num_turns: 1.5,
      permission_denials: {},
      stop_reason: 3,
      api_error_status: "529",
      result: [],
      user_message_uuids: 7,
    };
    expect(readMessage({ type: "result" })).toMatchObject({
      type: "result",
      subtype: "unknown",
      is_error: false,
      total_cost_usd: 0,
      errors: [],
      stop_reason: null,
    });
    expect(readMessage({ type: "result", ...odd })).toMatchObject({
      type: "result",
      subtype: "unknown",
      is_error: false,
      usage: {},
      num_turns: 0,
      api_error_status: null,
    });
  });

  test("an init is an init whatever its other fields are", () => {
    const read = readMessage({ type: "system", subtype: "init", tools: null, mcp_servers: "x", model: 5 });
    expect(isInit(read) && read).toMatchObject({ tools: [], mcp_servers: [], model: "unknown" });
  });

  test.each([
    [{}],
    [{ type: 5 }],
    [{ type: "toString" }],
    [{ type: "__proto__" }],
    [{ type: "stream_event", event: "x" }],
    [{ type: "assistant", message: { content: [] } }],
    [{ type: "control_request", request_id: 5 }],
  ])("what fits no schema is a value too: %j", (value) =>
    expect(readMessage(value)).toMatchObject({ type: "unknown", value }),
  );

  test("no value at all throws", () => {
    const types = fc.constantFrom(
      "system",
      "stream_event",
      "assistant",
      "user",
      "result",
      "rate_limit_event",
      "control_request",
      "control_response",
      "x",
    );
    fc.assert(
      fc.property(
        types,
        fc.dictionary(
          fc.constantFrom("subtype", "event", "message", "request", "response", "rate_limit_info", "tools"),
          fc.jsonValue(),
        ),
        (type, fields) => {
          expect(readMessage({ ...fields, type })).toHaveProperty("type");
        },
      ),
      cases(),
    );
  });
});

test("a question about a tool that cannot be read is not put to anybody", () => {
  const asked = (request: Record<string, unknown>) => {
    const read = readMessage({ type: "control_request", request_id: "r", request });
    return read.type === "control_request" && isCanUseTool(read.request);
  };
  expect(asked({ subtype: "can_use_tool", tool_name: "Bash", input: {}, tool_use_id: "t" })).toBe(true);
  expect(asked({ subtype: "can_use_tool", input: {} })).toBe(false);
  expect(asked({ subtype: "hook_callback" })).toBe(false);
});
