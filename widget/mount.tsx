// Draws one chat into a root: the transcript goes to the views once a frame, whatever the pace of its events.
import { render } from "preact";
import { effect, signal, type ReadonlySignal } from "@preact/signals";
import type { Chat, ChatEvent } from "./chat.ts";
import type { Options } from "./options.ts";
import { App } from "./view/app.tsx";
import { more } from "./view/chunks.ts";
import { isTouch } from "./view/keyboards.ts";
import type { Announcer } from "./view/more/announcer.ts";
import { createParts } from "./view/parts.ts";
import type { Scene } from "./view/scene.ts";
import type { Say } from "./view/words.ts";

export interface MountOptions {
  readonly chat: Chat;
  readonly options: ReadonlySignal<Options>;
  readonly words: ReadonlySignal<Say>;
  readonly onOpen: () => void;
  readonly onClose: () => void;
  readonly isOpen: boolean;
}

export interface Mounted {
  readonly scene: Scene;
  /** What the chat tells is also said to screen readers. */
  onEvent(event: ChatEvent): void;
  unmount(): void;
}

export function mountViews(root: ShadowRoot | Element, mountOptions: MountOptions): Mounted {
  const { chat, options, words, onOpen, onClose } = mountOptions;
  const parts = createParts();
  const isOpen = signal(mountOptions.isOpen);
  const [composer, launcher]: [Scene["composer"], Scene["launcher"]] = [{ current: null }, { current: null }];
  /** Where the focus was when a person opened the panel. */
  let before: HTMLElement | null = null;

  const scene: Scene = {
    chat,
    parts,
    options,
    words,
    isOpen,
    overlay: signal(null),
    openHere: new Set(),
    polite: signal(""),
    alert: signal(""),
    composer,
    launcher,
    open(isByPerson = true) {
      if (isOpen.peek()) return;
      before = isByPerson ? null : focused();
      isOpen.value = true;
      onOpen();
      // In the composer an on-screen keyboard would come up, over what is there to read.
      const first = isTouch() ? ".panel button" : ".input";
      if (isByPerson) afterDrawing(() => root.querySelector<HTMLElement>(first)?.focus());
    },
    close() {
      if (!isOpen.peek()) return;
      const hadFocus = root instanceof ShadowRoot && root.activeElement !== null;
      isOpen.value = false;
      onClose();
      if (hadFocus) afterDrawing(() => (before?.isConnected ? before : launcher.current)?.focus());
    },
  };
  let announcer: Announcer | undefined;
  const announce = async (event: ChatEvent) => {
    const { createAnnouncer } = await more();
    announcer ??= createAnnouncer({
      polite: scene.polite,
      alert: scene.alert,
      words: () => words.peek(),
      plainText: (turn) => textOf(root.querySelector(`[data-turn="${CSS.escape(turn)}"]`)),
    });
    announcer.onEvent(event);
  };
  const stopDrawing = drawEachFrame(chat, parts.update);
  render(<App scene={scene} />, root);
  return {
    scene,
    onEvent(event) {
      // Of these there is nothing to say, and they come before anybody has asked anything.
      if (event.type === "status" || event.type === "session") return;
      // Where its chunk cannot be had, nothing can be announced.
      void announce(event).catch(() => {});
    },
    unmount() {
      stopDrawing();
      announcer?.destroy();
      render(null, root);
    },
  };
}

function drawEachFrame(chat: Chat, draw: (transcript: Chat["transcript"]["value"]) => void): () => void {
  let frame = 0;
  let drawnSession: string | null | undefined;
  const stop = effect(() => {
    const transcript = chat.transcript.value;
    const session = transcript?.session ?? null;
    // Another conversation at once: its first drawing is what a person waits for.
    if (session !== drawnSession) {
      drawnSession = session;
      return draw(transcript);
    }
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw(chat.transcript.peek());
    });
    return undefined;
  });
  return () => {
    stop();
    cancelAnimationFrame(frame);
  };
}

function afterDrawing(act: () => void): void {
  requestAnimationFrame(() => setTimeout(act));
}

function focused(): HTMLElement | null {
  const { activeElement } = document;
  return activeElement instanceof HTMLElement && activeElement !== document.body ? activeElement : null;
}

/** The texts of an answer, without its tools, buttons and thoughts. */
function textOf(answer: Element | null): string {
  const texts = answer?.querySelectorAll(':scope > .messages > [part="text"]') ?? [];
  return [...texts].map((text) => text.textContent.trim()).join("\n");
}
