// The panel: head, conversation, composer; what is dropped on it, and the keys that it keeps to itself.
import { useEffect, useRef, useState } from "preact/hooks";
import { Composer, imagesOf } from "./composer.tsx";
import { Header } from "./header.tsx";
import { Log } from "./log.tsx";
import { more, Problem, SessionList, text, tools } from "./chunks.ts";
import { useScene, useWords } from "./scene.ts";

export function Panel({ isClosable, isOpen }: { readonly isClosable: boolean; readonly isOpen: boolean }) {
  const scene = useScene();
  const say = useWords();
  const { chat, options, overlay } = scene;
  const [isOver, setOver] = useState(false);
  const panel = useRef<HTMLElement>(null);
  useViewport(panel, isOpen);
  useEffect(() => {
    // What the first answer will want, and what comes with it.
    for (const fetchAhead of [text, tools, more]) void fetchAhead().catch(() => {});
  }, []);
  return (
    <section
      class={`panel${isOpen ? " is-open" : ""}`}
      part="panel"
      role={isClosable ? "dialog" : "region"}
      aria-label={options.value.title ?? say("title")}
      ref={panel}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isClosable || event.defaultPrevented || event.isComposing) return;
        if (overlay.value === null) scene.close();
        else overlay.value = null;
      }}
      onDragOver={(event) => {
        if (![...(event.dataTransfer?.items ?? [])].some(({ kind }) => kind === "file")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={({ relatedTarget }) => panel.current?.contains(relatedTarget as Node | null) || setOver(false)}
      onDrop={(event) => {
        setOver(false);
        const files = imagesOf(event.dataTransfer);
        // A file that is dropped and not taken would be opened in place of the page.
        event.preventDefault();
        if (files.length > 0) void chat.addImages(files);
      }}
    >
      <Header isClosable={isClosable} />
      <div class="body">
        <Log />
        {overlay.value === "sessions" && <SessionList fallback={<p class="notice">{say("loading")}</p>} />}
      </div>
      {chat.problem.value && <Problem problem={chat.problem.value} fallback={chat.problem.value.detail} />}
      <Composer />
      <slot name="footer" />
      {isOver && <div class="drop">{say("drop_images")}</div>}
    </section>
  );
}

/** What the on-screen keyboard leaves of a phone's screen, for the style. */
function useViewport(panel: { readonly current: HTMLElement | null }, isOpen: boolean): void {
  useEffect(() => {
    const viewport = window.visualViewport;
    if (!viewport || !isOpen) return undefined;
    const measure = () => {
      panel.current?.style.setProperty("--seen-height", `${viewport.height}px`);
      panel.current?.style.setProperty("--seen-top", `${viewport.offsetTop}px`);
    };
    measure();
    viewport.addEventListener("resize", measure);
    viewport.addEventListener("scroll", measure);
    return () => {
      viewport.removeEventListener("resize", measure);
      viewport.removeEventListener("scroll", measure);
    };
  }, [isOpen]);
}
