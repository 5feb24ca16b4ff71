// What is fetched when it is first needed: each group of views, with its style, in a chunk of its own.
import type { Problem as ChatProblem } from "../chat.ts";
import type { TextBlock, ToolBlock } from "../transcript.ts";
import { whenIdle } from "./idle.ts";
import { lazy, once } from "./lazy.tsx";

/** Markdown. */
export const text = once(() => import("./text/text.ts"));
/** Tool calls, approvals, questions, and what there is to say of them. */
export const tools = once(() => import("./tools/tools.ts"));
/** The announcer, and what is not there all the time. */
export const more = once(() => import("./more/more.ts"));

/** What a panel and its first answer will want, one after the other while the browser has nothing else to do. */
export async function fetchAhead(): Promise<void> {
  for (const fetchChunk of [more, text, tools]) {
    await new Promise<void>(whenIdle);
    // Whoever draws with it asks again.
    await fetchChunk().catch(() => {});
  }
}

export const MarkdownText = lazy<{ readonly block: TextBlock; readonly part: string }>(
  async () => (await text()).MarkdownText,
);
export const ToolCard = lazy<{ readonly block: ToolBlock; readonly turn: string }>(
  async () => (await tools()).ToolCard,
);
export const SessionList = lazy<object>(async () => (await more()).SessionList);
export const Menu = lazy<object>(async () => (await more()).Menu);
export const Edit = lazy<EditProps>(async () => (await more()).Edit);
export const TurnActions = lazy<TurnActionsProps>(async () => (await more()).TurnActions);
export const AddImage = lazy<object>(async () => (await more()).AddImage);
export const DraftImages = lazy<object>(async () => (await more()).DraftImages);

export const PromptActions = lazy<PromptActionsProps>(async () => (await more()).PromptActions);
export const TurnState = lazy<TurnStateProps>(async () => (await more()).TurnState);
export const Older = lazy<{ readonly scroller: { readonly current: HTMLElement | null } }>(
  async () => (await more()).Older,
);
export const Problem = lazy<{ readonly problem: ChatProblem }>(async () => (await more()).Problem);
export const NotSent = lazy<{ readonly id: string; readonly problem: ChatProblem }>(async () => (await more()).NotSent);

export interface PromptActionsProps {
  /** RFC 3339. */
  readonly at: string;
  readonly text: string;
  readonly onEdit: () => void;
}

export interface TurnStateProps {
  readonly turn: string;
  readonly hasAnswer: boolean;
}

export interface EditProps {
  readonly turn: string;
  readonly text: string;
  readonly onEnd: () => void;
}

export interface TurnActionsProps {
  readonly turn: string;
  readonly answers: readonly string[];
}
