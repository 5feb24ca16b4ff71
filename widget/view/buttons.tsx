// Buttons that are a drawing alone; and what gives a person a text or a file.
import { useState } from "preact/hooks";
import { copyText } from "../copy.ts";
import { Icon, icons } from "./icon.tsx";
import { useWords } from "./scene.ts";

interface IconButtonProps {
  /** Its drawing. */
  readonly icon: string;
  readonly label: string;
  readonly onClick: (event: Event) => void;
  readonly part?: string;
  readonly isPressed?: boolean | undefined;
  readonly isExpanded?: boolean | undefined;
  readonly isDisabled?: boolean | undefined;
  readonly hasPopup?: "menu" | undefined;
}

export function IconButton(props: IconButtonProps) {
  const { icon, label, onClick, part, isPressed, isExpanded, isDisabled, hasPopup } = props;
  return (
    <button
      type="button"
      class="icon-button"
      part={part}
      aria-label={label}
      data-tip={label}
      aria-pressed={isPressed}
      aria-expanded={isExpanded}
      aria-haspopup={hasPopup}
      disabled={isDisabled}
      onClick={onClick}
    >
      <Icon path={icon} />
    </button>
  );
}

const shownMs = 1500;

export function CopyButton({ label, text }: { readonly label: string; readonly text: () => string }) {
  const say = useWords();
  const [isCopied, setCopied] = useState(false);
  const copy = async ({ currentTarget }: Event) => {
    if (!(await copyText(text(), currentTarget as Element))) return;
    setCopied(true);
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

/** Saves a file. `url`: a blob: address. */
export function download(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  // It need not stand in the page.
  link.click();
}
