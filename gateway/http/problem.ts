// Refusals as RFC 9457 problems. The message of an unknown error never reaches a client.
import type { Context } from "hono";
import { errorStatus, type ErrorCode } from "../protocol/codes.ts";
import { GatewayError } from "../protocol/errors.ts";
import { prefersEventStream } from "./accept.ts";
import type { Env } from "./env.ts";

const temporary: ReadonlySet<ErrorCode> = new Set(["too_many_requests", "no_capacity", "shutting_down"]);

/** When a reader that is refused without a time of its own should come back, and how far such readers are spread, in milliseconds. */
const reconnectMs = { least: 1000, spread: 4000 };

/**
 * What a refused request gets. [S3] EventSource gives up for good on every status but 200: where it is only sent away for a while, it gets a
 * stream that says when to come back, and ends.
 */
export function refusal(c: Context<Env>, error: GatewayError): Response {
  if (!temporary.has(error.code) || !prefersEventStream(c)) return problem(c, error);
  const { retry_after_s: seconds = 0 } = error.extra as { retry_after_s?: number };
  c.header("Content-Type", "text/event-stream; charset=utf-8");
  c.header("Cache-Control", "no-cache, no-transform");
  const retryMs = Math.max(seconds * 1000, reconnectMs.least) + Math.random() * reconnectMs.spread;
  return c.body(`retry: ${Math.round(retryMs)}\n\n`, 200);
}

export function problem(c: Context<Env>, error: GatewayError): Response {
  const status = errorStatus[error.code];
  const { retry_after_s, headers, ...extra } = error.extra as {
    retry_after_s?: number;
    headers?: Record<string, string>;
  };
  if (retry_after_s !== undefined) c.header("Retry-After", String(Math.ceil(retry_after_s)));
  for (const [name, value] of Object.entries(headers ?? {})) c.header(name, value);
  c.header("Content-Type", "application/problem+json");
  c.header("Cache-Control", "no-store");
  const body = {
    type: `urn:sluice:error:${error.code}`,
    title: error.code.replaceAll("_", " "),
    status,
    code: error.code,
    detail: error.message,
    request_id: c.get("requestId"),
    ...extra,
  };
  return c.body(JSON.stringify(body), status);
}
