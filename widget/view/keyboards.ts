// What differs between keyboards.

/** `Process` of an input method, in browsers that do not say `isComposing` at its last key. */
const imeKeyCode = 229;

/** The key is the input method's. */
export function isComposing({ isComposing, keyCode }: KeyboardEvent): boolean {
  return isComposing || keyCode === imeKeyCode;
}

/** On-screen keyboards have no Shift+Enter: there Enter begins a line, and the button sends. */
export function isTouch(): boolean {
  return matchMedia("(pointer: coarse)").matches;
}
