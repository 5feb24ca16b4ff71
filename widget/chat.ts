// What views draw and call: the signals of one conversation, and the acts of its person. Views never fetch; this never draws. All that they
// may know of it stands here at the top, which makes the file long.
import { batch, computed, effect, signal, untracked, type ReadonlySignal, type Signal } from "@preact/signals";
import { createActs } from "./acts.ts";
import type { Api } from "./api.ts";
import { createAttachments } from "./attachments.ts";
import { thisBrowser, type Browser } from "./browser.ts";
import { chatEventsOf } from "./chat-events.ts";
import { finalState, lostState } from "./connection.ts";
import { createDraft } from "./draft.ts";
import { openLiveSession, type LiveSession } from "./live-session.ts";
import type { Connection, SluiceEvents } from "./page.ts";
import { asProblem, type ApiProblem } from "./problem.ts";
import { createPrompts } from "./prompts.ts";
import { createRetry } from "./retry.ts";
import { readStored, writeStored } from "./storage.ts";
import { isPrompt, textOf } from "./transcript-words.ts";
import type { Transcript, Turn } from "./transcript.ts";

export interface DraftImage {
  readonly id: string;
  readonly name: string;
  /** A blob: address, revoked when the image is gone. */
  readonly preview: string;
  readonly state: "uploading" | "ready" | "failed";
  readonly attachment: string | null;
}

/** A prompt that was sent and is not in the transcript yet. */
export interface PendingPrompt {
  readonly id: string;
  readonly text: string;
  readonly images: readonly DraftImage[];
  /** Why it could not be sent: `code` of the problem and its words. Null while it is under way. */
  readonly problem: Problem | null;
}

/** `code`: one of the gateway's, `unreachable`, or `no_token`: the page gave none. */
export interface Problem {
  readonly code: string;
  readonly detail: string;
}

export interface SessionSummary {
  readonly session: string;
  readonly title: string | null;
  readonly state: string | null;
  readonly updatedAt: string;
}

export interface ApprovalAnswer {
  readonly decision: "allow" | "deny";
  readonly scope?: "once" | "session" | undefined;
  readonly message?: string | undefined;
  readonly answers?: Readonly<Record<string, string | readonly string[]>> | undefined;
}

/** What a page is told: of what happens while it watches, not of what a transcript had before. Each is one DOM event, `sluice:<type>`. */
export type ChatEvent = {
  [Type in EventType]: { readonly type: Type } & SluiceEvents[`sluice:${Type}`];
}[EventType];

type EventType = "session" | "turn" | "answer" | "tool" | "approval" | "status" | "error";

export interface ChatOptions {
  readonly api: Api;
  /** Without it the gateway's only or default one. */
  readonly agent?: string | undefined;
  /** A session's id, or `new`. Without it the last one of this agent and user in this browser. */
  readonly session?: string | undefined;
  readonly onEvent?: ((event: ChatEvent) => void) | undefined;
  /** For tests. */
  readonly browser?: Browser | undefined;
}

/** Acts that say so may reject with an `ApiProblem`; what goes wrong is in `problem` or `pending` too, but for attachments. */
export interface Chat {
  /** Null before there is a session. */
  readonly transcript: ReadonlySignal<Transcript | null>;
  readonly session: ReadonlySignal<string | null>;
  readonly connection: ReadonlySignal<Connection>;
  /** The first page is being fetched. */
  readonly isLoading: ReadonlySignal<boolean>;
  readonly pending: ReadonlySignal<readonly PendingPrompt[]>;
  /** The turn that runs or waits for a person; null: none. */
  readonly runningTurn: ReadonlySignal<string | null>;
  /** The newest thing that went wrong, until dismissed (set to null). */
  readonly problem: Signal<Problem | null>;
  readonly draft: Signal<string>;
  readonly images: ReadonlySignal<readonly DraftImage[]>;
  /** What `setContext` gave, sent with the next prompt and shown to the person. */
  readonly context: Signal<unknown>;
  /** The prompts of this session, newest first, for arrow-up. */
  readonly history: ReadonlySignal<readonly string[]>;

