// The conversation: what scrolls, who is followed, and the keys that go from message to message. It is no live region: see the announcer.
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { more, Older } from "./chunks.ts";
import { Exchange } from "./exchange.tsx";
import { createFollow, type Follow } from "./follow.ts";
import { Icon, icons } from "./icon.tsx";
import { whenIdle } from "./idle.ts";
import { useLater } from "./lazy.tsx";
import { useNewestFirst } from "./newest-first.ts";
import { PendingPrompts } from "./pending.tsx";
import { useScene, useWords } from "./scene.ts";
import { Empty } from "./empty.tsx";

export function Log() {
  const { parts, chat, options, composer, overlay } = useScene();
  const say = useWords();
  const follow = useMemo(createFollow, []);
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const turns = parts.turns.value;
  const isEmpty = turns.length === 0 && chat.pending.value.length === 0;
  const drawn = useNewestFirst(turns);
  const isPartial = drawn.length < turns.length;
  const isLoading = chat.isLoading.value;
  useLayoutEffect(() => follow.attach(scroller.current!, content.current!), []);
  // Another conversation begins at its end, and so does what one has just said. In an empty one there is nothing to measure.
  const session = chat.session.value;
  useLayoutEffect(() => void ((isEmpty && follow.isFollowing.peek()) || follow.toEnd()), [session]);
  // Browsers take long to format their first time: not when there is one to draw.
  useEffect(
    () => void (isLoading && session !== null && whenIdle(() => say.time(new Date().toJSON()))),
    [isLoading, session],
  );
  const sent = chat.pending.value.length;
  useLayoutEffect(() => void (sent > 0 && follow.toEnd()), [sent]);
  useLater(async () => (await more()).watchKeys(scroller.current!, content.current!, composer), []);
  return (
    <div class="log-frame" inert={overlay.value === "sessions"}>
      <section
        class="log"
        part="log"
        aria-label={say("conversation")}
        aria-busy={isLoading || isPartial}
        ref={scroller}
      >
        <div class="log-content" ref={content}>
          {parts.olderCursor.value !== null && !isPartial && <Older scroller={scroller} />}
          {drawn.map((turn) => (
            <Exchange key={turn} turn={turn} />
          ))}
          <PendingPrompts />
          {isEmpty &&
            (isLoading ? <p class="notice">{say("loading")}</p> : <Empty greeting={options.value.greeting} />)}
        </div>
      </section>
      <Latest follow={follow} />
    </div>
  );
}

function Latest({ follow }: { readonly follow: Follow }) {
  const { parts } = useScene();
  const say = useWords();
  /** The newest turn that was there while the end was followed, and how many messages it had. */
  const seen = useRef<{ readonly turn: string | undefined; readonly answers: number }>({ turn: undefined, answers: 0 });
  const isFollowing = follow.isFollowing.value;
  const turns = parts.turns.value;
  const newest = turns.at(-1);
  const answers = newest === undefined ? 0 : (parts.exchange(newest).value?.answers.length ?? 0);
  if (isFollowing) {
    seen.current = { turn: newest, answers };
    return null;
  }
  const known = seen.current;
  const fresh =
    known.turn === newest ? answers - known.answers : 2 * (turns.length - 1 - turns.indexOf(known.turn ?? ""));
  return (
    <button type="button" class="latest" part="latest" onClick={follow.toEnd}>
      <Icon path={icons.down} />
      {fresh > 0 ? say("latest_count", { count: fresh }) : say("latest")}
    </button>
  );
}
