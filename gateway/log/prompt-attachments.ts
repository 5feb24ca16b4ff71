// The images and documents of a prompt. In the log and the store a prompt refers to them by their hash; the CLI gets their bytes.
import { createHash } from "node:crypto";
import type { Caller } from "../protocol/callers.ts";
import { gatewayCaller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import { attachmentTypes, documentTypes, imageTypes, isAttachmentType, looksLike } from "../protocol/media.ts";
import type { AttachmentType } from "../protocol/media.ts";
import type { PromptBlock, SentBlock } from "../protocol/prompt.ts";
import type { Attachment, Store, Write } from "../store/port.ts";

export interface KeepOptions {
  readonly store: Store;
  /** What a prompt refers to must be the caller's to see. */
  readonly caller: Caller;
  /** For one attachment. */
  readonly maxBytes: number;
  /** For all of a prompt together. */
  readonly maxTotalBytes: number;
}

/** A prompt that only refers to its attachments, and the changes that keep them with its session. */
export interface KeptPrompt {
  readonly prompt: SentBlock[];
  writes(session: string): Write[];
}

type Kept = { readonly hash: string; readonly attachment?: Attachment };
type WithSource = Exclude<SentBlock, { type: "text" }>;

/** Throws `unsupported_media_type`, `payload_too_large`, or `not_found` for what the caller may not see. */
export async function keepAttachments(prompt: readonly SentBlock[], options: KeepOptions): Promise<KeptPrompt> {
  const kept = new Map<string, Kept>();
  const blocks: SentBlock[] = [];
  let total = 0;
  for (const [index, block] of prompt.entries()) {
    if (block.type === "text") {
      blocks.push(block);
      continue;
    }
    const field = `prompt.${index}.source`;
    const { hash, mediaType, size, attachment } = await readSource(block, field, options);
    total += size;
    if (total > options.maxTotalBytes)
      throw new GatewayError(
        "payload_too_large",
        `prompt: its attachments must be at most ${options.maxTotalBytes} bytes together`,
        { field: "prompt" },
      );
    kept.set(hash, { hash, ...(attachment ? { attachment } : {}) });
    // The schema has checked that this type fits this kind of block; readSource checks it for what was sent before.
    blocks.push({ ...block, source: { type: "attachment", attachment: hash, media_type: mediaType } } as SentBlock);
  }
  const writes = (session: string) =>
    [...kept.values()].map(({ hash, attachment }): Write =>
      attachment ? { kind: "attachment", session, attachment } : { kind: "attachment_link", session, hash },
    );
  return { prompt: blocks, writes };
}

/** Checks the bytes against the type that they are said to be of. */
export function readAttachment(
  bytes: Uint8Array,
  { mediaType, maxBytes, field }: { mediaType: string; maxBytes: number; field?: string },
): Attachment & { mediaType: AttachmentType } {
  const where = field === undefined ? {} : { field };
  const said = field === undefined ? "" : `${field}: `;
  if (!isAttachmentType(mediaType))
    throw new GatewayError(
      "unsupported_media_type",
      `${said}An attachment must be one of ${attachmentTypes.join(", ")}.`,
      where,
    );
  if (bytes.length > maxBytes) throw tooLarge(maxBytes, where, said);
  if (!looksLike(mediaType, bytes))
    throw new GatewayError("unsupported_media_type", `${said}These bytes are no ${mediaType}.`, where);
  return { hash: createHash("sha256").update(bytes).digest("hex"), mediaType, bytes };
}

/** The prompt with everything in it, for the CLI; undefined where an attachment is not kept any more. */
export async function inlineAttachments(
  prompt: readonly SentBlock[],
  store: Store,
): Promise<PromptBlock[] | undefined> {
  const blocks: PromptBlock[] = [];
  for (const block of prompt) {
    if (block.type === "text" || block.source.type === "base64") {
      blocks.push(block as PromptBlock);
      continue;
    }
    const found = await store.attachment(gatewayCaller, block.source.attachment);
    if (!found) return undefined;
    const data = Buffer.from(found.bytes).toString("base64");
    blocks.push({ ...block, source: { type: "base64", media_type: found.mediaType, data } } as PromptBlock);
  }
  return blocks;
}

async function readSource(block: WithSource, field: string, { store, caller, maxBytes }: KeepOptions) {
  const { source } = block;
  if (source.type === "base64") {
    const bytes = Buffer.from(source.data, "base64");
    const attachment = readAttachment(bytes, { mediaType: source.media_type, maxBytes, field });
    return { hash: attachment.hash, mediaType: attachment.mediaType, size: bytes.length, attachment };
  }
  const head = await store.attachmentHead(caller, source.attachment);
  if (!head)
    throw new GatewayError("not_found", `There is no attachment "${source.attachment}".`, {
      field: `${field}.attachment`,
    });
  const allowed: readonly string[] = block.type === "image" ? imageTypes : documentTypes;
  const isAsSaid = source.media_type === undefined || source.media_type === head.mediaType;
  if (!allowed.includes(head.mediaType) || !isAsSaid)
    throw new GatewayError("unsupported_media_type", `${field}: this attachment is ${head.mediaType}.`, { field });
  return { hash: head.hash, mediaType: head.mediaType, size: head.size, attachment: undefined };
}

function tooLarge(maxBytes: number, where: object, said: string): GatewayError {
  return new GatewayError("payload_too_large", `${said}An attachment must be at most ${maxBytes} bytes.`, {
    ...where,
  });
}
