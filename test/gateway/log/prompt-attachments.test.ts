import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { inlineAttachments, keepAttachments, readAttachment } from "../../../gateway/log/prompt-attachments.ts";
import { gatewayCaller } from "../../../gateway/protocol/callers.ts";
import { GatewayError } from "../../../gateway/protocol/errors.ts";
import { attachmentTypes } from "../../../gateway/protocol/media.ts";
import { prompt as promptSchema } from "../../../gateway/protocol/prompt.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import { gif, jpegHead, pdf, png, webpHead } from "../../support/attachments.ts";
import { alice, sessionWrite } from "../../support/log-drafts.ts";

const samples: Record<string, Buffer> = {
  "image/png": png,
  "image/jpeg": jpegHead,
  "image/gif": gif,
  "image/webp": webpHead,
  "application/pdf": pdf,
};
const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const code = (run: () => unknown) => {
  try {
    run();
    return "taken";
  } catch (error) {
    return error instanceof GatewayError ? error.code : error;
  }
};
const image = (bytes: Buffer, media_type = "image/png") => ({
  type: "image",
  source: { type: "base64", media_type, data: bytes.toString("base64") },
});
const parse = (blocks: unknown[]) => promptSchema.parse(blocks);

describe("an attachment's bytes", () => {
  test.each(attachmentTypes)("%s is taken for what it is, and for nothing else", (mediaType) => {
    const read = (as: string) => code(() => readAttachment(samples[mediaType]!, { mediaType: as, maxBytes: 1000 }));
    expect(attachmentTypes.map(read)).toEqual(
      attachmentTypes.map((as) => (as === mediaType ? "taken" : "unsupported_media_type")),
    );
  });

  test.each(["image/svg+xml", "text/html", "image/PNG", "", "constructor"])("the type %j is not taken", (mediaType) => {
    expect(code(() => readAttachment(png, { mediaType, maxBytes: 1000 }))).toBe("unsupported_media_type");
  });

  test("their number is limited to the byte", () => {
    const read = (maxBytes: number) => code(() => readAttachment(png, { mediaType: "image/png", maxBytes }));
    expect(read(png.length)).toBe("taken");
    expect(read(png.length - 1)).toBe("payload_too_large");
  });

  test("too few to tell, or with the signature further behind, are not taken", () => {
    for (const bytes of [Buffer.alloc(0), png.subarray(0, 7), Buffer.concat([Buffer.from(" "), png])])
      expect(code(() => readAttachment(bytes, { mediaType: "image/png", maxBytes: 1000 }))).toBe(
        "unsupported_media_type",
      );
  });
});

