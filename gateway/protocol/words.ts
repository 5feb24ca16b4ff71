// What a word is, for search.

/** A search has at most so many. */
export const maxSearchWords = 16;

/** The words of a text in order, as they are compared: without marks over letters, in lower case. */
export function wordsOf(text: string): string[] {
  return (
    text
      .toLowerCase()
      .normalize("NFD")
      .replaceAll(/\p{M}+/gu, "")
      .normalize("NFC")
      .match(/[\p{L}\p{N}]+/gu) ?? []
  );
}
