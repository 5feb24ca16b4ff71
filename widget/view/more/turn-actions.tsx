// What can be done with an answer.
import { useState } from "preact/hooks";
import { IconButton } from "../buttons.tsx";
import { CopyButton } from "./copy-button.tsx";
import { icons as moreIcons } from "./icons.ts";
import { icons } from "../icon.tsx";
import { useScene, useWords } from "../scene.ts";
import type { TurnActionsProps } from "../chunks.ts";
import { textOf } from "../../transcript-words.ts";
import { Details } from "./details.tsx";

export function TurnActions({ turn: id, answers }: TurnActionsProps) {
  const { chat, parts } = useScene();
  const say = useWords();
  const [isDetailed, setDetailed] = useState(false);
  const turn = parts.turn(id).value;
  if (!turn || turn.endedAt === null) return null;
  const text = () =>
    answers
      .map((message) => textOf(parts.message(message).peek()))
      .filter(Boolean)
      .join("\n\n");
  const rate = (rating: "up" | "down") => void chat.rate(id, turn.rating === rating ? null : rating);
  return (
    <>
      <div class="actions" part="actions">
        {answers.length > 0 && <CopyButton label={say("copy_answer")} text={text} />}
        {turn.state === "completed" && (
          <>
            <IconButton
              icon={moreIcons.up_thumb}
              label={say("good")}
              isPressed={turn.rating === "up"}
              onClick={() => rate("up")}
            />
            <IconButton
              icon={moreIcons.down_thumb}
              label={say("bad")}
              isPressed={turn.rating === "down"}
              onClick={() => rate("down")}
            />
          </>
        )}
        {turn.state !== "failed" && (
          <IconButton icon={moreIcons.retry} label={say("retry")} onClick={() => void chat.retry(id)} />
        )}
        <IconButton
          icon={icons.info}
          label={say("details")}
          isExpanded={isDetailed}
          onClick={() => setDetailed(!isDetailed)}
        />
      </div>
      {isDetailed && <Details turn={turn} />}
    </>
  );
}