  /** Sends the draft with its images (or this text). Resolves when the gateway has taken it, or with a `problem` in `pending`. */
  send(text?: string): Promise<void>;
  /** Sends a pending prompt that failed again. */
  resend(pendingId: string): Promise<void>;
  dropPending(pendingId: string): void;
  /** Cancels this turn, or the running one. */
  stop(turn?: string): Promise<void>;
  /** The prompt of this turn again, as a new turn. */
  retry(turn: string): Promise<void>;
  /** Rejects. Branches before this turn and sends the text there: goes on in the new session. Of one that waits in line: sent here, behind what waits. */
  edit(turn: string, text: string): Promise<void>;
  /** Rejects. `conflict`: somebody else was first; the transcript then says who. */
  approve(approval: string, answer: ApprovalAnswer): Promise<void>;
  rate(turn: string, rating: "up" | "down" | null): Promise<void>;
  addImages(files: readonly File[]): Promise<void>;
  removeImage(id: string): void;
  /** Rejects. Fetches the page of older messages, if there is one. */
  loadOlder(): Promise<void>;
  newSession(): void;
  /** Resolves when it is there, or it is known why not. */
  openSession(session: string): Promise<void>;
  /** Rejects. The sessions of this agent, the newest first; `query`: words that must occur. */
  listSessions(
    query: string,
    cursor?: string,
  ): Promise<{ readonly sessions: readonly SessionSummary[]; readonly next: string | null }>;
  /** Rejects. */
  renameSession(session: string, title: string): Promise<void>;
  /** Rejects. The whole transcript as a file. */
  exportTranscript(format: "md" | "json"): Promise<Blob>;
  /** Rejects. The bytes of an attachment as a blob: address, cached; revoked by `destroy`. */
  attachmentUrl(hash: string): Promise<string>;
  /** The same as text: a page's policy may forbid to fetch a blob: address. */
  attachmentText(hash: string): Promise<string>;
  /** Connects anew at once: after `signed_out`, or at a person's wish. */
  reconnect(): void;
  destroy(): void;
}

