// The images that go with the next prompt.
import { IconButton } from "../buttons.tsx";
import { icons } from "../icon.tsx";
import { icons as moreIcons } from "./icons.ts";
import { useRef } from "preact/hooks";
import { useScene, useWords } from "../scene.ts";

export function DraftImages() {
  const { chat } = useScene();
  const say = useWords();
  const images = chat.images.value;
  if (images.length === 0) return null;
  return (
    <ul class="draft-images">
      {images.map(({ id, name, preview, state }) => (
        <li key={id} class={state}>
          <img src={preview} alt={name} />
          {state !== "ready" && (
            <span class="image-state">{say(state === "failed" ? "upload_failed" : "uploading")}</span>
          )}
          <IconButton icon={icons.close} label={say("remove_image", { name })} onClick={() => chat.removeImage(id)} />
        </li>
      ))}
    </ul>
  );
}

export function AddImage() {
  const { chat } = useScene();
  const say = useWords();
  const picker = useRef<HTMLInputElement>(null);
  return (
    <>
      <input
        type="file"
        class="sr"
        tabIndex={-1}
        aria-hidden="true"
        accept="image/png,image/jpeg,image/gif,image/webp"
        multiple
        ref={picker}
        onChange={({ currentTarget }) => {
          void chat.addImages([...(currentTarget.files ?? [])]);
          currentTarget.value = "";
        }}
      />
      <IconButton icon={moreIcons.image} label={say("add_image")} onClick={() => picker.current!.click()} />
    </>
  );
}
