// Images on their way to the gateway, and what it keeps on its way back, as blob: addresses. Nothing is fetched from anywhere else.
import { imageTypes } from "../gateway/protocol/media.ts";
import { signal, type Signal } from "@preact/signals";
import type { Api } from "./api.ts";
import type { Browser } from "./browser.ts";
import type { DraftImage } from "./chat.ts";
import { newId } from "./ids.ts";
import { ApiProblem, asProblem } from "./problem.ts";

/** A content block of a prompt, as `POST /api/turns` takes it. */
export type PromptBlock = { readonly type: string; readonly [field: string]: unknown };

export interface Attachments {
  /** Those of the draft. */
  readonly images: Signal<readonly DraftImage[]>;
  /** Resolves when all are uploaded, or have failed. */
  add(files: readonly File[]): Promise<void>;
  remove(id: string): void;
  /** The draft's images, which then are its no more. */
  take(): readonly DraftImage[];
  /** These images as they are now. */
  now(images: readonly DraftImage[]): readonly DraftImage[];
  /** The blocks of these images, once they are uploaded. Rejects with an `ApiProblem` where one cannot be. */
  blocks(images: readonly DraftImage[]): Promise<PromptBlock[]>;
  /** A blob: address of what the gateway keeps under this hash. */
  url(hash: string): Promise<string>;
  text(hash: string): Promise<string>;
  /** Revokes all addresses. */
  destroy(): void;
}

interface Upload {
  readonly file: File;
  image: DraftImage;
  /** Resolves with the attachment's hash. */
  hash: Promise<string>;
}

export interface AttachmentOptions {
  readonly api: Api;
  readonly browser: Browser;
  /** An image has changed that may be anywhere. */
  readonly onChange: () => void;
  readonly onProblem: (problem: ApiProblem) => void;
}

const isImage = ({ type }: Blob) => imageTypes.some((known) => known === type);

export function createAttachments({ api, browser, onChange, onProblem }: AttachmentOptions): Attachments {
  const images = signal<readonly DraftImage[]>([]);
  const uploads = new Map<string, Upload>();
  const urls = new Map<string, Promise<string>>();
  const made = new Set<string>();

  /** It is of the page's own origin: what is opened there with a type of documents (SVG for one) would run in the page's name. A slice has no type. */
  function makeUrl(blob: Blob): string {
    const url = browser.createObjectUrl(isImage(blob) ? blob : blob.slice());
    made.add(url);
    return url;
  }

  function begin(file: File): Upload {
    const id = newId();
    const image: DraftImage = { id, name: file.name, preview: makeUrl(file), state: "uploading", attachment: null };
    const begun: Upload = { file, image, hash: Promise.resolve("") };
    uploads.set(id, begun);
    begun.hash = upload(begun);
    return begun;
  }

  async function upload(begun: Upload): Promise<string> {
    change(begun, { state: "uploading" });
    try {
      const reply = await api.request("POST", "/api/attachments", { body: begun.file });
      const { attachment } = (await reply.json()) as { attachment: string };
      change(begun, { state: "ready", attachment });
      // What is here need not be fetched again.
      urls.set(attachment, Promise.resolve(begun.image.preview));
      return attachment;
    } catch (error) {
      change(begun, { state: "failed" });
      throw error;
    }
  }

  function change(begun: Upload, fields: Partial<DraftImage>): void {
    begun.image = { ...begun.image, ...fields };
    images.value = now(images.peek());
    onChange();
  }

  function now(some: readonly DraftImage[]): readonly DraftImage[] {
    return some.map((image) => uploads.get(image.id)?.image ?? image);
  }

  async function fetchBlob(hash: string): Promise<Blob> {
    return (await api.request("GET", `/api/attachments/${hash}`)).blob();
  }

  return {
    images,
    async add(files) {
      const odd = files.find((file) => !isImage(file));
      if (odd) onProblem(new ApiProblem("unsupported_media_type", 415, odd.name));
      const begun = files.filter(isImage).map(begin);
      images.value = [...images.peek(), ...begun.map(({ image }) => image)];
      const outcomes = await Promise.allSettled(begun.map(({ hash }) => hash));
      for (const outcome of outcomes) if (outcome.status === "rejected") onProblem(asProblem(outcome.reason));
    },
    remove(id) {
      const gone = images.peek().find((image) => image.id === id);
      images.value = images.peek().filter((image) => image !== gone);
      // The preview of one that the gateway has may be shown elsewhere.
      if (!gone || gone.attachment !== null) return;
      uploads.delete(id);
      made.delete(gone.preview);
      browser.revokeObjectUrl(gone.preview);
    },
    take() {
      const taken = images.peek();
      images.value = [];
      return taken;
    },
    now,
    blocks: (some) =>
      Promise.all(
        some.map(async ({ id }) => {
          const begun = uploads.get(id)!;
          if (begun.image.state === "failed") begun.hash = upload(begun);
          return { type: "image", source: { type: "attachment", attachment: await begun.hash } };
        }),
      ),
    url(hash) {
      const known = urls.get(hash);
      if (known) return known;
      const url = fetchBlob(hash).then(makeUrl);
      urls.set(hash, url);
      url.catch(() => urls.delete(hash));
      return url;
    },
    text: async (hash) => (await fetchBlob(hash)).text(),
    destroy() {
      for (const url of made) browser.revokeObjectUrl(url);
    },
  };
}
