// What the demo model does with a prompt: lines that begin with `demo:` are steps, one API answer each; any other prompt is
// answered in words. Pure: it reads a Messages API request and returns the step that is due, nothing more.
import { demoHelp, markdownSample } from "./samples.ts";
import { tourSteps } from "./tour.ts";

/** A content block of a Messages API request, as far as the demo model looks at it. */
export interface RequestBlock {
  readonly type: string;
  /** Of a call. */
  readonly id?: string;
  /** Of a result: which call's it is. */
  readonly tool_use_id?: string;
  readonly text?: string;
  readonly content?: unknown;
}

export interface RequestMessage {
  readonly role: string;
  readonly content: string | readonly RequestBlock[];
}

/** One answer of the model. `before` stands in a finished block of its own. `delayMs` is the pause before each delta, `chars` the length of a delta in UTF-16 units. */
export type Step =
  | { kind: "text"; text: string; thinking?: string; delayMs?: number; chars?: number }
  | { kind: "tools"; calls: { name: string; input: unknown }[] }
  | { kind: "error"; status: number; times: number }
  | { kind: "cut"; after: number; times: number; before: string; text: string; delayMs: number }
  | { kind: "hang"; ms: number };

/** The account's limit as the API reports it in response headers. */
export interface Limit {
  readonly status: string;
  readonly claim: string;
  readonly resetsInS: number;
}

export interface Script {
  /** The prompt that the steps were read from. */
  readonly prompt: string;
  /** How many answers the model has given to this prompt already. */
  readonly position: number;
  readonly step: Step;
  readonly limit: Limit | undefined;
}

/** Finds the prompt of a request and the step that is due for it. */
export function readScript(messages: readonly RequestMessage[]): Script {
  const at = messages.findLastIndex((message) => message.role === "user" && promptOf(message) !== "");
  const prompt = at < 0 ? "" : promptOf(messages[at]!);
  const later = messages.slice(at + 1);
  const position = later.filter((message) => message.role === "assistant").length;
  const { steps, limit } = parse(prompt, resultsIn(later));
  const step = steps[position] ?? { kind: "text", text: afterwards(later) };
  return { prompt, position, step, limit };
}

/**
 * The words of the newest prompt in a user message, without tool results and without what the CLI adds. Prompts that got no answer
 * stand in the same message, in front of the newest, as do a prompt's own first blocks: nothing tells which is which, so the last one counts.
 */
function promptOf(message: RequestMessage): string {
  const { content } = message;
  const texts =
    typeof content === "string"
      ? [content]
      : content.flatMap(({ type, text }) => (type === "text" ? [text ?? ""] : []));
  const isAnswer = typeof content !== "string" && content.some(({ type }) => type === "tool_result");
  const words = texts.map((text) => (isAnswer ? text : (noticeIn(text) ?? text)));
  return words.findLast((text) => !isAdded(text) && text.trim() !== "") ?? "";
}

const noticeMark = "I was told: ";

/** What the CLI tells the model when a task in the background has ended: between turns that is a prompt of its own. */
function noticeIn(text: string): string | undefined {
  const summary = /<task-notification>.*<summary>(.*)<\/summary>/s.exec(text)?.[1];
  return summary === undefined ? undefined : `${noticeMark}${summary}\n`;
}

