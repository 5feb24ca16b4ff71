// The signals that end a command: the first one begins its end, a later one is for whoever will not wait for that.

/** Of one Ctrl-C the terminal tells every process, and npm and bin.js pass it on: what comes so soon is the same one once more. */
const sameSignalMs = 1000;

/** 128 and the signal's number, as shells say it. SIGHUP: the terminal was closed. */
const exitCodes = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const signals = Object.keys(exitCodes) as (keyof typeof exitCodes)[];

/** Calls `begin` at the first of these signals; a second one ends the process at once. Returns what stops listening. */
export function onEndSignal(begin: () => void): () => void {
  let began: number | undefined;
  const hear = (signal: keyof typeof exitCodes) => {
    if (began === undefined) {
      began = performance.now();
      begin();
    } else if (performance.now() - began > sameSignalMs) process.exit(exitCodes[signal]);
  };
  for (const signal of signals) process.on(signal, hear);
  return () => {
    for (const signal of signals) process.off(signal, hear);
  };
}
