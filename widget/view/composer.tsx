// Where a person writes: several lines, images picked, pasted or dropped, what the page sends along, earlier prompts by arrow-up, send and stop.
import { useLayoutEffect, useRef } from "preact/hooks";
import { IconButton } from "./buttons.tsx";
import { ContextChip } from "./blocks.tsx";
import { AddImage, DraftImages } from "./chunks.ts";
import { Icon, icons } from "./icon.tsx";
import { isComposing, isTouch } from "./keyboards.ts";
import { useScene, useWords } from "./scene.ts";

export function Composer() {
  const { chat, options, composer } = useScene();
  const say = useWords();
  const field = useRef<HTMLTextAreaElement>(null);
  const isRunning = chat.runningTurn.value !== null;
  const draft = chat.draft.value;
  const hasDraft = draft.trim() !== "" || chat.images.value.some(({ state }) => state !== "failed");
  const write = useHistory(field);
  const send = () => {
    if (!hasDraft) return;
    field.current?.focus({ preventScroll: true });
    void chat.send();
  };
  useLayoutEffect(() => {
    composer.current = field.current;
    return () => void (composer.current = null);
  }, []);
  useLayoutEffect(() => fit(field.current!), [draft]);
  return (
    <form
      class="composer"
      part="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <Along />
      <div
        class="composer-box"
        part="composer-box"
        onClick={({ target, currentTarget }) => target === currentTarget && field.current?.focus()}
      >
        {chat.images.value.length > 0 && <DraftImages />}
        <textarea
          class="input"
          part="input"
          rows={1}
          dir="auto"
          enterkeyhint="send"
          aria-label={say("message")}
          placeholder={options.value.placeholder ?? say("placeholder")}
          value={draft}
          ref={field}
          onInput={({ currentTarget }) => write.type(currentTarget.value)}
          onKeyDown={(event) => {
            if (isComposing(event)) return;
            if (write.walk(event)) return event.preventDefault();
            if (event.key !== "Enter" || event.shiftKey || event.altKey || isTouch()) return;
            event.preventDefault();
            send();
          }}
          onPaste={(event) => {
            const { files, types } = event.clipboardData!;
            // Cells and formatted words bring a picture of themselves along.
            if (files.length === 0 || ["text/html", "text/plain"].every((type) => types.includes(type))) return;
            event.preventDefault();
            void chat.addImages([...files]);
          }}
        />
        <div class="composer-row">
          <AddImage />
          <span class="grow" />
          {isRunning && (
            <button
              type="button"
              class="stop"
              part="stop"
              aria-label={say("stop")}
              data-tip={say("stop")}
              onClick={() => void chat.stop()}
            >
              <Icon path={icons.stop} />
            </button>
          )}
          {(!isRunning || hasDraft) && (
            <button class="send" part="send" aria-label={say("send")} data-tip={say("send")} aria-disabled={!hasDraft}>
              <Icon path={icons.send} />
            </button>
          )}
        </div>
      </div>
    </form>
  );
}

/** What the page sends along with the next prompt; a person may take it out. */
function Along() {
  const { chat } = useScene();
  const say = useWords();
  const context = chat.context.value;
  if (context === null || context === undefined) return null;
  return (
    <div class="along">
      <ContextChip context={context} />
      <IconButton icon={icons.close} label={say("discard")} onClick={() => (chat.context.value = null)} />
    </div>
  );
}

const fitsItself = CSS.supports("field-sizing: content");

/** As high as its text, up to what the style allows. Most browsers do that themselves, without having to lay out the page at every key. */
function fit(field: HTMLTextAreaElement): void {
  if (fitsItself) return;
  field.style.height = "auto";
  if (field.scrollHeight > 0) field.style.height = `${field.scrollHeight}px`;
}

/** Arrow-up in an empty field, or in an earlier prompt that was not changed, brings the one before. */
function useHistory(field: { readonly current: HTMLTextAreaElement | null }) {
  const { chat } = useScene();
  const place = useRef(-1);
  const show = (text: string) => {
    chat.draft.value = text;
    // The field has the text after it is drawn.
    setTimeout(() => field.current?.setSelectionRange(text.length, text.length));
  };
  return {
    type(text: string) {
      place.current = -1;
      chat.draft.value = text;
    },
    /** Whether the key was for it. */
    walk({ key, shiftKey, altKey, ctrlKey, metaKey }: KeyboardEvent): boolean {
      if ((key !== "ArrowUp" && key !== "ArrowDown") || shiftKey || altKey || ctrlKey || metaKey) return false;
      const history = chat.history.peek();
      const draft = chat.draft.peek();
      const isHere = draft === "" ? true : place.current >= 0 && draft === history[place.current];
      if (!isHere) return false;
      if (draft === "") place.current = -1;
      const next = place.current + (key === "ArrowUp" ? 1 : -1);
      if (next >= history.length || next < -1) return false;
      place.current = next;
      show(next === -1 ? "" : history[next]!);
      return true;
    },
  };
}
