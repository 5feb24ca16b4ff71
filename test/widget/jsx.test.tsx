// What TypeScript knows of the element in JSX and of its events; most of it is checked by compiling this.
import type { HTMLAttributes } from "preact";
import { expect, test } from "vitest";
import type { Mount, SluiceChatAttributes, SluiceChatElement } from "../../widget/page.ts";

declare module "preact" {
  namespace JSX {
    interface IntrinsicElements {
      "sluice-chat": HTMLAttributes<SluiceChatElement> & SluiceChatAttributes;
    }
  }
}

test("JSX takes the element's attributes and events by their names, and nothing wrong in them", () => {
  const heard: string[] = [];
  const chat = (
    <sluice-chat
      agent="default"
      mode="inline"
      token-url="/sluice-token"
      suggestions='["One"]'
      open
      onsluice:answer={({ detail }) => heard.push(detail.text)}
    />
  );
  // @ts-expect-error There is no such mode.
  const wrongMode = <sluice-chat mode="window" />;
  // @ts-expect-error An answer has no such field.
  const wrongDetail = <sluice-chat onsluice:answer={({ detail }) => heard.push(detail.answer)} />;
  expect([chat, wrongMode, wrongDetail].map(({ type }) => type)).toEqual(Array(3).fill("sluice-chat"));
  expect(chat.props).toMatchObject({ "token-url": "/sluice-token", open: true });
});

test("events are known where they bubble to: the element, the document, the window", () => {
  const listen = (mount: Mount) => {
    const chat = mount({ suggestions: ["One"] });
    chat.addEventListener("sluice:answer", ({ detail }) => detail.text satisfies string);
    document.addEventListener("sluice:session", ({ detail }) => detail.session satisfies string | null);
    window.addEventListener("sluice:error", ({ detail }) => detail.code satisfies string);
  };
  expect(listen).toBeTypeOf("function");
});
