// The whole of one widget, in the mode that the page has chosen.
import { useRef } from "preact/hooks";
import { Launcher } from "./launcher.tsx";
import { Panel } from "./panel.tsx";
import { SceneContext, type Scene } from "./scene.ts";

export function App({ scene }: { readonly scene: Scene }) {
  const { options, isOpen, words } = scene;
  const { mode = "bubble", theme = "auto" } = options.value;
  const isClosable = mode === "bubble" || mode === "sidebar";
  const isShown = !isClosable || isOpen.value;
  // It is made when it is first opened, and stays.
  const wasShown = useRef(false);
  wasShown.current ||= isShown;
  return (
    <SceneContext.Provider value={scene}>
      {/* An empty title: the host's own would be shown wherever the pointer rests. */}
      <div
        class="root"
        part="root"
        data-mode={mode}
        data-theme={theme}
        lang={words.value.language}
        title=""
        onKeyDown={keep}
        onKeyUp={keep}
        onKeyPress={keep}
      >
        {wasShown.current && <Panel isClosable={isClosable} isOpen={isShown} />}
        {isClosable && <Launcher />}
        <div class="sr" role="status" aria-live="polite" aria-atomic="true">
          {scene.polite}
        </div>
        <div class="sr" role="alert" aria-atomic="true">
          {scene.alert}
        </div>
      </div>
    </SceneContext.Provider>
  );
}

/** The page's shortcuts are not meant. */
function keep(event: Event): void {
  event.stopPropagation();
}
