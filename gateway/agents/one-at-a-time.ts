// Work that must not overlap, told apart by a key: what comes for a key waits until what came before has ended, however it has.

/** Runs the action once all earlier ones of its key have ended; settles as it does. */
export type OneAtATime = <Result>(key: string, action: () => Promise<Result>) => Promise<Result>;

export function createOneAtATime(): OneAtATime {
  const last = new Map<string, Promise<unknown>>();
  return (key, action) => {
    const before = last.get(key) ?? Promise.resolve();
    const running = before.then(action, action);
    last.set(key, running);
    const forget = () => void (last.get(key) === running && last.delete(key));
    running.then(forget, forget);
    return running;
  };
}
