// Buttons that are a drawing alone; and what gives a person a file.
import { Icon } from "./icon.tsx";

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

/** Saves a file. `url`: a blob: address. */
export function download(url: string, name: string): void {
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  // It need not stand in the page.
  link.click();
}
