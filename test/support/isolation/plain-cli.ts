// A CLI without a gateway, its rules or a box, for control runs. Its stdin and stdout are pipes, since writing to them is among the tries.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { until } from "../wait.ts";
import type { Call } from "./try.ts";

export interface PlainCliOptions {
  readonly binary: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Of its command line: what makes it another user's. */
  readonly prefix: readonly string[];
  /** The person's answer to everything that the CLI asks. */
  readonly answer: "allow" | "deny";
}

export interface PlainCli {
  /** Runs a turn; resolves with its output, however it ended. */
  play(prompt: string): Promise<PlainTurn>;
  end(): Promise<void>;
}

export interface PlainTurn {
  /** The answers to the turn's calls, in their order. */
  readonly results: readonly string[];
  /** Everything that came out of the CLI. */
  readonly stream: string;
}

interface Line {
  readonly type?: string;
  readonly request_id?: string;
  readonly request?: { readonly subtype: string; readonly input?: unknown };
  readonly parent_tool_use_id?: string | null;
  readonly message?: { readonly content: readonly Block[] | string };
}

interface Block {
  readonly type: string;
  readonly id?: string;
  readonly tool_use_id?: string;
  readonly content?: unknown;
}

export function startPlainCli({ binary, args, cwd, environment, prefix, answer }: PlainCliOptions): PlainCli {
  // Node gives it sockets, which cannot be opened through /proc; with `cat` on both sides they are pipes.
  const pipes = ["/bin/sh", "-c", 'cat | "$0" "$@" 2>&1 | cat', binary, ...standardArgs, ...args];
  const [file, ...rest] = [...prefix, ...pipes] as [string, ...string[]];
  const child = spawn(file, rest, {
    cwd,
    env: { ...environment, CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1" },
    stdio: ["pipe", "pipe", "inherit"],
    detached: true,
  });
  const texts: string[] = [];
  const lines: Line[] = [];
  let hasEnded = false;
  const write = (line: object) => child.stdin.write(`${JSON.stringify(line)}\n`);
  child.stdin.on("error", () => {});
  createInterface({ input: child.stdout }).on("line", (text) => {
    texts.push(text);
    const line = parse(text);
    if (!line) return;
    lines.push(line);
    if (line.type === "control_request") write(answerTo(line, answer));
  });
  const exited = once(child, "exit").then(() => (hasEnded = true));
  write({ type: "control_request", request_id: "start", request: { subtype: "initialize" } });
  return {
    async play(prompt) {
      const [linesBefore, textsBefore] = [lines.length, texts.length];
      write({ type: "user", message: { role: "user", content: [{ type: "text", text: prompt }] } });
      const isOver = () => hasEnded || lines.slice(linesBefore).some(({ type }) => type === "result");
      await until("the plain CLI's turn to end", isOver, 60_000);
      return { results: resultsIn(lines.slice(linesBefore)), stream: texts.slice(textsBefore).join("\n") };
    },
    async end() {
      child.stdin.end();
      if (!hasEnded) process.kill(-child.pid!, "SIGKILL");
      await exited;
    },
  };
}

const standardArgs = [
  "--print",
  "--input-format=stream-json",
  "--output-format=stream-json",
  "--verbose",
  "--permission-prompt-tool=stdio",
  "--setting-sources=",
  "--strict-mcp-config",
];

/** A tool may write anything to it. */
function parse(text: string): Line | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : undefined;
  } catch {
    // Kept as text.
    return undefined;
  }
}

function answerTo({ request_id, request }: Line, answer: "allow" | "deny"): object {
  const response =
    answer === "allow" ? { behavior: "allow", updatedInput: request?.input } : { behavior: "deny", message: "No." };
  return { type: "control_response", response: { subtype: "success", request_id, response } };
}

/** The answers to a turn's own calls, not to those of its subagents. */
function resultsIn(lines: readonly Line[]): string[] {
  const blocks = lines
    .filter((line) => line.parent_tool_use_id === null || line.parent_tool_use_id === undefined)
    .flatMap(({ message }) => (message && typeof message.content !== "string" ? message.content : []));
  const answers = new Map(blocks.map((block) => [block.tool_use_id, JSON.stringify(block.content)]));
  return blocks.filter(({ type }) => type === "tool_use").map(({ id }) => answers.get(id) ?? "");
}

/** A prompt that makes the demo model do these calls: a message after the other, each with one or several. */
export function promptOf(messages: readonly (readonly Call[])[]): string {
  return messages.map((calls) => `demo:tools ${JSON.stringify(calls)}`).join("\n");
}
