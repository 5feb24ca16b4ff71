// [P1, P2] A prompt as a line of the CLI's input: what the CLI would do with its words instead of giving them to the model, and what keeps
// it from that. Pure.
import type { AgentConfig } from "../protocol/agents.ts";

interface Block {
  readonly type: string;
  readonly text?: unknown;
}

export type PromptRules = Pick<AgentConfig, "slash_commands" | "file_mentions">;

/** The CLI reads commands and mentions of files only in a last block of text. This one has neither, and never reaches the model. */
const guard = { type: "text", text: "\n" };

/** The line that puts a prompt to a process. Unless the agent wants it otherwise, all its words reach the model, and nothing else does. */
export function promptLine(turn: string, prompt: readonly Block[], rules: PromptRules): string {
  return jsonLine({
    type: "user",
    uuid: turn,
    session_id: "",
    parent_tool_use_id: null,
    message: { role: "user", content: needsGuard(prompt, rules) ? [...prompt, guard] : prompt },
  });
}

function needsGuard(prompt: readonly Block[], { slash_commands, file_mentions }: PromptRules): boolean {
  if (!isCommand(prompt)) return !file_mentions;
  return !slash_commands || (!file_mentions && hasMention(prompt));
}

/** Whether the CLI will take the prompt for a command of its own. */
export function isCommandFor(prompt: readonly Block[], rules: PromptRules): boolean {
  return isCommand(prompt) && !needsGuard(prompt, rules);
}

/**
 * Whether the CLI would attach files to a command of this agent, which has no leave for that: a command cannot have the guard, and the CLI
 * looks for mentions in its words as in any other's.
 */
export function isCommandWithMention(
  prompt: readonly Block[],
  { slash_commands, file_mentions }: PromptRules,
): boolean {
  return slash_commands && !file_mentions && isCommand(prompt) && hasMention(prompt);
}

function isCommand(prompt: readonly Block[]): boolean {
  return lastText(prompt).trimStart().startsWith("/");
}

/** An `@` that does not stand in a word, as in an address of mail. The CLI has a narrower rule, which changes with its versions. */
function hasMention(prompt: readonly Block[]): boolean {
  return /(?<![\w.+-])@/.test(lastText(prompt));
}

function lastText(prompt: readonly Block[]): string {
  const last = prompt.at(-1);
  return last?.type === "text" && typeof last.text === "string" ? last.text : "";
}

/** One whole line of the CLI's input: anything else on it would end the process. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value)}\n`;
}
