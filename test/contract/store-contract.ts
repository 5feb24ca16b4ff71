// The rules that every Store must keep. An implementation's own test file calls `storeContract` and adds what only it can do.
import { createHash, randomUUID } from "node:crypto";
import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Caller } from "../../gateway/protocol/callers.ts";
import type { TurnState } from "../../gateway/protocol/codes.ts";
import type { Attachment, LogEvent, NewTurn, Store, Write } from "../../gateway/store/port.ts";
import { bodyOf, foldedRuns } from "../../gateway/store/run.ts";
import {
  alice,
  completed,
  deltasOf,
  eventsWrite,
  newEvent,
  newTurn,
  notice,
  queued,
  sessionWrite,
  textsOf,
} from "../support/log-drafts.ts";

/** A place for stores: each `open` gives another connection to the same database. */
export interface StorePlace {
  open(): Promise<Store>;
  /** Removes the database; its stores are closed by then. */
  remove(): Promise<void>;
}

const everything: Caller = { key: "someone", user: null, reach: "all" };
const failing: Write = eventsWrite(randomUUID(), newEvent(notice("to no session")));

export function storeContract(makePlace: () => Promise<StorePlace>): void {
  let place: StorePlace;
  let store: Store;
  let opened: Store[];

  const open = async () => {
    const other = await place.open();
    opened.push(other);
    return other;
  };
  beforeEach(async () => {
    place = await makePlace();
    opened = [];
    store = await open();
  });
  afterEach(async () => {
    for (const one of opened) await one.close();
    await place.remove();
  });

  async function makeSession(owner?: { key: string; user: string | null }): Promise<string> {
    const write = sessionWrite(randomUUID(), owner);
    await store.commit([write]);
    return write.session.session;
  }

  async function makeTurn(session: string, more: Partial<NewTurn> = {}): Promise<string> {
    const turn = newTurn(session, more);
    await store.commit([{ kind: "turn", turn }, eventsWrite(session, newEvent(queued(session), turn.turn))]);
    return turn.turn;
  }

  const append = (session: string, ...texts: string[]) =>
    store.commit([eventsWrite(session, ...texts.map((text) => newEvent(notice(text))))]);
  const allEvents = (session: string) => store.events(alice, session, 0, 1000);
  const seqs = (events: readonly LogEvent[]) => events.map((event) => event.seq);

  describe("events", () => {
    test("[L1] seq counts each session's events from 1, over commits and within one", async () => {
      const [one, two] = [await makeSession(), await makeSession()];
      const event = newEvent(notice("x"));
      expect(
        await store.commit([eventsWrite(one, event, event), eventsWrite(two, event), eventsWrite(one, event)]),
      ).toEqual([1, 1, 3]);
      expect(await append(one, "later")).toEqual([4]);
      expect(seqs(await allEvents(one))).toEqual([1, 2, 3, 4]);
      expect(seqs(await allEvents(two))).toEqual([1]);
      expect((await store.session(alice, one))?.lastSeq).toBe(4);
    });

    test("[L1] two writers and failed commits between theirs leave no hole and no double", async () => {
      const session = await makeSession();
      const other = await open();
      const event = newEvent(notice("x"));
      const outcomes = await Promise.allSettled(
        Array.from({ length: 60 }, (_, index) => {
          const writes = [eventsWrite(session, event, event)];
          return (index % 2 ? other : store).commit(index % 3 === 2 ? [...writes, failing] : writes);
        }),
      );
      expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(20);
      const firsts = outcomes.flatMap((outcome) => (outcome.status === "fulfilled" ? outcome.value : []));
      expect(new Set(firsts).size).toBe(40);
      expect(seqs(await allEvents(session))).toEqual(Array.from({ length: 80 }, (_, index) => index + 1));
      expect((await other.session(alice, session))?.lastSeq).toBe(80);
    });

    test("[L2] a commit that fails at its end changes nothing of what came before it", async () => {
      const session = await makeSession();
      const turn = await makeTurn(session);
      const [newSession, lateTurn] = [sessionWrite(), newTurn(session)];
      const attachment = attachmentOf("bytes");
      await expect(
        store.commit([
          newSession,
          { kind: "turn", turn: lateTurn, idempotency: { caller: alice, key: "k", bodyHash: "h" } },
          { kind: "turn_state", turn, state: "running", at: 5 },
          eventsWrite(session, newEvent(completed("done"), turn)),
          { kind: "attachment", session, attachment },
          failing,
        ]),
      ).rejects.toThrow(/session/);
      expect(await store.session(everything, newSession.session.session)).toBeUndefined();
      expect(await store.turn(everything, lateTurn.turn)).toBeUndefined();
      expect(await store.turn(everything, turn)).toMatchObject({ state: "queued", startedAt: null, ending: null });
      expect(await store.idempotentTurn(alice, "k", 0)).toBeUndefined();
      expect(await store.attachment(everything, attachment.hash)).toBeUndefined();
      expect(seqs(await allEvents(session))).toEqual([1]);
      expect(await append(session, "next")).toEqual([2]);
    });

    test("[L2] another connection sees a commit once it has resolved", async () => {
      const session = await makeSession();
      const other = await open();
      await append(session, "x");
      expect(await other.events(alice, session, 0, 10)).toEqual(await allEvents(session));
    });

    test("[L4] events(after) gives exactly what is behind every position, with any limit", async () => {
      const session = await makeSession();
      await append(session, ...Array.from({ length: 25 }, (_, index) => `text ${index + 1} 🌍 \u0000 "`));
      const all = await allEvents(session);
      expect(all.map((event) => bodyOf(event))).toEqual(
        Array.from({ length: 25 }, (_, index) => notice(`text ${index + 1} 🌍 \u0000 "`)),
      );
      for (let after = 0; after <= 26; after++) {
        expect(await store.events(alice, session, after, 1000)).toEqual(all.slice(after));
        expect(await store.events(alice, session, after, 3)).toEqual(all.slice(after, after + 3));
      }
    });

    test("[L4] a page ends after about 1 MB, and the next one goes on behind it", async () => {
      const session = await makeSession();
      for (let index = 0; index < 30; index++) await append(session, "x".repeat(100_000));
      const page = await allEvents(session);
      expect(page.length).toBeGreaterThan(5);
      expect(page.length).toBeLessThan(15);
      const found = [...page];
      for (let more = page; more.length > 0;) {
        more = await store.events(alice, session, found.at(-1)!.seq, 1000);
        found.push(...more);
      }
      expect(seqs(found)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    });

    test("[L8] a folded run read from any cursor inside it gives the same text as its deltas did", async () => {
      const parts = fc.array(fc.string({ unit: "grapheme", maxLength: 5 }), { minLength: 2, maxLength: 12 });
      const kind = fc.constantFrom("text_delta", "thinking_delta", "input_json_delta");
      await fc.assert(
        fc.asyncProperty(parts, kind, async (texts, type) => {
          const session = await makeSession();
          const deltas = deltasOf(texts, { type });
          await append(session, "before");
          await store.commit([eventsWrite(session, ...deltas.map((body) => newEvent(body, "t")))]);
          await append(session, "behind");
          const single = await allEvents(session);
          for (const run of foldedRuns(single)) await store.commit([{ kind: "fold", session, run }]);
          const folded = await allEvents(session);
          expect(folded).toHaveLength(3);
          for (let after = 0; after <= single.length; after++) {
            const known = textsOf(single.slice(0, after));
            const rest = await store.events(alice, session, after, 1000);
            expect(textsOf(rest, known)).toEqual(textsOf(single));
            expect(rest.length > 0 && rest[0]!.first).toBe(after < single.length && Math.max(after + 1, 1));
            expect(rest.at(-1)?.seq).toBe(after < single.length ? single.length : undefined);
          }
        }),
        { numRuns: 60 },
      );
    });

    test("[L8] fold changes neither the counter nor the events around it", async () => {
      const session = await makeSession();
      await append(session, "before");
      await store.commit([eventsWrite(session, ...deltasOf(["a", "b", "c"]).map((body) => newEvent(body, "t")))]);
      const [before, ...deltas] = await allEvents(session);
      const [run] = foldedRuns(deltas);
      await store.commit([{ kind: "fold", session, run: run! }]);
      expect(await append(session, "behind")).toEqual([5]);
      const after = await allEvents(session);
      expect(after[0]).toEqual(before);
      expect(after.map(({ first, seq }) => [first, seq])).toEqual([
        [1, 1],
        [2, 4],
        [5, 5],
      ]);
    });
  });

  describe("turns", () => {
    test("a turn is read back as it was written, and follows its events", async () => {
      const session = await makeSession({ key: "alice", user: "ann" });
      await append(session, "before");
      const more = { options: { model: "m", turnTimeoutS: 5 }, by: { key: "alice", user: "ann" } };
      const turn = newTurn(session, more);
      await store.commit([{ kind: "turn", turn }, eventsWrite(session, newEvent(queued(session), turn.turn))]);
      const row = {
        ...turn,
        agent: "tester",
        owner: { key: "alice", user: "ann" },
        firstSeq: 2,
        startedAt: null,
        answerUuid: null,
        rating: null,
      };
      expect(await store.turn(alice, turn.turn)).toEqual({
        ...row,
        state: "queued",
        endedAt: null,
        lastSeq: null,
        ending: null,
      });
      await store.commit([{ kind: "turn_state", turn: turn.turn, state: "running", at: 50 }]);
      await store.commit([{ kind: "turn_state", turn: turn.turn, state: "waiting", at: 60 }]);
      await store.commit([{ kind: "turn_state", turn: turn.turn, state: "running", at: 70 }]);
      expect(await store.turn(alice, turn.turn)).toMatchObject({ state: "running", startedAt: 50, endedAt: null });
      await store.commit([eventsWrite(session, newEvent(completed("done"), turn.turn))]);
      expect(await store.turn(alice, turn.turn)).toEqual({
        ...row,
        state: "completed",
        startedAt: 50,
        endedAt: 3000,
        lastSeq: 3,
        ending: completed("done"),
      });
    });

    test("[L3] a second terminal event, or a later state, does not change a turn that has ended", async () => {
      const session = await makeSession();
      const turn = await makeTurn(session);
      await store.commit([eventsWrite(session, newEvent(completed("first"), turn))]);
      const ended = await store.turn(alice, turn);
      await store.commit([
        eventsWrite(session, newEvent({ type: "turn_cancelled", by: { key: "alice" }, text: "" }, turn)),
        { kind: "turn_state", turn, state: "running", at: 99 },
      ]);
      expect(await store.turn(alice, turn)).toEqual(ended);
      expect(ended).toMatchObject({ state: "completed", ending: { text: "first" } });
    });

    test("[A7, A4] diagnostics are kept with a turn, for those who see its session, and go with that", async () => {
      const session = await makeSession();
      const turn = await makeTurn(session);
      expect(await store.diagnostics(everything, turn)).toBeUndefined();
      await store.commit([{ kind: "diagnostics", turn, text: "first" }]);
      await store.commit([{ kind: "diagnostics", turn, text: "newest \u{1f600}" }]);
      expect(await store.diagnostics(everything, turn)).toBe("newest \u{1f600}");
      expect(await store.diagnostics(alice, turn)).toBe("newest \u{1f600}");
      expect(await store.diagnostics({ key: "bob", user: null, reach: "key" }, turn)).toBeUndefined();
      await store.removeSession(everything, session);
      expect(await store.diagnostics(everything, turn)).toBeUndefined();
    });

    test("lists are newest first, filtered by all that is asked, and paged without loss", async () => {
      const [one, two] = [await makeSession(), await makeSession({ key: "alice", user: "ann" })];
      const turns: string[] = [];
      for (let index = 0; index < 9; index++) turns.push(await makeTurn(index % 3 ? one : two));
      await store.commit([{ kind: "turn_state", turn: turns[0]!, state: "running", at: 1 }]);
      const list = async (filter: object) =>
        (await store.turns(alice, { limit: 100, ...filter })).map(({ turn }) => turn);
      const newest = turns.toReversed();
      expect(await list({})).toEqual(newest);
      expect(await list({ session: two })).toEqual([turns[6], turns[3], turns[0]]);
      expect(await list({ session: two, state: "queued" })).toEqual([turns[6], turns[3]]);
      expect(await list({ user: "ann" })).toEqual([turns[6], turns[3], turns[0]]);
      expect(await list({ agent: "tester" })).toEqual(newest);
      expect(await list({ agent: "other" })).toEqual([]);
      const paged: string[] = [];
      for (let before: string | undefined; ; before = paged.at(-1)) {
        const page = await list({ before, limit: 4 });
        if (page.length === 0) break;
        paged.push(...page);
      }
      expect(paged).toEqual(newest);
    });

    test("[T2] unfinished turns are those that are queued, running or waiting, oldest first", async () => {
      const session = await makeSession();
      const states: TurnState[] = ["queued", "running", "waiting", "queued"];
      const turns: string[] = [];
      for (const state of states) {
        const turn = await makeTurn(session);
        turns.push(turn);
        await makeTurn(session).then((other) => store.commit([eventsWrite(session, newEvent(completed(), other))]));
        if (state !== "queued") await store.commit([{ kind: "turn_state", turn, state, at: 1 }]);
      }
      const unfinished = await store.unfinishedTurns(everything);
      expect(unfinished.map(({ turn, state }) => [turn, state])).toEqual(
        turns.map((turn, index) => [turn, states[index]]),
      );
    });

    test("a session's turns lie in its log by firstSeq, and begin where they left the queue", async () => {
      const session = await makeSession();
      const other = await makeTurn(await makeSession());
      const turns: string[] = [];
      for (let index = 0; index < 4; index++) turns.push(await makeTurn(session));
      const run = (turn: string) => [
        { kind: "turn_state", turn, state: "running", at: 1 } as const,
        eventsWrite(session, newEvent(notice("it runs"), turn)),
      ];
      await store.commit(run(turns[1]!));
      await store.commit([
        { kind: "turn_state", turn: turns[1]!, state: "waiting", at: 2 },
        { kind: "turn_state", turn: turns[1]!, state: "running", at: 3 },
        eventsWrite(session, newEvent(completed(), turns[1])),
        ...run(turns[0]!),
      ]);
      await store.commit([eventsWrite(session, newEvent(completed(), turns[2]))]);
      const spans = [
        { turn: turns[0], firstSeq: 1, startedSeq: 7, lastSeq: null },
        { turn: turns[1], firstSeq: 2, startedSeq: 5, lastSeq: 6 },
        { turn: turns[2], firstSeq: 3, startedSeq: null, lastSeq: 8 },
        { turn: turns[3], firstSeq: 4, startedSeq: null, lastSeq: null },
      ];
      const read = (from: number, order: "asc" | "desc", limit = 10, caller = alice) =>
        store.turnSpans(caller, session, { from, order, limit });
      expect(await read(0, "asc")).toEqual(spans);
      expect(await read(99, "desc")).toEqual(spans.toReversed());
      expect(await read(2, "asc", 2)).toEqual(spans.slice(1, 3));
      expect(await read(2, "desc", 1)).toEqual([spans[1]]);
      expect(await read(0, "asc", 10, { ...alice, key: "bob" })).toEqual([]);
      expect(spans.map(({ turn }) => turn)).not.toContain(other);
    });

    test("[T3] an idempotency key is its caller's own, until it is too old or used anew", async () => {
      const ann: Caller = { key: "alice", user: "ann", reach: "user" };
      const session = await makeSession();
      const first = newTurn(session, { queuedAt: 1000 });
      await store.commit([{ kind: "turn", turn: first, idempotency: { caller: alice, key: "k", bodyHash: "h" } }]);
      expect(await store.idempotentTurn(alice, "k", 1000)).toEqual({ turn: first.turn, bodyHash: "h" });
      expect(await store.idempotentTurn(alice, "k", 1001)).toBeUndefined();
      expect(await store.idempotentTurn(alice, "other", 0)).toBeUndefined();
      expect(await store.idempotentTurn(ann, "k", 0)).toBeUndefined();
      expect(await store.idempotentTurn({ ...alice, key: "bob" }, "k", 0)).toBeUndefined();
      const second = newTurn(session, { queuedAt: 2000 });
      await store.commit([{ kind: "turn", turn: second, idempotency: { caller: alice, key: "k", bodyHash: "h2" } }]);
      expect(await store.idempotentTurn(alice, "k", 1001)).toEqual({ turn: second.turn, bodyHash: "h2" });
    });

    test("[T3] a key's caller is who made the turn, not whose session it is in", async () => {
      const session = await makeSession({ key: "alice", user: "ann" });
      const turn = newTurn(session, { by: { key: "alice" } });
      await store.commit([{ kind: "turn", turn, idempotency: { caller: alice, key: "k", bodyHash: "h" } }]);
      expect(await store.idempotentTurn(alice, "k", 0)).toMatchObject({ turn: turn.turn });
      expect(await store.idempotentTurn({ key: "alice", user: "ann", reach: "user" }, "k", 0)).toBeUndefined();
    });
  });

  describe("attachments", () => {
    test("are kept once, and read by whoever sees a session that refers to them", async () => {
      const attachment = attachmentOf("some bytes \u0000");
      const [anns, bobs] = [
        await makeSession({ key: "alice", user: "ann" }),
        await makeSession({ key: "bob", user: null }),
      ];
      await store.commit([{ kind: "attachment", session: anns, attachment }]);
      const bob: Caller = { key: "bob", user: null, reach: "key" };
      expect(await store.attachment(bob, attachment.hash)).toBeUndefined();
      const found = await store.attachment(alice, attachment.hash);
      expect({ ...found, bytes: Buffer.from(found!.bytes) }).toEqual({
        ...attachment,
        bytes: Buffer.from(attachment.bytes),
      });
      await store.commit([
        { kind: "attachment", session: bobs, attachment },
        { kind: "attachment", session: bobs, attachment },
      ]);
      expect(await store.attachment(bob, attachment.hash)).toMatchObject({ mediaType: "text/plain" });
      expect(await store.attachment(everything, "0".repeat(64))).toBeUndefined();
    });
  });

  describe("callers", () => {
    const ann = { key: "alice", user: "ann" };
    const insiders: Caller[] = [{ ...ann, reach: "user" }, alice, everything];
    const strangers: Caller[] = [
      { key: "alice", user: "bob", reach: "user" },
      { key: "alice", user: null, reach: "user" },
      { key: "alice", user: "", reach: "user" },
      { key: "bob", user: null, reach: "key" },
      { key: "bob", user: "ann", reach: "key" },
      { key: "bob", user: "ann", reach: "user" },
    ];

    test.each([
      ["who may see", insiders, 1],
      ["who may not", strangers, 0],
    ] as const)("[L9] every read by callers %s a session", async (_, callers, count) => {
      const session = await makeSession(ann);
      const turn = await makeTurn(session);
      const attachment = attachmentOf("x");
      await store.commit([{ kind: "attachment", session, attachment }]);
      for (const caller of callers) {
        const found = [
          [await store.session(caller, session)].filter(Boolean),
          [await store.turn(caller, turn)].filter(Boolean),
          await store.turns(caller, { limit: 10 }),
          await store.turns(caller, { limit: 10, session, user: "ann" }),
          await store.unfinishedTurns(caller),
          await store.events(caller, session, 0, 10),
          [await store.attachment(caller, attachment.hash)].filter(Boolean),
        ];
        const counts = found.map(({ length }) => length);
        expect({ caller, counts }).toEqual({ caller, counts: found.map(() => count) });
      }
    });

    test("[L9] a session without a user is not that of a user with an empty name", async () => {
      const session = await makeSession({ key: "alice", user: null });
      expect(await store.session({ key: "alice", user: "", reach: "user" }, session)).toBeUndefined();
      expect(await store.session({ key: "alice", user: null, reach: "user" }, session)).toBeDefined();
    });
  });

  test("everything is there again after the store was closed and opened", async () => {
    const session = await makeSession();
    const turn = await makeTurn(session);
    const [row, events] = [await store.turn(alice, turn), await allEvents(session)];
    for (const one of opened.splice(0)) await one.close();
    store = await open();
    expect(await store.turn(alice, turn)).toEqual(row);
    expect(await allEvents(session)).toEqual(events);
    expect(await append(session, "next")).toEqual([2]);
  });
}

function attachmentOf(text: string): Attachment {
  const bytes = Buffer.from(text);
  return { hash: createHash("sha256").update(bytes).digest("hex"), mediaType: "text/plain", bytes };
}
