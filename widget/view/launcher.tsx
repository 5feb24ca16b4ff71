// The button that opens the panel. While that is closed it tells when a person is waited for, and when an answer has come.
import { useRef } from "preact/hooks";
import { fetchAhead } from "./chunks.ts";
import { Icon, icons } from "./icon.tsx";
import { useScene, useWords } from "./scene.ts";

export function Launcher() {
  const { isOpen, options, chat, parts, open, close, launcher } = useScene();
  const say = useWords();
  /** The newest turn that was seen from here while it was under way. */
  const underWay = useRef<string | undefined>(undefined);
  const newest = parts.turns.value.at(-1);
  const turn = newest === undefined ? undefined : parts.turn(newest).value;
  if (isOpen.value || !turn) underWay.current = undefined;
  else if (turn.endedAt === null) underWay.current = newest;
  const running = chat.runningTurn.value;
  const isWaiting = running !== null && parts.turn(running).value?.state === "waiting";
  const hasCome = underWay.current === newest && turn?.state === "completed";
  const news = isOpen.value ? "" : isWaiting ? say("waiting") : hasCome ? say("answered_unseen") : "";
  return (
    <button
      type="button"
      class="launcher"
      part="launcher"
      aria-expanded={isOpen.value}
      aria-label={`${say(isOpen.value ? "close" : "open")}: ${options.value.title ?? say("title")}${news && `, ${news}`}`}
      ref={launcher}
      onPointerEnter={() => void fetchAhead()}
      onFocus={() => void fetchAhead()}
      onClick={() => (isOpen.value ? close() : open())}
    >
      <slot name="launcher">
        <Icon path={isOpen.value ? icons.close : icons.chat} />
      </slot>
      {news && <span class="badge">{isWaiting ? "!" : "1"}</span>}
    </button>
  );
}
