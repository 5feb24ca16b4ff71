// A transcript as Markdown, to be read in an editor or a ticket: tool calls folded away. The only HTML in it is ours.
import type { By } from "../protocol/events.ts";
import type {
  Reference,
  TranscriptBlock,
  TranscriptMessage,
  TranscriptToolUse,
  TranscriptTurn,
} from "../protocol/transcript.ts";
import { fenced, safeMarkdown } from "./markdown-text.ts";
import { htmlText, inlineText } from "./markdown-words.ts";

/** What stands above the turns. */
export function transcriptMarkdownHead(session: { id: string; agent: string; title: string | null }): string {
  const title = inlineText(session.title ?? "") || "Transcript";
  return `# ${title}\n\nSession ${session.id} · agent ${session.agent}\n\n`;
}

/** A turn, or the part of it that these messages are. */
export function transcriptMarkdown(turn: TranscriptTurn, messages: readonly TranscriptMessage[]): string {
  const parts = messages.flatMap((message, at) => {
    // The messages of one answer stand under one heading.
    const isSame = at > 0 && messages[at - 1]!.role === message.role;
    return [...(isSame ? [] : [heading(message)]), ...messageParts(message)];
  });
  return [...parts, outcome(turn), ""].join("\n\n");
}

function heading({ role, at, by, model }: TranscriptMessage): string {
  const who = role === "user" ? named(by) : inlineText(model ?? "");
  return `## ${role === "user" ? "Prompt" : "Answer"} · ${readableTime(at)}${who === "" ? "" : ` · ${who}`}`;
}

function messageParts(message: TranscriptMessage): string[] {
  const parts = message.blocks.map(blockText).filter((part) => part !== "");
  if (message.state === "interrupted") parts.push("*(It breaks off here.)*");
  return parts;
}

function blockText(block: TranscriptBlock): string {
  switch (block.type) {
    case "text":
      return safeMarkdown(block.text.trim());
    case "thinking":
      return block.thinking.trim() === "" ? "" : folded("Thinking", [safeMarkdown(block.thinking.trim())]);
    case "tool_use":
      return toolUse(block);
    case "image":
      return `Image: ${link(block.source)}`;
    case "document":
      return `Document${block.title === undefined ? "" : ` “${inlineText(block.title)}”`}: ${link(block.source)}`;
    case "attachment":
      return `Attachment: ${link(block)}`;
    case "context":
      return folded("Context", [json(block.context)]);
    case "other":
      return folded("Other", [json(block.block)]);
  }
}

function toolUse({ name, input, partial_json, result, messages = [] }: TranscriptToolUse): string {
  const hint = hintOf(input);
  const given = partial_json === undefined ? json(input) : fenced(partial_json);
  const answer = result
    ? [`${result.is_error ? "Error" : "Result"}:`, ...contentParts(result.content)]
    : ["*(There is no result.)*"];
  return folded(`Tool: ${name}${hint === "" ? "" : ` · ${hint}`}${result?.is_error ? " · failed" : ""}`, [
    given,
    ...messages.flatMap(messageParts),
    ...answer,
  ]);
}

/** Of a call's input what says best what it does. */
function hintOf(input: unknown): string {
  if (typeof input !== "object" || input === null) return "";
  const fields = input as Record<string, unknown>;
  const found = ["description", "command", "file_path", "path", "pattern", "query", "url"].find(
    (name) => typeof fields[name] === "string" && fields[name] !== "",
  );
  return found === undefined ? "" : String(fields[found]);
}

function contentParts(content: unknown): string[] {
  if (typeof content === "string") return [fenced(content)];
  if (Array.isArray(content)) return content.flatMap(contentParts);
  const { type, text, source } = (content ?? {}) as Record<string, unknown>;
  if (type === "text" && typeof text === "string") return [fenced(text)];
  if (isReference(source)) return [link(source)];
  if (isReference(content)) return [link(content)];
  return [json(content)];
}

/** One of ours: a tool's answer may look like it, and must not bring an address of another kind. */
function isReference(value: unknown): value is Reference {
  const { attachment, media_type, url } = (value ?? {}) as Record<string, unknown>;
  if (typeof attachment !== "string" || typeof media_type !== "string" || typeof url !== "string") return false;
  return /^https?:\/\/[\w.:/[\]-]+$/.test(url) && url.endsWith(`/${attachment}`);
}

function link({ media_type, bytes, url }: Reference): string {
  const size = bytes === undefined ? "" : `, ${Math.ceil(bytes / 1024)} KB`;
  return `[${inlineText(media_type)}${size}](${url})`;
}

function folded(summary: string, parts: readonly string[]): string {
  return [`<details><summary>${htmlText(summary)}</summary>`, ...parts, "</details>"].join("\n\n");
}

function json(value: unknown): string {
  return fenced(JSON.stringify(value, null, 2) ?? "", "json");
}

function outcome(turn: TranscriptTurn): string {
  const { state, code, message, by, duration_ms, usage, cost_usd } = turn;
  switch (state) {
    case "completed": {
      const tokens = [usage?.["input_tokens"], usage?.["output_tokens"]];
      return `*${[
        `Completed in ${((duration_ms ?? 0) / 1000).toFixed(1)} s`,
        `${count(tokens[0])} tokens in, ${count(tokens[1])} out`,
        `$${(cost_usd ?? 0).toFixed(4)}`,
      ].join(" · ")}*`;
    }
    case "failed":
      return `**Failed** (${inlineText(code ?? "")}): ${inlineText(message ?? "")}`;
    case "cancelled":
      return `**Cancelled** by ${named(by) || "nobody"}`;
    case "queued":
      return "*It waits in the queue.*";
    case "waiting":
      return "*It waits for an approval.*";
    case "running":
      return "*It is running.*";
  }
}

function count(tokens: unknown): string {
  return typeof tokens === "number" ? tokens.toLocaleString("en-US") : "?";
}

function named(by: By | undefined): string {
  if (!by) return "";
  if ("key" in by) return inlineText(by.user ?? by.key);
  if ("agent" in by) return `agent ${inlineText(by.agent)}`;
  return "cli" in by ? `Claude Code itself (${inlineText(by.cli)})` : `the gateway (${by.gateway})`;
}

function readableTime(at: string): string {
  return `${at.slice(0, 10)} ${at.slice(11, 19)} UTC`;
}
