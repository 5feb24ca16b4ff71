// A button that goes away with what it did (Stop, Cancel, Discard …) takes the focus with it, and browsers then begin anew at the top of the
// page. Here whoever works by keys goes on where the next words are written.
import { isTouch } from "../keyboards.ts";

/** Watches the panel until the function that it returns is called. */
export function keepFocus(panel: HTMLElement, composer: { readonly current: HTMLElement | null }): () => void {
  let last: Element | null = null;
  const watcher = new MutationObserver(() => {
    if (last?.isConnected !== false) return;
    last = null;
    // What is drawn in its place may take it, and does so after it is drawn.
    requestAnimationFrame(() => setTimeout(() => isNowhere() && rest(panel, composer.current)));
  });
  const onFocus = ({ target }: FocusEvent) => {
    last = target as Element;
    watcher.observe(panel, { childList: true, subtree: true });
  };
  // What was left is not missed when it goes; but one that is only switched off until it goes, or is just being taken out, was not left.
  const onBlur = ({ target }: FocusEvent) =>
    setTimeout(() => {
      if (last !== target || !last?.isConnected || last.matches(":focus, :disabled")) return;
      last = null;
      watcher.disconnect();
    });
  panel.addEventListener("focusin", onFocus);
  panel.addEventListener("focusout", onBlur);
  return () => {
    watcher.disconnect();
    panel.removeEventListener("focusin", onFocus);
    panel.removeEventListener("focusout", onBlur);
  };
}

function isNowhere(): boolean {
  return document.activeElement === null || document.activeElement === document.body;
}

/** In the composer an on-screen keyboard would come up, over what was asked for. */
function rest(panel: HTMLElement, composer: HTMLElement | null): void {
  const place = isTouch() ? panel.querySelector<HTMLElement>('article[tabindex="0"]') : composer;
  place?.focus({ preventScroll: true });
}
