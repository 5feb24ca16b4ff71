// Prompts on their way: from the draft until the transcript has them. They go one after the other; each keeps its key, so that one whose
// answer was lost is not made twice [T3].
import { signal, type ReadonlySignal } from "@preact/signals";
import type { Api } from "./api.ts";
import type { Attachments, PromptBlock } from "./attachments.ts";
import type { Browser } from "./browser.ts";
import type { DraftImage, PendingPrompt, Problem } from "./chat.ts";
import { newId } from "./ids.ts";
import { toJson } from "./json.ts";
import { ApiProblem, asProblem } from "./problem.ts";
import { readStored, writeStored } from "./storage.ts";

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
  send(prompt: NewPrompt, place: Place): Promise<void>;
  resend(id: string): Promise<void>;
  /** Tries again those that did not reach the gateway. */
  resendLost(): void;
  /** From now on it is known who sends: sends what this tab was sending when its page was left. */
  restore(): void;
  drop(id: string): void;
  /** Another conversation is shown; its place, where prompts are on their way to it. */
  show(session: string | null): Place;
  /** An image has changed, or the transcript has new turns: prompts that it has are pending no more. */
  refresh(): void;
  /** Nothing more is sent. */
  destroy(): void;
}

export interface PromptOptions {
  readonly api: Api;
  readonly browser: Browser;
  readonly agent: string | undefined;
  readonly attachments: Attachments;
  /** Nothing is sent before. */
  readonly ready: Promise<void>;
  /** Those of the transcript that is shown. */
  readonly turns: () => ReadonlyMap<string, unknown> | undefined;
  /** The first prompt of the place that is shown has made its session, with this agent. */
  readonly onSession: (session: string, agent: string) => void;
}

/** An entry as it outlives the page. */
interface Kept {
  readonly id: string;
  readonly session: string | null;
  readonly text: string;
  readonly files: readonly PromptBlock[];
  readonly context: unknown;
}

export function createPrompts(options: PromptOptions): Prompts {
  const { api, browser, agent, attachments, ready, turns, onSession } = options;
  const pending = signal<readonly PendingPrompt[]>([]);
  let entries: Entry[] = [];
  let shown: Place = { session: null };
  let last: Promise<unknown> = ready;
  let isKeeping = false;
  let isOver = false;

  function refresh(): void {
    entries = entries.filter(({ turn }) => turn === null || !turns()?.has(turn));
    pending.value = entries
      .filter(({ place }) => place === shown)
      .map(({ id, text, images, problem }) => ({ id, text, images: attachments.now(images), problem }));
    if (isKeeping) keep();
  }

  /** What was refused is not asked again by itself, and what has files that are still on their way is only half there. */
  function keep(): void {
    const kept = entries
      .filter((entry) => entry.turn === null && (entry.problem === null || isLost(entry)))
      .filter(({ images }) => images.length === 0)
      .map(({ id, place, text, files, context }): Kept => ({ id, session: place.session, text, files, context }));
    writeStored(browser.tabStorage, api.storageKey("pending"), kept.length === 0 ? null : toJson(kept));
  }

  /** Where prompts to this session go. */
  function placeOf(session: string | null): Place {
    if (shown.session === session) return shown;
    return entries.find(({ place }) => place.session === session && session !== null)?.place ?? { session };
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
    checkTurn(entry);
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

  /** One that may have begun the conversation must be heard of first: there would be two. */
  function checkTurn({ place }: Entry): void {
    const lost = place.session === null && entries.find((entry) => entry.place === place && isLost(entry));
    if (isOver || lost) throw new ApiProblem("unreachable", 0, lost ? lost.problem!.detail : "");
  }

  function failed(entry: Entry, { code, message: detail }: ApiProblem): void {
    entry.problem = { code, detail };
    refresh();
  }

  function resendLost(): void {
    for (const entry of entries) if (isLost(entry)) void enqueue(entry);
  }

  return {
    pending,
    send(prompt, place) {
      const entry: Entry = { ...prompt, id: newId(), place, problem: null, turn: null };
      entries.push(entry);
      return enqueue(entry);
    },
    async resend(id) {
      // In their order, so also those before it that were lost.
      const at = entries.findIndex((entry) => entry.id === id && entry.problem !== null);
      const { place } = entries[at] ?? {};
      const again = entries.filter(
        (entry, index) => index === at || (index < at && entry.place === place && isLost(entry)),
      );
      await Promise.all(again.map(enqueue));
    },
    resendLost,
    drop(id) {
      entries = entries.filter((entry) => entry.id !== id);
      refresh();
    },
    restore() {
      const kept = readKept(readStored(browser.tabStorage, api.storageKey("pending")));
      isKeeping = true;
      for (const { session, ...prompt } of kept) {
        const entry: Entry = { ...prompt, images: [], place: placeOf(session), problem: null, turn: null };
        entries.push(entry);
        void enqueue(entry);
      }
      refresh();
    },
    show(session) {
      shown = session === null ? { session } : placeOf(session);
      refresh();
      return shown;
    },
    refresh,
    destroy: () => void (isOver = true),
  };
}

/** It may have reached the gateway, or not. */
function isLost({ problem }: Entry): boolean {
  return problem?.code === "unreachable" || problem?.code === "no_token";
}

function readKept(text: string | null): Kept[] {
  try {
    return JSON.parse(text ?? "[]") as Kept[];
  } catch {
    // Somebody else's, or damaged.
    return [];
  }
}
