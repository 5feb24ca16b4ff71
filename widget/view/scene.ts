// What all views of one conversation share.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { ReadonlySignal, Signal } from "@preact/signals";
import type { Chat } from "../chat.ts";
import type { Options } from "../options.ts";
import type { Say } from "./words.ts";
import type { Parts } from "./parts.ts";

export interface Scene {
  readonly chat: Chat;
  readonly parts: Parts;
  readonly options: ReadonlySignal<Options>;
  readonly words: ReadonlySignal<Say>;
  readonly isOpen: Signal<boolean>;
  /** Which view stands over the transcript. */
  readonly overlay: Signal<"sessions" | null>;
  /** Approvals that a person is or was asked for here, without those that were answered here: when they are decided, it was elsewhere. */
  readonly openHere: Set<string>;
  /** What screen readers are told: in its turn, and at once. */
  readonly polite: Signal<string>;
  readonly alert: Signal<string>;
  readonly launcher: { current: HTMLButtonElement | null };
  /** The part of the composer that a person types in; null while it is not drawn. */
  readonly composer: { current: HTMLTextAreaElement | null };
  /** By a person: then the focus goes to the composer, and comes back when it is closed. Default: it is. */
  open(isByPerson?: boolean): void;
  close(): void;
}

export const SceneContext = createContext<Scene | null>(null);

export function useScene(): Scene {
  const scene = useContext(SceneContext);
  if (!scene) throw new Error("a view outside of its scene");
  return scene;
}

/** The texts as they are now: a component that calls it is drawn anew when they change. */
export function useWords(): Say {
  return useScene().words.value;
}
