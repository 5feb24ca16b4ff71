// One turn as a person sees it: what was asked, and what answered it. Each half is a place that the arrow keys go to.
import { useState } from "preact/hooks";
import { Blocks } from "./blocks.tsx";
import { Edit, PromptActions, TurnActions, TurnState } from "./chunks.ts";
import { useScene, useWords } from "./scene.ts";
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

export function textOf(message: Message): string {
  return message.blocks.flatMap((block) => (block.type === "text" ? [block.text] : [])).join("\n");
}

function Answer({ turn, answers }: { readonly turn: string; readonly answers: readonly string[] }) {
  const say = useWords();
  return (
    <article class="message answer" part="message answer" tabIndex={-1} aria-label={say("assistant")} data-turn={turn}>
      {inGroups(answers).map((group) => (
        <div key={group[0]} class="messages">
          {group.map((id) => (
            <AnswerMessage key={id} id={id} turn={turn} />
          ))}
        </div>
      ))}
      <TurnState turn={turn} hasAnswer={answers.length > 0} fallback={<Dots turn={turn} />} />
      <TurnActions turn={turn} answers={answers} />
    </article>
  );
}

/** A browser that lays out one more message looks at all that stand beside it, and an agent's answer may have hundreds. */
function inGroups(ids: readonly string[]): readonly (readonly string[])[] {
  const count = Math.ceil(ids.length / maxMessagesTogether);
  return Array.from({ length: count }, (_, group) =>
    ids.slice(group * maxMessagesTogether, (group + 1) * maxMessagesTogether),
  );
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
