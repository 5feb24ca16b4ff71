// What may be attached to a prompt, and how its first bytes look. Free of zod.

export const imageTypes = ["image/png", "image/jpeg", "image/gif", "image/webp"] as const;
export const documentTypes = ["application/pdf"] as const;
export const attachmentTypes = [...imageTypes, ...documentTypes] as const;

export type AttachmentType = (typeof attachmentTypes)[number];

/** Latin-1 text at an offset, by which a format is known: https://en.wikipedia.org/wiki/List_of_file_signatures */
const signatures: Record<AttachmentType, readonly (readonly (readonly [offset: number, text: string])[])[]> = {
  "image/png": [[[0, "\u0089PNG\r\n\u001a\n"]]],
  "image/jpeg": [[[0, "\u00ff\u00d8\u00ff"]]],
  "image/gif": [[[0, "GIF87a"]], [[0, "GIF89a"]]],
  "image/webp": [
    [
      [0, "RIFF"],
      [8, "WEBP"],
    ],
  ],
  "application/pdf": [[[0, "%PDF-"]]],
};

/** Whether the bytes begin as their type must. */
export function looksLike(type: AttachmentType, bytes: Uint8Array): boolean {
  const head = String.fromCharCode(...bytes.subarray(0, 16));
  return signatures[type].some((parts) => parts.every(([offset, text]) => head.startsWith(text, offset)));
}

export function isAttachmentType(text: string): text is AttachmentType {
  return attachmentTypes.some((type) => type === text);
}
