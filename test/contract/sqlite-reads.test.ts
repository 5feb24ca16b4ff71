// What reads of the SQLite store cost. Not in time, which a test cannot hold it to, but in what is read of the file.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { gatewayCaller, type Caller } from "../../gateway/protocol/callers.ts";
import type { Store, Write } from "../../gateway/store/port.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { requested, resolved } from "../support/approval-drafts.ts";
import { eventsWrite, newEvent, newTurn, notice, queued, sessionWrite } from "../support/log-drafts.ts";

const carol: Caller = { key: "alice", user: "carol", reach: "user" };
const long = sessionWrite();
const carols = sessionWrite(undefined, { key: "alice", user: "carol" });
const filling = "x".repeat(4000);

let folder: string;
let file: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sluice-reads-"));
  file = join(folder, "s.sqlite");
  const store = openSqliteStore(file);
  // The oldest of all: what goes from the newest on comes by everything else first.
  await store.commit([carols, ...turnWrites(carols.session.session)]);
  await store.commit([long, ...turnWrites(long.session.session)]);
  await store.commit(Array.from({ length: 8000 }, () => sessionWrite(undefined, { key: "alice", user: "dave" })));
  for (let count = 0; count < 30; count++) {
    const others = sessionWrite(undefined, { key: "alice", user: `user ${count}` });
    const { session } = others.session;
    const events = Array.from({ length: 100 }, () => newEvent(notice(filling)));
    await store.commit([
      others,
      ...Array.from({ length: 50 }, (_, turn) => turnWrites(session, wordsOf(count, turn))).flat(),
      eventsWrite(long.session.session, ...events),
    ]);
  }
  await store.close();
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Hundreds of words that nobody else has, and that all begin with the same letter. */
function wordsOf(count: number, turn: number): string {
  return Array.from({ length: 400 }, (_, word) => `x${count}y${turn}z${word}`).join(" ");
}

/** A turn in which a tool was allowed. */
function turnWrites(session: string, text = filling): Write[] {
  const turn = newTurn(session, { prompt: [{ type: "text", text }] });
  const asked = requested({ input: { filling } });
  return [
    { kind: "turn", turn },
    eventsWrite(
      session,
      newEvent(queued(session), turn.turn),
      newEvent(asked, turn.turn),
      newEvent(resolved(asked.approval), turn.turn),
    ),
  ];
}

/** So many bytes has this thread read so far, from a disk or from what the system keeps of it. */
function bytesRead(): number {
  return Number(/^rchar: (\d+)$/m.exec(readFileSync("/proc/thread-self/io", "utf8"))![1]);
}

test.runIf(process.platform === "linux").each<[string, number, (store: Store) => Promise<unknown>]>([
  ["a long session", 500, (store) => store.session(gatewayCaller, long.session.session)],
  ["a page of sessions", 1500, (store) => store.sessions(gatewayCaller, { limit: 20 })],
  ["one user's sessions", 500, (store) => store.sessions(carol, { limit: 20 })],
  ["a search of one user", 500, (store) => store.sessions(carol, { words: "x", limit: 20 })],
  ["one user's turns", 500, (store) => store.turns(carol, { limit: 20 })],
  ["one session's turns", 500, (store) => store.turns(gatewayCaller, { session: carols.session.session, limit: 20 })],
  ["one session's approvals", 500, (store) => store.approvals(carol, { session: carols.session.session, limit: 20 })],
  ["approvals that wait", 500, (store) => store.approvals(gatewayCaller, { state: "pending", limit: 20 })],
])("%s: fewer than %i KB are read, however much is kept", async (_, maxKb, read) => {
  const store = openSqliteStore(file);
  const before = bytesRead();
  await read(store);
  const taken = bytesRead() - before;
  await store.close();
  expect(taken).toBeGreaterThan(0);
  expect(taken / 1000).toBeLessThan(maxKb);
});
