// What a page sees of the widget: the element, its properties, methods and events, and `mount` of `widget.mjs`. Types alone: the build makes the
// module's declarations of this.
import type { Mode, Options, Theme, Token } from "./options.ts";
import type { Texts } from "./texts.ts";

export type { Mode, Options, Texts, Theme, Token };

/** `detail` of each event. All bubble, and leave the shadow tree. They tell what happens while the page watches, not what was before. */
export interface SluiceEvents {
  /** The element is drawn. */
  "sluice:ready": null;
  "sluice:open": null;
  "sluice:close": null;
  /** Another session is shown; null: a new one that has not begun. */
  "sluice:session": { readonly session: string | null };
  /** A turn was queued, has started, waits for a person, or has ended. */
  "sluice:turn": { readonly session: string; readonly turn: string; readonly state: TurnState };
  /** A turn was completed: the text of its last message. */
  "sluice:answer": { readonly session: string; readonly turn: string; readonly text: string };
  "sluice:tool": {
    readonly session: string;
    readonly turn: string;
    readonly id: string;
    readonly name: string;
    readonly state: "started" | "done" | "failed";
  };
  /** A tool call waits for a person (`decision` is null), or was decided. */
  "sluice:approval": {
    readonly session: string;
    readonly turn: string;
    readonly approval: string;
    readonly tool: string;
    readonly decision: "allow" | "deny" | null;
  };
  "sluice:status": { readonly connection: Connection };
  /** A turn failed, or a request was refused: `code` is the API's; or `unreachable`, or `no_token`: the page gave none. */
  "sluice:error": { readonly code: string; readonly detail: string };
}

/**
 * `idle`: there is no session yet, or its stream is closed while the page is hidden. `live` begins with the first event or ping.
 * `signed_out`, `forbidden`, `gone` are not tried again on their own.
 */
export type Connection =
  "idle" | "connecting" | "live" | "reconnecting" | "offline" | "signed_out" | "forbidden" | "gone";

export type TurnState = "queued" | "running" | "waiting" | "completed" | "failed" | "cancelled";

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

export interface MountOptions extends Options {
  /** Where it is put, at the end. Default: the body. */
  readonly target?: Element;
}

/** `mount` of `widget.mjs`, which comes from the gateway: makes a `<sluice-chat>` with these options and puts it into the page. */
export type Mount = (options?: MountOptions) => SluiceChatElement;

/**
 * What a framework's JSX may set, beside what every element has: attributes, since before the element is defined there are no properties.
 * `suggestions` and `texts` are their JSON.
 */
export interface SluiceChatAttributes extends Omit<AttributeOptions, "suggestions" | "texts">, SluiceHandlers {
  readonly suggestions?: string | undefined;
  readonly texts?: string | undefined;
  readonly "token-url"?: string | undefined;
}

type AttributeOptions = Omit<Options, "title" | "nonce" | "tokenUrl" | "getToken">;
type SluiceHandlers = { readonly [Type in keyof SluiceEvents as `on${Type}`]?: (event: SluiceEventMap[Type]) => void };
type SluiceEventMap = { [Type in keyof SluiceEvents]: CustomEvent<SluiceEvents[Type]> };

declare global {
  interface HTMLElementTagNameMap {
    "sluice-chat": SluiceChatElement;
  }
  /** Of elements, the document and the window: they bubble. */
  interface GlobalEventHandlersEventMap extends SluiceEventMap {}
}
