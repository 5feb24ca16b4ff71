// The signals that end a command: the first one begins its end, a later one is for whoever will not wait for that.

/** Of one Ctrl-C the terminal tells every process, and npm and bin.js pass it on: what comes so soon is the same one once more. */
const sameSignalMs = 1000;

/** Calls `begin` at the first SIGINT or SIGTERM; a second one ends the process at once. Returns what stops listening. */
export function onEndSignal(begin: () => void): () => void {
  let began: number | undefined;
  const hear = (signal: NodeJS.Signals) => {
    if (began === undefined) {
      began = performance.now();
      begin();
    } else if (performance.now() - began > sameSignalMs) process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.on("SIGINT", hear).on("SIGTERM", hear);
  return () => void process.off("SIGINT", hear).off("SIGTERM", hear);
}
