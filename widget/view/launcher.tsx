// The button that opens the panel. It tells when something has come that nobody has seen.
import { useRef } from "preact/hooks";
import { fetchAhead } from "./chunks.ts";
import { Icon, icons } from "./icon.tsx";
import { useScene, useWords } from "./scene.ts";

export function Launcher() {
  const { isOpen, options, chat, parts, open, close, launcher } = useScene();
  const say = useWords();
  const seen = useRef(0);
  const count = parts.turns.value.length;
  if (isOpen.value) seen.current = count;
  const running = chat.runningTurn.value;
  const isWaiting = running !== null && parts.turn(running).value?.state === "waiting";
  return (
    <button
      type="button"
      class="launcher"
      part="launcher"
      aria-expanded={isOpen.value}
      aria-label={`${say(isOpen.value ? "close" : "open")}: ${options.value.title ?? say("title")}`}
      ref={launcher}
      onPointerEnter={() => void fetchAhead()}
      onFocus={() => void fetchAhead()}
      onClick={() => (isOpen.value ? close() : open())}
    >
      <slot name="launcher">
        <Icon path={isOpen.value ? icons.close : icons.chat} />
      </slot>
      {isWaiting && !isOpen.value && <span class="badge">!</span>}
    </button>
  );
}
