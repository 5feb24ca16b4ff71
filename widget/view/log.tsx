// The conversation: what scrolls, who is followed, and the keys that go from message to message. It is no live region: see the announcer.
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { Older } from "./chunks.ts";
import { Exchange } from "./exchange.tsx";
import { createFollow, type Follow } from "./follow.ts";
import { Icon, icons } from "./icon.tsx";
import { PendingPrompts } from "./pending.tsx";
import { useScene, useWords } from "./scene.ts";
import { Empty } from "./empty.tsx";

export function Log() {
  const { parts, chat, options, composer } = useScene();
  const say = useWords();
  const follow = useMemo(createFollow, []);
  const scroller = useRef<HTMLElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const turns = parts.turns.value;
  const isEmpty = turns.length === 0 && chat.pending.value.length === 0;
  useLayoutEffect(() => follow.attach(scroller.current!, content.current!), []);
  // Another conversation begins at its end, and so does what one has just said.
  const session = chat.session.value;
  useLayoutEffect(() => follow.toEnd(), [session]);
  const sent = chat.pending.value.length;
  useLayoutEffect(() => void (sent > 0 && follow.toEnd()), [sent]);
  useEffect(() => chooseStop(scroller.current!));
  return (
    <div class="log-frame">
      <section
        class="log"
        part="log"
        aria-label={say("conversation")}
        aria-busy={chat.isLoading.value}
        ref={scroller}
        onKeyDown={(event) => walk(event, scroller.current!, composer.current)}
        onFocusIn={({ target, currentTarget }) => keepStop(currentTarget, target as Element)}
      >
        <div class="log-content" ref={content}>
          {parts.olderCursor.value !== null && <Older scroller={scroller} />}
          {turns.map((turn) => (
            <Exchange key={turn} turn={turn} />
          ))}
          <PendingPrompts />
          {isEmpty &&
            (chat.isLoading.value ? (
              <p class="notice">{say("loading")}</p>
            ) : (
              <Empty greeting={options.value.greeting} />
            ))}
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

const stops = "article, .pending";

/** The Tab key stops at one message of all. */
function chooseStop(log: HTMLElement): void {
  if (log.querySelector('article[tabindex="0"]')) return;
  const last = [...log.querySelectorAll<HTMLElement>(stops)].at(-1);
  if (last) last.tabIndex = 0;
}

function keepStop(log: HTMLElement, target: Element): void {
  const article = target.closest<HTMLElement>(stops);
  if (!article || article.tabIndex === 0) return;
  for (const other of log.querySelectorAll<HTMLElement>('article[tabindex="0"]')) other.tabIndex = -1;
  article.tabIndex = 0;
}

/** Up, Down, Home, End between messages; Enter into one; Esc back to the composer. */
function walk(event: KeyboardEvent, log: HTMLElement, composer: HTMLElement | null): void {
  const target = event.target as HTMLElement;
  if (event.key === "Escape") {
    composer?.focus();
    event.preventDefault();
    event.stopPropagation();
    return;
  }
  if (!target.matches(stops) || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = [...log.querySelectorAll<HTMLElement>(stops)];
  const here = all.indexOf(target);
  const next: Record<string, HTMLElement | null | undefined> = {
    ArrowUp: all[here - 1],
    ArrowDown: all[here + 1],
    Home: all[0],
    End: all.at(-1),
    Enter: target.querySelector<HTMLElement>("a[href], button:not([disabled]), input, textarea"),
  };
  if (!(event.key in next)) return;
  event.preventDefault();
  const goal = next[event.key];
  goal?.focus({ preventScroll: true });
  goal?.scrollIntoView({ block: "nearest" });
}
