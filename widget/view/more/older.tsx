// The way to older messages.
import { useEffect, useRef } from "preact/hooks";
import { useScene, useWords } from "../scene.ts";
import { keepPlace } from "./keep-place.ts";

/** Fetches older messages when it comes into sight, and by a press; what is being read stays where it is. */
export function Older({ scroller }: { readonly scroller: { readonly current: HTMLElement | null } }) {
  const { chat } = useScene();
  const say = useWords();
  const button = useRef<HTMLButtonElement>(null);
  const isAsked = useRef(false);
  const load = async () => {
    if (isAsked.current) return;
    isAsked.current = true;
    const stop = keepPlace(scroller.current!);
    const first = scroller.current!.querySelector("article");
    const hasFocus = button.current!.matches(":focus");
    // What goes wrong the chat shows.
    await chat.loadOlder().catch(() => {});
    isAsked.current = false;
    // They are drawn by then, and where there are no more this is gone.
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        stop();
        if (hasFocus && !button.current) first?.focus({ preventScroll: true });
      }),
    );
  };
  useEffect(() => {
    const watcher = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && void load(),
      {
        root: scroller.current,
        rootMargin: "400px 0px 0px",
      },
    );
    watcher.observe(button.current!);
    return () => watcher.disconnect();
  }, []);
  return (
    <button type="button" class="link older" ref={button} onClick={() => void load()}>
      {say("older")}
    </button>
  );
}
