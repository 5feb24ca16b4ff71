// What a page sees of the element: its properties, methods and events. Types alone.
import type { Mode, Options, Theme, Token } from "./options.ts";
import type { Texts } from "./texts.ts";

export type { Mode, Options, Texts, Theme, Token };

/** `detail` of each event. All bubble, and leave the shadow tree. */
export interface SluiceEvents {
  /** The element is drawn, and its conversation, if there is one, is loaded. */
  "sluice:ready": { readonly session: string | null };
  "sluice:open": null;
  "sluice:close": null;
  /** A turn was queued, has started, or has ended. */
  "sluice:turn": {
    readonly turn: string;
    readonly state: "queued" | "running" | "completed" | "failed" | "cancelled";
    readonly position?: number | null;
  };
  /** A turn was completed: the text of its last message. */
  "sluice:answer": { readonly turn: string; readonly text: string };
  "sluice:tool": {
    readonly turn: string;
    readonly id: string;
    /** Null with the result. */
    readonly tool: string | null;
    readonly state: "started" | "done" | "failed";
  };
  /** A tool call waits for a person, or was decided. */
  "sluice:approval": {
    readonly turn: string;
    readonly approval: string;
    readonly tool: string | null;
    readonly input: unknown;
    readonly decision: "allow" | "deny" | null;
  };
  "sluice:status": { readonly connection: string };
  /** A turn failed, or a request was refused. `code` is the API's. */
  "sluice:error": { readonly code: string; readonly detail: string; readonly turn: string | null };
  /** Another session is shown; null: a new one that has not begun. */
  "sluice:session": { readonly session: string | null };
}

/** `<sluice-chat>`. */
export interface SluiceChatElement extends HTMLElement, Omit<Options, "title" | "nonce" | "open"> {
  /** The attribute `open` sets it. */
  readonly isOpen: boolean;
  /** Shows the panel. The focus stays where it is: see `focusComposer`. */
  open(): void;
  close(): void;
  toggle(): void;
  /** Sends this text, or the draft. Resolves when the gateway has taken it. */
  send(text?: string): Promise<void>;
  /** Ends the running turn, on the server. */
  stop(): Promise<void>;
  newSession(): void;
  openSession(session: string): Promise<void>;
  setDraft(text: string): void;
  /** Facts of the page (JSON): shown to the person, who can take them out, and sent with the next prompt. */
  setContext(context: unknown): void;
  approve(
    approval: string,
    answer?: {
      readonly decision?: "allow" | "deny";
      readonly scope?: "once" | "session";
      readonly message?: string;
      readonly answers?: Readonly<Record<string, string | readonly string[]>>;
    },
  ): Promise<void>;
  exportTranscript(format?: "md" | "json"): Promise<Blob>;
  focusComposer(): void;
  /** Closes its streams and removes it from the page. Nothing of it stays. */
  destroy(): void;
}
