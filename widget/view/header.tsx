// The panel's head: whose chat it is, how it stands, and what else can be done.
import { IconButton } from "./buttons.tsx";
import { icons } from "./icon.tsx";
import { Menu } from "./chunks.ts";
import { useScene, useWords } from "./scene.ts";

export function Header({ isClosable }: { readonly isClosable: boolean }) {
  const scene = useScene();
  const say = useWords();
  const { chat, options, overlay } = scene;
  const title = options.value.title ?? say("title");
  return (
    <header class="header" part="header">
      <slot name="header">
        <div class="title-box">
          <h2 class="title" part="title" dir="auto">
            {title}
          </h2>
          <Status />
        </div>
      </slot>
      <div class="header-buttons">
        <IconButton
          icon={icons.list}
          label={say("sessions")}
          isExpanded={overlay.value === "sessions"}
          onClick={() => (overlay.value = overlay.value === "sessions" ? null : "sessions")}
        />
        <IconButton
          icon={icons.plus}
          label={say("new_session")}
          onClick={() => {
            overlay.value = null;
            chat.newSession();
            scene.composer.current?.focus();
          }}
        />
        <Menu fallback={<span class="icon-button" />} />
        {isClosable && <IconButton icon={icons.close} part="close" label={say("close")} onClick={scene.close} />}
      </div>
    </header>
  );
}

/** The connection in words, wherever it is not simply there. */
function Status() {
  const { chat, parts } = useScene();
  const say = useWords();
  const connection = parts.isDeleted.value ? "gone" : chat.connection.value;
  const running = chat.runningTurn.value;
  const turn = running === null ? undefined : parts.turn(running).value;
  const isLive = connection === "live" || connection === "idle";
  const words = !isLive ? say(connection) : turn?.state === "waiting" ? say("waiting") : turn ? say("working") : "";
  const isFinal = connection === "signed_out" || connection === "forbidden" || connection === "gone";
  return (
    <p class={`status ${connection}`} part="status" hidden={words === ""}>
      <span class="mark" />
      {words}
      {(isFinal || connection === "offline") && connection !== "gone" && (
        <button type="button" class="link" onClick={() => chat.reconnect()}>
          {say("reconnect")}
        </button>
      )}
    </p>
  );
}
