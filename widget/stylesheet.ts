// The widget's style: one sheet for all elements of a page, adopted by each shadow tree, so that no policy of the page has anything to say.
import css from "./style.css?inline";

let sheet: CSSStyleSheet | undefined;

/** `nonce`: for the `<style>` of browsers without adopted sheets. */
export function adoptStyle(root: ShadowRoot, nonce: string): void {
  if ("adoptedStyleSheets" in root) {
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(css);
    }
    root.adoptedStyleSheets = [sheet];
    return;
  }
  const style = document.createElement("style");
  style.nonce = nonce;
  style.textContent = css;
  (root as ShadowRoot).append(style);
}
