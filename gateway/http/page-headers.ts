// What goes with every page of the gateway's own.
import { randomBytes } from "node:crypto";
import type { Context } from "hono";
import type { Env } from "./env.ts";

/** Sets the headers of a page that loads nothing but what `policy` allows, and returns the nonce of its style. */
export function setPageHeaders(c: Context<Env>, policy = ""): string {
  const nonce = randomBytes(16).toString("base64");
  c.header(
    "Content-Security-Policy",
    `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'${policy}`,
  );
  c.header("X-Content-Type-Options", "nosniff");
  c.header("X-Frame-Options", "DENY");
  // Not `no-referrer`: a browser then sends the forms with `Origin: null`, which is refused.
  c.header("Referrer-Policy", "same-origin");
  c.header("Cache-Control", "no-store");
  return nonce;
}
