// One turn as a person sees it: what was asked, and what answered it. Each half is a place that the arrow keys go to.
import { useRef, useState } from "preact/hooks";
import { Blocks } from "./blocks.tsx";
import { Edit, PromptActions, TurnActions, TurnState } from "./chunks.ts";
import { useScene, useWords } from "./scene.ts";
import { textOf } from "../transcript-words.ts";
import type { Message } from "../transcript.ts";

const maxMessagesTogether = 10;

export function Exchange({ turn }: { readonly turn: string }) {
  const exchange = useScene().parts.exchange(turn).value;
  if (!exchange) return null;
  return (
    <section class="exchange">
      {exchange.prompt !== null && <Prompt id={exchange.prompt} turn={turn} />}
      <Answer turn={turn} answers={exchange.answers} />
    </section>
  );
}

function Prompt({ id, turn }: { readonly id: string; readonly turn: string }) {
  const { parts } = useScene();
  const say = useWords();
  const [isEdited, setEdited] = useState(false);
  const message = parts.message(id).value;
  if (!message) return null;
  const text = textOf(message);
  return (
    <article
      class="message prompt"
      part="message prompt"
      tabIndex={-1}
      aria-label={`${say("you")}, ${say.time(message.at)}`}
    >
      {isEdited ? (
        <Edit turn={turn} text={text} onEnd={() => setEdited(false)} />
      ) : (
        <>
          <div class="bubble" part="bubble" dir="auto">
            <PromptBlocks message={message} turn={turn} />
          </div>
          <PromptActions at={message.at} text={text} onEdit={() => setEdited(true)} />
        </>
      )}
    </article>
  );
}

function PromptBlocks({ message, turn }: { readonly message: Message; readonly turn: string }) {
  const rest = { ...message, blocks: message.blocks.filter(({ type }) => type !== "text") };
  return (
    <>
      <Blocks message={rest} turn={turn} />
      {textOf(message)}
    </>
  );
}

function Answer({ turn, answers }: { readonly turn: string; readonly answers: readonly string[] }) {
  const say = useWords();
  const groups = useGroups(answers);
  return (
    <article class="message answer" part="message answer" tabIndex={-1} aria-label={say("assistant")} data-turn={turn}>
      {[...groups].map(([group, ids]) => (
        <div key={group} class="messages">
          {ids.map((id) => (
            <AnswerMessage key={id} id={id} turn={turn} />
          ))}
        </div>
      ))}
      <TurnState turn={turn} hasAnswer={answers.length > 0} fallback={<Dots turn={turn} />} />
      <TurnActions turn={turn} answers={answers} />
    </article>
  );
}

/**
 * A browser that lays out one more message looks at all that stand beside it, and an agent's answer may have hundreds. By the group's number,
 * counted from the message that was the first at first: older ones that come later leave all others in their groups.
 */
function useGroups(ids: readonly string[]): ReadonlyMap<number, readonly string[]> {
  const first = useRef(ids[0]);
  if (!ids.includes(first.current!)) first.current = ids[0];
  const from = ids.indexOf(first.current!);
  return Map.groupBy(ids, (_, index) => Math.floor((index - from) / maxMessagesTogether));
}

/** Until the words are there. */
function Dots({ turn }: { readonly turn: string }) {
  const isRunning = useScene().parts.turn(turn).value?.state === "running";
  return isRunning ? <span class="dots" /> : null;
}

function AnswerMessage({ id, turn }: { readonly id: string; readonly turn: string }) {
  const message = useScene().parts.message(id).value;
  return message ? <Blocks message={message} turn={turn} /> : null;
}
