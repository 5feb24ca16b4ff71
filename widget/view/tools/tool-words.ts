// What a tool call does, for people: a verb, what it is done to, and what a person must see to allow it. Pure. The tools are Claude Code's own;
// of all others the name and the input are shown. https://docs.claude.com/en/docs/claude-code/settings#tools-available-to-claude
import type { Texts } from "../../texts.ts";
import { icons as base } from "../icon.tsx";
import { icons } from "./icons.ts";

export interface ToolWords {
  /** Its drawing. */
  readonly icon: string;
  readonly verb: keyof Texts;
  /** The tool's name as it is said in `tool_other`. */
  readonly name: string;
  /** A command, a file, an address; in one line. Empty while it is not known. */
  readonly target: string;
  /** The target is code, or a path. */
  readonly isCode: boolean;
  /** The whole of it, to look at before it is allowed; null: the input's JSON is. */
  readonly exact: string | null;
  /** Of a file whose changes are shown: where it is, whole. */
  readonly path: string | null;
  /** What is asked for an approval. */
  readonly question: keyof Texts;
}

export function describeTool(tool: string, input: unknown): ToolWords {
  const text = (name: string) => {
    const value = isRecord(input) ? input[name] : undefined;
    return typeof value === "string" ? value : "";
  };
  const words = (icon: string, verb: keyof Texts, target: string, rest: Partial<ToolWords> = {}): ToolWords => ({
    icon,
    verb,
    name: readableName(tool),
    target: firstLine(target),
    isCode: true,
    path: null,
    question: "approve_other",
    ...rest,
    exact: rest.exact || null,
  });
  switch (tool) {
    case "Bash":
      return words(icons.terminal, "tool_run", text("command"), { exact: text("command"), question: "approve_run" });
    case "Read":
      return words(icons.file, "tool_read", text("file_path"), { exact: text("file_path"), question: "approve_read" });
    case "Write":
      return words(base.edit, "tool_write", text("file_path"), {
        path: text("file_path"),
        question: "approve_write",
      });
    case "Edit":
    case "MultiEdit":
      return words(base.edit, "tool_edit", text("file_path"), {
        path: text("file_path"),
        question: "approve_edit",
      });
    case "NotebookEdit":
      return words(base.edit, "tool_edit", text("notebook_path"), { question: "approve_edit" });
    case "Glob":
    case "Grep":
      return words(icons.search, "tool_search", text("pattern"), { question: "approve_read" });
    case "WebSearch":
    case "ToolSearch":
      return words(icons.search, "tool_search", text("query"));
    case "WebFetch":
      return words(icons.globe, "tool_fetch", text("url"), { exact: text("url"), question: "approve_fetch" });
    case "Agent":
    case "Task":
      return words(icons.agent, "tool_agent", text("description"), { isCode: false });
    case "TodoWrite":
    case "TaskCreate":
    case "TaskUpdate":
      return words(icons.tasks, "tool_todo", text("subject"));
    case "AskUserQuestion":
      return words(icons.question, "tool_ask", "", { question: "question" });
    case "ExitPlanMode":
      return words(icons.tasks, "tool_plan", "", { exact: text("plan"), question: "approve_plan" });
    default:
      return words(icons.tool, "tool_other", "");
  }
}

/** "mcp__github__create_issue" → "github: create issue". */
function readableName(tool: string): string {
  const [, server, name] = /^mcp__(.+?)__(.+)$/s.exec(tool) ?? [];
  return server === undefined ? tool : `${server}: ${name!.replaceAll("_", " ")}`;
}

function firstLine(text: string): string {
  const [line = "", more] = text.split("\n", 2);
  return more === undefined ? line : `${line} …`;
}

export interface Change {
  readonly before: string;
  readonly after: string;
}

