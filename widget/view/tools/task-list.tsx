// The model's to-do list as progress. It stands where the newest of a turn's calls for it is, and there alone.
import type { Block, ToolBlock } from "../../transcript.ts";
import { Icon } from "../icon.tsx";
import { icons as toolIcons } from "./icons.ts";
import { useScene, useWords, type Scene } from "../scene.ts";
import { isTaskTool, tasksOf } from "./tasks.ts";

export function TaskList({ block, turn }: { readonly block: ToolBlock; readonly turn: string }) {
  const { parts } = useScene();
  const say = useWords();
  const here = callsOf(parts, turn);
  if (here.at(-1)?.id !== block.id) return null;
  // The list goes on from turn to turn.
  const turns = parts.turns.value;
  const earlier = turns.slice(0, turns.indexOf(turn)).flatMap((one) => callsOf(parts, one));
  const tasks = tasksOf([...earlier, ...here]);
  const done = tasks.filter(({ state }) => state === "completed").length;
  const progress = say("progress", { done, all: tasks.length });
  return (
    <div class="tasks" part="tasks">
      <div class="tasks-head">
        <Icon path={toolIcons.tasks} />
        <span class="tool-verb">{say("tool_todo")}</span>
        <progress max={Math.max(1, tasks.length)} value={done} aria-label={progress} />
        <span class="tool-state">{progress}</span>
      </div>
      <ul>
        {tasks.map(({ id, text, doing, state }) => (
          <li key={id} class={state}>
            <span class="mark" />
            <span dir="auto">{state === "in_progress" ? doing : text}</span>
            {state !== "pending" && <span class="sr">{say(state === "completed" ? "tool_done" : "tool_running")}</span>}
          </li>
        ))}
      </ul>
    </div>
  );
}

function callsOf(parts: Scene["parts"], turn: string): ToolBlock[] {
  const messages = parts.exchange(turn).value?.answers ?? [];
  return messages.flatMap((id) => (parts.message(id).value?.blocks ?? []).filter(isTask));
}

function isTask(block: Block): block is ToolBlock {
  return block.type === "tool" && isTaskTool(block.name);
}
