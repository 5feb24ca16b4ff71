// A long conversation is drawn from its end: what a person sees first is there at once, however much stands above it.
import { useEffect, useRef, useState } from "preact/hooks";
import { whenIdle } from "./idle.ts";

/** Turns in one go. Where the browser does not keep the place of what is read when more is drawn above it (Safari), there is but one go. */
const few = CSS.supports("overflow-anchor: auto") ? 4 : Infinity;

/** Those of these turns, oldest first, that are to be drawn by now. Older ones that were fetched at a person's wish are so at once. */
export function useNewestFirst(turns: readonly string[]): readonly string[] {
  /** The first of all, and the first that is drawn. */
  const place = useRef<{ readonly first: string | undefined; drawn: string | undefined }>({
    first: undefined,
    drawn: undefined,
  });
  const [, drawMore] = useState(0);
  const { first } = place.current;
  if (turns[0] !== first) {
    const isSame = first !== undefined && turns.includes(first);
    place.current = { first: turns[0], drawn: isSame ? turns[0] : turns[startOf(turns.length)] };
  }
  const from = Math.max(0, turns.indexOf(place.current.drawn ?? ""));
  useEffect(() => {
    if (from === 0) return undefined;
    let isGone = false;
    whenIdle(() => {
      if (isGone) return;
      place.current.drawn = turns[startOf(from)];
      drawMore(from);
    });
    return () => void (isGone = true);
  }, [from, turns]);
  return from === 0 ? turns : turns.slice(from);
}

function startOf(end: number): number {
  return Math.max(0, end - few);
}
