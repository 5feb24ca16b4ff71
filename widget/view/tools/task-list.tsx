// The model's to-do list as progress: each call that sets it is shown as it was then.
import { Icon } from "../icon.tsx";
import { useWords } from "../scene.ts";
import type { Task } from "./tool-words.ts";

export function TaskList({ tasks }: { readonly tasks: readonly Task[]; readonly turn: string }) {
  const say = useWords();
  const done = tasks.filter(({ state }) => state === "completed").length;
  const progress = say("progress", { done, all: tasks.length });
  return (
    <div class="tasks" part="tasks">
      <div class="tasks-head">
        <Icon name="tasks" />
        <span class="tool-verb">{say("tool_todo")}</span>
        <progress max={Math.max(1, tasks.length)} value={done} aria-label={progress} />
        <span class="tool-state">{progress}</span>
      </div>
      <ul>
        {tasks.map(({ text, state }, index) => (
          <li key={index} class={state}>
            <span class="mark" />
            <span dir="auto">{text}</span>
            {state !== "pending" && <span class="sr">{say(state === "completed" ? "tool_done" : "tool_running")}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}
