import { describe, expect, test } from "vitest";
import { readMessage, type ResultMessage } from "../../../gateway/claude/messages.ts";
import { failure, failureOf, turnFailed } from "../../../gateway/claude/outcome.ts";
import { failureRetryable, type FailureCode } from "../../../gateway/protocol/codes.ts";

const result = (fields: Record<string, unknown>) => readMessage({ type: "result", ...fields }) as ResultMessage;

describe("what a result means", () => {
  test.each<[string, Record<string, unknown>, FailureCode | undefined]>([
    ["success", { subtype: "success" }, undefined],
    ["success that reports 401", { subtype: "success", is_error: true, api_error_status: 401 }, "not_logged_in"],
    ["success that reports 403", { subtype: "success", is_error: true, api_error_status: 403 }, "not_logged_in"],
    [
      "success that says it is not logged in",
      { subtype: "success", is_error: true, result: "Not logged in · Please run /login" },
      "not_logged_in",
    ],
    ["success that reports 429", { subtype: "success", is_error: true, api_error_status: 429 }, "rate_limited"],
    ["success that reports 529", { subtype: "success", is_error: true, api_error_status: 529 }, "overloaded"],
    ["success that reports 503", { subtype: "success", is_error: true, api_error_status: 503 }, "overloaded"],
    ["success that reports 400", { subtype: "success", is_error: true, api_error_status: 400 }, "api_error"],
    ["success that is an error without a status", { subtype: "success", is_error: true }, "api_error"],
    ["the turn limit", { subtype: "error_max_turns", is_error: true }, "max_model_turns"],
    ["the budget", { subtype: "error_max_budget_usd", is_error: true }, "max_budget"],
    [
      "a session that is not known",
      { subtype: "error_during_execution", errors: ["No conversation found with session ID: x"] },
      "session_lost",
    ],
    ["any other error", { subtype: "error_during_execution", errors: ["/home/x/secret: boom"] }, "api_error"],
    ["a new subtype", { subtype: "error_of_tomorrow" }, "internal"],
    ["no subtype at all", {}, "internal"],
  ])("%s", (_, fields, code) => {
    const found = failureOf(result(fields));
    expect(found?.code).toBe(code);
    expect(found?.message ?? "").not.toContain("secret");
  });
});

test("every failure code has a message and says whether the same prompt may succeed later", () => {
  for (const code of Object.keys(failureRetryable) as FailureCode[]) {
    const event = turnFailed(failure(code), "said");
    expect(event).toEqual({
      type: "turn_failed",
      code,
      message: expect.stringMatching(/\.$/),
      retryable: failureRetryable[code],
      text: "said",
    });
  }
});

test.each([
  [400, false],
  [404, false],
  [408, true],
  [413, false],
  [429, true],
  [500, true],
  [502, true],
  [529, true],
])("what the API answers with %i may succeed later: %j", (status, retryable) => {
  const found = failureOf(result({ subtype: "success", is_error: true, api_error_status: status }));
  expect(turnFailed(found!, "")).toMatchObject({ retryable });
});

test("a limit's end is in the event where it is known", () => {
  expect(turnFailed(failure("rate_limited", "x", "2026-11-23T00:00:00.000Z"), "")).toMatchObject({
    resets_at: "2026-11-23T00:00:00.000Z",
  });
});
