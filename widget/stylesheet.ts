// The widget's style: one sheet for all elements of a page, adopted by each shadow tree, so that no policy of the page has anything to say. What
// comes later adds its rules to it.
import css from "./view/style.css?inline";

let sheet: CSSStyleSheet | undefined;
let rules = css;
/** Where there are no adopted sheets. */
const styles = new Set<HTMLStyleElement>();

/** `nonce`: for the `<style>` of browsers without adopted sheets. */
export function adoptStyle(root: ShadowRoot, nonce: string): void {
  if ("adoptedStyleSheets" in root) {
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(rules);
    }
    root.adoptedStyleSheets = [sheet];
    return;
  }
  const style = document.createElement("style");
  style.nonce = nonce;
  style.textContent = rules;
  styles.add(style);
  (root as ShadowRoot).append(style);
}

export function addStyle(more: string): void {
  rules += more;
  // As one rule, whatever is in it: what is there already is not read again.
  sheet?.insertRule(`@media all{${more}}`, sheet.cssRules.length);
  for (const style of styles) style.textContent = rules;
}
