import { randomUUID } from "node:crypto";
import { setImmediate as nextLoopTurn } from "node:timers/promises";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Batch } from "../../../gateway/log/channel.ts";
import { createEventLog, type Cursor, type EventDraft, type EventLog } from "../../../gateway/log/event-log.ts";
import { gatewayCaller, type Caller } from "../../../gateway/protocol/callers.ts";
import type { EventBody } from "../../../gateway/protocol/events.ts";
import type { LogEvent } from "../../../gateway/store/port.ts";
import { bodyOf } from "../../../gateway/store/run.ts";
import { openTestStore, type TestStore } from "../../support/full-store.ts";
import {
  alice,
  blockStop,
  completed,
  delta,
  deltasOf,
  eventsWrite,
  newEvent,
  notice,
  sessionWrite,
  textsOf,
} from "../../support/log-drafts.ts";
import { cases } from "../../support/property.ts";
import { until } from "../../support/wait.ts";

let store: TestStore;
let log: EventLog;

beforeEach(() => {
  store = openTestStore();
  log = createEventLog(store);
});
afterEach(async () => {
  await log.close();
  await store.remove();
});

async function makeSession(): Promise<string> {
  const write = sessionWrite(randomUUID());
  await store.commit([write]);
  return write.session.session;
}

const draft = (body: EventBody, turn: string | null = null): EventDraft => ({ ...body, turn });
const say = (...texts: string[]) => texts.map((text) => draft(notice(text)));
const append = (session: string, ...texts: string[]) => log.append({ session, events: say(...texts) });

async function open(session: string, after = 0, caller: Caller = alice): Promise<Cursor> {
  const cursor = await log.subscribe(caller, session, after);
  if (!cursor) throw new Error("no such session");
  return cursor;
}

/** Reads until the event `last` has come. */
async function readTo(cursor: Cursor, last: number): Promise<LogEvent[]> {
  const events: LogEvent[] = [];
  while ((events.at(-1)?.seq ?? 0) < last) {
    const batch = await cursor.next();
    if (!batch) break;
    events.push(...batch.events);
  }
  return events;
}

const seqs = (events: readonly LogEvent[]) => events.map(({ seq }) => seq);
const upTo = (last: number, from = 1) => Array.from({ length: last - from + 1 }, (_, index) => from + index);

