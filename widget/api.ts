// The gateway over fetch: tokens, their renewal, and problems as errors.
import { thisBrowser, type Browser } from "./browser.ts";
import { toJson } from "./json.ts";
import type { Token } from "./options.ts";
import { ApiProblem, problemOf } from "./problem.ts";
import { createTokens, patienceMs } from "./tokens.ts";

export interface ApiOptions {
  /** Whole, without a slash at its end. */
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

export interface RequestOptions {
  /** A Blob goes with its own type, anything else as JSON. */
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
}

export interface Api {
  /** Without a slash at its end. */
  readonly gateway: string;
  /**
   * Sends a request with the token. A 401 renews the token and tries once more. Rejects with an `ApiProblem` on everything but 2xx, and
   * where no answer came.
   */
  request(
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE",
    path: string,
    options?: RequestOptions,
  ): Promise<Response>;
  /** Resolves once it is known who the user is (or that nobody says). Rejects as a request does. */
  identify(): Promise<void>;
  /** A key of `localStorage` for what belongs to this gateway, agent and user, as far as the token says who that is. */
  storageKey(name: string): string;
  /** When the token that the last request had is renewed, in milliseconds since the epoch; Infinity where it never is. */
  readonly renewsAt: number;
  /** Forgets the token, so that the next request asks for a new one. */
  forgetToken(): void;
  /** Requests that are under way reject. */
  destroy(): void;
}

export function createApi(options: ApiOptions): Api {
  const { gateway, agent = "", browser = thisBrowser() } = options;
  const isElsewhere = new URL(gateway).origin !== browser.origin;
  const tokens = createTokens({ ...options, browser, isElsewhere });
  const ending = new AbortController();

  async function send(
    method: string,
    path: string,
    { body, headers, signal, token }: RequestOptions & { token: string | null },
  ): Promise<Response> {
    const type = body === undefined ? {} : { "Content-Type": body instanceof Blob ? body.type : "application/json" };
    const bearer = token === null ? {} : { Authorization: `Bearer ${token}` };
    const silence = new AbortController();
    // A file may take its time.
    const timer = body instanceof Blob ? undefined : browser.setTimeout(() => silence.abort(), patienceMs);
    const signals = [ending.signal, silence.signal, ...(signal ? [signal] : [])];
    try {
      return await browser.fetch(gateway + path, {
        method,
        headers: { ...type, ...bearer, ...headers },
        body: body === undefined ? null : body instanceof Blob ? body : toJson(body),
        signal: AbortSignal.any(signals),
      });
    } catch (error) {
      throw new ApiProblem("unreachable", 0, String(error));
    } finally {
      browser.clearTimeout(timer);
    }
  }

  const request: Api["request"] = async (method, path, init = {}) => {
    const token = await tokens.current();
    const reply = await send(method, path, { ...init, token });
    if (reply.ok) return reply;
    const other = reply.status === 401 ? await tokens.insteadOf(token) : undefined;
    const second = other === undefined ? reply : await send(method, path, { ...init, token: other });
    if (second.ok) return second;
    throw await problemOf(second, browser.now);
  };

  return {
    gateway,
    request,
    async identify() {
      // Without a token it may be a visitor who is refused at first.
      if ((await tokens.current()) === null && agent !== "") await request("GET", "/api/turns?limit=1");
    },
    storageKey: (name) => `sluice ${gateway} ${agent} ${tokens.user} ${name}`,
    get renewsAt() {
      return tokens.renewsAt;
    },
    forgetToken: tokens.forget,
    destroy: () => ending.abort(),
  };
}
