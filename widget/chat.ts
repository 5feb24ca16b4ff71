// What views draw and call: the signals of one conversation, and the acts of its person. Views never fetch; this never draws.
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { TurnState } from "../gateway/protocol/codes.ts";
import type { Api } from "./api.ts";
import type { Browser } from "./browser.ts";
import type { Transcript } from "./transcript.ts";

/**
 * `idle`: there is no session yet, or its stream is closed while the page is hidden. `live` begins with the first event or ping.
 * `signed_out`, `forbidden`, `gone` are not tried again on their own.
 */
export type Connection =
  "idle" | "connecting" | "live" | "reconnecting" | "offline" | "signed_out" | "forbidden" | "gone";

export interface DraftImage {
  readonly id: string;
  readonly name: string;
  /** A blob: address, revoked when the image is gone. */
  readonly preview: string;
  readonly state: "uploading" | "ready" | "failed";
  readonly attachment: string | null;
}

/** A prompt that was sent and is not in the transcript yet. */
export interface PendingPrompt {
  readonly id: string;
  readonly text: string;
  readonly images: readonly DraftImage[];
  /** Why it could not be sent: `code` of the problem and its words. Null while it is under way. */
  readonly problem: Problem | null;
}

/** `code`: one of the gateway's, or `unreachable`. */
export interface Problem {
  readonly code: string;
  readonly detail: string;
}

export interface SessionSummary {
  readonly session: string;
  readonly title: string | null;
  readonly state: string | null;
  readonly updatedAt: string;
}

export interface ApprovalAnswer {
  readonly decision: "allow" | "deny";
  readonly scope?: "once" | "session" | undefined;
  readonly message?: string | undefined;
  readonly answers?: Readonly<Record<string, string | readonly string[]>> | undefined;
}

/** What a page is told: of what happens while it watches, not of what a transcript had before. Each is one DOM event, `sluice:<type>`. */
export type ChatEvent =
  | { readonly type: "session"; readonly session: string | null }
  | { readonly type: "turn"; readonly session: string; readonly turn: string; readonly state: TurnState }
  /** A turn has completed: its last message's text. */
  | { readonly type: "answer"; readonly session: string; readonly turn: string; readonly text: string }
  | {
      readonly type: "tool";
      readonly session: string;
      readonly turn: string;
      readonly id: string;
      readonly name: string;
      readonly state: "started" | "done" | "failed";
    }
  /** `decision` is null while it waits. */
  | {
      readonly type: "approval";
      readonly session: string;
      readonly turn: string;
      readonly approval: string;
      readonly tool: string;
      readonly decision: "allow" | "deny" | null;
    }
  | { readonly type: "status"; readonly connection: Connection }
  | { readonly type: "error"; readonly code: string; readonly detail: string };

export interface ChatOptions {
  readonly api: Api;
  /** Without it the gateway's only or default one. */
  readonly agent?: string | undefined;
  /** A session's id, or `new`. Without it the last one of this agent and user in this browser. */
  readonly session?: string | undefined;
  readonly onEvent?: ((event: ChatEvent) => void) | undefined;
  /** For tests. */
  readonly browser?: Browser | undefined;
}

export interface Chat {
  /** Null before there is a session. */
  readonly transcript: ReadonlySignal<Transcript | null>;
  readonly session: ReadonlySignal<string | null>;
  readonly connection: ReadonlySignal<Connection>;
  /** The first page is being fetched. */
  readonly isLoading: ReadonlySignal<boolean>;
  readonly pending: ReadonlySignal<readonly PendingPrompt[]>;
  /** The turn that runs or waits for a person; null: none. */
  readonly runningTurn: ReadonlySignal<string | null>;
  /** The newest thing that went wrong, until dismissed (set to null). */
  readonly problem: Signal<Problem | null>;
  readonly draft: Signal<string>;
  readonly images: ReadonlySignal<readonly DraftImage[]>;
  /** What `setContext` gave, sent with the next prompt and shown to the person. */
  readonly context: Signal<unknown>;
  /** The prompts of this session, newest first, for arrow-up. */
  readonly history: ReadonlySignal<readonly string[]>;

  /** Sends the draft with its images (or this text). Resolves when the gateway has taken it, or with a `problem` in `pending`. */
  send(text?: string): Promise<void>;
  /** Sends a pending prompt that failed again. */
  resend(pendingId: string): Promise<void>;
  dropPending(pendingId: string): void;
  /** Cancels this turn, or the running one. */
  stop(turn?: string): Promise<void>;
  /** The prompt of this turn again, as a new turn. */
  retry(turn: string): Promise<void>;
  /** Branches before this turn and sends the text there: goes on in the new session. */
  edit(turn: string, text: string): Promise<void>;
  /** 409: somebody else was first; the transcript then says who. */
  approve(approval: string, answer: ApprovalAnswer): Promise<void>;
  rate(turn: string, rating: "up" | "down" | null): Promise<void>;
  addImages(files: readonly File[]): Promise<void>;
  removeImage(id: string): void;
  /** Fetches the page of older messages, if there is one. */
  loadOlder(): Promise<void>;
  newSession(): void;
  openSession(session: string): Promise<void>;
  listSessions(
    query: string,
    cursor?: string,
  ): Promise<{ readonly sessions: readonly SessionSummary[]; readonly next: string | null }>;
  renameSession(session: string, title: string): Promise<void>;
  /** The transcript's file. */
  exportTranscript(format: "md" | "json"): Promise<Blob>;
  /** The bytes of an attachment as a blob: address, cached; revoked by `destroy`. */
  attachmentUrl(hash: string): Promise<string>;
  /** Connects anew at once: after `signed_out`, or at a person's wish. */
  reconnect(): void;
  destroy(): void;
}

export declare function createChat(options: ChatOptions): Chat;
