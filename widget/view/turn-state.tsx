// How a turn stands, in words; and what can be done with its answer.
import { useState } from "preact/hooks";
import type { Turn } from "../transcript.ts";
import { CopyButton, IconButton } from "./buttons.tsx";
import { textOf } from "./exchange.tsx";
import { Details } from "./chunks.ts";
import { Icon } from "./icon.tsx";
import { useScene, useWords } from "./scene.ts";

interface TurnStateProps {
  readonly turn: string;
  readonly hasAnswer: boolean;
}

export function TurnState({ turn: id, hasAnswer }: TurnStateProps) {
  const turn = useScene().parts.turn(id).value;
  if (!turn) return null;
  return (
    <>
      {turn.notices.map(({ text }, index) => (
        <p key={index} class="notice" part="notice" dir="auto">
          {text}
        </p>
      ))}
      <Limit turn={turn} />
      {turn.state === "failed" ? <Failure turn={turn} /> : <Progress turn={turn} hasAnswer={hasAnswer} />}
    </>
  );
}

function Progress({ turn, hasAnswer }: { readonly turn: Turn; readonly hasAnswer: boolean }) {
  const { chat } = useScene();
  const say = useWords();
  const { state, position, retry, by } = turn;
  if (state === "cancelled")
    return (
      <p class="notice" part="notice">
        {by && "key" in by ? say("stopped_by", { who: say.by(by) }) : say("stopped")}
      </p>
    );
  if (state === "queued") {
    const text =
      position === null ? say("starting") : position === 1 ? say("queued_next") : say("queued", { position });
    return (
      <p class="notice" part="notice">
        {text}{" "}
        <button type="button" class="link" onClick={() => void chat.stop(turn.id)}>
          {say("cancel")}
        </button>
      </p>
    );
  }
  if (state !== "running") return null;
  const words = retry
    ? say("retrying", { attempt: retry.attempt, max: retry.maxAttempts })
    : say(turn.startedAt === null ? "starting" : "working");
  return (
    <p class="working" part="working">
      <span class="dots" />
      <span class={retry || !hasAnswer ? undefined : "sr"}>{words}</span>
    </p>
  );
}

function Limit({ turn: { limit, state } }: { readonly turn: Turn }) {
  const say = useWords();
  if (!limit || limit.status === "allowed" || state === "failed") return null;
  return (
    <p class="notice warning" part="notice">
      <Icon name="warning" />
      {say(limit.status === "rejected" ? "limited" : "limit_near")}
      {limit.resetsAt && `, ${say("resets_at", { time: say.time(limit.resetsAt) })}`}
    </p>
  );
}

function Failure({ turn }: { readonly turn: Turn }) {
  const { chat } = useScene();
  const say = useWords();
  const { code, message, resetsAt, retryable } = turn;
  return (
    <div class="failure" part="failure">
      <p>
        <Icon name="warning" />
        <strong>{(code !== null && say.code(code)) || say("failed")}</strong>
        {resetsAt && `, ${say("resets_at", { time: say.time(resetsAt) })}`}
      </p>
      {message && (
        <p class="muted" dir="auto">
          {message}
        </p>
      )}
      {retryable && (
        <button type="button" class="button" onClick={() => void chat.retry(turn.id)}>
          <Icon name="retry" />
          {say("retry")}
        </button>
      )}
    </div>
  );
}

interface TurnActionsProps {
  readonly turn: string;
  readonly answers: readonly string[];
}

export function TurnActions({ turn: id, answers }: TurnActionsProps) {
  const { chat, parts } = useScene();
  const say = useWords();
  const [isDetailed, setDetailed] = useState(false);
  const turn = parts.turn(id).value;
  if (!turn || turn.endedAt === null) return null;
  const text = () =>
    answers
      .map((message) => parts.message(message).peek())
      .map((message) => (message ? textOf(message) : ""))
      .filter(Boolean)
      .join("\n\n");
  const rate = (rating: "up" | "down") => void chat.rate(id, turn.rating === rating ? null : rating);
  return (
    <>
      <div class="actions" part="actions">
        {answers.length > 0 && (
          <>
            <CopyButton label={say("copy_answer")} text={text} />
            <IconButton
              icon="up_thumb"
              label={say("good")}
              isPressed={turn.rating === "up"}
              onClick={() => rate("up")}
            />
            <IconButton
              icon="down_thumb"
              label={say("bad")}
              isPressed={turn.rating === "down"}
              onClick={() => rate("down")}
            />
          </>
        )}
        <IconButton icon="retry" label={say("retry")} onClick={() => void chat.retry(id)} />
        <IconButton
          icon="info"
          label={say("details")}
          isExpanded={isDetailed}
          onClick={() => setDetailed(!isDetailed)}
        />
      </div>
      {isDetailed && <Details turn={turn} />}
    </>
  );
}
