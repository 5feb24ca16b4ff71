// One tool call: what it does in a line, its state and time; opened, what went in and what came out. An approval that it waits for stands open.
import { useState } from "preact/hooks";
import type { Approval, ToolBlock, Turn } from "../../transcript.ts";
import { ApprovalCard } from "./approval-card.tsx";
import { ModelWords } from "./asked-for.tsx";
import { useNow } from "../clock.ts";
import { Icon, icons } from "../icon.tsx";
import { Blocks } from "../blocks.tsx";
import { Diff } from "./later-diff.ts";
import { QuestionCard } from "./question-card.tsx";
import { useScene, useWords } from "../scene.ts";
import { Signs } from "./signs.tsx";
import { TaskList } from "./task-list.tsx";
import { ToolOutput } from "./tool-output.tsx";
import { isTaskTool } from "./tasks.ts";
import { changesOf, describeTool } from "./tool-words.ts";

export type ToolState = "pending" | "running" | "waiting" | "done" | "denied" | "failed" | "stopped";

export function toolState(block: ToolBlock, approval: Approval | undefined, isOver: boolean): ToolState {
  if (approval?.decision === "deny") return "denied";
  if (block.result) return block.result.isError ? "failed" : "done";
  if (isOver) return "stopped";
  if (approval && approval.decision === null) return "waiting";
  return block.partialJson === null ? "running" : "pending";
}

interface ToolCardProps {
  readonly block: ToolBlock;
  readonly turn: string;
}

export function ToolCard({ block, turn }: ToolCardProps) {
  const { parts } = useScene();
  const approval = block.approval === null ? undefined : parts.approval(block.approval).value;
  if (isTaskTool(block.name)) return <TaskList block={block} turn={turn} />;
  if (block.name === "AskUserQuestion" && approval) return <QuestionCard approval={approval} block={block} />;
  return <Card block={block} turn={turn} approval={approval} />;
}

function Card({ block, turn, approval }: ToolCardProps & { readonly approval: Approval | undefined }) {
  const say = useWords();
  const state = toolState(block, approval, isOver(useScene().parts.turn(turn).value));
  const [isOpen, setOpen] = useState(false);
  const { icon, verb, name, target, isCode } = describeTool(block.name, block.input);
  return (
    <div class={`tool ${state}`} part="tool">
      <button type="button" class="tool-head" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon path={icon} />
        <span class="tool-verb">{say(verb, { tool: name })}</span>
        <span class={`tool-target${isCode ? " exact" : ""}`} dir={isCode ? "ltr" : "auto"}>
          <Signs>{target}</Signs>
        </span>
        <ToolStatus block={block} state={state} />
        <Icon path={icons.chevron} />
      </button>
      {approval && (approval.decision !== null || state === "waiting") && (
        <ApprovalCard approval={approval} isWaiting={state === "waiting"} />
      )}
      {block.messages.length > 0 && <Inner block={block} turn={turn} isOpen={isOpen} />}
      {isOpen && <ToolDetails block={block} isAsked={state === "waiting"} />}
    </div>
  );
}

function isOver(turn: Turn | undefined): boolean {
  return turn?.endedAt != null;
}

function ToolStatus({ block, state }: { readonly block: ToolBlock; readonly state: ToolState }) {
  const say = useWords();
  const now = useNow(state === "running");
  const began = Date.parse(block.startedAt);
  const ended = block.result ? Date.parse(block.result.at) : now;
  const hasTime = (state === "running" && now - began >= 1000) || (block.result !== null && state !== "denied");
  return (
    <span class="tool-state">
      {hasTime && <span class="tool-time">{say.duration(ended - began)}</span>}
      <span class="mark" />
      <span class={state === "done" ? "sr" : undefined}>{say(`tool_${state}`)}</span>
    </span>
  );
}

/** While a person is asked, the input stands in the question. */
function ToolDetails({ block, isAsked }: { readonly block: ToolBlock; readonly isAsked: boolean }) {
  const say = useWords();
  const changes = changesOf(block.name, block.input);
  const { exact } = describeTool(block.name, block.input);
  const raw = (
    <>
      <p class="label">{say("input")}</p>
      <pre tabIndex={0} dir="ltr">
        <Signs>{exact ?? json(block)}</Signs>
      </pre>
    </>
  );
  return (
    <div class="tool-details">
      {isAsked ? null : changes.length > 0 ? <Diff changes={changes} show={Signs} fallback={raw} /> : raw}
      {!isAsked && exact !== null && <ModelWords input={block.input} />}
      {block.result && <ToolOutput result={block.result} />}
    </div>
  );
}

function json({ input, partialJson }: ToolBlock): string {
  return partialJson ?? JSON.stringify(input, null, 2) ?? "";
}

/** What a subagent did: its tool calls stand there while it works, and folded once it is done. */
function Inner({
  block,
  turn,
  isOpen,
}: {
  readonly block: ToolBlock;
  readonly turn: string;
  readonly isOpen: boolean;
}) {
  if (block.result && !isOpen) return null;
  return (
    <div class="tool-inner">
      {block.messages.map((message) => (
        <Blocks key={message.id} message={message} turn={turn} />
      ))}
    </div>
  );
}
