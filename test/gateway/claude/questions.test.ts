import { expect, test } from "vitest";
import type { CanUseToolRequest } from "../../../gateway/claude/messages.ts";
import { createQuestions } from "../../../gateway/claude/questions.ts";

const { signal } = new AbortController();

function asking(tool: string): CanUseToolRequest {
  const decision_reason = null;
  return { subtype: "can_use_tool", tool_name: tool, tool_use_id: "t", input: {}, decision_reason };
}

/** What is put to a person, of these tools asked for in this mode. */
async function put(mode: "dontAsk" | "default" | "plan", tools: string[], turn: string | undefined = "t") {
  const asked: string[] = [];
  const questions = createQuestions(async ({ tool, input }) => {
    asked.push(tool);
    return { behavior: "allow", updatedInput: input };
  });
  const answers = await Promise.all(tools.map((tool) => questions.ask(asking(tool), { turn, mode }, signal)));
  return { asked, answers: answers.map(({ behavior }) => behavior) };
}

test("[A5] in the mode dontAsk nothing is put to anybody but what the model itself asks a person", async () => {
  const tools = ["Bash", "Write", "ExitPlanMode", "mcp__x__y", "AskUserQuestion"];
  expect(await put("dontAsk", tools)).toEqual({
    asked: ["AskUserQuestion"],
    answers: ["deny", "deny", "deny", "deny", "allow"],
  });
  for (const mode of ["default", "plan"] as const) expect((await put(mode, tools)).asked).toEqual(tools);
});

test("outside a turn nobody is asked", async () => {
  const questions = createQuestions(() => Promise.reject(new Error("asked")));
  const answer = await questions.ask(asking("Bash"), { turn: undefined, mode: "default" }, signal);
  expect(answer).toMatchObject({ behavior: "deny", message: expect.stringContaining("allowed_tools") as string });
});
