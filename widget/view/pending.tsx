// What was sent, and is not in the conversation yet; and what could not be sent.
import type { PendingPrompt } from "../chat.ts";
import { NotSent } from "./chunks.ts";
import { useScene, useWords } from "./scene.ts";

export function PendingPrompts() {
  const { chat } = useScene();
  return (
    <>
      {chat.pending.value.map((prompt) => (
        <Pending key={prompt.id} prompt={prompt} />
      ))}
    </>
  );
}

function Pending({ prompt }: { readonly prompt: PendingPrompt }) {
  const say = useWords();
  const { id, text, images, problem } = prompt;
  return (
    <article class="message prompt pending" part="message prompt" tabIndex={-1} aria-label={say("you")}>
      <div class="bubble" part="bubble" dir="auto">
        {images.map(({ id, preview, name }) => (
          <img key={id} class="attached" src={preview} alt={name} />
        ))}
        {text}
      </div>
      {problem && <NotSent id={id} problem={problem} fallback={<p>{say("not_sent")}</p>} />}
    </article>
  );
}
