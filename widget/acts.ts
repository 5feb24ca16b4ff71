// What a person does with turns, beside sending prompts.
import type { Signal } from "@preact/signals";
import type { Api } from "./api.ts";
import type { Chat } from "./chat.ts";
import type { MoreActs } from "./more-acts.ts";
import type { Rating } from "./follower.ts";
import type { LiveSession } from "./live-session.ts";
import { asProblem, type ApiProblem } from "./problem.ts";
import type { NewPrompt, Place } from "./prompts.ts";
import type { Transcript } from "./transcript.ts";

export interface ActOptions {
  readonly api: Api;
  readonly agent: string | undefined;
  readonly transcript: Signal<Transcript | null>;
  /** Where prompts go now. */
  readonly here: () => Place;
  readonly send: (prompt: NewPrompt, place: Place) => Promise<void>;
  /** Rejects. */
  readonly cancel: (turn: string) => Promise<void>;
  /** Rejects. */
  readonly loadOlder: () => Promise<void>;
  /** The session that is shown. */
  readonly live: () => LiveSession | undefined;
  readonly newSession: () => void;
  readonly openSession: (session: string) => Promise<void>;
}

/** As those of the chat are; `stop` wants a turn. */
export interface Acts extends MoreActs, Pick<Chat, "approve" | "rate" | "loadOlder"> {
  stop(turn: string): Promise<void>;
}

export function createActs({
  tell,
  ...given
}: Omit<ActOptions, "cancel"> & { readonly tell: (problem: ApiProblem) => void }): Acts {
  const options: ActOptions = { ...given, cancel };
  const { api, transcript, live } = options;
  let loading: Promise<MoreActs> | undefined;

  function more(): Promise<MoreActs> {
    loading ??= import("./more-acts.ts").then(({ createMoreActs }) => createMoreActs(options));
    // Without a network it does not come: the next try asks again.
    loading.catch(() => (loading = undefined));
    return loading;
  }

  /** What goes wrong is told. */
  async function tried(act: Promise<unknown>): Promise<void> {
    await act.catch((error: unknown) => tell(asProblem(error)));
  }

  /** What goes wrong is told, and is the caller's too. */
  async function told<Result>(act: Promise<Result>): Promise<Result> {
    await tried(act);
    return act.catch((error: unknown) => Promise.reject(asProblem(error)));
  }

  async function cancel(turn: string): Promise<void> {
    await api.request("POST", `/api/turns/${turn}/cancel`);
  }

  async function approve(...[approval, body]: Parameters<Chat["approve"]>): Promise<void> {
    await api.request("POST", `/api/approvals/${approval}`, { body });
  }

  async function rate(turn: string, rating: "up" | "down" | null): Promise<void> {
    const before = transcript.peek()?.turns.get(turn)?.rating ?? null;
    const given: Rating = { kind: "rating", turn, rating };
    // What is shown may be another session by the time that the gateway has answered.
    const session = live();
    session?.rate(given);
    await api.request("PUT", `/api/turns/${turn}/rating`, { body: { rating } }).catch((error: unknown) => {
      session?.rate({ ...given, rating: before });
      throw error;
    });
    session?.share(given);
  }

  return {
    stop: (turn) => tried(cancel(turn)),
    rate: (turn, rating) => tried(rate(turn, rating)),
    approve: (approval, answer) => told(approve(approval, answer)),
    loadOlder: () => told(options.loadOlder()),
    retry: (turn) => tried(more().then((acts) => acts.retry(turn))),
    edit: (turn, text) => told(more().then((acts) => acts.edit(turn, text))),
    listSessions: (query, cursor) => told(more().then((acts) => acts.listSessions(query, cursor))),
    renameSession: (session, title) => told(more().then((acts) => acts.renameSession(session, title))),
    exportTranscript: (format) => told(more().then((acts) => acts.exportTranscript(format))),
  };
}
