// /api/attachments: images and documents for prompts, sent ahead; and by its hash whatever the log refers to, for those who may see
// it. Kept once, whoever sends it: that something is there already is not told.
import type { Context, Hono } from "hono";
import { bodyLimit } from "hono/body-limit";
import { readAttachment } from "../log/prompt-attachments.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Env } from "./env.ts";
import { evenTime } from "./even-time.ts";
import { absoluteUrl, type RouteDeps } from "./routes.ts";

const unknownType = "application/octet-stream";

export function mountAttachments(app: Hono<Env>, deps: RouteDeps): void {
  const maxBytes = deps.limits.attachment_bytes;
  const limit = bodyLimit({
    maxSize: maxBytes,
    onError: () => {
      throw new GatewayError("payload_too_large", `An attachment must be at most ${maxBytes} bytes.`);
    },
  });
  app.post("/api/attachments", limit, (c) => postAttachment(c, deps));
  app.get("/api/attachments/:hash", (c) => getAttachment(c, deps));
}

async function postAttachment(c: Context<Env>, deps: RouteDeps): Promise<Response> {
  const mediaType = c.req.header("content-type")?.split(";")[0]?.trim().toLowerCase() ?? "";
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  if (bytes.length === 0) throw new GatewayError("invalid_request", "The body is empty; it must be the attachment.");
  const attachment = readAttachment(bytes, { mediaType, maxBytes: deps.limits.attachment_bytes });
  await deps.rates.upload(c, c.get("caller"));
  await deps.rates.uploadBytes(c, c.get("caller"), bytes.length);
  const { key, user, agents = null } = c.get("caller");
  const upload = { kind: "upload", owner: { key, user }, agents, attachment, at: Date.now() } as const;
  const even = evenTime(bytes.length);
  await deps.log.appendNow({ session: "", events: [], before: [upload] });
  await even();
  c.header("Location", absoluteUrl(c, deps, `/api/attachments/${attachment.hash}`));
  return c.json({ attachment: attachment.hash, media_type: attachment.mediaType, bytes: bytes.length }, 201);
}

async function getAttachment(c: Context<Env>, { store }: RouteDeps): Promise<Response> {
  const hash = (c.req.param("hash") ?? "").toLowerCase();
  const found = /^[0-9a-f]{64}$/.test(hash) ? await store.attachment(c.get("caller"), hash) : undefined;
  if (!found) throw new GatewayError("not_found", "There is no such attachment.");
  // What a tool called its image is a header only where it can be one.
  c.header(
    "Content-Type",
    /^[\w.+-]+\/[\w.+-]+(?:; charset=utf-8)?$/.test(found.mediaType) ? found.mediaType : unknownType,
  );
  // Its name is its content: it never changes, but only its owner may keep it.
  c.header("Cache-Control", "private, max-age=31536000, immutable");
  c.header("X-Content-Type-Options", "nosniff");
  c.header("Content-Disposition", "attachment");
  c.header("Content-Security-Policy", "default-src 'none'; sandbox");
  return c.body(new Uint8Array(found.bytes));
}
