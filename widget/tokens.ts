// Who this browser is to the gateway: a token of the page's server, a visitor's token of a public agent, or nothing (the gateway's own
// sign-in by cookie, the open demo). One token at a time, renewed before it runs out.
import type { Browser } from "./browser.ts";
import type { Token } from "./options.ts";
import { ApiProblem, asProblem, problemOf } from "./problem.ts";
import { readStored, writeStored } from "./storage.ts";

export interface TokenOptions {
  readonly gateway: string;
  readonly agent?: string | undefined;
  readonly tokenUrl?: string | undefined;
  readonly getToken?: (() => Promise<Token>) | undefined;
  readonly browser: Browser;
  /** The gateway is of another origin than the page. */
  readonly isElsewhere: boolean;
}

export interface Tokens {
  /** A good token, as far as it is known; null where none is used. Rejects with an `ApiProblem`. */
  current(): Promise<string | null>;
  /** Another one than this, which the gateway has refused; undefined: there is none. Rejects with an `ApiProblem`. */
  insteadOf(refused: string | null): Promise<string | undefined>;
  /** The next one is a new one. */
  forget(): void;
  /** The user that the newest token names; empty where none does. */
  readonly user: string;
  /** When the newest token is renewed, in milliseconds since the epoch; Infinity where it never is. */
  readonly renewsAt: number;
}

/** A line that is dead without having been closed answers never; nor does a page that waits for something else. */
export const patienceMs = 60_000;
/** So long before its end a token is renewed; one that lives shorter, at half its life. */
const marginMs = 60_000;

export function createTokens(options: TokenOptions): Tokens {
  const { gateway, agent, tokenUrl, getToken, browser, isElsewhere } = options;
  /** Where the page gives no token: a page of the gateway's own may be signed in there. */
  let isVisitor = agent !== undefined && isElsewhere;
  const hasServer = getToken !== undefined || tokenUrl !== undefined;
  const visitorKey = `sluice ${gateway} ${agent ?? ""} visitor`;
  let known: { token: string; renewsAt: number } | null = null;
  let asking: Promise<string> | null = null;
  let user = "";

  async function ask(): Promise<string> {
    const { token, expires_at } = hasServer ? await askPage(options) : await askGateway();
    const lifeMs = Date.parse(expires_at) - browser.now();
    // Where the clock of this machine is wrong it is the gateway that says when a token has run out.
    const renewsAt = lifeMs > 0 ? browser.now() + lifeMs - Math.min(marginMs, lifeMs / 2) : Infinity;
    known = { token, renewsAt };
    user = userOf(token);
    return token;
  }

  /** A visitor stays the same person by the token that they had before, also one that has run out. */
  async function askGateway(): Promise<Token> {
    const before = known?.token ?? readStored(browser.storage, visitorKey);
    const reply = await browser
      .fetch(`${gateway}/api/tokens`, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          ...(before === null ? {} : { Authorization: `Bearer ${before}` }),
        },
        body: JSON.stringify({ agent }),
      })
      .catch((error: unknown) => Promise.reject(asProblem(error)));
    if (reply.status === 400 || reply.status === 403) throw new ApiProblem("unauthorized", 401, await reply.text());
    if (!reply.ok) throw await problemOf(reply, browser.now);
    const made = (await reply.json()) as Token;
    writeStored(browser.storage, visitorKey, made.token);
    return made;
  }

  function renewed(): Promise<string> {
    asking ??= inTime(ask()).finally(() => (asking = null));
    return asking;
  }

  /** One that comes later is good for those who ask then. */
  function inTime(asked: Promise<string>): Promise<string> {
    const late = Promise.withResolvers<never>();
    const timer = browser.setTimeout(
      () => late.reject(new ApiProblem(hasServer ? "no_token" : "unreachable", 0, "No token has come.")),
      patienceMs,
    );
    return Promise.race([asked, late.promise]).finally(() => browser.clearTimeout(timer));
  }

  return {
    async current() {
      if (!hasServer && !isVisitor) return null;
      return known && known.renewsAt > browser.now() ? known.token : renewed();
    },
    async insteadOf(refused) {
      // Somebody else has renewed it meanwhile.
      if (known && known.token !== refused && known.renewsAt > browser.now()) return known.token;
      if (!hasServer && !isVisitor) {
        if (agent === undefined) return undefined;
        isVisitor = true;
        return renewed().catch((error: unknown) => {
          isVisitor = false;
          throw error;
        });
      }
      return renewed();
    },
    forget: () => (known = known && { ...known, renewsAt: 0 }),
    get user() {
      return user;
    },
    get renewsAt() {
      return known?.renewsAt ?? Infinity;
    },
  };
}

async function askPage({ tokenUrl, getToken, browser }: TokenOptions): Promise<Token> {
  try {
    if (getToken) return whole(await getToken());
    const reply = await browser.fetch(tokenUrl!, { method: "POST", credentials: "include" });
    const said = `${tokenUrl} answered ${reply.status}`;
    // Whoever is not signed in at the page is not signed in here.
    if (reply.status === 401 || reply.status === 403) throw new ApiProblem("unauthorized", 401, said);
    if (!reply.ok) throw new Error(said);
    return whole((await reply.json()) as Token);
  } catch (error) {
    if (error instanceof ApiProblem) throw error;
    throw new ApiProblem("no_token", 0, String(error));
  }
}

/** A page's server may hand on whatever it got. */
function whole(answer: Token | null | undefined): Token {
  if (!answer?.token) throw new Error("The answer has no `token`.");
  return answer;
}

/** The claims of a token are not checked here: they only keep the users of one browser apart. */
function userOf(token: string): string {
  try {
    const payload = token.split(".")[1]!.replaceAll("-", "+").replaceAll("_", "/");
    const text = new TextDecoder().decode(Uint8Array.from(atob(payload), (char) => char.charCodeAt(0)));
    return (JSON.parse(text) as { user?: string }).user ?? "";
  } catch {
    // It is no JWT: nobody's name is known.
    return "";
  }
}
