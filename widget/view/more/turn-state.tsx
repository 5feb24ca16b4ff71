// How a turn stands, in words.
import type { Turn } from "../../transcript.ts";
import type { TurnStateProps } from "../chunks.ts";
import { Icon } from "../icon.tsx";
import { icons } from "./icons.ts";
import { useScene, useWords } from "../scene.ts";

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
      <Icon path={icons.warning} />
      {say(limit.status === "rejected" ? "limited" : "limit_near")}
      {limit.resetsAt && `, ${say("resets_at", { time: say.time(limit.resetsAt) })}`}
    </p>
  );
}

function Failure({ turn }: { readonly turn: Turn }) {
  const { chat } = useScene();
  const say = useWords();
  const { code, message, resetsAt } = turn;
  return (
    <div class="failure" part="failure">
      <p>
        <Icon path={icons.warning} />
        <span>
          <strong>{(code !== null && say.code(code)) || say("failed")}</strong>
          {resetsAt && `, ${say("resets_at", { time: say.time(resetsAt) })}`}
        </span>
      </p>
      {message && (
        <p class="muted" dir="auto">
          {message}
        </p>
      )}
      <button type="button" class="button" onClick={() => void chat.retry(turn.id)}>
        <Icon path={icons.retry} />
        {say("retry")}
      </button>
    </div>
  );
}
