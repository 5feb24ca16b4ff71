// What plain words make the demo model do beside talking: one thing of each kind that a chat can show. Pure.
import type { Step } from "./script.ts";

type Call = Extract<Step, { kind: "tools" }>["calls"][number];

const tools = (...calls: Call[]): Step => ({ kind: "tools", calls });
const call = (name: string, input: unknown): Call => ({ name, input });
const says = (text: string): Step => ({ kind: "text", text });

/** The steps for a prompt in words; undefined: it is answered by talking. */
export function tourSteps(prompt: string): Step[] | undefined {
  const words = prompt.toLowerCase();
  const found = tours.find(([pattern]) => pattern.test(words));
  return found?.[1];
}

const plan = ["Look at what is there", "Write a summary", "Check the summary"];
const doing = ["Looking around", "Writing", "Checking"];
const set = (task: number, status: string) => call("TaskUpdate", { taskId: String(task), status });

const tours: readonly (readonly [pattern: RegExp, steps: Step[]])[] = [
  [
    /\bmake a plan\b|\bto-?do\b/,
    [
      tools(
        ...plan.map((subject, index) =>
          call("TaskCreate", { subject, description: subject, activeForm: doing[index] ?? subject }),
        ),
      ),
      tools(set(1, "in_progress")),
      tools(call("Bash", { command: "ls -la", description: "List the files of the workspace" })),
      tools(set(1, "completed"), set(2, "in_progress")),
      tools(call("Bash", { command: "sleep 2; date", description: "Take a while" })),
      tools(set(2, "completed"), set(3, "in_progress")),
      tools(set(3, "completed")),
      says("All three tasks are done."),
    ],
  ],
  [
    /\b(edit|write|change) (a|the|some) files?\b/,
    [
      tools(
        call("Write", {
          file_path: "greeting.ts",
          content:
            'export function greet(name: string): string {\n  return "Hello, " + name;\n}\n\nconsole.log(greet("world"));\n',
        }),
      ),
      tools(
        call("Edit", {
          file_path: "greeting.ts",
          old_string: '  return "Hello, " + name;',
          new_string:
            '  const time = new Date().getHours();\n  return `Good ${time < 12 ? "morning" : "day"}, ${name}!`;',
        }),
      ),
      says("The greeting knows what time it is now."),
    ],
  ],
  [
    /\bask me\b|\ba question\b/,
    [
      tools(
        call("AskUserQuestion", {
          questions: [
            {
              question: "Which harbour shall I look at?",
              header: "Harbour",
              multiSelect: false,
              options: [
                { label: "Hamburg", description: "Large, and up a river" },
                { label: "Marseille", description: "Warm, and on the open sea" },
              ],
            },
            {
              question: "What do you want to know?",
              header: "Facts",
              multiSelect: true,
              options: [
                { label: "Depth", description: "How deep the water is" },
                { label: "Cranes", description: "How many there are" },
                { label: "Tides", description: "When the water comes and goes" },
              ],
            },
          ],
        }),
      ),
      says("Thank you, that helps."),
    ],
  ],
  [
    /\bsub-?agents?\b/,
    [
      tools(
        call("Task", {
          description: "Count the files",
          prompt: 'demo:tool Bash {"command":"ls | wc -l","description":"Count the files"}',
          subagent_type: "general-purpose",
        }),
      ),
      says("The subagent has counted."),
    ],
  ],
  [
    /\brun (a|the|some) commands?\b/,
    [
      tools(
        call("Bash", {
          command: 'for i in 1 2 3; do echo "step $i"; sleep 1; done',
          description: "Count to three, slowly",
        }),
      ),
      says("The command has run."),
    ],
  ],
  [/^fail\b/, [{ kind: "error", status: 400, times: Infinity }]],
];
