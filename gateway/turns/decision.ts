// What a person's answer to an approval means for the tool that waits [A5]. Pure.
import { isDeepStrictEqual } from "node:util";
import type { Decision } from "../claude/control.ts";
import { questionTool, type ToolQuestion } from "../claude/questions.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { EventOf } from "../protocol/events.ts";
import type { AnswerApproval } from "../protocol/requests.ts";

/** How an approval ended, but for who ended it. */
export type Outcome = Pick<EventOf<"approval_resolved">, "decision" | "scope" | "message" | "updated_input">;

const standardRefusal = "The person who was asked did not allow this.";

/** Throws a `GatewayError` where the answer does not fit what was asked, or the agent does not allow it. */
export function outcomeOf(question: ToolQuestion, agent: AgentConfig, answer: AnswerApproval): Outcome {
  if (answer.decision === "deny") return { decision: "deny", message: answer.message?.trim() || standardRefusal };
  if (answer.scope === "session" && question.isPersonal)
    throw invalid("scope", `${question.tool} is answered each time anew`);
  if (answer.scope === "session" && !agent.session_approvals)
    throw new GatewayError(
      "forbidden",
      "scope: this agent has no session_approvals, so each call is allowed by itself",
      {
        field: "scope",
      },
    );
  if (answer.input && isEmpty(answer.input) && !isEmpty(question.input))
    throw invalid("input", "must not be empty: the CLI would take the one that was asked for");
  const answered = answer.answers && { ...(answer.input ?? question.input), answers: readAnswers(question, answer) };
  const input = answered ?? answer.input;
  const isChanged = input !== undefined && !isDeepStrictEqual(input, question.input);
  if (isChanged && question.tool !== questionTool) checkMayChange(agent);
  return {
    decision: "allow",
    ...(isChanged ? { updated_input: input } : {}),
    ...(answer.scope === "session" ? { scope: "session" } : {}),
  };
}

/** The outcome as the CLI gets it. */
export function decisionOf({ input }: ToolQuestion, outcome: Outcome): Decision {
  if (outcome.decision === "deny") return { behavior: "deny", message: outcome.message ?? standardRefusal };
  return { behavior: "allow", updatedInput: (outcome.updated_input as typeof input | undefined) ?? input };
}

function isEmpty(input: Record<string, unknown>): boolean {
  return Object.keys(input).length === 0;
}

/** The CLI checks a tool's input against the agent's rules and hooks before it asks, and a changed one not again. */
function checkMayChange(agent: AgentConfig): void {
  const hasInputRules = agent.disallowed_tools.some((rule) => rule.includes("("));
  const why = !agent.input_changes
    ? "this agent does not let it be changed; its input_changes would"
    : hasInputRules || agent.hooks || agent.setting_sources.length > 0
      ? "this agent has hooks, settings or rules about inputs, so it cannot be changed here, input_changes or not"
      : undefined;
  if (why !== undefined) throw new GatewayError("forbidden", `input: ${why}`, { field: "input" });
}

function readAnswers({ tool, input }: ToolQuestion, { answers = {} }: AnswerApproval): Record<string, string> {
  if (tool !== questionTool) throw invalid("answers", `${tool} is no question; answers are for ${questionTool}`);
  const asked = new Set(questionsIn(input));
  const unknown = Object.keys(answers).find((question) => !asked.has(question));
  if (unknown !== undefined) throw invalid("answers", `"${unknown.slice(0, 100)}" was not asked`);
  return Object.fromEntries(
    Object.entries(answers).map(([question, chosen]) => [
      question,
      typeof chosen === "string" ? chosen : chosen.join(", "),
    ]),
  );
}

function questionsIn(input: Record<string, unknown>): unknown[] {
  const questions: unknown = input["questions"];
  if (!Array.isArray(questions)) return [];
  return questions.map((entry: unknown) =>
    typeof entry === "object" && entry !== null && "question" in entry ? entry.question : undefined,
  );
}

function invalid(field: string, what: string): GatewayError {
  return new GatewayError("invalid_request", `${field}: ${what}`, { field });
}
