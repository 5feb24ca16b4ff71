// What comes with a request, checked: body, query, headers. A validation error names the field.
import type { Context } from "hono";
import { z } from "zod";
import { GatewayError } from "../protocol/errors.ts";
import { userName } from "../protocol/requests.ts";
import { validated } from "../protocol/validated.ts";
import type { Env } from "./env.ts";
import { checkJsonText, type JsonBounds } from "./json-text.ts";

/** Reads a JSON body. Its size is limited before: see body-gate.ts. */
export async function readJson<Schema extends z.ZodType>(c: Context<Env>, schema: Schema): Promise<z.infer<Schema>> {
  return validated(schema, await readAnyJson(c));
}

/** The same before it is held to a schema. */
export async function readAnyJson(c: Context<Env>): Promise<unknown> {
  const type = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
  // Nothing else: a form of a foreign page can send text/plain without asking first.
  if (type !== "application/json")
    throw new GatewayError("unsupported_media_type", "The body must be JSON: Content-Type: application/json.");
  const text = await c.req.text();
  checkJsonText(text, jsonBounds(c));
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw new GatewayError(
      "invalid_request",
      text.trim() === "" ? "The body is empty; it must be JSON." : "The body is no valid JSON.",
    );
  }
}

/** Part of it is kept as it came. */
const maxDepth = 100;

/** What a JSON body of this request may hold. */
export function jsonBounds(c: Context<Env>): JsonBounds {
  return { maxValues: c.get("maxJsonValues"), maxDepth };
}

export function readQuery<Schema extends z.ZodType>(c: Context<Env>, schema: Schema): z.infer<Schema> {
  return validated(schema, c.req.query());
}

/** A UUID of the path; anything else is as unknown as an id that does not exist. */
export function pathId(c: Context<Env>, name: "turn" | "session" | "approval"): string {
  const id = c.req.param(name) ?? "";
  if (!z.uuid().safeParse(id).success)
    throw new GatewayError("not_found", `There is no ${name} "${id.slice(0, 100)}".`);
  return id.toLowerCase();
}

/** [L4] The cursor: `Last-Event-ID` beats `?after=`, since browsers repeat the old address. 0: from the start. */
export function readCursor(c: Context<Env>): number {
  const text = c.req.header("last-event-id") ?? c.req.query("after");
  if (text === undefined || text === "") return 0;
  if (!/^\d{1,15}$/.test(text))
    throw new GatewayError("invalid_request", "after: must be a number, the id of the last event that was received", {
      field: "after",
    });
  return Number(text);
}

/** Seconds of `Prefer: wait=N` (RFC 7240), at most 60; undefined without. */
export function readWait(c: Context<Env>): number | undefined {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?/i.exec(c.req.header("prefer") ?? "");
  return match ? Math.min(Number(match[1]), 60) : undefined;
}

/** [A4] `?user=`: the one of its users that a key speaks for. */
export function readUser(c: Context<Env>): string | undefined {
  return validated(z.object({ user: userName.optional() }), { user: c.req.query("user") }).user;
}

/** [T3] */
export function readIdempotencyKey(c: Context<Env>): string | undefined {
  const key = c.req.header("idempotency-key");
  if (key !== undefined && (key === "" || key.length > 255))
    throw new GatewayError("invalid_request", "Idempotency-Key: must be 1 to 255 characters", {
      field: "Idempotency-Key",
    });
  return key;
}
