// The list of conversations, in a chunk of its own.
import { lazy } from "./lazy.tsx";

export const SessionList = lazy<object>(async () => (await import("./session-list.tsx")).SessionListView);
