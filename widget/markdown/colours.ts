// Puts the colours of a highlighter on a block of code that is drawn already: spans into its lines.
import type { Token } from "./markdown.ts";

/** A longer block stays as it is: the highlighter reads it in one go, and the page would stand still. */
const maxLength = 30_000;

/** Does nothing where `tokens` fails, knows no colours, or says another text. */
export async function colour(code: Element, tokens: (text: string) => Promise<readonly Token[] | null>): Promise<void> {
  const text = code.textContent;
  if (text.length > maxLength) return;
  // Without the colours the code is what it was.
  const found = await tokens(text).catch(() => null);
  if (!found || found.map((token) => token.text).join("") !== text) return;
  await unselected(code);
  const lines = code.getElementsByClassName("line");
  for (const [index, nodes] of linesOf(found, code.ownerDocument).entries()) lines[index]?.replaceChildren(...nodes);
}

/** New nodes would take away a selection that somebody has made in it: waits until it has gone. */
function unselected(code: Element): Promise<void> {
  const document = code.ownerDocument;
  // Of what is selected in a shadow tree Chromium tells that tree alone.
  const root = code.getRootNode() as { getSelection?: () => Selection | null };
  const isSelected = () => {
    const selection = root.getSelection?.() ?? document.getSelection();
    return selection !== null && !selection.isCollapsed && selection.containsNode(code, true);
  };
  if (!isSelected()) return Promise.resolve();
  return new Promise((resolve) => {
    const look = () => {
      if (isSelected()) return;
      document.removeEventListener("selectionchange", look);
      resolve();
    };
    document.addEventListener("selectionchange", look);
  });
}

function linesOf(tokens: readonly Token[], document: Document): Node[][] {
  const lines: Node[][] = [[]];
  for (const { text, kind } of tokens) {
    for (const part of text.split(/(?<=\n)/)) {
      const node = document.createTextNode(part);
      const span = kind === null ? node : document.createElement("span");
      if (span !== node) {
        (span as Element).className = `hl-${kind!.split(".")[0]!}`;
        span.appendChild(node);
      }
      lines.at(-1)!.push(span);
      if (part.endsWith("\n")) lines.push([]);
    }
  }
  return lines;
}
