// All of what is allowed by one "Allow", in one part that scrolls, and whether its end has been in view: before that nothing is allowed.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Approval } from "../../transcript.ts";
import { useWords } from "../scene.ts";
import { Diff, fetchDiff } from "./later-diff.ts";
import { Signs } from "./signs.tsx";
import { changesOf, describeTool, restOf } from "./tool-words.ts";

interface AskedForProps {
  readonly approval: Approval;
  /** Given the mark of the end, once all is drawn as it stays. */
  readonly end: (mark: HTMLElement | null) => void;
}

export function AskedFor({ approval: { tool, input }, end }: AskedForProps) {
  const say = useWords();
  const { exact, path } = describeTool(tool, input);
  const changes = changesOf(tool, input);
  const rest = restOf(tool, input);
  const isDrawn = useDiffFor(changes.length);
  const raw = <Exact>{exact ?? JSON.stringify(input, null, 2)}</Exact>;
  return (
    <div class="asked-for" tabIndex={0} role="group" aria-label={say("asked_for")}>
      {path && <Exact>{path}</Exact>}
      {changes.length > 0 ? <Diff changes={changes} show={Signs} fallback={raw} /> : raw}
      {rest && <Exact>{JSON.stringify(rest, null, 2)}</Exact>}
      {isDrawn && <i ref={end} />}
    </div>
  );
}

/** False while its code is fetched: what stands in its place may be shorter. Without its code that stays. */
function useDiffFor(count: number): boolean {
  const [isDecided, decide] = useState(false);
  useEffect(() => {
    const later = () => setTimeout(decide, 0, true);
    if (count > 0) fetchDiff().then(later, later);
  }, []);
  return isDecided || count === 0;
}

function Exact({ children }: { readonly children: string }) {
  return (
    <pre dir="ltr">
      <Signs>{children}</Signs>
    </pre>
  );
}

/** Words of the model about its own call: said to be that, and never in place of the call. */
export function ModelWords({ input }: { readonly input: unknown }) {
  const say = useWords();
  const { description } = (input ?? {}) as { description?: unknown };
  if (typeof description !== "string" || description === "") return null;
  return (
    <p class="muted model-words">
      {say("model_says")}{" "}
      <q dir="auto">
        <Signs>{description}</Signs>
      </q>
    </p>
  );
}

export interface Sight {
  /** The end has been on the screen, whatever cuts it: this part, the conversation, the page. */
  readonly isSeen: boolean;
  /** It has to be scrolled for that. */
  readonly isLong: boolean;
}

export function useSight(end: HTMLElement | null): Sight {
  const [isSeen, setSeen] = useState(false);
  const [isLong, setLong] = useState(false);
  useLayoutEffect(() => {
    if (!end) return;
    const { scrollHeight, clientHeight } = end.parentElement!;
    setLong(scrollHeight > clientHeight + 1);
  }, [end]);
  useEffect(() => {
    if (!end) return;
    const observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return setLong(true);
      setSeen(true);
      observer.disconnect();
    });
    observer.observe(end);
    return () => observer.disconnect();
  }, [end]);
  return { isSeen, isLong };
}

interface AllowProps {
  readonly kind: string;
  readonly isSent: boolean;
  readonly sight: Sight;
  /** What says why it cannot be pressed yet. */
  readonly hint: string;
  readonly onAllow: () => void;
  readonly onTooEarly: () => void;
  readonly children: ComponentChildren;
}

/** Before the end was seen it can be reached, says why it does nothing, and leads to what is to be read. */
export function AllowButton({ kind, isSent, sight, hint, onAllow, onTooEarly, children }: AllowProps) {
  const beganEarly = useRef(false);
  return (
    <button
      type="button"
      class={`button ${kind}`}
      disabled={isSent}
      aria-disabled={!sight.isSeen}
      aria-describedby={sight.isSeen ? undefined : hint}
      // A press that began too early is not one on what came into view meanwhile.
      onPointerDown={() => (beganEarly.current = !sight.isSeen)}
      onClick={({ detail }) => {
        const isEarly = !sight.isSeen || (detail > 0 && beganEarly.current);
        beganEarly.current = false;
        if (isEarly) onTooEarly();
        else onAllow();
      }}
    >
      {children}
    </button>
  );
}
