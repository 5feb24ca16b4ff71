// What a caller may send as a prompt.
import { z } from "zod";
import { documentTypes, imageTypes } from "./media.ts";

const noNul = (text: string) => !text.includes("\u0000");
const nulMessage = "must not contain the NUL character (U+0000): the CLI cannot take it";

const textBlock = z.strictObject({
  type: z.literal("text"),
  text: z.string().refine(noNul, nulMessage),
});

const base64Source = <Types extends readonly [string, ...string[]]>(mediaTypes: Types) =>
  z.strictObject({ type: z.literal("base64"), media_type: z.enum(mediaTypes), data: z.base64() });

/** What was sent before, by its hash. `media_type` is always there in what is stored and shown. */
const attachmentSource = <Types extends readonly [string, ...string[]]>(mediaTypes: Types) =>
  z.strictObject({
    type: z.literal("attachment"),
    attachment: z
      .string()
      .regex(/^[0-9a-f]{64}$/i, "must be an attachment's hash")
      .toLowerCase(),
    media_type: z.enum(mediaTypes).optional(),
  });

const source = <Types extends readonly [string, ...string[]]>(mediaTypes: Types) =>
  z.discriminatedUnion("type", [base64Source(mediaTypes), attachmentSource(mediaTypes)]);

const imageBlock = z.strictObject({ type: z.literal("image"), source: source(imageTypes) });

const documentBlock = z.strictObject({
  type: z.literal("document"),
  source: source(documentTypes),
  title: z.string().max(200).refine(noNul, nulMessage).optional(),
});

/** A content block as a caller may send it, and (then never with base64) as it is stored and shown. */
export const sentBlock = z.discriminatedUnion("type", [textBlock, imageBlock, documentBlock]);

export type SentBlock = z.infer<typeof sentBlock>;

/** A content block as the CLI and the Messages API take it: https://docs.claude.com/en/api/messages */
export type PromptBlock = Inline<SentBlock>;

type Inline<Block> = Block extends { source: infer Source }
  ? Omit<Block, "source"> & { source: Extract<Source, { type: "base64" }> }
  : Block;

const hasSomething = (blocks: readonly SentBlock[]) =>
  blocks.some((block) => block.type !== "text" || block.text.trim() !== "");

/** A prompt: a text, or content blocks; never empty. Parsed to blocks. */
export const prompt = z
  .union(
    [
      z
        .string()
        .refine(noNul, nulMessage)
        .transform((text): SentBlock[] => [{ type: "text", text }]),
      z.array(sentBlock).max(100),
    ],
    "must be a text, or a list of content blocks",
  )
  .refine(hasSomething, "must not be empty");

/** The words of a prompt, for titles and search; images and documents are left out. */
export function promptText(blocks: readonly SentBlock[]): string {
  return blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
}