describe("a prompt", () => {
  const open = () => openSqliteStore(":memory:");
  const limits = { caller: alice, maxBytes: 1000, maxTotalBytes: 2000 };

  test("is kept with references, in order, each attachment once; the CLI gets back what was sent", async () => {
    const store = open();
    const sent = parse([
      { type: "text", text: "before" },
      image(png),
      {
        type: "document",
        source: { type: "base64", media_type: "application/pdf", data: pdf.toString("base64") },
        title: "T",
      },
      image(png),
      { type: "text", text: "behind" },
    ]);
    const kept = await keepAttachments(sent, { store, ...limits });
    expect(kept.prompt).toEqual([
      { type: "text", text: "before" },
      { type: "image", source: { type: "attachment", attachment: hashOf(png), media_type: "image/png" } },
      {
        type: "document",
        source: { type: "attachment", attachment: hashOf(pdf), media_type: "application/pdf" },
        title: "T",
      },
      { type: "image", source: { type: "attachment", attachment: hashOf(png), media_type: "image/png" } },
      { type: "text", text: "behind" },
    ]);
    expect(kept.writes("s").map(({ kind }) => kind)).toEqual(["attachment", "attachment"]);
    const session = sessionWrite();
    await store.commit([session, ...kept.writes(session.session.session)]);
    expect(await inlineAttachments(kept.prompt, store)).toEqual(sent);
    // What is shown can be sent again, by whoever may see it.
    const again = await keepAttachments(parse(kept.prompt), { store, ...limits });
    expect(again.prompt).toEqual(kept.prompt);
    expect(again.writes("s").map(({ kind }) => kind)).toEqual(["attachment_link", "attachment_link"]);
    await store.close();
  });

  test("without attachments is kept as it is, and changes nothing", async () => {
    const store = open();
    const kept = await keepAttachments(parse([{ type: "text", text: "x" }]), { store, ...limits });
    expect(kept.prompt).toEqual([{ type: "text", text: "x" }]);
    expect(kept.writes("s")).toEqual([]);
    await store.close();
  });

  test("whose attachment is gone cannot be put together any more", async () => {
    const store = open();
    const source = { type: "attachment", attachment: "0".repeat(64), media_type: "image/png" } as const;
    expect(await inlineAttachments([{ type: "image", source }], store)).toBeUndefined();
    await store.close();
  });

  describe("is refused", () => {
    const refer = (attachment: string, more: object = {}, type = "image") => ({
      type,
      source: { type: "attachment", attachment, ...more },
    });
    const other = { key: "bob", user: null, reach: "key" } as const;

    test.each<[string, () => unknown[], string, string]>([
      ["base64 that lies about its type", () => [image(pdf)], "unsupported_media_type", "prompt.0.source"],
      [
        "an attachment that is too large",
        () => [image(Buffer.concat([png, Buffer.alloc(1000)]))],
        "payload_too_large",
        "prompt.0.source",
      ],
      [
        "too much in all",
        () => [0, 1, 2].map((n) => image(Buffer.concat([png, Buffer.alloc(900, n)]))),
        "payload_too_large",
        "prompt",
      ],
      ["a hash that nobody has sent", () => [refer("1".repeat(64))], "not_found", "prompt.0.source.attachment"],
      ["a hash that another has sent", () => [refer(hashOf(gif))], "not_found", "prompt.0.source.attachment"],
      ["a document as an image", () => [refer(hashOf(pdf))], "unsupported_media_type", "prompt.0.source"],
      [
        "a type that it is not of",
        () => [refer(hashOf(png), { media_type: "image/gif" })],
        "unsupported_media_type",
        "prompt.0.source",
      ],
      ["event data that is no image", () => [refer("e".repeat(64))], "unsupported_media_type", "prompt.0.source"],
    ])("%s", async (_, blocks, expected, field) => {
      const store = open();
      const upload = (
        bytes: Buffer,
        mediaType: string,
        owner: { key: string; user: string | null },
        hash = hashOf(bytes),
      ) => ({ kind: "upload", owner, attachment: { hash, mediaType, bytes }, at: 1 }) as const;
      const session = sessionWrite();
      const spilled = { hash: "e".repeat(64), mediaType: "application/json", bytes: Buffer.from("{}") };
      await store.commit([
        upload(png, "image/png", alice),
        upload(pdf, "application/pdf", alice),
        upload(gif, "image/gif", other),
        session,
        { kind: "attachment", session: session.session.session, attachment: spilled },
      ]);
      const refused = await keepAttachments(parse(blocks()), { store, ...limits }).then(
        () => undefined,
        (error: unknown) => error,
      );
      expect(refused).toBeInstanceOf(GatewayError);
      expect(refused).toMatchObject({ code: expected, extra: { field } });
      expect(await store.attachment(gatewayCaller, hashOf(webpHead))).toBeUndefined();
      await store.close();
    });
  });

  test("may not have a source of another kind, a hash that is none, or base64 that is none", () => {
    const sources = [
      { type: "url", url: "https://example.com/x.png" },
      { type: "attachment", attachment: "abc" },
      { type: "attachment", attachment: "../".repeat(22).slice(0, 64) },
      { type: "attachment", attachment: "0".repeat(64), media_type: "application/pdf" },
      { type: "attachment", attachment: "0".repeat(64), more: 1 },
      { type: "base64", media_type: "image/svg+xml", data: "" },
      { type: "base64", media_type: "image/png", data: "###" },
    ];
    for (const source of sources)
      expect({ source, ok: promptSchema.safeParse([{ type: "image", source }]).success }).toEqual({
        source,
        ok: false,
      });
  });
});
