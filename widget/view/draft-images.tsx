// The images that go with the next prompt.
import { IconButton } from "./buttons.tsx";
import { useScene, useWords } from "./scene.ts";

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
          <IconButton icon="close" label={say("remove_image", { name })} onClick={() => chat.removeImage(id)} />
        </li>
      ))}
    </ul>
  );
}
