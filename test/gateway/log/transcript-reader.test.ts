import { afterEach, beforeEach, describe, expect, test } from "vitest";
import {
  isKnownPlace,
  readPage,
  readTurns,
  type Page,
  type Place,
  type TranscriptScope,
} from "../../../gateway/log/transcript-reader.ts";
import type { Store } from "../../../gateway/store/port.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import { alice, completed, sessionWrite } from "../../support/log-drafts.ts";
import { addEvents, beginTurn, messageEvents, queueTurn, storeTurn } from "../../support/transcript-drafts.ts";

let store: Store;
let session: string;
beforeEach(async () => {
  store = openSqliteStore(":memory:");
  const made = sessionWrite();
  ({ session } = made.session);
  await store.commit([made]);
});
afterEach(() => store.close());

async function scope(more: Partial<TranscriptScope> = {}): Promise<TranscriptScope> {
  const row = (await store.session(alice, session))!;
  return { store, caller: alice, session: row, order: "asc", urlOf: (hash) => `/${hash}`, ...more };
}

const ids = ({ messages }: Pick<Page, "messages">) => messages.map(({ id }) => id);
const whole = async (order: "asc" | "desc" = "asc") => ids(await readPage(await scope({ order }), 10_000));

/** Every page's messages, and how many a page had; `between` runs before each page but the first. */
async function paged(order: "asc" | "desc", limit: number, between: () => Promise<unknown> = async () => {}) {
  const pages: Page[] = [];
  for (let after: Place | undefined; ;) {
    const page = await readPage(await scope({ order, after }), limit);
    pages.push(page);
    if (!page.next) return { ids: pages.flatMap(ids), sizes: pages.map(({ messages }) => messages.length), pages };
    after = page.next;
    await between();
  }
}

describe("pages", () => {
  test.each(["asc", "desc"] as const)(
    "in order %s are, one behind the other, the whole, whatever their limit",
    async (order) => {
      for (let index = 0; index < 7; index++)
        await storeTurn(store, session, { texts: Array.from({ length: index % 4 }, (_, at) => `${at}`) });
      const all = await whole();
      expect(all).toHaveLength(7 + 0 + 1 + 2 + 3 + 0 + 1 + 2);
      const expected = order === "asc" ? all : all.toReversed();
      for (const limit of [1, 2, 3, 5, 16, 17, 100]) {
        const { ids: found, sizes } = await paged(order, limit);
        expect(found).toEqual(expected);
        expect(sizes.slice(0, -1).every((size) => size === limit)).toBe(true);
        expect(sizes.at(-1)).toBeGreaterThan(0);
      }
    },
  );

  test("name just the turns of their messages, each once", async () => {
    const turns = [await storeTurn(store, session, { texts: ["a", "b"] }), await storeTurn(store, session)];
    const { pages } = await paged("asc", 2);
    expect(pages.map((page) => page.turns.map(({ turn }) => turn))).toEqual([
      [turns[0]],
      [turns[0], turns[1]],
      [turns[1]],
    ]);
  });

  test.each(["asc", "desc"] as const)(
    "in order %s, read while turns are queued, run, discard and end, have every message of the first page's time once",
    async (order) => {
      for (let index = 0; index < 4; index++) await storeTurn(store, session, { texts: ["a", "b"] });
      const running = await queueTurn(store, session);
      await beginTurn(store, session, running);
      await addEvents(store, session, running, messageEvents("grows-0", "0"));
      const before = await whole(order);
      let count = 0;
      const { ids: found } = await paged(order, 2, async () => {
        count += 1;
        await addEvents(store, session, running, messageEvents(`grows-${count}`, "more"));
        await queueTurn(store, session);
        if (count === 3)
          await addEvents(store, session, running, [
            { type: "message_start", message: { id: "lost", model: "m" } },
            { type: "message_discarded", message: "lost", reason: "stream_lost" },
          ]);
      });
      expect(count).toBeGreaterThan(4);
      expect(new Set(found).size).toBe(found.length);
      expect(found.filter((id) => before.includes(id))).toEqual(before);
      // Upwards the new ones lie ahead, downwards they lie behind.
      expect(found.length > before.length).toBe(order === "asc");
    },
  );

  test("a place is good still when the message that stood there was discarded", async () => {
    const turn = await queueTurn(store, session);
    await beginTurn(store, session, turn);
    await addEvents(store, session, turn, [{ type: "message_start", message: { id: "lost", model: "m" } }]);
    await addEvents(store, session, turn, messageEvents("m2", "x"));
    const { next } = await readPage(await scope(), 2);
    await addEvents(store, session, turn, [{ type: "message_discarded", message: "lost", reason: "fallback" }]);
    expect(ids(await readPage(await scope({ after: next! }), 10))).toEqual(["m2"]);
  });

  test("end before their limit when they have grown to some megabytes", async () => {
    const text = "x".repeat(200_000);
    for (let index = 0; index < 60; index++) await storeTurn(store, session, { texts: [text] });
    const { ids: found, sizes } = await paged("asc", 1000);
    expect(found).toEqual(await paged("asc", 10).then((small) => small.ids));
    expect(sizes.length).toBeGreaterThan(1);
    expect(Math.max(...sizes)).toBeLessThan(100);
  });

  test("only what can be the place of a message of this session is known", async () => {
    await storeTurn(store, session);
    await storeTurn(store, session);
    const { next } = await readPage(await scope(), 3);
    const known = async (place: Place) => isKnownPlace(await scope(), place);
    expect(await known(next!)).toBe(true);
    expect(await known({ ...next!, seq: next!.firstSeq - 1 })).toBe(false);
    expect(await known({ ...next!, seq: 10_000 })).toBe(false);
    expect(await known({ firstSeq: next!.firstSeq + 1, seq: next!.seq })).toBe(false);
    expect(await known({ firstSeq: 10_000, seq: 10_000 })).toBe(false);
  });
});

