// `<sluice-chat>`: what a page sets and calls, on one side; a chat with its views, on the other. The chat lives while the element is in the page,
// and outlives a move within it.
import { effect, signal, untracked, type ReadonlySignal } from "@preact/signals";
import { createApi, type Api } from "./api.ts";
import { optionOf, readText, textOptions } from "./attributes.ts";
import { createChat, type Chat, type ChatEvent } from "./chat.ts";
import { mountViews, type Mounted } from "./mount.tsx";
import type { Options } from "./options.ts";
import type { SluiceChatElement, SluiceEvents } from "./page.ts";
import { adoptStyle } from "./stylesheet.ts";
import { wordsOf } from "./language.ts";
import type { Say } from "./view/words.ts";

/** A chat, its connection and its views. */
interface Life {
  readonly api: Api;
  readonly chat: Chat;
  /** Null until there are texts. */
  views: Mounted | null;
  /** What it was made for; with another of these it is another chat. */
  readonly madeFor: string;
}

/** `…/widget/<this module>`: the gateway is where the widget came from. */
const home = new URL(/* @vite-ignore */ "..", import.meta.url).href.replace(/\/$/, "");

/** How long an element that was taken out may be on its way to another place. */
const moveMs = 100;

const properties = [...textOptions, "getToken"] as const;

export class SluiceChat extends HTMLElement implements SluiceChatElement {
  static readonly observedAttributes = [...textOptions, "token-url", "tokenurl", "open"];

  declare agent: Options["agent"];
  declare session: Options["session"];
  declare mode: Options["mode"];
  declare title: string;
  declare greeting: Options["greeting"];
  declare suggestions: Options["suggestions"];
  declare placeholder: Options["placeholder"];
  declare language: Options["language"];
  declare texts: Options["texts"];
  declare theme: Options["theme"];
  declare gateway: Options["gateway"];
  declare tokenUrl: Options["tokenUrl"];
  declare getToken: Options["getToken"];

  readonly #options = signal<Options>({});
  readonly #words = wordsOf(this.#options);
  #life: Life | null = null;
  /** As it is to be drawn. */
  #isOpen = false;
  /** The option as it was last heeded. */
  #session: string | undefined;
  #leaving: ReturnType<typeof setTimeout> | undefined;
  #watching: (() => void) | undefined;

  connectedCallback(): void {
    clearTimeout(this.#leaving);
    if (this.#watching) return;
    for (const name of [...properties, "open"] as const) this.#takeOver(name);
    if (!this.shadowRoot) adoptStyle(this.attachShadow({ mode: "open" }), this.nonce);
    // Every change of an option is seen here; the views see it themselves.
    this.#watching = effect(() => {
      const options = this.#options.value;
      const hasWords = this.#words.value !== null;
      untracked(() => {
        this.#live(options);
        if (hasWords) this.#draw();
      });
    });
  }

  /** What does not move it through nowhere (`moveBefore`) is no parting. */
  connectedMoveCallback(): void {}

  disconnectedCallback(): void {
    this.#leaving = setTimeout(() => this.#end(), moveMs);
  }

  attributeChangedCallback(name: string, _before: string | null, value: string | null): void {
    const option = optionOf(name);
    if (name === "open") this.open = value;
    else this.#set({ [option]: readText(option, value) });
  }

