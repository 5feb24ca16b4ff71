// What the CLI cannot have written itself. A tool shares a user and a terminal with its CLI: where nothing else holds it back, it can write
// lines into either's stream. These signs are the second wall. They are narrow: none of them may meet a CLI that only does something new. Pure.
import type { AgentConfig } from "../protocol/agents.ts";
import type { PermissionMode } from "../protocol/codes.ts";
import { isInit, type CliMessage } from "./messages.ts";

/** For the log: what was seen. */
export type Sign =
  | "an answer to a request that was never sent"
  | "the end of a turn that none had begun"
  | "the end of a turn while a tool of it runs"
  | "a mode that nobody has set"
  | "a file written that nobody has allowed";

export interface Witness {
  /** Looks at a line, in the order in which they come, before anything else is made of it. */
  look(message: CliMessage): Sign | undefined;
  /** A call was allowed, by a person or by what one has allowed before. */
  allowed(toolUseId: string): void;
  /** The CLI is told to change its mode. */
  told(mode: PermissionMode): void;
}

export interface WitnessOptions {
  readonly agent: AgentConfig;
  /** Whether it was sent. */
  readonly isOurRequest: (requestId: string) => boolean;
  /** Whether the end of a turn ends none that there is. */
  readonly isStray: (result: Extract<CliMessage, { type: "result" }>) => boolean;
  /** The mode that the present turn was given. */
  readonly mode: () => PermissionMode;
}

/** They ask in the modes that ask, unless a rule, a hook or the settings say otherwise. */
const writingTools = new Set(["Write", "Edit", "NotebookEdit"]);
const namesWriting = /(?:^|,)\s*(?:(?:Write|Edit|NotebookEdit)\b|\*)/;
const pathFields = ["file_path", "notebook_path"] as const;

/** Modes that a model cannot bring its process into. */
const unasked: ReadonlySet<unknown> = new Set(["acceptEdits", "bypassPermissions"]);

export function createWitness({ agent, isOurRequest, isStray, mode }: WitnessOptions): Witness {
  // Both may decide in our place, and in the CLI's.
  const isOnItsOwn = agent.hooks !== undefined || agent.setting_sources.length > 0;
  const asksForWrites = !isOnItsOwn && !agent.allowed_tools.some((rule) => namesWriting.test(rule));
  const modes = new Set<unknown>([agent.permission_mode]);
  /** Top-level calls without a result, by their ids. */
  const open = new Map<string, { readonly tool: string; readonly path: string | undefined }>();
  const granted = new Set<string>();
  let folder: string | undefined;
  /** A skill may bring allow rules of its own. */
  let hasSkill = false;

  function look(message: CliMessage): Sign | undefined {
    switch (message.type) {
      case "control_response":
        return isOurRequest(message.response.request_id) ? undefined : "an answer to a request that was never sent";
      case "system":
        if (isInit(message)) begin(message["cwd"]);
        return isOnItsOwn || !unasked.has(message["permissionMode"]) || modes.has(message["permissionMode"])
          ? undefined
          : "a mode that nobody has set";
      case "stream_event":
        // Before the model goes on, all that it has called has ended.
        if (message.event.type === "message_start" && message.parent_tool_use_id === null) open.clear();
        return undefined;
      case "assistant":
        if (message.parent_tool_use_id === null) message.message.content.forEach(note);
        return undefined;
      case "user":
        return message.parent_tool_use_id === null && Array.isArray(message.message.content)
          ? message.message.content.map(settle).find((sign) => sign !== undefined)
          : undefined;
      case "result":
        if (isStray(message)) return "the end of a turn that none had begun";
        return message.subtype === "success" && !message.is_error && open.size > 0 && !isOnItsOwn
          ? "the end of a turn while a tool of it runs"
          : undefined;
      default:
        return undefined;
    }
  }

  function begin(cwd: unknown): void {
    // What a later one says may not be true.
    if (typeof cwd === "string") folder ??= cwd;
    open.clear();
    granted.clear();
    hasSkill = false;
  }

  function note({ type, id, name, input }: { type: string; [field: string]: unknown }): void {
    if (type !== "tool_use" || typeof id !== "string" || typeof name !== "string") return;
    open.set(id, { tool: name, path: pathIn(input) });
    hasSkill ||= name === "Skill";
  }

  function settle({ type, tool_use_id: id, is_error }: { type: string; [field: string]: unknown }): Sign | undefined {
    if (type !== "tool_result" || typeof id !== "string") return undefined;
    const call = open.get(id);
    open.delete(id);
    if (!call || is_error === true || granted.has(id) || hasSkill || !asksForWrites) return undefined;
    const isAsked = mode() === "default" || mode() === "dontAsk";
    return isAsked && writingTools.has(call.tool) && isWithin(call.path, folder)
      ? "a file written that nobody has allowed"
      : undefined;
  }

  return {
    look,
    allowed: (id) => void granted.add(id),
    told: (told) => void modes.add(told),
  };
}

function pathIn(input: unknown): string | undefined {
  if (typeof input !== "object" || input === null) return undefined;
  const fields = input as Record<string, unknown>;
  return pathFields.map((field) => fields[field]).find((path) => typeof path === "string");
}

/** Elsewhere the CLI has places of its own that it writes to unasked. */
function isWithin(path: string | undefined, folder: string | undefined): boolean {
  if (path === undefined || folder === undefined) return false;
  return path.startsWith(`${folder}/`) && !path.includes("/.claude/") && !path.includes("/../");
}
