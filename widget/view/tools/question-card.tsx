// A question of the model with its choices.
import { useState } from "preact/hooks";
import type { Approval, ToolBlock } from "../../transcript.ts";
import { Decision, TimeLeft, useAnswer } from "./approval-card.tsx";
import { Icon } from "../icon.tsx";
import { icons as toolIcons } from "./icons.ts";
import { useScene, useWords } from "../scene.ts";
import { answerIn, outputOf, questionsOf, type Question } from "./tool-words.ts";

type Chosen = Readonly<Record<string, readonly string[]>>;

export function QuestionCard({ approval, block }: { readonly approval: Approval; readonly block: ToolBlock }) {
  const { parts } = useScene();
  const say = useWords();
  const questions = questionsOf(approval.input);
  const isWaiting = approval.decision === null && parts.turn(approval.turn).value?.endedAt == null;
  return (
    <div class="approval question" part="question" role="group" aria-label={say("question")}>
      <p class="approval-question">
        <Icon path={toolIcons.question} />
        {say("question")}
      </p>
      {isWaiting ? <Form approval={approval} questions={questions} /> : <Settled questions={questions} block={block} />}
      {!isWaiting && <Decision approval={approval} allowed="answered" />}
    </div>
  );
}

function Form({ approval, questions }: { readonly approval: Approval; readonly questions: readonly Question[] }) {
  const say = useWords();
  const [chosen, setChosen] = useState<Chosen>({});
  const [own, setOwn] = useState<Readonly<Record<string, string>>>({});
  const [isSent, answer] = useAnswer(approval);
  const isAnswered = (question: Question) =>
    (chosen[question.question] ?? []).length > 0 || (own[question.question] ?? "").trim() !== "";
  const send = (event: Event) => {
    event.preventDefault();
    const answers = questions.map((question): [string, string | string[]] => {
      const words = (own[question.question] ?? "").trim();
      const all = [...(chosen[question.question] ?? []), ...(words === "" ? [] : [words])];
      return [question.question, question.isMulti ? all : all.at(-1)!];
    });
    answer({ decision: "allow", answers: Object.fromEntries(answers) });
  };
  return (
    <form onSubmit={send}>
      {questions.map((question) => (
        <Choices
          key={question.question}
          question={question}
          name={`${approval.id} ${question.question}`}
          chosen={chosen[question.question] ?? []}
          own={own[question.question] ?? ""}
          onChoose={(labels) => {
            setChosen({ ...chosen, [question.question]: labels });
            if (!question.isMulti) setOwn({ ...own, [question.question]: "" });
          }}
          onWrite={(text) => {
            setOwn({ ...own, [question.question]: text });
            if (!question.isMulti) setChosen({ ...chosen, [question.question]: [] });
          }}
        />
      ))}
      <div class="row">
        <button class="button primary" disabled={isSent || !questions.every(isAnswered)}>
          {say("answer")}
        </button>
        <button type="button" class="button" disabled={isSent} onClick={() => answer({ decision: "deny" })}>
          {say("skip")}
        </button>
        <TimeLeft until={approval.expiresAt} />
      </div>
    </form>
  );
}

interface ChoicesProps {
  readonly question: Question;
  readonly name: string;
  readonly chosen: readonly string[];
  readonly own: string;
  readonly onChoose: (labels: readonly string[]) => void;
  readonly onWrite: (text: string) => void;
}

function Choices({ question, name, chosen, own, onChoose, onWrite }: ChoicesProps) {
  const say = useWords();
  const toggle = (label: string) =>
    onChoose(chosen.includes(label) ? chosen.filter((one) => one !== label) : [...chosen, label]);
  return (
    <fieldset>
      <legend dir="auto">{question.question}</legend>
      {question.options.map(({ label, description }) => (
        <label key={label} class="choice">
          <input
            type={question.isMulti ? "checkbox" : "radio"}
            name={name}
            checked={chosen.includes(label)}
            onChange={() => (question.isMulti ? toggle(label) : onChoose([label]))}
          />
          <span dir="auto">
            {label}
            {description !== "" && <small>{description}</small>}
          </span>
        </label>
      ))}
      <input
        class="field"
        dir="auto"
        maxLength={10_000}
        placeholder={say("other_answer")}
        aria-label={say("other_answer")}
        value={own}
        onInput={({ currentTarget }) => onWrite(currentTarget.value)}
      />
    </fieldset>
  );
}

/** What was asked, and what was answered. */
function Settled({ questions, block }: { readonly questions: readonly Question[]; readonly block: ToolBlock }) {
  const told = block.result && !block.result.isError ? outputOf(block.result.content).text : "";
  return (
    <dl>
      {questions.map(({ question }) => (
        <div key={question}>
          <dt dir="auto">{question}</dt>
          <dd dir="auto">{answerIn(told, question)}</dd>
        </div>
      ))}
    </dl>
  );
}
