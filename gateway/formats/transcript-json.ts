// A page of a transcript as JSON.
import type { Transcript } from "../protocol/transcript.ts";

export function transcriptJson(page: Transcript): string {
  return JSON.stringify(page);
}
