// Work that can wait.

/** As late as a person would begin to miss it. */
const timeoutMs = 300;

export function whenIdle(act: () => void): void {
  if ("requestIdleCallback" in window) requestIdleCallback(act, { timeout: timeoutMs });
  else setTimeout(act, timeoutMs);
}
