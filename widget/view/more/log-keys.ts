// The keys that go from message to message. The Tab key stops at one message of all.
import { isComposing } from "../keyboards.ts";
import { guardKeys } from "./guard-keys.ts";
import { keepFocus } from "./keep-focus.ts";

const stops = "article";

/** Watches the log until the function that it returns is called. */
export function watchKeys(
  log: HTMLElement,
  content: HTMLElement,
  composer: { readonly current: HTMLElement | null },
): () => void {
  const onKey = (event: KeyboardEvent) => walk(event, log, composer.current);
  const onFocus = ({ target }: FocusEvent) => keepStop(log, target as Element);
  const messages = new MutationObserver(() => chooseStop(log));
  messages.observe(content, { childList: true });
  chooseStop(log);
  const stopGuarding = guardKeys(log.getRootNode());
  const stopKeeping = keepFocus(log.closest<HTMLElement>(".panel")!, composer);
  log.addEventListener("keydown", onKey);
  log.addEventListener("focusin", onFocus);
  return () => {
    messages.disconnect();
    stopGuarding();
    stopKeeping();
    log.removeEventListener("keydown", onKey);
    log.removeEventListener("focusin", onFocus);
  };
}

function chooseStop(log: HTMLElement): void {
  if (log.querySelector('article[tabindex="0"]')) return;
  const last = [...log.querySelectorAll<HTMLElement>(stops)].at(-1);
  if (last) last.tabIndex = 0;
}

function keepStop(log: HTMLElement, target: Element): void {
  const article = target.closest<HTMLElement>(stops);
  if (!article || article.tabIndex === 0) return;
  for (const other of log.querySelectorAll<HTMLElement>('article[tabindex="0"]')) other.tabIndex = -1;
  article.tabIndex = 0;
}

/** Up, Down, Home, End between messages; Enter into one; Esc back to the composer. */
function walk(event: KeyboardEvent, log: HTMLElement, composer: HTMLElement | null): void {
  const target = event.target as HTMLElement;
  if (isComposing(event)) return;
  if (event.key === "Escape") {
    composer?.focus();
    event.preventDefault();
    event.stopPropagation();
    return;
  }
  if (!target.matches(stops) || event.altKey || event.ctrlKey || event.metaKey) return;
  const all = [...log.querySelectorAll<HTMLElement>(stops)];
  const here = all.indexOf(target);
  const next: Record<string, HTMLElement | null | undefined> = {
    ArrowUp: all[here - 1],
    ArrowDown: all[here + 1],
    Home: all[0],
    End: all.at(-1),
    Enter: target.querySelector<HTMLElement>("a[href], button:not([disabled]), input, textarea"),
  };
  if (!(event.key in next)) return;
  event.preventDefault();
  const goal = next[event.key];
  goal?.focus({ preventScroll: true });
  goal?.scrollIntoView({ block: "nearest" });
}
