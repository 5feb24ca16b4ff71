// The CLI's questions about tool calls, put to whoever decides: with the turn they belong to, and the subagent's call that they came from.
import type { PermissionMode } from "../protocol/codes.ts";
import type { TurnEvent } from "../protocol/events.ts";
import type { ControlOptions, Decision } from "./control.ts";
import type { CanUseToolRequest } from "./messages.ts";

/** A tool call that needs permission, or a question of the model to a person. */
export interface ToolQuestion {
  readonly turn: string;
  readonly tool: string;
  readonly tool_use_id: string;
  /** The call of the subagent that asks; null for the agent itself. */
  readonly parent_tool_use_id: string | null;
  readonly input: Record<string, unknown>;
  /** The CLI's own words for why it asks. */
  readonly reason: string | null;
  /** Only a person can answer it, each time anew: a choice, a plan. */
  readonly isPersonal: boolean;
}

/** The model's own questions to a person. */
export const questionTool = "AskUserQuestion";

export type Decide = (question: ToolQuestion, signal: AbortSignal) => Promise<Decision>;

export interface Questions {
  /** Notes by which call of a subagent a tool call was made, from the turn's events. */
  note(event: TurnEvent): void;
  /** The turn has ended. */
  clear(): void;
  /**
   * Puts a question; without anybody to ask, or outside a turn, it is denied, with the reason. So it is in the mode `dontAsk`, but for what
   * the model itself asks a person: the CLI puts others too once the model has changed its mode.
   */
  ask(request: CanUseToolRequest, asker: Asker, signal: AbortSignal): ReturnType<ControlOptions["decide"]>;
}

/** The turn in which something is asked, if there is one, and the mode that it was given. */
export interface Asker {
  readonly turn: string | undefined;
  readonly mode: PermissionMode;
}

export function createQuestions(decide: Decide | undefined): Questions {
  const parents = new Map<string, string>();
  return {
    note(event) {
      if (event.type !== "content_block_start" || !event.parent_tool_use_id) return;
      const { type, id } = event.content_block;
      if (type === "tool_use" && typeof id === "string") parents.set(id, event.parent_tool_use_id);
    },
    clear: () => parents.clear(),
    async ask(request, { turn, mode }, signal) {
      const isClosed = mode === "dontAsk" && request.tool_name !== questionTool;
      if (!decide || turn === undefined || isClosed) return denied(request);
      return decide(questionOf(request, turn, parents.get(request.tool_use_id) ?? null), signal);
    },
  };
}

function questionOf(request: CanUseToolRequest, turn: string, parent: string | null): ToolQuestion {
  const { tool_name: tool, tool_use_id, input, decision_reason: reason } = request;
  const isPersonal = request["requires_user_interaction"] === true;
  return { turn, tool, tool_use_id, parent_tool_use_id: parent, input, reason, isPersonal };
}

function denied(request: CanUseToolRequest): Decision {
  return {
    behavior: "deny",
    message: `The tool ${request.tool_name} needs permission, and nobody can be asked for it here. Name it in the agent's allowed_tools to let it run.`,
  };
}
