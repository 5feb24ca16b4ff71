// A button with a menu.
import { useEffect, useRef, useState } from "preact/hooks";
import { IconButton } from "../buttons.tsx";
import { icons } from "./icons.ts";
import { MenuItems } from "./menu-items.tsx";
import { useWords } from "../scene.ts";

export function Menu() {
  const say = useWords();
  const [isOpen, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const onPointer = (event: Event) => event.composedPath().includes(box.current!) || setOpen(false);
    const root = box.current!.getRootNode();
    root.addEventListener("pointerdown", onPointer);
    return () => root.removeEventListener("pointerdown", onPointer);
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  return (
    <div
      class="menu-box"
      ref={box}
      onFocusOut={({ relatedTarget }) => {
        if (relatedTarget && !box.current?.contains(relatedTarget as Node)) setOpen(false);
      }}
    >
      <IconButton
        icon={icons.more}
        label={say("menu")}
        hasPopup="menu"
        isExpanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      />
      {isOpen && <MenuItems onDone={close} />}
    </div>
  );
}
