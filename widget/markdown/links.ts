// Which addresses of a text may be followed, and which images may be loaded [A6]. An answer can be written by whoever wrote a page that
// the model has read: a link must not run anything, and an image must not carry anything away by its address.

/** The address as a browser reads it, or null: it is no link then. */
export function safeLink(address: string): string | null {
  const url = parsed(address);
  return url && /^(?:https?|mailto):$/.test(url.protocol) ? url.href : null;
}

/** The address of an image on one of these origins or of this page's own memory; null: it is not loaded. */
export function safeImage(address: string, origins: readonly string[]): string | null {
  const url = parsed(address);
  if (!url) return null;
  const isOwn = /^https?:$/.test(url.protocol) && origins.includes(url.origin);
  return isOwn || url.protocol === "blob:" ? url.href : null;
}

/** Browsers drop some control characters, and then read another scheme. Relative addresses say nothing here: they are none. */
function parsed(address: string): URL | null {
  try {
    return new URL(address.replaceAll(/[\u0000-\u001f\u007f-\u009f\u00ad\u200b-\u200f\u2028-\u202e\u2060\ufeff]/g, ""));
  } catch {
    return null;
  }
}
