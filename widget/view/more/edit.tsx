// A prompt that is written anew.
import { useEffect, useRef, useState } from "preact/hooks";
import type { EditProps } from "../chunks.ts";
import { isComposing, isTouch } from "../keyboards.ts";
import { useScene, useWords } from "../scene.ts";

export function Edit({ turn, text, onEnd }: EditProps) {
  const { chat, parts, composer } = useScene();
  const say = useWords();
  const [draft, setDraft] = useState(text);
  const [isSent, setSent] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const leave = () => {
    composer.current?.focus({ preventScroll: true });
    onEnd();
  };
  const send = () => {
    if (draft.trim() === "" || isSent) return;
    setSent(true);
    // The chat says what went wrong; the words are still here.
    void chat.edit(turn, draft).then(leave, () => setSent(false));
  };
  return (
    <form
      class="edit"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
      onKeyDown={(event) => {
        if (isComposing(event)) return;
        if (event.key === "Escape") leave();
        else if (event.key === "Enter" && !event.shiftKey && !isTouch()) send();
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
        readOnly={isSent}
        ref={field}
        onInput={({ currentTarget }) => setDraft(currentTarget.value)}
      />
      {parts.turn(turn).value?.state !== "queued" && <p class="muted">{say("edit_hint")}</p>}
      <div class="row">
        <button class="button primary" disabled={isSent}>
          {say("send")}
        </button>
        <button type="button" class="button" onClick={leave}>
          {say("cancel")}
        </button>
      </div>
    </form>
  );
}
