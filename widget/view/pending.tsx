// What was sent, and is not in the conversation yet; and what could not be sent.
import type { PendingPrompt } from "../chat.ts";
import { Icon, icons } from "./icon.tsx";
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
  const { chat } = useScene();
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
      {problem && (
        <div class="failure" part="failure">
          <p>
            <Icon path={icons.warning} />
            <strong>{say("not_sent")}</strong>: {say.code(problem.code) ?? problem.detail}
          </p>
          <div class="row">
            <button type="button" class="button" onClick={() => void chat.resend(id)}>
              {say("resend")}
            </button>
            <button type="button" class="button" onClick={() => chat.dropPending(id)}>
              {say("discard")}
            </button>
          </div>
        </div>
      )}
    </article>
  );
}
