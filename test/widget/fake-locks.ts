// Web Locks of a browser without a window: https://www.w3.org/TR/web-locks/, exclusive ones alone.
import type { Profile, Tab } from "./fake-browser.ts";

export interface HeldLock {
  readonly tab: Tab;
  lose(error: DOMException): void;
  release(): void;
}

export interface LockWish {
  readonly tab: Tab;
  readonly name: string;
  grant(): void;
}

export function requestLock(
  profile: Profile,
  tab: Tab,
  name: string,
  { signal, steal = false }: LockOptions,
  callback: () => unknown,
): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const grant = () => {
      let isReleased = false;
      const free = () => {
        if (isReleased) return;
        isReleased = true;
        if (profile.held.get(name) === held) profile.held.delete(name);
        grantNext(profile, name);
      };
      const held: HeldLock = {
        tab,
        release: free,
        lose(error) {
          isReleased = true;
          reject(error);
        },
      };
      profile.held.set(name, held);
      queueMicrotask(() => void Promise.resolve(callback()).then(resolve, reject).finally(free));
    };
    if (steal) {
      profile.held.get(name)?.lose(new DOMException("stolen", "AbortError"));
      return grant();
    }
    const wish: LockWish = { tab, name, grant };
    profile.wishes.push(wish);
    signal?.addEventListener("abort", () => {
      const at = profile.wishes.indexOf(wish);
      if (at === -1) return;
      profile.wishes.splice(at, 1);
      reject(signal.reason as Error);
    });
    return grantNext(profile, name);
  });
}

function grantNext(profile: Profile, name: string): void {
  if (profile.held.has(name)) return;
  const at = profile.wishes.findIndex((wish) => wish.name === name);
  if (at !== -1) profile.wishes.splice(at, 1)[0]!.grant();
}