/** The CLI's own words among a prompt's: reminders, the mark that an interrupt leaves, the file that it made of an image. */
function isAdded(text: string): boolean {
  return /^\s*(?:<system-reminder>|\[Request interrupted by user|\[Image: source: )/.test(text);
}

function parse(prompt: string, results: readonly string[]): { steps: Step[]; limit: Limit | undefined } {
  const steps: Step[] = [];
  let limit: Limit | undefined;
  for (const line of prompt.split("\n")) {
    const match = /^demo:([a-z]+) ?(.*)$/s.exec(line.trimEnd());
    if (!match) continue;
    const [, name = "", rest = ""] = match;
    if (name === "limit") limit = parseLimit(rest);
    else steps.push(parseStep(name, filledIn(rest, results, name.startsWith("tool"))));
  }
  if (steps.length === 0) steps.push(...(tourSteps(prompt) ?? [answerInWords(prompt)]));
  return { steps, limit };
}

function parseLimit(rest: string): Limit {
  const option = options(rest);
  return {
    status: option["status"] ?? "allowed",
    claim: option["claim"] ?? "five_hour",
    resetsInS: Number(option["resets_in"] ?? 3600),
  };
}

function parseStep(name: string, rest: string): Step {
  const option = options(rest);
  const number = (key: string, fallback: number) => Number(option[key] ?? fallback);
  switch (name) {
    case "text":
      return { kind: "text", text: rest };
    case "thinking":
      return {
        kind: "text",
        thinking: rest || "A question of this kind wants a moment.",
        text: "I have thought about it.",
      };
    case "markdown":
      return { kind: "text", text: markdownSample };
    case "long":
      return { kind: "text", text: numberedWords(number("words", 1000)), delayMs: pause(number("rate", 0)) };
    case "tool": {
      const space = rest.indexOf(" ");
      const tool = space < 0 ? rest : rest.slice(0, space);
      return { kind: "tools", calls: [{ name: tool, input: parseJson(space < 0 ? "{}" : rest.slice(space + 1)) }] };
    }
    case "tools":
      return { kind: "tools", calls: parseJson(rest) as { name: string; input: unknown }[] };
    case "error":
      return { kind: "error", status: number("status", 529), times: number("times", Infinity) };
    case "cut":
      return {
        kind: "cut",
        after: number("after", 3),
        times: number("times", 1),
        before: option["before"] ?? "",
        text: numberedWords(40),
        delayMs: pause(number("rate", 0)),
      };
    case "hang":
      return { kind: "hang", ms: number("ms", 600_000) };
    default:
      return { kind: "text", text: `There is no step "demo:${name}".\n\n${demoHelp}` };
  }
}

/** Milliseconds between deltas, for so many a second; 0 is no pause at all. */
function pause(rate: number): number {
  return rate > 0 ? 1000 / rate : 0;
}

/** `key=value` words of a line. */
function options(rest: string): Record<string, string> {
  return Object.fromEntries([...rest.matchAll(/([a-z_]+)=(\S+)/g)].map((match) => [match[1]!, match[2]!]));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // A person typed this; the step's tool call then fails with the CLI's own words about its input.
    return { invalid: text };
  }
}

/** What a person gets who simply talks to the demo. */
function answerInWords(prompt: string): Step {
  if (prompt.startsWith(noticeMark)) return { kind: "text", text: prompt.trimEnd() };
  const words = prompt.toLowerCase();
  if (/\b(markdown|table|code)\b/.test(words)) return { kind: "text", text: markdownSample };
  if (/\b(help|what can you do)\b/.test(words)) return { kind: "text", text: demoHelp };
  if (/\bthink/.test(words)) return { kind: "text", thinking: `They said: ${prompt}`, text: echo(prompt) };
  return { kind: "text", text: echo(prompt) };
}

function echo(prompt: string): string {
  return `You said: ${prompt}\n\nThis answer comes from Sluice's demo model: no account was used. Say "help" to see what it can do.`;
}

/** The closing words after tool calls: they repeat what the tools answered, cut to 2,000 characters. */
function afterwards(later: readonly RequestMessage[]): string {
  return `The demo model is done. The tools answered:\n\n${resultsIn(later).join("\n").slice(0, 2000)}`;
}

/** What the tools have answered, in the order of the calls: the CLI gives them in the order in which they came. */
function resultsIn(later: readonly RequestMessage[]): string[] {
  const blocks = later.flatMap((message) => (typeof message.content === "string" ? [] : message.content));
  const calls = blocks.flatMap(({ type, id }) => (type === "tool_use" ? [id] : []));
  return blocks
    .filter((block) => block.type === "tool_result")
    .toSorted((a, b) => calls.indexOf(a.tool_use_id) - calls.indexOf(b.tool_use_id))
    .map((block) => textOf(block.content));
}

/** `{{2}}` is what the second call was answered, `{{2.turn}}` a field of it where that is JSON. What cannot be filled in yet stays as it is. */
function filledIn(rest: string, results: readonly string[], isJson: boolean): string {
  return rest.replace(/\{\{(\d+)((?:\.\w+)*)\}\}/g, (reference, number: string, path: string) => {
    const result = results[Number(number) - 1];
    const value = result === undefined ? undefined : fieldOf(result, path.split(".").slice(1));
    if (value === undefined) return reference;
    const text = typeof value === "string" ? value : JSON.stringify(value);
    return isJson ? JSON.stringify(text).slice(1, -1) : text;
  });
}

function fieldOf(text: string, path: readonly string[]): unknown {
  let value: unknown = text;
  for (const [depth, name] of path.entries()) {
    if (depth === 0) value = parseJson(text);
    value = typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
  }
  return value;
}

function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content.map((part: RequestBlock) => part.text ?? `[${part.type}]`).join("\n");
}

function numberedWords(count: number): string {
  return Array.from({ length: count }, (_, index) => `word${index + 1}`).join(" ");
}
