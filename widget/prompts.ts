// Prompts on their way: from the draft until the transcript has them. They go one after the other; each keeps its key, so that one whose
// answer was lost is not made twice [T3].
import { signal, type ReadonlySignal } from "@preact/signals";
import type { Api } from "./api.ts";
import type { Attachments, PromptBlock } from "./attachments.ts";
import type { DraftImage, PendingPrompt, Problem } from "./chat.ts";
import { asProblem, type ApiProblem } from "./problem.ts";

/** A conversation that prompts go to: it may have no session before the first one is taken. */
export interface Place {
  session: string | null;
}

export interface NewPrompt {
  readonly text: string;
  readonly images: readonly DraftImage[];
  /** Files of an earlier prompt. */
  readonly files: readonly PromptBlock[];
  /** Null: none. */
  readonly context: unknown;
}

interface Entry extends NewPrompt {
  readonly id: string;
  readonly place: Place;
  problem: Problem | null;
  /** Once the gateway has taken it. */
  turn: string | null;
}

export interface Prompts {
  /** Those of the place that is shown, oldest first. */
  readonly pending: ReadonlySignal<readonly PendingPrompt[]>;
  send(place: Place, prompt: NewPrompt): Promise<void>;
  resend(id: string): Promise<void>;
  /** Tries again those that did not reach the gateway. */
  resendLost(): void;
  drop(id: string): void;
  /** Another conversation is shown; its place, where prompts are on their way to it. */
  show(session: string | null): Place;
  /** An image has changed, or the transcript has new turns: prompts that it has are pending no more. */
  refresh(): void;
}

export interface PromptOptions {
  readonly api: Api;
  readonly agent: string | undefined;
  readonly attachments: Attachments;
  /** Nothing is sent before. */
  readonly ready: Promise<void>;
  /** Those of the transcript that is shown. */
  readonly turns: () => ReadonlyMap<string, unknown> | undefined;
  /** The first prompt of the place that is shown has made its session, with this agent. */
  readonly onSession: (session: string, agent: string) => void;
}

export function createPrompts({ api, agent, attachments, ready, turns, onSession }: PromptOptions): Prompts {
  const pending = signal<readonly PendingPrompt[]>([]);
  let entries: Entry[] = [];
  let shown: Place = { session: null };
  let last: Promise<unknown> = ready;

  function refresh(): void {
    entries = entries.filter(({ turn }) => turn === null || !turns()?.has(turn));
    pending.value = entries
      .filter(({ place }) => place === shown)
      .map(({ id, text, images, problem }) => ({ id, text, images: attachments.now(images), problem }));
  }

  /** Not before the one before it: the order of prompts is theirs, and the first of a conversation makes its session. */
  function enqueue(entry: Entry): Promise<void> {
    entry.problem = null;
    refresh();
    const posted = last.then(() => post(entry)).catch((error: unknown) => failed(entry, asProblem(error)));
    last = posted;
    return posted;
  }

  async function post(entry: Entry): Promise<void> {
    const { id, place, text, context } = entry;
    const files = [...entry.files, ...(await attachments.blocks(entry.images))];
    const words = text === "" ? [] : [{ type: "text", text }];
    const body = {
      prompt: files.length === 0 ? text : [...words, ...files],
      ...(place.session === null ? { agent } : { session: place.session }),
      ...(context === null ? {} : { context }),
    };
    const headers = { "Idempotency-Key": id };
    const reply = await api.request("POST", "/api/turns", { body, headers });
    const made = (await reply.json()) as { turn: string; session: string; agent: string };
    entry.turn = made.turn;
    const isFirst = place.session === null;
    place.session = made.session;
    if (isFirst && place === shown) onSession(made.session, made.agent);
    refresh();
  }

  function failed(entry: Entry, { code, message: detail }: ApiProblem): void {
    entry.problem = { code, detail };
    refresh();
  }

  function failing(): Entry[] {
    return entries.filter(({ problem }) => problem !== null);
  }

  return {
    pending,
    send(place, prompt) {
      const entry: Entry = { ...prompt, id: crypto.randomUUID(), place, problem: null, turn: null };
      entries.push(entry);
      return enqueue(entry);
    },
    async resend(id) {
      const entry = failing().find((one) => one.id === id);
      if (entry) await enqueue(entry);
    },
    resendLost() {
      for (const entry of failing()) if (entry.problem?.code === "unreachable") void enqueue(entry);
    },
    drop(id) {
      entries = entries.filter((entry) => entry.id !== id);
      refresh();
    },
    show(session) {
      const known = session === null ? undefined : entries.find(({ place }) => place.session === session)?.place;
      shown = known ?? { session };
      refresh();
      return shown;
    },
    refresh,
  };
}