export function createChat({ api, agent, session: asked, onEvent, browser = thisBrowser() }: ChatOptions): Chat {
  const transcript = signal<Transcript | null>(null);
  const session = signal<string | null>(null);
  const connection = signal<Connection>("connecting");
  const isLoading = signal(true);
  const problem = signal<Problem | null>(null);
  const context = signal<unknown>(null);
  // Deltas leave the map of turns as it is: what rests on it is not computed for each of them.
  const turns = computed(() => transcript.value?.turns);
  const runningTurn = computed(() => [...(turns.value?.values() ?? [])].find(isRunning)?.id ?? null);
  const history = computed(() => (turns.value ? promptsOf(transcript.peek()!) : []));

  const retry = createRetry(browser);
  const started = Promise.withResolvers<void>();
  let hasStarted = false;
  let hasTold = false;
  let isDestroyed = false;
  /** Until it is known who the user is. */
  let wanted = asked;
  let live: LiveSession | undefined;

  const draft = createDraft(api, browser);
  const attachments = createAttachments({ api, browser, onChange: () => prompts.refresh(), onProblem: tell });
  const prompts = createPrompts({
    api,
    browser,
    agent,
    attachments,
    ready: started.promise,
    turns: () => turns.peek(),
    onSession(made, madeFor) {
      draft.adopt(made);
      follow(made, { madeFor });
    },
  });
  let place = prompts.show(null);
  const stopNoting = effect(() => {
    if (!turns.value) return;
    untracked(prompts.refresh);
    // The gateway is there: it may have taken what it has not answered.
    untracked(prompts.resendLost);
  });
  const here = () => place;
  /** That somebody is signed out is a state; why, is for who embeds the widget. */
  const tellRefusal = (refused: ApiProblem) =>
    refused.status === 401 ? console.error(`sluice: ${refused.message}`) : tell(refused);
  const acts = createActs({
    api,
    agent,
    transcript,
    tell,
    here,
    send: prompts.send,
    async loadOlder() {
      const from = live;
      // Whoever has gone to another conversation misses nothing.
      await from?.loadOlder().catch((error: unknown) => from === live && Promise.reject(asProblem(error)));
    },
    live: () => live,
    newSession,
    openSession,
  });

  function tell({ code, message: detail }: ApiProblem): void {
    if (isDestroyed) return;
    problem.value = { code, detail };
    onEvent?.({ type: "error", code, detail });
  }

  function setConnection(next: Connection): void {
    if (isDestroyed || next === connection.peek()) return;
    connection.value = next;
    if (next === "live") prompts.resendLost();
    onEvent?.({ type: "status", connection: next });
  }

  function start(): void {
    api.identify().then(begin, (error: unknown) => {
      const failed = asProblem(error);
      const final = finalState(failed);
      isLoading.value = false;
      if (failed.code === "no_token" && !hasTold) tell(failed);
      hasTold ||= failed.code === "no_token";
      setConnection(final ?? lostState(browser, false));
      if (final === undefined && !isDestroyed) retry.later(start, failed.retryAfterMs ?? 0);
      else tellRefusal(failed);
    });
  }

  function begin(): void {
    if (isDestroyed || hasStarted) return;
    hasStarted = true;
    const remembered = wanted === undefined ? readStored(browser.storage, api.storageKey("session")) : null;
    const first = remembered ?? wanted;
    if (first === undefined || first === "new") {
      beginAnew();
      prompts.restore();
      return started.resolve();
    }
    // What was sent meanwhile goes there, if it is there.
    place.session = first;
    draft.show(first);
    prompts.restore();
    void follow(first, { isRemembered: remembered !== null }).loaded.then(started.resolve);
  }

  function show(id: string | null): void {
    live?.close();
    live = undefined;
    batch(() => {
      transcript.value = null;
      session.value = id;
    });
    writeStored(browser.storage, api.storageKey("session"), id);
    onEvent?.({ type: "session", session: id });
  }

  function follow(id: string, { isRemembered = false, madeFor }: { isRemembered?: boolean; madeFor?: string } = {}) {
    show(id);
    live = openLiveSession({
      api,
      browser,
      session: id,
      madeFor,
      transcript,
      isLoading,
      onConnection: setConnection,
      onEvents: (events) =>
        events.flatMap((event) => chatEventsOf(event, transcript.peek()!)).forEach((event) => onEvent?.(event)),
      onRefused(refused) {
        if (isRemembered && refused.status === 404) beginAnew();
        else tellRefusal(refused);
      },
    });
    return live;
  }

  /** The place that is shown has no session yet. */
  function beginAnew(): void {
    place.session = null;
    show(null);
    draft.show(null);
    isLoading.value = false;
    setConnection("idle");
  }

  function newSession(): void {
    if (!hasStarted) return void (wanted = "new");
    place = prompts.show(null);
    beginAnew();
  }

  async function openSession(id: string): Promise<void> {
    if (hasStarted) {
      place = prompts.show(id);
      draft.show(id);
      follow(id);
    } else wanted = id;
    await started.promise;
    await live?.loaded;
  }

  browser.window.addEventListener("online", prompts.resendLost);
  start();
  return {
    transcript,
    session,
    connection,
    isLoading,
    pending: prompts.pending,
    runningTurn,
    problem,
    draft: draft.text,
    images: attachments.images,
    context,
    history,
    ...acts,
    async send(text) {
      const words = (text ?? draft.text.peek()).trim();
      const images = text === undefined ? attachments.take() : [];
      if (words === "" && images.length === 0) return;
      if (text === undefined) draft.text.value = "";
      const facts = context.peek() ?? null;
      context.value = null;
      await prompts.send({ text: words, images, files: [], context: facts }, place);
    },
    resend: prompts.resend,
    dropPending: prompts.drop,
    async stop(turn = runningTurn.peek() ?? undefined) {
      if (turn !== undefined) await acts.stop(turn);
    },
    addImages: attachments.add,
    removeImage: attachments.remove,
    newSession,
    openSession,
    attachmentUrl: attachments.url,
    attachmentText: attachments.text,
    reconnect() {
      api.forgetToken();
      retry.stop();
      if (hasStarted) live?.reconnect();
      else start();
    },
    destroy() {
      isDestroyed = true;
      retry.stop();
      browser.window.removeEventListener("online", prompts.resendLost);
      live?.close();
      prompts.destroy();
      stopNoting();
      draft.destroy();
      attachments.destroy();
    },
  };
}

function isRunning({ state }: Turn): boolean {
  return state === "running" || state === "waiting";
}

function promptsOf({ messages }: Transcript): string[] {
  return messages.filter(isPrompt).map(textOf).toReversed();
}
