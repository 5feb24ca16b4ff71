// Keys that are typed in the widget are not meant for the page, also where it listens on the way down (in the capture phase): they are stopped
// at the window, and the widget's own handlers get a copy that never leaves its shadow tree. What the browser itself does with a key stays.

const types = ["keydown", "keyup", "keypress"] as const;

/** Until the function that it returns is called. A page that listened at the window before sees them all the same. */
export function guardKeys(root: Node): () => void {
  const guard = (event: KeyboardEvent) => {
    const [target] = event.composedPath();
    if (!(target instanceof Node) || target.getRootNode() !== root) return;
    event.stopImmediatePropagation();
    if (!target.dispatchEvent(copyOf(event))) event.preventDefault();
  };
  for (const type of types) window.addEventListener(type, guard, true);
  return () => {
    for (const type of types) window.removeEventListener(type, guard, true);
  };
}

function copyOf(event: KeyboardEvent): KeyboardEvent {
  const { key, code, location, ctrlKey, shiftKey, altKey, metaKey, repeat, isComposing, cancelable } = event;
  // By this one input methods are told from keys in Safari.
  const { keyCode } = event;
  const modifiers = { ctrlKey, shiftKey, altKey, metaKey };
  const init = { key, code, location, ...modifiers, repeat, isComposing, keyCode, cancelable, bubbles: true };
  return new KeyboardEvent(event.type, init);
}
