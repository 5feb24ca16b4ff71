// `Accept` → the rendering that the client prefers among those that a route has.
import type { Context } from "hono";
import { parseAccept } from "hono/utils/accept";
import { createText } from "../formats/text.ts";
import { ndjson } from "../formats/ndjson.ts";
import { sse } from "../formats/sse.ts";
import type { Format } from "../formats/format.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Env } from "./env.ts";

export type Rendering = "sse" | "ndjson" | "text" | "json";

const mediaTypes: Record<Rendering, string> = {
  sse: "text/event-stream",
  ndjson: "application/x-ndjson",
  text: "text/plain",
  json: "application/json",
};

/** `fallback` is what a client gets that takes anything. Throws `not_acceptable`. */
export function negotiate(c: Context<Env>, offered: readonly Rendering[], fallback: Rendering): Rendering {
  const types = offered.map((name) => [name, mediaTypes[name]]);
  return negotiateType(c, Object.fromEntries(types) as Record<Rendering, string>, fallback);
}

/** The same for a route that has media types of its own, by the names that it calls them. */
export function negotiateType<Name extends string>(c: Context<Env>, types: Record<Name, string>, fallback: Name): Name {
  const header = c.req.header("accept");
  if (header === undefined || header.trim() === "") return fallback;
  const offered = Object.entries(types) as [Name, string][];
  const ranges = parseAccept(header)
    .filter((range) => range.q > 0)
    .toSorted((a, b) => b.q - a.q);
  for (const { type } of ranges) {
    if (type === "*/*") return fallback;
    const found = offered.find(([, mediaType]) => mediaType === type.toLowerCase() || wildcard(mediaType) === type);
    if (found) return found[0];
  }
  const choices = offered.map(([, mediaType]) => mediaType).join(", ");
  throw new GatewayError("not_acceptable", `This route answers as ${choices}.`);
}

/** Whether the request is a reader's that would be answered as Server-Sent Events. */
export function prefersEventStream(c: Context<Env>): boolean {
  if (c.req.method !== "GET") return false;
  try {
    return negotiate(c, ["json", "sse", "ndjson", "text"], c.req.path.endsWith("/events") ? "sse" : "json") === "sse";
  } catch {
    // It takes none of these.
    return false;
  }
}

function wildcard(mediaType: string): string {
  return `${mediaType.split("/")[0]}/*`;
}

/** The format of a streaming rendering, for one reader. */
export function streamFormat(rendering: Exclude<Rendering, "json">): Format {
  if (rendering === "sse") return sse;
  return rendering === "ndjson" ? ndjson : createText();
}
