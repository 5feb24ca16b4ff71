// A prompt that is written anew.
import { useEffect, useRef, useState } from "preact/hooks";
import type { EditProps } from "../chunks.ts";
import { useScene, useWords } from "../scene.ts";

export function Edit({ turn, text, onEnd }: EditProps) {
  const { chat, composer } = useScene();
  const say = useWords();
  const [draft, setDraft] = useState(text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const leave = () => {
    composer.current?.focus({ preventScroll: true });
    onEnd();
  };
  const send = () => {
    if (draft.trim() === "") return;
    leave();
    void chat.edit(turn, draft);
  };
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onKeyDown={(event) => {
        if (event.key === "Escape") leave();
        else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) send();
        else return;
        event.preventDefault();
        event.stopPropagation();
      }}
    >
      <textarea
        class="field"
        dir="auto"
        rows={Math.min(8, draft.split("\n").length + 1)}
        aria-label={say("edit")}
        value={draft}
        ref={field}
        onInput={({ currentTarget }) => setDraft(currentTarget.value)}
      />
      <p class="muted">{say("edit_hint")}</p>
      <div class="row">
        <button class="button primary">{say("send")}</button>
        <button type="button" class="button" onClick={leave}>
          {say("cancel")}
        </button>
      </div>
    </form>
  );
}
