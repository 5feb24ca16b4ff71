// A search among the turns of many: one user's with a few sessions, a user's with many, and an administrator's, who looks through all.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Caller } from "../../../gateway/protocol/callers.ts";
import type { Store, Write } from "../../../gateway/store/port.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import { newTurn, sessionWrite } from "../../support/log-drafts.ts";
import { takeTurns, type Benchmark } from "../bench.ts";

const turns = Number(process.env["BENCH_SEARCH_TURNS"] ?? 150_000);
const turnsOfFew = 20;
const turnsOfMany = Math.round(turns / 10);
const perCommit = 500;
/** Every turn has them: nothing is found sooner because it is rare. */
const words = "the harbour of the city and its ships that carry all of the goods to the sea h";

const few = "a search of a user with 20 turns";
const many = "a search of a user with a tenth of all turns";
const all = "a search of an administrator";

export const benchmark: Benchmark = {
  name: `Search among ${turns} turns`,
  ratios: [
    { name: "a user with 20 turns against one who sees all", of: few, to: all, target: "≤ 0.05" },
    { name: "a user with a tenth of all against one who sees all", of: many, to: all, target: "≤ 0.5" },
  ],
  targets: { [few]: "≤ 5" },
  async run({ rounds }) {
    const folder = mkdtempSync(join(tmpdir(), "sluice-search-"));
    const store = openSqliteStore(join(folder, "s.sqlite"));
    await fill(store, "few", turnsOfFew);
    await fill(store, "many", turnsOfMany);
    for (let user = 0; user < 8; user++) await fill(store, `user ${user}`, Math.round((turns - turnsOfMany) / 8));
    const search = async (caller: Caller) => {
      const began = performance.now();
      const found = await store.sessions(caller, { words, limit: 50 });
      if (found.length === 0) throw new Error("the search finds nothing");
      return performance.now() - began;
    };
    const user = (name: string): Caller => ({ key: "team", user: name, reach: "user" });
    const rows = await takeTurns(rounds, "ms", {
      [few]: () => search(user("few")),
      [many]: () => search(user("many")),
      [all]: () => search({ key: "root", user: null, reach: "all" }),
    });
    await store.close();
    rmSync(folder, { recursive: true });
    return rows;
  },
};

/** Sessions of ten turns each. */
async function fill(store: Store, user: string, count: number): Promise<void> {
  const text = `${words}arbours ${"and much else that was said there ".repeat(10)}`;
  let writes: Write[] = [];
  let session = "";
  for (let made = 0; made < count; made++) {
    if (made % 10 === 0) {
      const write = sessionWrite(undefined, { key: "team", user });
      writes.push(write);
      session = write.session.session;
    }
    writes.push({ kind: "turn", turn: newTurn(session, { prompt: [{ type: "text", text: `${text} ${made}` }] }) });
    if (writes.length < perCommit && made < count - 1) continue;
    await store.commit(writes);
    writes = [];
  }
}
