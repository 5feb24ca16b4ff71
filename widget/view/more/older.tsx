// The way to older messages.
import { useEffect, useRef } from "preact/hooks";
import { useScene, useWords } from "../scene.ts";

/** Fetches older messages when it comes into sight, and by a press; what is being read stays where it is. */
export function Older({ scroller }: { readonly scroller: { readonly current: HTMLElement | null } }) {
  const { chat } = useScene();
  const say = useWords();
  const button = useRef<HTMLButtonElement>(null);
  const isAsked = useRef(false);
  const load = async () => {
    if (isAsked.current) return;
    isAsked.current = true;
    const { scrollHeight, scrollTop } = scroller.current!;
    // What goes wrong the chat shows.
    await chat.loadOlder().catch(() => {});
    isAsked.current = false;
    requestAnimationFrame(() =>
      requestAnimationFrame(() => {
        const element = scroller.current;
        // Where the browser does not keep the place itself (Safari).
        if (element && element.scrollTop === scrollTop) element.scrollTop += element.scrollHeight - scrollHeight;
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
