// What is not needed all the time: the conversation as a file, and what it has used.
import { useEffect, useRef, useState } from "preact/hooks";
import { IconButton } from "./buttons.tsx";
import { Icon } from "./icon.tsx";
import { useScene, useWords } from "./scene.ts";

export function Menu() {
  const { chat } = useScene();
  const say = useWords();
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const close = (isBack: boolean) => {
    setOpen(false);
    if (isBack) box.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!isOpen) return undefined;
    items(box.current)[0]?.focus();
    const onPointer = (event: Event) => event.composedPath().includes(box.current!) || close(false);
    const root = box.current!.getRootNode();
    root.addEventListener("pointerdown", onPointer);
    return () => root.removeEventListener("pointerdown", onPointer);
  }, [isOpen]);
  const save = async (format: "md" | "json") => {
    close(true);
    download(await chat.exportTranscript(format), `conversation.${format}`);
  };
  const isEmpty = chat.session.value === null;
  return (
    <div
      class="menu-box"
      ref={box}
      onKeyDown={(event) => {
        if (isOpen && walk(event, box.current!, () => close(true))) event.preventDefault();
      }}
      onFocusOut={({ relatedTarget }) => {
        if (relatedTarget && !box.current?.contains(relatedTarget as Node)) setOpen(false);
      }}
    >
      <IconButton
        icon="more"
        label={say("menu")}
        hasPopup="menu"
        isExpanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      />
      {isOpen && (
        <div class="menu" part="menu" role="menu" aria-label={say("menu")}>
          {(["md", "json"] as const).map((format) => (
            <button
              key={format}
              type="button"
              role="menuitem"
              tabIndex={-1}
              aria-disabled={isEmpty}
              onClick={() => isEmpty || void save(format).catch(() => {})}
            >
              <Icon name="save" />
              {say(`export_${format}`)}
            </button>
          ))}
          <Usage />
        </div>
      )}
    </div>
  );
}

function items(box: HTMLElement | null): HTMLElement[] {
  return [...(box?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
}

/** Whether the key was for it. */
function walk(event: KeyboardEvent, box: HTMLElement, close: () => void): boolean {
  const all = items(box);
  const here = all.indexOf((box.getRootNode() as ShadowRoot).activeElement as HTMLElement);
  const moves: Record<string, () => void> = {
    ArrowDown: () => all[(here + 1) % all.length]?.focus(),
    ArrowUp: () => all.at((here <= 0 ? all.length : here) - 1)?.focus(),
    Home: () => all[0]?.focus(),
    End: () => all.at(-1)?.focus(),
    Escape: () => {
      event.stopPropagation();
      close();
    },
  };
  const move = moves[event.key];
  move?.();
  return move !== undefined;
}

/** What the turns that are loaded have used. */
function Usage() {
  const { chat } = useScene();
  const say = useWords();
  const turns = [...(chat.transcript.value?.turns.values() ?? [])].filter(({ state }) => state === "completed");
  if (turns.length === 0) return null;
  const sum = (of: (turn: (typeof turns)[number]) => number) => turns.reduce((total, turn) => total + of(turn), 0);
  const tokens = sum(({ usage }) => (usage?.input_tokens ?? 0) + (usage?.output_tokens ?? 0));
  const cost = say.cost(sum(({ costUsd }) => costUsd ?? 0));
  return <p class="muted usage">{say("usage", { turns: turns.length, tokens: say.number(tokens), cost })}</p>;
}

function download(file: Blob, name: string): void {
  const url = URL.createObjectURL(file);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  // It need not stand in the page.
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