describe("appending", () => {
  test("[L1] gives each event its number, and [L2] is one commit for all that came in one turn of the event loop", async () => {
    const [one, two] = [await makeSession(), await makeSession()];
    store.commits.length = 0;
    const appended = await Promise.all([append(one, "a", "b"), append(two, "c"), append(one, "d")]);
    expect(appended.map(seqs)).toEqual([[1, 2], [1], [3]]);
    expect(store.commits).toHaveLength(1);
    await append(one, "e");
    expect(store.commits).toHaveLength(2);
  });

  test("[L2] an event is stored before any reader sees it", async () => {
    const session = await makeSession();
    const cursor = await open(session);
    for (let seq = 1; seq <= 20; seq++) {
      void append(session, `${seq}`);
      const batch = await cursor.next();
      expect(batch?.last).toBe(seq);
      expect((await store.session(alice, session))?.lastSeq).toBe(seq);
    }
  });

  test("[L2] an append without events resolves when all before it is stored", async () => {
    const session = await makeSession();
    void append(session, "a");
    await log.append({ session, events: [] });
    expect((await store.session(alice, session))?.lastSeq).toBe(1);
  });

  test("changes before and after the events are stored with them", async () => {
    const session = sessionWrite();
    const attachment = { hash: "0".repeat(64), mediaType: "text/plain", bytes: Buffer.from("x") };
    const id = session.session.session;
    await log.append({
      session: id,
      events: say("a"),
      before: [session],
      after: [{ kind: "attachment", session: id, attachment }],
    });
    expect(await store.attachment(alice, attachment.hash)).toMatchObject({ mediaType: "text/plain" });
  });

  test("one bad change rejects alone, and takes nothing of its neighbours with it", async () => {
    const session = await makeSession();
    const outcomes = await Promise.allSettled([
      append(session, "a"),
      append(randomUUID(), "to no session"),
      append(session, "b"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((await store.events(alice, session, 0, 10)).map((event) => bodyOf(event))).toEqual([
      notice("a"),
      notice("b"),
    ]);
    expect(log.isHealthy).toBe(true);
  });

  test("[L8] a field over 256 KB is an attachment for readers too, stored with its event", async () => {
    const session = await makeSession();
    const [event] = await log.append({ session, events: [draft({ ...completed("x".repeat(300_000)) }, "t")] });
    const { text } = bodyOf(event!) as unknown as { text: { attachment: string } };
    expect((await store.attachment(alice, text.attachment))?.bytes).toHaveLength(300_000);
  });
});

describe("reading", () => {
  test("[L9] a caller who may not see the session gets no cursor, nor does anyone for an unknown one", async () => {
    const session = await makeSession();
    expect(await log.subscribe({ key: "bob", user: null, reach: "key" }, session, 0)).toBeUndefined();
    expect(await log.subscribe({ ...alice, user: "ann", reach: "user" }, session, 0)).toBeUndefined();
    expect(await log.subscribe(gatewayCaller, randomUUID(), 0)).toBeUndefined();
  });

  test("[L4] history and then live events, from every position, without gap or overlap", async () => {
    const session = await makeSession();
    await append(session, ...upTo(10).map(String));
    const cursors = await Promise.all(upTo(10, 0).map((after) => open(session, after)));
    const reading = cursors.map((cursor) => readTo(cursor, 13));
    for (const text of ["11", "12", "13"]) await append(session, text);
    const read = await Promise.all(reading);
    expect(read.map(seqs)).toEqual(upTo(10, 0).map((after) => upTo(13, after + 1)));
  });

  test("[L4] under any interleaving of writing, reading, cutting and coming back, each reader has the same events and text", async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant("write" as const), count: fc.integer({ min: 1, max: 40 }) }),
      },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("read" as const), reader: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("cut" as const), reader: fc.nat(2) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("end block" as const) }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const) }) },
      { weight: 1, arbitrary: fc.record({ do: fc.constant("restart" as const) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        const session = await makeSession();
        const writer = createWriter(session);
        const readers = await Promise.all(upTo(3).map(() => createReader(session)));
        for (const one of steps) {
          if (one.do === "write") writer.write(one.count);
          else if (one.do === "end block") writer.endBlock();
          else if (one.do === "read") readers[one.reader]!.read();
          else if (one.do === "cut") await readers[one.reader]!.comeBack();
          else if (one.do === "restart") {
            // Another gateway on the same store: its readers begin with history alone.
            await writer.rest();
            await log.close();
            log = createEventLog(store);
            await Promise.all(readers.map((reader) => reader.comeBack()));
          } else await nextLoopTurn();
        }
        const last = await writer.end();
        for (const reader of readers) {
          await reader.readAll(last);
          expect(reader.texts()).toEqual(writer.texts());
        }
      }),
      { ...cases({ short: 150, long: 5000 }), endOnFailure: true },
    );
  });

  test("[L4] a reader ahead of the log is told so, and reads from the start, or from the turn's", async () => {
    const session = await makeSession();
    await append(session, "a", "b", "c");
    const ahead = await open(session, 4);
    expect(ahead.isBeyondEnd).toBe(true);
    expect(seqs(await readTo(ahead, 3))).toEqual([1, 2, 3]);
    const ofTurn = await log.subscribe(alice, session, 999, 1);
    expect(ofTurn?.isBeyondEnd).toBe(true);
    expect(seqs(await readTo(ofTurn!, 3))).toEqual([2, 3]);
    const atEnd = await open(session, 3);
    expect(atEnd.isBeyondEnd).toBe(false);
    void append(session, "d");
    expect(seqs(await readTo(atEnd, 4))).toEqual([4]);
  });

  test("[L7] readers at one place share one batch, so that a frame is encoded once", async () => {
    const session = await makeSession();
    const cursors = await Promise.all(upTo(3).map(() => open(session)));
    const next = cursors.map((cursor) => cursor.next());
    void append(session, "a");
    const [one, two, three] = await Promise.all(next);
    expect(two).toBe(one);
    expect(three).toBe(one);
  });

  test("[L8] a finished block is one row: a late reader gets it as one event", async () => {
    const session = await makeSession();
    const parts = upTo(200).map((index) => `word${index} `);
    for (const body of [...deltasOf(parts), blockStop(), completed()])
      await log.append({ session, events: [draft(body, "t")] });
    await log.append({ session, events: [] });
    expect(await store.events(alice, session, 0, 1000)).toMatchObject([
      { first: 1, seq: 200 },
      { seq: 201 },
      { seq: 202 },
    ]);
  });

  test("[L8] what an earlier gateway left unfolded is folded by foldHistory, once", async () => {
    const session = await makeSession();
    const bodies = [...deltasOf(upTo(50).map((index) => `${index} `)), blockStop(), completed()];
    await store.commit([eventsWrite(session, ...bodies.map((body) => newEvent(body, "t")))]);
    const before = textsOf(await store.events(alice, session, 0, 1000));
    for (let round = 0; round < 2; round++) {
      await log.foldHistory(session, 0);
      await log.append({ session, events: [] });
      const rows = await store.events(alice, session, 0, 1000);
      expect(rows.map(({ first, seq }) => [first, seq])).toEqual([
        [1, 50],
        [51, 51],
        [52, 52],
      ]);
      expect(textsOf(rows)).toEqual(before);
    }
  });

  test("[L4] more sessions with readers than channels are kept: each still gets its live events", async () => {
    const sessions = await Promise.all(upTo(260).map(() => makeSession()));
    const cursors = await Promise.all(sessions.map((session) => open(session)));
    const next = cursors.map((cursor) => cursor.next());
    for (const session of sessions) void append(session, "live");
    const batches = await Promise.all(next);
    expect(batches.map((batch) => batch?.last)).toEqual(sessions.map(() => 1));
  });

  test("[L4, S2] more is said in many sessions at once than is kept in memory: each reader gets all of its own", async () => {
    const sessions = await Promise.all(upTo(30).map(() => makeSession()));
    const cursors = await Promise.all(sessions.map((session) => open(session)));
    const said = upTo(8).map((part) => `${part}${"x".repeat(200_000)}`);
    for (const session of sessions) for (const text of said) void append(session, text);
    for (const cursor of cursors) {
      const seqs: number[] = [];
      while ((seqs.at(-1) ?? 0) < said.length) seqs.push(...(await cursor.next())!.events.map(({ seq }) => seq));
      expect(seqs).toEqual(upTo(said.length));
    }
  });

  test("a cursor that is closed, or whose log is, ends: also one that waits", async () => {
    const session = await makeSession();
    const [one, two] = [await open(session), await open(session)];
    const waiting = [one.next(), two.next()];
    one.close();
    one.close();
    expect(await waiting[0]).toBeUndefined();
    await log.close();
    expect(await waiting[1]).toBeUndefined();
    expect(await two.next()).toBeUndefined();
    await expect(append(session, "late")).rejects.toMatchObject({ code: "shutting_down" });
  });
});

