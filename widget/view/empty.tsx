// What stands there before anything was said: a greeting, and suggestions that are sent with a press. A page can put its own in its place.
import { useScene, useWords } from "./scene.ts";

export function Empty({ greeting }: { readonly greeting: string | undefined }) {
  const { chat, options } = useScene();
  const say = useWords();
  const suggestions = options.value.suggestions ?? [];
  return (
    <slot name="empty">
      <div class="empty" part="empty">
        <p class="greeting" dir="auto">
          {greeting ?? say("greeting")}
        </p>
        {suggestions.length > 0 && (
          <ul class="suggestions">
            {suggestions.map((text) => (
              <li key={text}>
                <button
                  type="button"
                  class="suggestion"
                  part="suggestion"
                  dir="auto"
                  onClick={() => void chat.send(text)}
                >
                  {text}
                </button>
              </li>
            ))}
          </ul>
        )}
      </div>
    </slot>
  );
}
