// When a prompt was sent, and what can be done with it.
import { IconButton } from "../buttons.tsx";
import type { PromptActionsProps } from "../chunks.ts";
import { icons } from "../icon.tsx";
import { CopyButton } from "./copy-button.tsx";
import { useWords } from "../scene.ts";

export function PromptActions({ at, text, onEdit }: PromptActionsProps) {
  const say = useWords();
  return (
    <div class="actions">
      <time dateTime={at}>{say.time(at)}</time>
      <CopyButton label={say("copy")} text={() => text} />
      <IconButton icon={icons.edit} label={say("edit")} onClick={onEdit} />
    </div>
  );
}