describe("a full disk", () => {
  test("lets patient appends wait, in order, and writes them once there is room", async () => {
    const session = await makeSession();
    const cursor = await open(session);
    store.isFull = true;
    const outcomes = [append(session, "a"), append(session, "b")];
    await until("the first try", () => !log.isHealthy);
    outcomes.push(append(session, "c"));
    const tried = store.commits.length;
    await until("another try", () => store.commits.length > tried);
    expect((await store.session(alice, session))?.lastSeq).toBe(0);
    store.isFull = false;
    expect((await Promise.all(outcomes)).map(seqs)).toEqual([[1], [2], [3]]);
    expect((await readTo(cursor, 3)).map((event) => bodyOf(event))).toEqual([notice("a"), notice("b"), notice("c")]);
    expect(log.isHealthy).toBe(true);
  });

  test("is refused to requests as not_ready at once, with those before them and after them", async () => {
    const session = await makeSession();
    store.isFull = true;
    const now = () => log.appendNow({ session, events: say("now") });
    const patient = append(session, "patient");
    await expect(now()).rejects.toMatchObject({ code: "not_ready" });
    await expect(now()).rejects.toMatchObject({ code: "not_ready" });
    expect(log.isHealthy).toBe(false);
    store.isFull = false;
    expect(seqs(await patient)).toEqual([1]);
    expect(seqs(await now())).toEqual([2]);
  });

  test("is found to be over by the next request, where nothing waited for room", async () => {
    const session = await makeSession();
    store.isFull = true;
    await expect(log.appendNow({ session, events: say("a") })).rejects.toMatchObject({ code: "not_ready" });
    store.isFull = false;
    await until("readiness", () => log.isHealthy);
    expect(seqs(await log.appendNow({ session, events: say("b") }))).toEqual([1]);
  });

  test("does not let one session's events overtake each other where a bad change came with them", async () => {
    const session = await makeSession();
    const { commit } = store;
    let calls = 0;
    // The batch fails by the bad change; tried one by one, the first has no room, and the others would have.
    store.commit = async (writes) => {
      calls += 1;
      store.isFull = calls === 2;
      return commit(writes);
    };
    const outcomes = await Promise.allSettled([
      append(session, "a"),
      append(randomUUID(), "bad"),
      append(session, "b"),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect((await store.events(alice, session, 0, 10)).map((event) => bodyOf(event))).toEqual([
      notice("a"),
      notice("b"),
    ]);
  });

  test("does not hold up closing: what waits is given up", async () => {
    const session = await makeSession();
    const waiting = (await open(session)).next();
    store.isFull = true;
    const appended = append(session, "a");
    const outcome = appended.catch((error: unknown) => error);
    await until("the first try", () => !log.isHealthy);
    await log.close();
    expect(await outcome).toMatchObject({ code: "not_ready" });
    expect(await waiting).toBeUndefined();
  });
});

/** Writes deltas of one block after another, with notices among them; every few deltas it lets the event loop turn. */
function createWriter(session: string) {
  const written: EventBody[] = [];
  let [index, offset] = [0, 0];
  let writing: Promise<unknown> = Promise.resolve();

  const put = (...bodies: EventBody[]) => {
    written.push(...bodies);
    return log.append({ session, events: bodies.map((body) => draft(body, "t")) });
  };
  const writeNow = async (count: number) => {
    for (let done = 0; done < count; done++) {
      const text = `${written.length} 🌍 `;
      void put({ ...delta(text, offset, { index }) });
      offset += text.length;
      if (done % 7 === 3) await nextLoopTurn();
    }
  };
  return {
    write(count: number) {
      writing = writing.then(() => writeNow(count));
    },
    endBlock() {
      writing = writing.then(() => {
        void put(blockStop("m1", index), notice(`block ${index}`));
        [index, offset] = [index + 1, 0];
      });
    },
    rest: () => writing,
    /** Resolves with the number of the last event, once all is stored. */
    async end() {
      await writing;
      const events = await put(completed());
      return events.at(-1)!.seq;
    },
    texts: () => textsOf(written.map((body) => ({ json: JSON.stringify(body) }))),
  };
}

/** Reads batch by batch, one at a time, and checks that each follows the one before. */
async function createReader(session: string) {
  let cursor = await open(session);
  let position = 0;
  let texts = new Map<string, string>();
  let reading: Promise<void> = Promise.resolve();

  function take(batch: Batch | undefined): void {
    if (!batch) return;
    for (const { first, seq } of batch.events) {
      if (first !== position + 1) throw new Error(`${first} came after ${position}`);
      position = seq;
    }
    texts = textsOf(batch.events, texts);
    if (batch.last !== position) throw new Error(`a batch says ${batch.last} and ends at ${position}`);
  }

  async function comeBack(): Promise<void> {
    cursor.close();
    await reading;
    cursor = await open(session, position);
  }

  return {
    read() {
      const own = cursor;
      reading = reading.then(async () => take(await own.next()));
    },
    comeBack,
    async readAll(last: number) {
      // Reads that are still asked for would wait for events behind the last one.
      await comeBack();
      while (position < last) {
        const batch = await cursor.next();
        if (!batch) throw new Error(`the stream ended at ${position} of ${last}`);
        take(batch);
      }
      cursor.close();
    },
    texts: () => texts,
  };
}
