// What a page may set, by attributes, properties or one object: the same names everywhere (in attributes with hyphens).
import type { Texts } from "./texts.ts";

export type Mode = "bubble" | "sidebar" | "inline" | "fullscreen";
export type Theme = "auto" | "light" | "dark";

/** What a token endpoint answers. */
export interface Token {
  readonly token: string;
  /** RFC 3339. */
  readonly expires_at: string;
}

export interface Options {
  /** Which agent; without it the gateway's only or default one. */
  agent?: string | undefined;
  /** A session's id, or `new`. Without it the last one of this agent in this browser. */
  session?: string | undefined;
  /** Default: `bubble`. */
  mode?: Mode | undefined;
  title?: string | undefined;
  greeting?: string | undefined;
  suggestions?: readonly string[] | undefined;
  placeholder?: string | undefined;
  /** `en`, `de`, or another with `texts`; default: the page's, then the browser's. */
  language?: string | undefined;
  /** Single texts in place of the language's own. */
  texts?: Partial<Texts> | undefined;
  /** Default: `auto`. */
  theme?: Theme | undefined;
  /** For pages whose policy wants one on styles; only where adopted sheets are missing. */
  nonce?: string | undefined;
  /** The gateway's address; default: where the widget came from. */
  gateway?: string | undefined;
  /** Asked by POST with the page's cookies; answers a `Token`. */
  tokenUrl?: string | undefined;
  /** Instead of `tokenUrl`. */
  getToken?: (() => Promise<Token>) | undefined;
  /** Whether the panel is open; only in the modes `bubble` and `sidebar`. */
  open?: boolean | undefined;
}
