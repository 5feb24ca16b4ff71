// Puts a text on the clipboard, and says so for a moment.
import { useState } from "preact/hooks";
import { IconButton } from "../buttons.tsx";
import { copyText } from "./copy-text.ts";
import { useScene, useWords } from "../scene.ts";
import { icons } from "./icons.ts";

const shownMs = 1500;

export function CopyButton({ label, text }: { readonly label: string; readonly text: () => string }) {
  const { polite } = useScene();
  const say = useWords();
  const [isCopied, setCopied] = useState(false);
  const copy = async ({ currentTarget }: Event) => {
    if (!(await copyText(text(), currentTarget as Element))) return;
    setCopied(true);
    polite.value = say("copied");
    setTimeout(() => setCopied(false), shownMs);
  };
  return (
    <IconButton
      icon={isCopied ? icons.check : icons.copy}
      label={isCopied ? say("copied") : label}
      onClick={(event) => void copy(event)}
    />
  );
}
