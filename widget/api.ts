// The gateway over fetch: tokens, their renewal, and problems as errors.
import type { Browser } from "./browser.ts";
import type { Token } from "./options.ts";

export interface ApiOptions {
  /** Without a slash at its end. */
  readonly gateway: string;
  /** For a visitor's token, and to keep the agents of one gateway apart in `localStorage`. */
  readonly agent?: string | undefined;
  /** Asked by POST with the page's cookies. */
  readonly tokenUrl?: string | undefined;
  /** Instead of `tokenUrl`. Without either: the page's own sign-in at the gateway, or a visitor's token of a public agent. */
  readonly getToken?: (() => Promise<Token>) | undefined;
  /** For tests. */
  readonly browser?: Browser | undefined;
}

/** A refusal of the gateway, or `unreachable`. */
export class ApiProblem extends Error {
  readonly code: string;
  /** 0: no answer came. */
  readonly status: number;
  readonly retryAfterMs: number | null;
  constructor(code: string, status: number, detail: string, retryAfterMs: number | null = null) {
    super(detail);
    this.code = code;
    this.status = status;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface Api {
  /** Without a slash at its end. */
  readonly gateway: string;
  /**
   * Sends a request with the token. A 401 renews the token and tries once more. `body`: JSON, or a Blob with its own type.
   * Rejects with an `ApiProblem` on everything but 2xx, and where no answer came.
   */
  request(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    options?: {
      readonly body?: unknown;
      readonly headers?: Readonly<Record<string, string>>;
      readonly signal?: AbortSignal;
    },
  ): Promise<Response>;
  /** Resolves once it is known who the user is (or that nobody says); a token is asked for, if there is to be one. Never rejects. */
  identify(): Promise<void>;
  /** A key of `localStorage` for what belongs to this gateway, agent and user, as far as the token says who that is. */
  storageKey(name: string): string;
  /** Forgets the token, so that the next request asks for a new one. */
  forgetToken(): void;
  destroy(): void;
}

export declare function createApi(options: ApiOptions): Api;