/** What an edit changes, piece by piece; empty: it is no edit. */
export function changesOf(tool: string, input: unknown): readonly Change[] {
  if (!isRecord(input)) return [];
  if (tool === "Write") return typeof input["content"] === "string" ? [{ before: "", after: input["content"] }] : [];
  if (tool === "Edit") return [input].flatMap(readChange);
  if (tool === "MultiEdit" && Array.isArray(input["edits"])) {
    const changes = input["edits"].flatMap(readChange);
    // One that cannot be drawn is not left out: all of it is shown as it is.
    return changes.length === input["edits"].length ? changes : [];
  }
  return [];
}

function readChange(edit: unknown): Change[] {
  if (!isRecord(edit)) return [];
  const { old_string: before, new_string: after } = edit;
  return typeof before === "string" && typeof after === "string" ? [{ before, after }] : [];
}

/** What the words, `exact` and the changes have of an input; of a tool that is not here all of it is shown as it is. */
const shownFields: Readonly<Record<string, readonly string[]>> = {
  Bash: ["command", "description"],
  Read: ["file_path"],
  Write: ["file_path", "content"],
  Edit: ["file_path", "old_string", "new_string"],
  MultiEdit: ["file_path", "edits"],
  WebFetch: ["url"],
  ExitPlanMode: ["plan"],
};

/** What else an input says, such as that a command shall run outside of its sandbox; null: nothing. */
export function restOf(tool: string, input: unknown): object | null {
  const shown = shownFields[tool];
  if (!shown || !isRecord(input)) return null;
  const rest = Object.entries(input).filter(([name, value]) => !shown.includes(name) && value !== false);
  return rest.length === 0 ? null : Object.fromEntries(rest);
}

export interface Output {
  readonly text: string;
  /** Hashes of attachments. */
  readonly images: readonly string[];
  /** Its hash, where the output was too large for the log. */
  readonly attachment: string | null;
}

/** What a tool answered: a text, content blocks, or a reference to what was too large. */
export function outputOf(content: unknown): Output {
  const text: string[] = [];
  const images: string[] = [];
  let attachment: string | null = null;
  for (const part of Array.isArray(content) ? (content as unknown[]) : [content]) {
    if (typeof part === "string") text.push(part);
    else if (!isRecord(part)) continue;
    else if (part["type"] === "text" && typeof part["text"] === "string") text.push(part["text"]);
    else if (part["type"] === "image" && isRecord(part["source"]) && typeof part["source"]["attachment"] === "string")
      images.push(part["source"]["attachment"]);
    else if (typeof part["attachment"] === "string") attachment = part["attachment"];
    else text.push(JSON.stringify(part, null, 2));
  }
  return { text: text.join("\n"), images, attachment };
}

export interface Question {
  readonly question: string;
  readonly header: string;
  readonly isMulti: boolean;
  readonly options: readonly { readonly label: string; readonly description: string }[];
}

/** The questions of an `AskUserQuestion`. */
export function questionsOf(input: unknown): readonly Question[] {
  if (!isRecord(input) || !Array.isArray(input["questions"])) return [];
  const text = (value: unknown) => (typeof value === "string" ? value : "");
  return input["questions"].filter(isRecord).map((entry) => ({
    question: text(entry["question"]),
    header: text(entry["header"]),
    isMulti: entry["multiSelect"] === true,
    options: (Array.isArray(entry["options"]) ? (entry["options"] as unknown[]) : [])
      .filter(isRecord)
      .map((option) => ({ label: text(option["label"]), description: text(option["description"]) })),
  }));
}

/** The answer to a question, in what the CLI tells the model of them: `… "<question>"="<answer>", …`. Empty where it is told otherwise. */
export function answerIn(told: string, question: string): string {
  const mark = `"${question}"="`;
  const start = told.indexOf(mark);
  if (start < 0) return "";
  const rest = told.slice(start + mark.length);
  return /^(.*?)"(?:, "|[.;]|$)/s.exec(rest)?.[1] ?? rest;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