describe("the order of turns", () => {
  test("[T1] is that in which they were asked for, also where one was let go first; each has its own messages alone", async () => {
    const [a, b, c] = [
      await queueTurn(store, session),
      await queueTurn(store, session),
      await queueTurn(store, session),
    ];
    for (const turn of [a, c, b]) {
      await beginTurn(store, session, turn);
      await addEvents(store, session, turn, [...messageEvents(`of-${turn}`, "x"), completed("x")]);
    }
    expect(await whole()).toEqual([a, `of-${a}`, b, `of-${b}`, c, `of-${c}`]);
    const page = await readPage(await scope(), 100);
    for (const { id, turn } of page.messages) expect([turn, `of-${turn}`]).toContain(id);
  });

  test("[T4] a turn that was cancelled in the queue has its prompt and its end", async () => {
    const waiting = await queueTurn(store, session);
    await storeTurn(store, session);
    await addEvents(store, session, waiting, [{ type: "turn_cancelled", by: { key: "alice" }, text: "" }]);
    const { turns, messages } = await readPage(await scope(), 1);
    expect(turns).toMatchObject([{ turn: waiting, state: "cancelled", started_at: null, by: { key: "alice" } }]);
    expect(messages).toMatchObject([{ id: waiting, blocks: [{ text: "hello" }] }]);
  });

  test("nothing behind the session's lastSeq is shown: no later turn, no later end, no later start", async () => {
    const [first, second] = [await queueTurn(store, session), await queueTurn(store, session)];
    const early = await scope();
    await beginTurn(store, session, first);
    await addEvents(store, session, first, [...messageEvents("m", "x"), completed("x")]);
    await storeTurn(store, session);
    const { messages, turns, lastSeq } = await readPage(early, 100);
    expect(messages.map(({ id }) => id)).toEqual([first, second]);
    expect(turns.map(({ state }) => state)).toEqual(["queued", "queued"]);
    expect(lastSeq).toBe(2);
  });
});

test("[L9] another caller's read has nothing, and one whose session is removed meanwhile does not end as if it were whole", async () => {
  for (let index = 0; index < 3; index++) await storeTurn(store, session);
  const foreign = readTurns(await scope({ caller: { key: "bob", user: null, reach: "key" } }));
  await expect(foreign.next()).rejects.toThrow("deleted");
  const reading = readTurns(await scope());
  expect((await reading.next()).done).toBe(false);
  await store.removeSession(alice, session);
  const toItsEnd = async () => {
    while (!(await reading.next()).done) continue;
  };
  await expect(toItsEnd()).rejects.toThrow("deleted");
});

test("[L5] turns whose events were removed by age are left out, the others are whole", async () => {
  await storeTurn(store, session);
  const old = (await store.turns(alice, { session, limit: 1 }))[0]!.endedAt!;
  await store.removeOldEvents(alice, old + 1);
  const kept = await storeTurn(store, session, { texts: ["new"] });
  expect(await whole()).toEqual([kept, `${kept}-0`]);
});

test("[S2] every event is read once, also where turns waited for others", async () => {
  const waiting = [];
  for (let index = 0; index < 20; index++) waiting.push(await queueTurn(store, session));
  for (const turn of waiting) {
    await beginTurn(store, session, turn);
    await addEvents(store, session, turn, [...messageEvents(`of-${turn}`, "x"), completed("x")]);
  }
  let rows = 0;
  const counting: Store = {
    ...store,
    async events(...args) {
      const events = await store.events(...args);
      rows += events.length;
      return events;
    },
  };
  expect((await readPage(await scope({ store: counting }), 1000)).messages).toHaveLength(40);
  expect(rows).toBe((await store.session(alice, session))!.lastSeq);
});
