// Ids that nobody else has: `crypto.randomUUID` is missing on pages by plain http.

export function newId(): string {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}
