// A text of the model that grows: drawn by appending, outside of Preact's comparison.
import { useLayoutEffect, useRef } from "preact/hooks";
import { createMarkdown, type MarkdownView } from "../../markdown/markdown.ts";
import type { TextBlock } from "../../transcript.ts";
import { more } from "../chunks.ts";
import { highlight } from "./highlight.ts";
import { useScene } from "../scene.ts";

interface Drawn {
  readonly view: MarkdownView;
  length: number;
  isEnded: boolean;
}

export function MarkdownText({ block, part }: { readonly block: TextBlock; readonly part: string }) {
  const { words } = useScene();
  const target = useRef<HTMLDivElement>(null);
  const drawn = useRef<Drawn | null>(null);
  useLayoutEffect(() => {
    const say = words.peek();
    const view = createMarkdown(target.current!, {
      imageOrigins: [window.origin],
      texts: { copy: say("copy"), copied: say("copied"), image: say("image"), task: say("task") },
      copy,
      highlight,
    });
    drawn.current = { view, length: 0, isEnded: false };
    return () => view.destroy();
  }, []);
  useLayoutEffect(() => {
    const { text, tail, isDone } = block;
    const state = drawn.current!;
    if (text.length < state.length || (state.isEnded && text.length > state.length)) {
      state.view.reset();
      Object.assign(state, { length: 0, isEnded: false });
    }
    // Cutting a long text at every delta would cost as much as the text is long.
    if (tail?.offset === state.length) state.view.append(tail.text);
    else if (text.length > state.length) state.view.append(text.slice(state.length));
    state.length = text.length;
    if (isDone && !state.isEnded) {
      state.view.end();
      state.isEnded = true;
    }
  }, [block]);
  return <div class="md" part={part} ref={target} />;
}

async function copy(code: string, near: Element): Promise<boolean> {
  // Offline it may not be there.
  const chunk = await more().catch(() => null);
  return chunk !== null && chunk.copyText(code, near);
}
