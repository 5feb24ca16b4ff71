// The blocks of one message of the model, in order.
import type { Block, Message, TextBlock } from "../transcript.ts";
import { useState } from "preact/hooks";
import { AttachedImage } from "./attached-image.tsx";
import { MarkdownText, ToolCard } from "./chunks.ts";
import { Icon, icons } from "./icon.tsx";
import { useWords } from "./scene.ts";

export function Blocks({ message, turn }: { readonly message: Message; readonly turn: string }) {
  return (
    <>
      {message.blocks.map((block) => (
        <OneBlock key={`${block.index} ${block.type}`} block={block} turn={turn} />
      ))}
    </>
  );
}

function OneBlock({ block, turn }: { readonly block: Block; readonly turn: string }) {
  const say = useWords();
  switch (block.type) {
    case "text":
      return <Text block={block} part="text" />;
    case "thinking":
      return <Thinking block={block} />;
    case "tool":
      return <ToolCard block={block} turn={turn} fallback={<span class="chip">{block.name}</span>} />;
    case "image":
      return <AttachedImage hash={block.attachment} />;
    case "document":
    case "attachment":
      return <span class="chip">{block.title ?? say("attachment")}</span>;
    case "context":
      return <ContextChip context={block.context} />;
    case "other":
      return <span class="chip">{say("other_block")}</span>;
  }
}

/** Until the code that draws Markdown is there, the text stands as it came. */
function Text({ block, part }: { readonly block: TextBlock; readonly part: string }) {
  const plain = (
    <div class="plain" part={part} dir="auto">
      {block.text}
    </div>
  );
  return <MarkdownText block={block} part={part} fallback={plain} />;
}

/** Folded, and drawn when it is opened. */
function Thinking({ block }: { readonly block: TextBlock }) {
  const say = useWords();
  const [isOpen, setOpen] = useState(false);
  return (
    <div class="thinking" part="thinking">
      <button type="button" class="thinking-head" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon path={icons.chevron} />
        <span class={block.isDone ? undefined : "shimmer"}>{say(block.isDone ? "thought" : "thinking")}</span>
      </button>
      {isOpen && <Text block={block} part="thinking-text" />}
    </div>
  );
}

export function ContextChip({ context }: { readonly context: unknown }) {
  const say = useWords();
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="chip" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        <Icon path={icons.info} />
        {say("context")}
      </button>
      {isOpen && (
        <pre tabIndex={0} dir="auto">
          {JSON.stringify(context, null, 2)}
        </pre>
      )}
    </>
  );
}
