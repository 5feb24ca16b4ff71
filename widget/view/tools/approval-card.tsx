// A tool call that waits for a person: what it will do, in words and exactly, how long there is, and the answer; then what was decided, and by whom.
import { useRef, useState } from "preact/hooks";
import type { ApprovalAnswer } from "../../chat.ts";
import type { Approval } from "../../transcript.ts";
import { useNow } from "../clock.ts";
import { isTouch } from "../keyboards.ts";
import { useScene, useWords } from "../scene.ts";
import { AllowButton, AskedFor, ModelWords, useSight } from "./asked-for.tsx";
import { Signs } from "./signs.tsx";
import { describeTool } from "./tool-words.ts";
import { minutes } from "../words.ts";

/** Tools that a person answers each time anew. */
const personal = new Set(["AskUserQuestion", "ExitPlanMode"]);

export function ApprovalCard({ approval, isWaiting }: { readonly approval: Approval; readonly isWaiting: boolean }) {
  const say = useWords();
  const { question, name } = describeTool(approval.tool, approval.input);
  const [end, setEnd] = useState<HTMLElement | null>(null);
  if (!isWaiting) return <Decision approval={approval} />;
  const words = say(question, { tool: name });
  return (
    <div key={approval.id} class="approval" part="approval" role="group" aria-label={words}>
      <p class="approval-question">
        <Signs>{words}</Signs>
      </p>
      <AskedFor approval={approval} end={setEnd} />
      <ModelWords input={approval.input} />
      {approval.reason && (
        <p class="muted" dir="auto">
          <Signs>{approval.reason}</Signs>
        </p>
      )}
      <Answer approval={approval} end={end} />
    </div>
  );
}

interface AnswerProps {
  readonly approval: Approval;
  readonly end: HTMLElement | null;
}

function Answer({ approval, end }: AnswerProps) {
  const say = useWords();
  const sight = useSight(end);
  const [isDenying, setDenying] = useState(false);
  const [reason, setReason] = useState("");
  const [isSent, answer] = useAnswer(approval);
  const field = useRef<HTMLInputElement>(null);
  const denyButton = useRef<HTMLButtonElement>(null);
  const turnTo = (isDenying: boolean) => {
    setDenying(isDenying);
    // What takes the focus is drawn by then.
    setTimeout(() => (field.current ?? denyButton.current)?.focus());
  };
  const deny = () => answer({ decision: "deny", message: reason.trim() || undefined });
  if (isDenying)
    return (
      <form
        class="row"
        onSubmit={(event) => {
          event.preventDefault();
          deny();
        }}
      >
        <input
          class="field"
          ref={field}
          dir="auto"
          maxLength={10_000}
          aria-label={say("reason")}
          placeholder={say("reason")}
          value={reason}
          onInput={({ currentTarget }) => setReason(currentTarget.value)}
        />
        <button class="button danger" disabled={isSent}>
          {say("deny")}
        </button>
        <button type="button" class="button" onClick={() => turnTo(false)}>
          {say("back")}
        </button>
      </form>
    );
  const hint = `seen-${approval.id}`;
  const early = { isSent, sight, hint, onTooEarly: () => end?.parentElement?.focus() };
  const { name } = describeTool(approval.tool, approval.input);
  return (
    <div class="row">
      {!sight.isSeen && (
        <p id={hint} class={sight.isLong ? "muted hint" : "sr"}>
          {say("read_first")}
        </p>
      )}
      <AllowButton {...early} kind="primary" onAllow={() => answer({ decision: "allow" })}>
        {say("allow")}
      </AllowButton>
      {!personal.has(approval.tool) && (
        <AllowButton {...early} kind="" onAllow={() => answer({ decision: "allow", scope: "session" })}>
          <Signs>{say(approval.tool === "Bash" ? "allow_session_run" : "allow_session", { tool: name })}</Signs>
        </AllowButton>
      )}
      <button type="button" class="button" disabled={isSent} ref={denyButton} onClick={() => turnTo(true)}>
        {say("deny")}
      </button>
      <TimeLeft until={approval.expiresAt} />
    </div>
  );
}

/** Whether an answer is under way, and how one is given: the buttons are good again where it could not be sent. */
export function useAnswer(approval: Approval): [boolean, (answer: ApprovalAnswer) => void] {
  const { chat, openHere, composer } = useScene();
  const [isSent, setSent] = useState(false);
  useState(() => openHere.add(approval.id));
  const answer = (given: ApprovalAnswer) => {
    setSent(true);
    openHere.delete(approval.id);
    // The button that has the focus goes away with its card. By touch an on-screen keyboard would come up.
    if (!isTouch()) composer.current?.focus({ preventScroll: true });
    chat.approve(approval.id, given).catch(() => {
      openHere.add(approval.id);
      setSent(false);
    });
  };
  return [isSent, answer];
}

export function TimeLeft({ until }: { readonly until: string }) {
  const say = useWords();
  const now = useNow(true);
  return <span class="time-left">{say("time_left", { time: minutes(Date.parse(until) - now) })}</span>;
}

interface DecisionProps {
  readonly approval: Approval;
  readonly allowed?: "allowed" | "answered";
}

export function Decision({ approval, allowed = "allowed" }: DecisionProps) {
  const { openHere } = useScene();
  const say = useWords();
  const { decision, by, scope, message, id } = approval;
  if (decision === null) return null;
  const isTimeout = by !== null && "gateway" in by && by.gateway === "timeout";
  const text = decision === "deny" ? "denied" : scope === "session" ? "allowed_session" : allowed;
  const where = openHere.has(id) && !isTimeout ? ` · ${say("decided_elsewhere")}` : "";
  return (
    <p class="decision" part="decision">
      {isTimeout ? say("denied_timeout") : say(text, { who: say.by(by) })}
      {where}
      {decision === "deny" && message && !isTimeout && (
        <>
          {": "}
          <bdi>{message}</bdi>
        </>
      )}
    </p>
  );
}