  get isOpen(): boolean {
    return this.#life?.views?.scene.isOpen.peek() ?? this.#isOpen;
  }
  /** A framework that binds the attribute sets the property where the element has one, and would put a boolean in the method's place. */
  get open(): () => void {
    return () => this.#show(true);
  }
  /** An empty text is yes, as everywhere in HTML; `false` is what Vue writes. */
  set open(isOpen: boolean | string | null | undefined) {
    this.#show(isOpen === "" || (!!isOpen && isOpen !== "false"));
  }
  close(): void {
    this.#show(false);
  }
  toggle(): void {
    this.#show(!this.isOpen);
  }
  send(text?: string): Promise<void> {
    return this.#chat.send(text);
  }
  stop(): Promise<void> {
    return this.#chat.stop();
  }
  newSession(): void {
    this.#chat.newSession();
  }
  openSession(session: string): Promise<void> {
    return this.#chat.openSession(session);
  }
  setDraft(text: string): void {
    this.#chat.draft.value = text;
  }
  setContext(context: unknown): void {
    this.#chat.context.value = context;
  }
  approve(approval: string, answer: Parameters<SluiceChatElement["approve"]>[1] = {}): Promise<void> {
    return this.#chat.approve(approval, { decision: "allow", ...answer });
  }
  exportTranscript(format: "md" | "json" = "md"): Promise<Blob> {
    return this.#chat.exportTranscript(format);
  }
  focusComposer(): void {
    this.#life?.views?.scene.composer.current?.focus();
  }
  destroy(): void {
    this.remove();
    clearTimeout(this.#leaving);
    this.#end();
  }

  get #chat(): Chat {
    if (!this.#life) throw new Error("<sluice-chat> is not in a page");
    return this.#life.chat;
  }

  /** @internal */
  get options(): Options {
    return this.#options.peek();
  }

  /** @internal */
  set options(changed: Options) {
    const { mode, ...others } = changed;
    this.#set(others);
    // By its attribute: on that hangs the height of one that stands in the page's text.
    if (mode !== undefined) this.setAttribute("mode", mode);
    else if ("mode" in changed) this.removeAttribute("mode");
  }

  #set(changed: Options): void {
    this.#options.value = { ...this.#options.peek(), ...changed };
  }

  #show(isOpen: boolean): void {
    this.#isOpen = isOpen;
    this.#life?.views?.scene[isOpen ? "open" : "close"](false);
  }

  /** A property that was set before the element was defined hides the accessor. */
  #takeOver(name: (typeof properties)[number] | "open"): void {
    if (!Object.hasOwn(this, name)) return;
    const own = { [name]: this[name] };
    Reflect.deleteProperty(this, name);
    Object.assign(this, own);
  }

  /** Makes the chat that these options ask for, where the one that is there is another. */
  #live(options: Options): void {
    const { agent, gateway = home, tokenUrl, session } = options;
    // A page's framework may make a new function each time that it draws: the newest one is asked, and the chat stays.
    const getToken = options.getToken && (() => this.options.getToken!());
    const madeFor = JSON.stringify([agent, gateway, tokenUrl, !!getToken]);
    if (this.#life?.madeFor === madeFor) return this.#goTo(session);
    this.#session = session;
    const isOpen = this.isOpen;
    this.#endLife();
    // Against the page's address: that of a page that has none of its own (`srcdoc`) is its parent's.
    const { href } = new URL(gateway, document.baseURI);
    const api = createApi({ gateway: href.replace(/\/$/, ""), agent, tokenUrl, getToken });
    const onEvent = ({ type, ...detail }: ChatEvent) => {
      this.#emit(`sluice:${type}`, detail);
      this.#life?.views?.onEvent({ type, ...detail } as ChatEvent);
    };
    this.#isOpen = isOpen;
    this.#life = { api, chat: createChat({ api, agent, session, onEvent }), views: null, madeFor };
  }

  #draw(): void {
    const life = this.#life!;
    if (life.views) return;
    life.views = mountViews(this.shadowRoot!, {
      chat: life.chat,
      options: this.#options,
      words: this.#words as ReadonlySignal<Say>,
      isOpen: this.#isOpen,
      onOpen: () => this.#emit("sluice:open", null),
      onClose: () => this.#emit("sluice:close", null),
    });
    queueMicrotask(() => this.#emit("sluice:ready", null));
  }

  /** Another session was set. */
  #goTo(session: string | undefined): void {
    if (session === this.#session) return;
    this.#session = session;
    if (session === "new") this.newSession();
    else if (session !== undefined) void this.openSession(session);
  }

  #end(): void {
    if (this.isConnected) return;
    this.#watching?.();
    this.#watching = undefined;
    this.#endLife();
  }

  #endLife(): void {
    this.#life?.views?.unmount();
    this.#life?.chat.destroy();
    this.#life?.api.destroy();
    this.#life = null;
  }

  #emit(type: keyof SluiceEvents, detail: unknown): void {
    this.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, composed: true }));
  }
}

for (const name of properties)
  Object.defineProperty(SluiceChat.prototype, name, {
    configurable: true,
    enumerable: true,
    get(this: SluiceChat) {
      return this.options[name];
    },
    set(this: SluiceChat, value: unknown) {
      this.options = {
        [name]: typeof value === "string" ? readText(name as (typeof textOptions)[number], value) : value,
      };
    },
  });
