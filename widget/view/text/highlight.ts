// Colours for code, from a chunk of its own that is fetched when the first block of code has closed.
import type { Token } from "../../markdown/markdown.ts";

export async function highlight(code: string, language: string): Promise<readonly Token[] | null> {
  try {
    const chunk = await import("../../markdown/highlight.ts");
    return chunk.highlight(code, language);
  } catch {
    // Without the chunk code is shown in one colour.
    return null;
  }
}
