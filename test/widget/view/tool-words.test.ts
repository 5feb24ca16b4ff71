import { describe, expect, test } from "vitest";
import type { ToolBlock } from "../../../widget/transcript.ts";
import { tasksOf } from "../../../widget/view/tools/tasks.ts";
import {
  answerIn,
  changesOf,
  describeTool,
  outputOf,
  questionsOf,
  restOf,
} from "../../../widget/view/tools/tool-words.ts";

describe("what a tool call does", () => {
  test("is a verb and what it is done to, with all of it to look at before it is allowed", () => {
    expect(describeTool("Bash", { command: "make\nmake install", description: "" })).toMatchObject({
      verb: "tool_run",
      target: "make …",
      isCode: true,
      exact: "make\nmake install",
      question: "approve_run",
    });
    expect(describeTool("Bash", { command: "ls", description: "Look around" })).toMatchObject({
      target: "ls",
      isCode: true,
    });
    expect(describeTool("Write", { file_path: "/a/b", content: "" })).toMatchObject({ path: "/a/b" });
    expect(describeTool("mcp__github__create_issue", {})).toMatchObject({
      verb: "tool_other",
      name: "github: create issue",
      exact: null,
    });
  });

  test("says all that is asked for, also what its words do not have", () => {
    const run = { command: "ls", description: "Look", run_in_background: false };
    expect(restOf("Bash", run)).toBeNull();
    expect(restOf("Bash", { ...run, dangerouslyDisableSandbox: true })).toEqual({ dangerouslyDisableSandbox: true });
    expect(restOf("Edit", { file_path: "a", old_string: "b", new_string: "c", replace_all: true })).toEqual({
      replace_all: true,
    });
    for (const input of [undefined, null, "text", []]) expect(restOf("Bash", input)).toBeNull();
    // Their whole input is shown.
    for (const tool of ["Grep", "mcp__x__y"]) {
      expect(restOf(tool, { any: "thing" })).toBeNull();
      expect([describeTool(tool, {}).exact, changesOf(tool, {})]).toEqual([null, []]);
    }
  });

  test("is known without an input, and with one that is not as it should be", () => {
    for (const input of [undefined, null, "text", 7, [], { file_path: 7 }])
      expect(describeTool("Read", input)).toMatchObject({ verb: "tool_read", target: "" });
  });

  test("is changes, of an edit", () => {
    expect(changesOf("Edit", { old_string: "a", new_string: "b" })).toEqual([{ before: "a", after: "b" }]);
    expect(changesOf("Write", { content: "all" })).toEqual([{ before: "", after: "all" }]);
    expect(changesOf("MultiEdit", { edits: [{ old_string: "a", new_string: "b" }] })).toEqual([
      { before: "a", after: "b" },
    ]);
    // What cannot be drawn as a change is not left out: the whole input is shown.
    expect(changesOf("MultiEdit", { edits: [{ old_string: "a", new_string: "b" }, { old_string: 1 }] })).toEqual([]);
    expect(changesOf("Bash", { command: "rm" })).toEqual([]);
  });
});

test("what a tool answered is its text, its images, and a reference to what was too large", () => {
  expect(outputOf("words")).toEqual({ text: "words", images: [], attachment: null });
  expect(
    outputOf([
      { type: "text", text: "one" },
      { type: "image", source: { attachment: "abc" } },
      { type: "text", text: "two" },
    ]),
  ).toEqual({ text: "one\ntwo", images: ["abc"], attachment: null });
  expect(outputOf({ attachment: "def", bytes: 300_000 })).toEqual({ text: "", images: [], attachment: "def" });
  expect(outputOf(null)).toEqual({ text: "", images: [], attachment: null });
});

test("questions of the model, and the answers in what it was told of them", () => {
  const asked = {
    questions: [{ question: "Which?", header: "H", multiSelect: true, options: [{ label: "A", description: "a" }, 7] }],
  };
  expect(questionsOf(asked)).toEqual([
    { question: "Which?", header: "H", isMulti: true, options: [{ label: "A", description: "a" }] },
  ]);
  expect(questionsOf({ questions: "none" })).toEqual([]);
  const told = 'Your questions have been answered: "Which?"="A, B", "Why?"="because". You can now continue.';
  expect([answerIn(told, "Which?"), answerIn(told, "Why?"), answerIn(told, "When?")]).toEqual(["A, B", "because", ""]);
});

describe("the to-do list", () => {
  const call = (name: string, input: unknown, result = "ok", isError = false) =>
    ({ name, input, result: { content: result, isError, at: "" } }) as unknown as ToolBlock;

  test("is what its calls have made of it", () => {
    const tasks = tasksOf([
      call("TaskCreate", { subject: "Look", activeForm: "Looking" }, "Task #1 created successfully: Look"),
      call("TaskCreate", { subject: "Write" }, "Task #7 created successfully: Write"),
      call("TaskCreate", { subject: "Drop" }, "Task #8 created successfully: Drop"),
      call("TaskUpdate", { taskId: "1", status: "completed" }),
      call("TaskUpdate", { taskId: "7", status: "in_progress", activeForm: "Writing" }),
      call("TaskUpdate", { taskId: "8", status: "deleted" }),
      call("TaskUpdate", { taskId: "7", status: "completed" }, "no", true),
    ]);
    expect(tasks).toEqual([
      { id: "1", text: "Look", doing: "Looking", state: "completed" },
      { id: "7", text: "Write", doing: "Writing", state: "in_progress" },
    ]);
  });

  test("of TodoWrite is set anew by every call", () => {
    const todos = [{ content: "Mend", activeForm: "Mending", status: "in_progress" }];
    expect(tasksOf([call("TaskCreate", { subject: "Old" }), call("TodoWrite", { todos })])).toEqual([
      { id: "0", text: "Mend", doing: "Mending", state: "in_progress" },
    ]);
  });
});
