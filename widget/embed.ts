// The module that pages load: defines `<sluice-chat>`, and makes one from code.
import { SluiceChat } from "./element.ts";
import type { Mount } from "./page.ts";

const tag = "sluice-chat";

// Two versions on one page: the first stays.
if (!customElements.get(tag)) customElements.define(tag, SluiceChat);

export const mount: Mount = ({ target = document.body, open, nonce = "", ...rest } = {}) => {
  const chat = document.createElement(tag) as SluiceChat;
  chat.nonce = nonce;
  chat.options = rest;
  chat.open = open;
  target.append(chat);
  return chat;
};
