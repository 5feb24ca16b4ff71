// The view of changes, fetched with the first one that is shown: many a conversation has none.
import { lazy, once } from "../lazy.tsx";
import type { DiffProps } from "./diff.tsx";

export const fetchDiff = once(() => import("./diff.tsx"));

export const Diff = lazy<DiffProps>(async () => (await fetchDiff()).Diff);
