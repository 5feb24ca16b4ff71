// What went wrong: the newest thing, and prompts that could not be sent.
import { useEffect } from "preact/hooks";
import type { Problem as ChatProblem } from "../../chat.ts";
import { IconButton } from "../buttons.tsx";
import { Icon, icons } from "../icon.tsx";
import { icons as moreIcons } from "./icons.ts";
import { useScene, useWords } from "../scene.ts";

/** Until it is dismissed. */
export function Problem({ problem }: { readonly problem: ChatProblem }) {
  const { chat } = useScene();
  const say = useWords();
  return (
    <div class="failure problem" part="failure">
      <p>
        <Icon path={moreIcons.warning} />
        {say.code(problem.code) ?? say("problem")}
        {problem.detail !== "" && <span class="muted">{problem.detail}</span>}
      </p>
      <IconButton icon={icons.close} label={say("dismiss")} onClick={() => (chat.problem.value = null)} />
    </div>
  );
}

export function NotSent({ id, problem }: { readonly id: string; readonly problem: ChatProblem }) {
  const { chat, alert } = useScene();
  const say = useWords();
  const isGone = chat.connection.value === "gone";
  const why = isGone ? say("gone") : (say.code(problem.code) ?? problem.detail);
  useEffect(() => void (alert.value = `${say("not_sent")}: ${why}`), [problem]);
  // Why, a browser tells no script. Whoever embeds the widget reads here where to look.
  useEffect(() => {
    if (problem.code === "unreachable" && navigator.onLine)
      console.error(`sluice: the gateway does not answer. Does it run, and may pages of ${location.origin} ask it?`);
  }, [problem.code]);
  return (
    <div class="failure" part="failure">
      <p>
        <Icon path={moreIcons.warning} />
        <span>
          <strong>{say("not_sent")}</strong>: {why}
        </span>
      </p>
      <div class="row">
        {isGone ? (
          <Anew id={id} />
        ) : (
          <button type="button" class="button" onClick={() => void chat.resend(id)}>
            {say("resend")}
          </button>
        )}
        <button type="button" class="button" onClick={() => chat.dropPending(id)}>
          {say("discard")}
        </button>
      </div>
    </div>
  );
}

/** Where its conversation is gone a prompt can begin another one, but for images: these were that one's. */
function Anew({ id }: { readonly id: string }) {
  const { chat } = useScene();
  const say = useWords();
  const prompt = chat.pending.value.find((one) => one.id === id);
  if (!prompt || prompt.images.length > 0) return null;
  const sendAnew = () => {
    chat.dropPending(id);
    chat.newSession();
    void chat.send(prompt.text);
  };
  return (
    <button type="button" class="button" onClick={sendAnew}>
      {say("new_session")}
    </button>
  );
}
