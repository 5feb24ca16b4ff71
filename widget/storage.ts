// What outlives the page. A page may be forbidden to store anything: nothing here ever fails, it is then only forgotten.
import type { Browser } from "./browser.ts";

export function readStored({ storage }: Browser, key: string): string | null {
  try {
    return storage().getItem(key);
  } catch {
    return null;
  }
}

/** Null removes it. */
export function writeStored({ storage }: Browser, key: string, value: string | null): void {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    // Blocked, or full.
  }
}
