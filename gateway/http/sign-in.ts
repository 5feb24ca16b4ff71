// The sign-in page, for people at the gateway itself: a one-time link, or a pasted key → a cookie that no script can read and no other site can
// send. What a person may do is what their key may.
import { randomBytes, timingSafeEqual } from "node:crypto";
import type { Context, Hono, MiddlewareHandler } from "hono";
import { bodyLimit } from "hono/body-limit";
import { html } from "hono/html";
import { GatewayError } from "../protocol/errors.ts";
import { createSignInCookie } from "./auth/cookie.ts";
import type { KeyRing, ServiceKey } from "./auth/key-ring.ts";
import type { Signer } from "./auth/signed.ts";
import type { Env } from "./env.ts";
import { setPageHeaders } from "./page-headers.ts";
import { absoluteUrl, type RouteDeps } from "./routes.ts";

export interface SignInDeps {
  readonly keys: KeyRing;
  readonly signer: Signer;
  readonly links: SignInLinks;
  readonly now?: () => number;
}

type LinkKey = Pick<ServiceKey, "name" | "hash">;

/** One-time codes, in memory: they end with the gateway. */
export interface SignInLinks {
  /** The path of a link that signs in with this key. */
  make(key: LinkKey): string;
  /** The key of a code, once. */
  redeem(code: string): LinkKey | undefined;
}

const linkMs = 10 * 60 * 1000;
const signedInS = 12 * 60 * 60;
const maxLinks = 100;
/** Anybody may send one. */
const maxFormBytes = 16 * 1024;

export function createSignInLinks(now: () => number = Date.now): SignInLinks {
  const codes = new Map<string, { key: LinkKey; until: number }>();
  return {
    make(key) {
      for (const [code, { until }] of codes) if (until < now() || codes.size >= maxLinks) codes.delete(code);
      const code = randomBytes(24).toString("base64url");
      codes.set(code, { key, until: now() + linkMs });
      return `/sign-in?code=${code}`;
    },
    redeem(code) {
      const found = codes.get(code);
      codes.delete(code);
      return found && found.until >= now() ? found.key : undefined;
    },
  };
}

export function mountSignIn(app: Hono<Env>, deps: RouteDeps & SignInDeps): void {
  const { keys, signer, links, now = Date.now } = deps;
  const cookie = createSignInCookie(deps.publicUrl);
  const limit = bodyLimit({
    maxSize: maxFormBytes,
    onError: () => {
      throw new GatewayError("payload_too_large", `The form must be at most ${maxFormBytes} bytes.`);
    },
  });

  app.get("/sign-in", (c) => page(c, form(c.req.query("code"), undefined)));
  app.post("/sign-in", ofOwnPage, limit, async (c) => {
    const body = await readForm(c);
    const text = (name: string) => (typeof body[name] === "string" ? body[name] : "");
    const key = text("code") === "" ? keys.find(text("key").trim()) : links.redeem(text("code"));
    // A link does not outlive its key, not even where a new one has taken the name.
    if (key === undefined || !isSame(keys.named(key.name), key))
      return page(c, form(undefined, "This key or link is not good, or not any more."), 401);
    const exp = Math.floor(now() / 1000) + signedInS;
    cookie.write(c, await signer.sign({ kind: "cookie", key: key.name, exp }), signedInS);
    return c.redirect("./", 303);
  });
  app.post("/sign-out", ofOwnPage, (c) => {
    cookie.remove(c);
    return c.redirect("sign-in", 303);
  });
  app.post("/api/sign-in-links", (c) => {
    const key = keys.named(c.get("identity").key);
    if (!key) throw new GatewayError("forbidden", "Only a service key can make a sign-in link.");
    c.header("Cache-Control", "no-store");
    return c.json({ url: absoluteUrl(c, deps, links.make(key)), expires_in: linkMs / 1000 }, 201);
  });
}

/** A page that may call the API may not sign people in as somebody else, nor out. */
const ofOwnPage: MiddlewareHandler<Env> = async (c, next) => {
  if (!c.get("isOfOwnPage"))
    throw new GatewayError("origin_not_allowed", "Only the gateway's own page can sign a person in or out.");
  await next();
};

async function readForm(c: Context<Env>): Promise<Record<string, unknown>> {
  try {
    return await c.req.parseBody();
  } catch (error) {
    if (error instanceof GatewayError) throw error;
    throw new GatewayError("invalid_request", "The body is no valid form.");
  }
}

function isSame(a: LinkKey | undefined, b: LinkKey): boolean {
  return a !== undefined && timingSafeEqual(a.hash, b.hash);
}

function form(code: string | undefined, problem: string | undefined) {
  const field =
    code === undefined
      ? html`<input name="user" value="sluice" autocomplete="username" hidden />
          <label>Key <input type="password" name="key" autocomplete="current-password" required autofocus /></label>`
      : html`<input type="hidden" name="code" value="${code}" />`;
  const note = problem === undefined ? "" : html`<p role="alert">${problem}</p>`;
  return html`<h1>Sign in to Sluice</h1>
    ${note}
    <form method="post" action="sign-in">${field} <button>Sign in</button></form>`;
}

function page(c: Context<Env>, body: ReturnType<typeof html>, status: 200 | 401 = 200) {
  const nonce = setPageHeaders(c);
  return c.html(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width" />
          <title>Sign in to Sluice</title>
          <style nonce="${nonce}">
            :root {
              color-scheme: light dark;
            }
            body {
              font:
                1rem/1.5 system-ui,
                sans-serif;
              max-width: 24rem;
              margin: 15vh auto;
              padding: 0 1rem;
            }
            h1 {
              font-size: 1.5rem;
              line-height: 1.2;
            }
            input,
            button {
              font: inherit;
              padding: 0.4rem 0.6rem;
            }
            [name="key"] {
              display: block;
              box-sizing: border-box;
              width: 100%;
            }
            label {
              display: block;
              margin-bottom: 1rem;
            }
            [role="alert"] {
              color: light-dark(#b00020, #ff8a80);
            }
          </style>
        </head>
        <body>
          <main>${body}</main>
        </body>
      </html>`,
    status,
  );
}
