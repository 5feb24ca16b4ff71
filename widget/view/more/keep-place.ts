// What is read stays where it is, whatever comes above it. Browsers keep the place themselves, but not at the very top, and Safari never.

/** What is drawn of the conversation, from its first line on. */
const lines = ".bubble, .messages > *";

/** Watches until the function that it returns is called. */
export function keepPlace(log: HTMLElement): () => void {
  const first = log.querySelector<HTMLElement>(lines);
  if (!first) return () => {};
  const place = () => {
    const seen = log.getBoundingClientRect();
    // A page may have scaled all of it.
    const scale = seen.height / log.offsetHeight || 1;
    return (first.getBoundingClientRect().top - seen.top) / scale + log.scrollTop;
  };
  let known = place();
  /** Less than a pixel, which browsers round off: many times it would be seen. */
  let rest = 0;
  const watcher = new MutationObserver(() => {
    if (!first.isConnected) return;
    // At once, before anything is painted; of the browser's way and this one only one may act.
    log.style.overflowAnchor = "none";
    const now = place();
    if (now !== known) {
      const from = log.scrollTop;
      const to = from + now - known + rest;
      log.scrollTop = to;
      rest = (to - log.scrollTop) % 1;
      known = now;
    }
    log.style.overflowAnchor = "";
  });
  watcher.observe(log, { childList: true, subtree: true });
  // What has found its size since, as what is out of sight does only when it is near, the browser has seen to.
  let frame = requestAnimationFrame(function look() {
    known = place();
    frame = requestAnimationFrame(look);
  });
  return () => {
    watcher.disconnect();
    cancelAnimationFrame(frame);
  };
}
