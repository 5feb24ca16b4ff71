// The panel: head, conversation, composer; what is dropped on it, and the keys that it keeps to itself.
import { useEffect, useRef, useState } from "preact/hooks";
import { Composer } from "./composer.tsx";
import { isComposing } from "./keyboards.ts";
import { Header } from "./header.tsx";
import { useLater } from "./lazy.tsx";
import { Log } from "./log.tsx";
import { fetchAhead, more, Problem, SessionList } from "./chunks.ts";
import { useScene, useWords } from "./scene.ts";

export function Panel({ isClosable, isOpen }: { readonly isClosable: boolean; readonly isOpen: boolean }) {
  const scene = useScene();
  const say = useWords();
  const { chat, options, overlay } = scene;
  const [isOver, setOver] = useState(false);
  const panel = useRef<HTMLElement>(null);
  useLater(async () => (isOpen ? (await more()).watchViewport(panel.current!) : () => {}), [isOpen]);
  useLater(async () => (await more()).watchDrops(panel.current!, setOver, chat.addImages), [chat]);
  useEffect(() => void fetchAhead(), []);
  return (
    <section
      class={`panel${isOpen ? " is-open" : ""}`}
      part="panel"
      role={isClosable ? "dialog" : "region"}
      aria-label={options.value.title ?? say("title")}
      ref={panel}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isClosable || event.defaultPrevented || isComposing(event)) return;
        if (overlay.value === null) scene.close();
        else overlay.value = null;
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
