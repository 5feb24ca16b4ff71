// What is too large for a row of the log [L8], or is no text: a field over 256 KB becomes an attachment, as does an image that a tool
// gave, and a delta that is as large is cut into several. Pure but for the hash.
import { createHash } from "node:crypto";
import type { EventBody, EventOf } from "../protocol/events.ts";
import type { Attachment } from "../store/port.ts";
import { maxRunChars, mergeable, withText } from "../store/run.ts";

const maxFieldChars = 256 * 1024;

/** A body's JSON (several, of a delta that had to be cut) and the attachments that hold what was taken out. */
export interface Spilled {
  readonly jsons: readonly string[];
  readonly attachments: readonly Attachment[];
}

export function spill(given: EventBody): Spilled {
  const attachments: Attachment[] = [];
  const body = given.type === "tool_result" ? withoutImages(given, attachments) : given;
  const json = JSON.stringify(body);
  if (json.length <= maxFieldChars) return { jsons: [json], attachments };
  if (body.type === "content_block_delta") return { jsons: cutDelta(json), attachments };
  const slim = Object.fromEntries(
    Object.entries(body).map(([field, value]) => {
      const text = typeof value === "string" ? value : JSON.stringify(value);
      if (text === undefined || text.length <= maxFieldChars) return [field, value];
      const mediaType = typeof value === "string" ? "text/plain; charset=utf-8" : "application/json";
      const attachment = attach(Buffer.from(text, "utf8"), mediaType);
      attachments.push(attachment);
      return [field, { attachment: attachment.hash, media_type: mediaType, bytes: attachment.bytes.length }];
    }),
  );
  return { jsons: [JSON.stringify(slim)], attachments };
}

/** Images and documents that a tool gave are attachments, whatever their size, as those of prompts are; its words stay. */
function withoutImages(body: EventOf<"tool_result">, attachments: Attachment[]): EventBody {
  if (!Array.isArray(body.content)) return body;
  const content = body.content.map((block: unknown) => {
    const { source } = (block ?? {}) as { source?: { type?: unknown; media_type?: unknown; data?: unknown } };
    if (source?.type !== "base64" || typeof source.media_type !== "string" || typeof source.data !== "string")
      return block;
    const attachment = attach(Buffer.from(source.data, "base64"), source.media_type);
    attachments.push(attachment);
    const { hash, mediaType: media_type } = attachment;
    return { ...(block as object), source: { type: "attachment", attachment: hash, media_type } };
  });
  return { ...body, content };
}

function attach(bytes: Uint8Array, mediaType: string): Attachment {
  return { hash: createHash("sha256").update(bytes).digest("hex"), mediaType, bytes };
}

/** Cuts between code points, so that no piece ends in half a surrogate pair. */
function cutDelta(json: string): string[] {
  const delta = mergeable({ type: "content_block_delta", json });
  if (!delta || delta.text.length <= maxRunChars) return [json];
  const jsons: string[] = [];
  for (let from = 0; from < delta.text.length;) {
    let to = Math.min(from + maxRunChars, delta.text.length);
    if (to < delta.text.length && isHighSurrogate(delta.text.charCodeAt(to - 1))) to -= 1;
    jsons.push(withText(delta, delta.text.slice(from, to), from));
    from = to;
  }
  return jsons;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff;
}
