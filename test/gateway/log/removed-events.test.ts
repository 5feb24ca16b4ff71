// What a reader is told when events that it was still to read are removed.
import { randomUUID } from "node:crypto";
import { setTimeout as wait } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createEventLog, type Cursor, type EventLog } from "../../../gateway/log/event-log.ts";
import { gatewayCaller } from "../../../gateway/protocol/callers.ts";
import type { LogEvent } from "../../../gateway/store/port.ts";
import { openTestStore, type TestStore } from "../../support/full-store.ts";
import { alice, completed, newTurn, notice, queued, sessionWrite } from "../../support/log-drafts.ts";

let store: TestStore;
let log: EventLog;
let session: string;
let now: number;
beforeEach(async () => {
  store = openTestStore();
  now = 1000;
  log = createEventLog(store, () => now);
  const made = sessionWrite();
  ({ session } = made.session);
  await log.commit([made]);
});
afterEach(async () => {
  await log.close();
  await store.remove();
});

/** A turn of 2,002 events that has ended at `now`. */
async function say(): Promise<void> {
  const turn = newTurn(session);
  const own = <Body>(body: Body) => ({ turn: turn.turn, ...body });
  await log.append({ session, before: [{ kind: "turn", turn }], events: [own(queued(session))] });
  await log.append({ session, events: Array.from({ length: 2000 }, (_, index) => own(notice(`${index}`))) });
  await log.append({ session, events: [own(completed())] });
}

/** A log without what is in memory: its readers take everything from the store. */
async function restarted(): Promise<void> {
  await log.close();
  log = createEventLog(store, () => now);
}

const subscribe = async (after: number) => (await log.subscribe(alice, session, after))!;

async function readTo(cursor: Cursor, seq: number): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  while ((events.at(-1)?.seq ?? 0) < seq) {
    const batch = await cursor.next();
    if (!batch) return events;
    events.push(...batch.events);
  }
  return events;
}

test("[L5] a cursor before the oldest event is told by gap, and gets everything from there on", async () => {
  await say();
  now = 5000;
  await say();
  await store.removeOldEvents(gatewayCaller, 5000);
  await restarted();
  for (const after of [0, 1, 2000]) {
    const cursor = await subscribe(after);
    expect(cursor.gap).toEqual({ oldest: 2003 });
    expect((await readTo(cursor, 4004)).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 2002 }, (_, index) => 2003 + index),
    );
    cursor.close();
  }
  for (const after of [2002, 2003, 4004]) {
    const cursor = await subscribe(after);
    expect(cursor.gap).toBeUndefined();
    cursor.close();
  }
  const beyond = await subscribe(9999);
  expect([beyond.gap, (await beyond.next())!.events[0]!.seq]).toEqual([{ oldest: 2003 }, 2003]);
  beyond.close();
});

test("[L5] a reader whose next events are removed while it reads is ended, and told when it comes back", async () => {
  await say();
  now = 5000;
  await say();
  await restarted();
  const cursor = await subscribe(0);
  const first = (await cursor.next())!;
  expect(first.last).toBeLessThan(2002);
  await store.removeOldEvents(gatewayCaller, 5000);
  expect(await cursor.next()).toBeUndefined();
  expect(cursor.isSessionRemoved).toBe(false);
  expect(await cursor.next()).toBeUndefined();
  cursor.close();
  const again = await subscribe(first.last);
  expect(again.gap).toEqual({ oldest: 2003 });
  expect(await readTo(again, 4004)).toHaveLength(2002);
  again.close();
});

test("[L4] a reader that leaves just when its next events are removed costs no other reader its events", async () => {
  await say();
  now = 5000;
  await restarted();
  const leaving = await subscribe(0);
  await leaving.next();
  const staying = await subscribe(2002);
  await store.removeOldEvents(gatewayCaller, 5000);
  const last = leaving.next();
  leaving.close();
  expect(await last).toBeUndefined();
  // So many sessions are read that memory is given up where nobody reads.
  for (let i = 0; i < 250; i++) await log.subscribe(alice, randomUUID(), 0);
  const next = staying.next();
  await log.append({ session, events: [{ turn: null, ...notice("new") }] });
  expect((await Promise.race([next, wait(2000, undefined)]))?.last).toBe(2003);
  staying.close();
});

test("[L5] with nothing left a reader is told so too, and goes on with what is new", async () => {
  await say();
  await restarted();
  const cursor = await subscribe(5);
  await store.removeOldEvents(gatewayCaller, 5000);
  expect(await cursor.next()).toBeUndefined();
  const again = await subscribe(5);
  expect(again.gap).toEqual({ oldest: 2003 });
  const next = again.next();
  await log.append({ session, events: [{ turn: null, ...notice("new") }] });
  expect((await next)!.events.map(({ seq }) => seq)).toEqual([2003]);
  for (const one of [cursor, again]) one.close();
});

test("[S4] a reader in the middle of a session that is removed learns that it was", async () => {
  await say();
  await restarted();
  const cursor = await subscribe(0);
  await cursor.next();
  const removal = store.removeSession(alice, session).then(() => log.removed(session));
  expect(await cursor.next()).toBeUndefined();
  expect(cursor.isSessionRemoved).toBe(true);
  await removal;
  cursor.close();
});
