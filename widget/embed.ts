// The module that pages load: defines `<sluice-chat>`, and makes one from code.
import { SluiceChat } from "./element.ts";
import type { Options } from "./options.ts";
import type { SluiceChatElement } from "./page.ts";

const tag = "sluice-chat";

// Two versions on one page: the first stays.
if (!customElements.get(tag)) customElements.define(tag, SluiceChat);

/** Puts a chat at the end of `target` (default: the body), and returns its element. */
export function mount({
  target = document.body,
  ...options
}: Options & { readonly target?: Element } = {}): SluiceChatElement {
  const { open = false, nonce = "", ...rest } = options;
  const chat = document.createElement(tag) as unknown as SluiceChat;
  chat.nonce = nonce;
  chat.options = rest;
  chat.toggleAttribute("open", open);
  target.append(chat);
  return chat;
}
