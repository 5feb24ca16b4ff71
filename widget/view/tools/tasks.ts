// The model's to-do list, as its calls of the task tools have made it. Pure.
import type { ToolBlock } from "../../transcript.ts";
import { outputOf } from "./tool-words.ts";

export interface Task {
  readonly id: string;
  readonly text: string;
  /** What is said of it while it is under way. */
  readonly doing: string;
  readonly state: "pending" | "in_progress" | "completed";
}

const taskTools = new Set(["TodoWrite", "TaskCreate", "TaskUpdate", "TaskGet", "TaskList"]);

export function isTaskTool(tool: string): boolean {
  return taskTools.has(tool);
}

/** The list behind these calls, in their order. A call that failed has changed nothing. */
export function tasksOf(calls: readonly ToolBlock[]): readonly Task[] {
  let tasks: readonly Task[] = [];
  for (const { name, input, result } of calls) {
    if (result?.isError || typeof input !== "object" || input === null) continue;
    const fields = input as Readonly<Record<string, unknown>>;
    if (name === "TodoWrite") tasks = listOf(fields["todos"]);
    else if (name === "TaskCreate") tasks = [...tasks, created(fields, result, tasks.length)];
    else if (name === "TaskUpdate") tasks = updated(tasks, fields);
  }
  return tasks;
}

function listOf(todos: unknown): Task[] {
  return (Array.isArray(todos) ? (todos as Readonly<Record<string, unknown>>[]) : []).map((todo, index) => ({
    id: String(index),
    text: text(todo["content"]),
    doing: text(todo["activeForm"]) || text(todo["content"]),
    state: stateOf(todo["status"]) ?? "pending",
  }));
}

/** Its number stands in the result: "Task #3 created successfully: …". */
function created(fields: Readonly<Record<string, unknown>>, result: ToolBlock["result"], count: number): Task {
  const number = /#(\w+)/.exec(result ? outputOf(result.content).text : "")?.[1];
  const subject = text(fields["subject"]);
  return {
    id: number ?? String(count + 1),
    text: subject,
    doing: text(fields["activeForm"]) || subject,
    state: "pending",
  };
}

function updated(tasks: readonly Task[], fields: Readonly<Record<string, unknown>>): Task[] {
  const { taskId, status, subject, activeForm } = fields;
  return tasks.flatMap((task) => {
    if (task.id !== String(taskId)) return [task];
    if (status === "deleted") return [];
    return [
      {
        ...task,
        text: text(subject) || task.text,
        doing: text(activeForm) || task.doing,
        state: stateOf(status) ?? task.state,
      },
    ];
  });
}

function stateOf(status: unknown): Task["state"] | undefined {
  return status === "pending" || status === "in_progress" || status === "completed" ? status : undefined;
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
