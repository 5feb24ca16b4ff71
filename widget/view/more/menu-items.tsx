// What the menu offers: the conversation as a file, and what it has used.
import { useEffect, useRef } from "preact/hooks";
import { download } from "../buttons.tsx";
import { compact, dollars } from "./amounts.ts";
import { icons as moreIcons } from "./icons.ts";
import { Icon } from "../icon.tsx";
import { useScene, useWords } from "../scene.ts";

export function MenuItems({ onDone }: { readonly onDone: () => void }) {
  const { chat } = useScene();
  const say = useWords();
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => items(box.current!)[0]?.focus(), []);
  const save = async (format: "md" | "json") => {
    onDone();
    const url = URL.createObjectURL(await chat.exportTranscript(format));
    download(url, `conversation.${format}`);
    setTimeout(() => URL.revokeObjectURL(url), revokeMs);
  };
  const isEmpty = chat.session.value === null;
  return (
    <div class="menu" part="menu" ref={box} onKeyDown={(event) => walk(event, box.current!, onDone)}>
      <div role="menu" aria-label={say("menu")}>
        {(["md", "json"] as const).map((format) => (
          <button
            key={format}
            type="button"
            role="menuitem"
            tabIndex={-1}
            aria-disabled={isEmpty}
            // What goes wrong the chat says.
            onClick={() => isEmpty || void save(format).catch(() => {})}
          >
            <Icon path={moreIcons.save} />
            {say(`export_${format}`)}
          </button>
        ))}
      </div>
      <Usage />
    </div>
  );
}

/** The browser has taken the file by then. */
const revokeMs = 60_000;

function items(box: HTMLElement): HTMLElement[] {
  return [...box.querySelectorAll<HTMLElement>("[role=menuitem]")];
}

function walk(event: KeyboardEvent, box: HTMLElement, close: () => void): void {
  const all = items(box);
  const here = all.indexOf(event.target as HTMLElement);
  const moves: Readonly<Record<string, () => void>> = {
    ArrowDown: () => all[(here + 1) % all.length]?.focus(),
    ArrowUp: () => all.at((here <= 0 ? all.length : here) - 1)?.focus(),
    Home: () => all[0]?.focus(),
    End: () => all.at(-1)?.focus(),
    Escape: close,
  };
  const move = moves[event.key];
  if (!move) return;
  event.preventDefault();
  move();
}

/** What the turns that are loaded have used. */
function Usage() {
  const { chat } = useScene();
  const say = useWords();
  const turns = [...(chat.transcript.value?.turns.values() ?? [])].filter(({ state }) => state === "completed");
  if (turns.length === 0) return null;
  const sum = (of: (turn: (typeof turns)[number]) => number) => turns.reduce((total, turn) => total + of(turn), 0);
  const tokens = sum(({ usage }) => (usage?.input_tokens ?? 0) + (usage?.output_tokens ?? 0));
  const cost = dollars(
    sum(({ costUsd }) => costUsd ?? 0),
    say,
  );
  return <p class="muted usage">{say("usage", { turns: turns.length, tokens: compact(tokens, say), cost })}</p>;
}
