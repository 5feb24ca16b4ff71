// What an event refers to instead of holding it, with the address that brings it. Only where the log itself puts such references: a
// field that was too large, and the source of an image or document. What a model or a tool says never becomes an address.
import type { Reference } from "../protocol/transcript.ts";

/** Gives an attachment's address. */
export type UrlOf = (hash: string) => string;

/** The reference that a field was replaced by; undefined where it was not. */
export function readReference(value: unknown, urlOf: UrlOf): Reference | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { attachment, media_type, bytes } = value as Record<string, unknown>;
  if (typeof attachment !== "string" || !/^[0-9a-f]{64}$/.test(attachment) || typeof media_type !== "string")
    return undefined;
  return {
    attachment,
    media_type,
    ...(Number.isInteger(bytes) ? { bytes: bytes as number } : {}),
    url: urlOf(attachment),
  };
}

/** A field as the transcript shows it. */
export function withUrl(value: unknown, urlOf: UrlOf): unknown {
  return readReference(value, urlOf) ?? value;
}

/** Content blocks whose sources are references; anything else as it is. */
export function withSourceUrls(content: unknown, urlOf: UrlOf): unknown {
  if (!Array.isArray(content)) return withUrl(content, urlOf);
  return content.map((block: unknown) => {
    if (typeof block !== "object" || block === null) return block;
    const { source } = block as { source?: { type?: unknown } };
    const reference = source?.type === "attachment" ? readReference(source, urlOf) : undefined;
    return reference ? { ...block, source: { type: "attachment", ...reference } } : block;
  });
}
