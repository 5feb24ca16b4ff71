// Puts a text on the clipboard, also on pages without TLS, where browsers give no clipboard to scripts.

/** `near`: an element of the same tree, for the moment of a selection. Resolves to whether it was copied. */
export async function copyText(text: string, near: Element): Promise<boolean> {
  try {
    await near.ownerDocument.defaultView!.navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Not over plain http, or the person said no.
    return copySelected(text, near);
  }
}

function copySelected(text: string, near: Element): boolean {
  const document = near.ownerDocument;
  const root = near.getRootNode() as Document | ShadowRoot;
  const focused = root.activeElement;
  const field = document.createElement("textarea");
  field.value = text;
  field.readOnly = true;
  // Out of sight without `hidden`: what is not drawn cannot be selected.
  field.style.cssText = "position: fixed; top: 0; opacity: 0";
  near.after(field);
  field.select();
  const isCopied = document.execCommand("copy");
  field.remove();
  if (focused && "focus" in focused) (focused as HTMLElement).focus({ preventScroll: true });
  return isCopied;
}
