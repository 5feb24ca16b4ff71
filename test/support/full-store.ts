// A real SQLite store in a folder of its own, with a switch that makes it refuse as a full disk does.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { StoreFull, type Store, type Write } from "../../gateway/store/port.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";

export interface TestStore extends Store {
  isFull: boolean;
  /** Every commit that was tried, in order. */
  readonly commits: (readonly Write[])[];
  /** Closes it and removes its folder. */
  remove(): Promise<void>;
}

export function openTestStore(): TestStore {
  const folder = mkdtempSync(join(tmpdir(), "sluice-log-"));
  const store = openSqliteStore(join(folder, "s.sqlite"));
  const commits: (readonly Write[])[] = [];
  const self: TestStore = {
    ...store,
    isFull: false,
    commits,
    async commit(writes) {
      commits.push(writes);
      if (self.isFull) throw new StoreFull("the disk is full");
      return store.commit(writes);
    },
    async removeSession(caller, session) {
      if (self.isFull) throw new StoreFull("the disk is full");
      return store.removeSession(caller, session);
    },
    async remove() {
      await store.close();
      rmSync(folder, { recursive: true });
    },
  };
  return self;
}
