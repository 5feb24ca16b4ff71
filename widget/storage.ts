// What outlives the page. A page may be forbidden to store anything: nothing here ever fails, it is then only forgotten.
import type { Stored } from "./browser.ts";

/** `storage`: as the browser has it, which may throw. */
export function readStored(storage: () => Stored, key: string): string | null {
  try {
    return storage().getItem(key);
  } catch {
    return null;
  }
}

/** Null removes it. */
export function writeStored(storage: () => Stored, key: string, value: string | null): void {
  try {
    if (value === null) storage().removeItem(key);
    else storage().setItem(key, value);
  } catch {
    // Blocked, or full.
  }
}
