import { expect, test } from "vitest";
import { answerApproval } from "../../../gateway/protocol/requests.ts";
import { decisionOf, outcomeOf } from "../../../gateway/turns/decision.ts";
import { choice, question } from "../../support/approval-drafts.ts";
import { readAgent } from "../../support/real-cli.ts";

const changing = readAgent({ input_changes: true });
const bash = question("t");
const asked = question("t", { tool: "AskUserQuestion", input: choice, isPersonal: true });

function decide(what: typeof bash, body: unknown, agent = readAgent()) {
  const outcome = outcomeOf(what, agent, answerApproval.parse(body));
  return { outcome, decision: decisionOf(what, outcome) };
}

/** What an answer is refused with. */
function refusal(what: typeof bash, body: unknown, agent = readAgent()) {
  try {
    return { none: decide(what, body, agent) };
  } catch (error) {
    const { code, extra, message } = error as { code: string; extra: unknown; message: string };
    return { code, extra, message };
  }
}

test("allowed, a tool runs with its own input, or with the changed one, which others are told", () => {
  expect(decide(bash, { decision: "allow" })).toEqual({
    outcome: { decision: "allow" },
    decision: { behavior: "allow", updatedInput: { command: "touch x" } },
  });
  expect(decide(bash, { decision: "allow", input: { command: "touch y" } }, changing)).toEqual({
    outcome: { decision: "allow", updated_input: { command: "touch y" } },
    decision: { behavior: "allow", updatedInput: { command: "touch y" } },
  });
  expect(decide(bash, { decision: "allow", input: { command: "touch x" } }).outcome).toEqual({ decision: "allow" });
});

test("an empty input is refused, for the CLI would run the tool with its own", () => {
  const empty = { decision: "allow", input: {} };
  expect(refusal(bash, empty)).toMatchObject({ code: "invalid_request", extra: { field: "input" } });
  expect(decide(question("t", { tool: "ExitPlanMode", input: {} }), empty).outcome).toEqual({ decision: "allow" });
});

test("denied, the model is told why, in the person's words where there are some", () => {
  expect(decide(bash, { decision: "deny", message: " Not today. " }).decision).toEqual({
    behavior: "deny",
    message: "Not today.",
  });
  for (const message of [undefined, "", "  "])
    expect(decide(bash, { decision: "deny", message }).decision).toEqual({
      behavior: "deny",
      message: "The person who was asked did not allow this.",
    });
});

test("an answer to a question is its label, several are joined, and one's own words do too", () => {
  const answers = { "Which colour?": "Green, rather", "Which sides?": ["Left", "Right"] };
  const input = { ...choice, answers: { "Which colour?": "Green, rather", "Which sides?": "Left, Right" } };
  expect(decide(asked, { decision: "allow", answers })).toEqual({
    outcome: { decision: "allow", updated_input: input },
    decision: { behavior: "allow", updatedInput: input },
  });
});

test("[A5] an input cannot be changed unless the agent lets it, and the refusal says how", () => {
  const changed = { decision: "allow", input: { command: "rm -rf ." } };
  expect(refusal(bash, changed)).toMatchObject({
    code: "forbidden",
    extra: { field: "input" },
    message: expect.stringContaining("input_changes") as string,
  });
  expect(decide(bash, { decision: "allow", input: bash.input }).outcome).toEqual({ decision: "allow" });
  expect(decide(asked, { decision: "allow", answers: { "Which colour?": "Red" } }).outcome).toMatchObject({
    decision: "allow",
  });
});

test("[A5] nor where it has hooks, settings or rules about inputs, since the CLI would not ask them again", () => {
  const changed = { decision: "allow", input: { command: "rm -rf ." } };
  const forbidden = { code: "forbidden", extra: { field: "input" } };
  const hooks = { PreToolUse: [{ hooks: [{ type: "command", command: "exit 2" }] }] };
  for (const more of [{ disallowed_tools: ["Bash(rm *)"] }, { setting_sources: ["project" as const] }, { hooks }]) {
    const strict = readAgent({ input_changes: true, ...more });
    expect(refusal(bash, changed, strict)).toMatchObject(forbidden);
    expect(decide(bash, { decision: "allow", input: bash.input }, strict).outcome).toEqual({ decision: "allow" });
    expect(decide(asked, { decision: "allow", answers: { "Which colour?": "Red" } }, strict).outcome).toMatchObject({
      decision: "allow",
    });
  }
  const named = readAgent({ input_changes: true, disallowed_tools: ["WebFetch"] });
  expect(decide(bash, changed, named).outcome).toMatchObject({ updated_input: changed.input });
});

test("answers are for questions alone, and only for those that were asked; a question is never allowed for good", () => {
  expect(refusal(bash, { decision: "allow", answers: { a: "b" } })).toMatchObject({
    code: "invalid_request",
    extra: { field: "answers" },
  });
  expect(refusal(asked, { decision: "allow", answers: { "Which shape?": "Round" } })).toMatchObject({
    code: "invalid_request",
    message: 'answers: "Which shape?" was not asked',
  });
  expect(refusal(asked, { decision: "allow", scope: "session" })).toMatchObject({ extra: { field: "scope" } });
});

test("[A5] without session_approvals a tool is allowed call by call", () => {
  const each = readAgent({ session_approvals: false });
  expect(refusal(bash, { decision: "allow", scope: "session" }, each)).toMatchObject({
    code: "forbidden",
    extra: { field: "scope" },
    message: expect.stringContaining("session_approvals") as string,
  });
  expect(decide(bash, { decision: "allow" }, each).outcome).toEqual({ decision: "allow" });
});

test.each([
  ["no decision", {}, "decision"],
  ["another decision", { decision: "maybe" }, "decision"],
  ["a message with an allow", { decision: "allow", message: "go on" }, "message"],
  ["an input with a deny", { decision: "deny", input: {} }, "input"],
  ["answers with a deny", { decision: "deny", answers: {} }, "answers"],
  ["a session's deny", { decision: "deny", scope: "session" }, "scope"],
  ["another scope", { decision: "allow", scope: "always" }, "scope"],
  ["an input that is no object", { decision: "allow", input: "ls" }, "input"],
  ["an input that is a list", { decision: "allow", input: [] }, "input"],
  ["answers that are numbers", { decision: "allow", answers: { a: 1 } }, "answers"],
  ["a field that there is not", { decision: "allow", by: "me" }, undefined],
])("%s is refused by its field", (_, body, field) => {
  const parsed = answerApproval.safeParse(body);
  expect(parsed.success).toBe(false);
  expect(parsed.error?.issues[0]?.path[0]).toBe(field);
});
