// The way to older messages.
import { useEffect, useRef } from "preact/hooks";
import { useScene, useWords } from "../scene.ts";
import { keepPlace } from "./keep-place.ts";

/** Until what was fetched is drawn, which takes two as a rule. */
const maxFrames = 60;

/** Fetches older messages when it comes into sight, and by a press; what is being read stays where it is. */
export function Older({ scroller }: { readonly scroller: { readonly current: HTMLElement | null } }) {
  const { chat } = useScene();
  const say = useWords();
  const button = useRef<HTMLButtonElement>(null);
  const isAsked = useRef(false);
  const watcher = useRef<IntersectionObserver>(null);
  const load = async () => {
    if (isAsked.current) return;
    isAsked.current = true;
    const stop = keepPlace(scroller.current!);
    const first = scroller.current!.querySelector("article");
    const hasFocus = button.current!.matches(":focus");
    // What goes wrong the chat shows.
    const isLoaded = await chat.loadOlder().then(
      () => true,
      () => false,
    );
    isAsked.current = false;
    if (!isLoaded) return stop();
    const end = () => {
      stop();
      // Where there are no more this is gone.
      if (hasFocus && !button.current) first?.focus({ preventScroll: true });
      look();
    };
    const isDrawn = () => scroller.current?.querySelector("article") !== first;
    const wait = (frames: number) =>
      requestAnimationFrame(() => (frames > 0 ? wait(isDrawn() ? Math.min(frames - 1, 1) : frames - 1) : end()));
    wait(maxFrames);
  };
  /** Asks whether it is in sight: it may have stayed there all the time. */
  const look = () => {
    if (!button.current) return;
    watcher.current?.unobserve(button.current);
    watcher.current?.observe(button.current);
  };
  useEffect(() => {
    watcher.current = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && void load(),
      {
        root: scroller.current,
        rootMargin: "400px 0px 0px",
      },
    );
    look();
    return () => watcher.current?.disconnect();
  }, []);
  return (
    <button type="button" class="link older" ref={button} onClick={() => void load()}>
      {say("older")}
    </button>
  );
}
