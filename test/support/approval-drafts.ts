// Approvals and questions as tests write them.
import { randomUUIDv7 } from "node:crypto";
import type { ToolQuestion } from "../../gateway/claude/questions.ts";
import type { EventOf } from "../../gateway/protocol/events.ts";

export function requested(more: Partial<EventOf<"approval_requested">> = {}): EventOf<"approval_requested"> {
  return {
    type: "approval_requested",
    approval: randomUUIDv7(),
    tool: "Bash",
    tool_use_id: "toolu_1",
    parent_tool_use_id: null,
    input: { command: "touch x" },
    reason: null,
    expires_at: "2030-01-01T00:00:00.000Z",
    ...more,
  };
}

export function resolved(
  approval: string,
  more: Partial<EventOf<"approval_resolved">> = {},
): EventOf<"approval_resolved"> {
  return { type: "approval_resolved", approval, decision: "allow", by: { key: "alice" }, ...more };
}

export function question(turn: string, more: Partial<ToolQuestion> = {}): ToolQuestion {
  return {
    turn,
    tool: "Bash",
    tool_use_id: "toolu_1",
    parent_tool_use_id: null,
    input: { command: "touch x" },
    reason: null,
    isPersonal: false,
    ...more,
  };
}

/** The input of the CLI's own question tool. */
export const choice = {
  questions: [
    {
      question: "Which colour?",
      header: "Colour",
      multiSelect: false,
      options: [
        { label: "Red", description: "warm" },
        { label: "Blue", description: "cold" },
      ],
    },
    {
      question: "Which sides?",
      header: "Sides",
      multiSelect: true,
      options: [
        { label: "Left", description: "" },
        { label: "Right", description: "" },
      ],
    },
  ],
};
