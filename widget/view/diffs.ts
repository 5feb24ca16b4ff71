// The view of changes, in a chunk of its own.
import type { Change } from "./tool-words.ts";
import { lazy } from "./lazy.tsx";

export const Diff = lazy<{ readonly changes: readonly Change[] }>(async () => (await import("./diff.tsx")).DiffView);
