// A conversation as the widget shows it: a pure reducer over a page of the transcript and the events behind it. Deltas are applied by
// message, block and offset, so that repeated, merged and late frames do no harm [L7]. It knows no network and no DOM.
import type { By } from "../gateway/protocol/events.ts";
import type { TurnState } from "../gateway/protocol/codes.ts";
import type { Transcript as TranscriptPage } from "../gateway/protocol/transcript.ts";

/** A session; a new object whenever anything in it changed, with unchanged parts shared. */
export interface Transcript {
  readonly session: string;
  readonly agent: string | null;
  readonly title: string | null;
  /** Oldest first; subagents' messages stand in the tool call that started them. */
  readonly messages: readonly Message[];
  readonly turns: ReadonlyMap<string, Turn>;
  /** By id: waiting and decided ones. */
  readonly approvals: ReadonlyMap<string, Approval>;
  /** The `seq` of the newest event that was applied: where a stream goes on from. */
  readonly lastSeq: number;
  /** For the page of older messages; null: there is none. */
  readonly olderCursor: string | null;
  readonly isDeleted: boolean;
  /** Events are missing: it must be fetched anew. */
  readonly hasGap: boolean;
}

export interface Message {
  /** Of a prompt: its turn's id. */
  readonly id: string;
  readonly turn: string;
  readonly role: "user" | "assistant";
  /** RFC 3339. */
  readonly at: string;
  readonly state: "streaming" | "complete" | "interrupted";
  readonly blocks: readonly Block[];
  readonly by: By | null;
  readonly model: string | null;
}

export type Block = TextBlock | ToolBlock | FileBlock | ContextBlock | OtherBlock;

export interface TextBlock {
  readonly type: "text" | "thinking";
  readonly index: number;
  readonly text: string;
  readonly isDone: boolean;
  /** The newest delta: whoever has drawn up to `offset` appends this, and need not cut it out of a long text. */
  readonly tail: { readonly offset: number; readonly text: string } | null;
}

export interface ToolBlock {
  readonly type: "tool";
  readonly index: number;
  readonly id: string;
  readonly name: string;
  /** Undefined until it is whole. */
  readonly input: unknown;
  /** What has come of the input's JSON; null once that is whole. */
  readonly partialJson: string | null;
  readonly startedAt: string;
  readonly result: { readonly content: unknown; readonly isError: boolean; readonly at: string } | null;
  /** The newest approval that this call waits or waited for. */
  readonly approval: string | null;
  /** What the subagent did that this call started. */
  readonly messages: readonly Message[];
}

export interface FileBlock {
  readonly type: "image" | "document" | "attachment";
  readonly index: number;
  /** Its hash: `attachmentUrl` of the chat brings it. */
  readonly attachment: string;
  readonly mediaType: string;
  /** Of a document, where its sender gave one. */
  readonly title: string | null;
}

export interface ContextBlock {
  readonly type: "context";
  readonly index: number;
  readonly context: unknown;
}

export interface OtherBlock {
  readonly type: "other";
  readonly index: number;
  readonly block: unknown;
}

export interface Turn {
  readonly id: string;
  readonly state: TurnState;
  /** Place in the line, 1 is next; null: it waits no more. */
  readonly position: number | null;
  readonly queuedAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  readonly model: string | null;
  readonly usage: { readonly input_tokens?: number | undefined; readonly output_tokens?: number | undefined } | null;
  readonly costUsd: number | null;
  readonly durationMs: number | null;
  /** Why it failed. */
  readonly code: string | null;
  readonly message: string | null;
  readonly retryable: boolean;
  readonly resetsAt: string | null;
  /** Who cancelled it. */
  readonly by: By | null;
  readonly rating: "up" | "down" | null;
  /** The retry that is under way; null once words come again. */
  readonly retry: {
    readonly attempt: number;
    readonly maxAttempts: number;
    readonly delayMs: number;
    readonly status: number | null;
  } | null;
  readonly limit: { readonly status: string; readonly limit: string | null; readonly resetsAt: string | null } | null;
  readonly notices: readonly { readonly kind: string; readonly text: string }[];
}

export interface Approval {
  readonly id: string;
  readonly turn: string;
  readonly tool: string;
  readonly toolUseId: string;
  readonly input: unknown;
  readonly reason: string | null;
  readonly expiresAt: string;
  readonly decision: "allow" | "deny" | null;
  readonly by: By | null;
  readonly scope: "session" | null;
  readonly message: string | null;
}

/** An event as it stands in `data:`; of a type that is not known here it is ignored. */
export interface WireEvent {
  readonly type: string;
  readonly seq?: number;
  readonly turn?: string | null;
  readonly at?: string;
  readonly [field: string]: unknown;
}

/** A transcript's reply; `messages` in ascending order. */
export type Page = TranscriptPage;
