// What went wrong with a request: problems of the gateway (RFC 9457), and answers that never came.

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

/** The problem that a reply says; one that a proxy answered says none, and is `unreachable` with its status. */
export async function problemOf(reply: Response, now: () => number): Promise<ApiProblem> {
  const { status } = reply;
  const { code, detail } = (await reply.json().catch(() => ({}))) as { code?: unknown; detail?: unknown };
  const isOurs = typeof code === "string";
  return new ApiProblem(
    isOurs ? code : "unreachable",
    status,
    typeof detail === "string" ? detail : `${status} ${reply.statusText}`.trim(),
    retryAfterMs(reply.headers.get("Retry-After"), now),
  );
}

/** Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after */
function retryAfterMs(header: string | null, now: () => number): number | null {
  if (header === null) return null;
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

/** Whatever was thrown, as a problem: a bug of ours is none of the gateway's, but must be told as well. */
export function asProblem(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error;
  return new ApiProblem("unreachable", 0, error instanceof Error ? error.message : String(error));
}
