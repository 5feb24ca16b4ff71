// The rules that every Store must keep for sessions: lists, search, titles, branches, removal, snapshots and the age limit.
import { createHash, randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Caller, Owner } from "../../gateway/protocol/callers.ts";
import type { EventBody } from "../../gateway/protocol/events.ts";
import type { NewTurn, SessionFilter, Snapshot, Store, Write } from "../../gateway/store/port.ts";
import { bodyOf, foldedRuns } from "../../gateway/store/run.ts";
import {
  alice,
  blockStop,
  completed,
  deltasOf,
  eventsWrite,
  newEvent,
  newTurn,
  notice,
  queued,
  textsOf,
} from "../support/log-drafts.ts";
import type { StorePlace } from "./store-contract.ts";

const everything: Caller = { key: "someone", user: null, reach: "all" };

export function sessionContract(makePlace: () => Promise<StorePlace>): void {
  let place: StorePlace;
  let store: Store;
  beforeEach(async () => {
    place = await makePlace();
    store = await place.open();
  });
  afterEach(async () => {
    await store.close();
    await place.remove();
  });

  interface Made {
    readonly owner?: Owner;
    readonly agent?: string;
    readonly title?: string | null;
    readonly createdAt?: number;
  }

  async function makeSession(made: Made = {}): Promise<string> {
    const { owner = { key: "alice", user: null }, agent = "tester", title = null, createdAt = 1000 } = made;
    const session = randomUUID();
    await store.commit([{ kind: "session", session: { session, agent, owner, createdAt, title } }]);
    return session;
  }

  interface Said {
    readonly prompt?: string;
    /** Without one the turn stays queued. */
    readonly answer?: string | undefined;
    readonly at?: number;
    readonly endedAt?: number;
    readonly more?: Partial<NewTurn>;
  }

  async function say(session: string, said: Said = {}): Promise<string> {
    const { prompt = "hello", at = 2000, endedAt = 3000, more } = said;
    const turn = newTurn(session, { prompt: [{ type: "text", text: prompt }], queuedAt: at, ...more });
    await store.commit([{ kind: "turn", turn }, eventsWrite(session, newEvent(queued(session), turn.turn))]);
    const event = { ...newEvent(completed(said.answer), turn.turn), at: endedAt };
    if (said.answer !== undefined) await store.commit([eventsWrite(session, event)]);
    return turn.turn;
  }

  const list = async (filter: Partial<SessionFilter> = {}, caller: Caller = alice) =>
    (await store.sessions(caller, { limit: 100, ...filter })).map(({ session }) => session);
  const find = (words: string, caller: Caller = alice) => list({ words }, caller);
  const eventsOf = (session: string, after = 0) => store.events(everything, session, after, 1000);
  const bodies = async (session: string) => (await eventsOf(session)).map((event) => bodyOf(event));
  const snapshotOf = (session: string, more: Partial<Snapshot> = {}): Write => ({
    kind: "snapshot",
    snapshot: { session, origin: session, answerUuid: "a", packed: Buffer.from("packed"), at: 5, ...more },
  });

  describe("lists of sessions", () => {
    test("have the newest prompt first, and a session without one stands where it was made", async () => {
      const early = await makeSession({ createdAt: 1000 });
      const silent = await makeSession({ createdAt: 5000 });
      const late = await makeSession({ createdAt: 2000 });
      await say(late, { at: 6000 });
      await say(early, { at: 4000, answer: "ended much later", endedAt: 9000 });
      expect(await list()).toEqual([late, silent, early]);
      await say(early, { at: 7000 });
      expect(await list()).toEqual([early, late, silent]);
      expect(await store.session(alice, early)).toMatchObject({ createdAt: 1000, updatedAt: 7000, state: "queued" });
      expect(await store.session(alice, silent)).toMatchObject({ updatedAt: 5000, state: null, title: null });
    });

    test("are paged without a loss or a double, also where many were made in the same millisecond", async () => {
      for (let index = 0; index < 23; index++) await makeSession({ createdAt: 1000 + Math.floor(index / 6) });
      const whole = await list();
      expect(new Set(whole).size).toBe(23);
      expect(await paged(5)).toEqual(whole);
      expect(await paged(1)).toEqual(whole);
    });

    test("are paged on where sessions are made, prompted and removed between two pages", async () => {
      for (let index = 0; index < 12; index++) await makeSession({ createdAt: 1000 + index });
      const whole = await list();
      const moved = [whole[1]!, whole[8]!];
      const gone = whole[4]!;
      const found = await paged(4, async (page) => {
        if (page > 0) return;
        for (const session of moved) await say(session, { at: 50_000 });
        await store.removeSession(everything, gone);
        await makeSession({ createdAt: 60_000 });
        // The cursor's own session, too.
        await store.removeSession(everything, whole[3]!);
      });
      // What moved to the front after its page was read is not read again; what was still to come and moved there is in a new list.
      expect(found).toEqual(whole.filter((session) => session !== gone && session !== moved[1]));
      expect((await list()).slice(1, 3).toSorted()).toEqual(moved.toSorted());
    });

    async function paged(limit: number, between: (page: number) => Promise<void> = async () => {}): Promise<string[]> {
      const found: string[] = [];
      for (let after: SessionFilter["after"], page = 0; ; page++) {
        const rows = await store.sessions(alice, { limit, after });
        if (rows.length === 0) return found;
        found.push(...rows.map(({ session }) => session));
        after = rows.at(-1)!;
        await between(page);
      }
    }

    test("are filtered by agent, user, state of the newest turn, and time, and by all that is asked at once", async () => {
      const ann = { key: "alice", user: "ann" };
      const one = await makeSession({ createdAt: 1000 });
      const two = await makeSession({ createdAt: 2000, agent: "other", owner: ann });
      const three = await makeSession({ createdAt: 3000, owner: ann });
      await say(three, { at: 3000, answer: "done" });
      await say(two, { at: 4000, answer: "done" });
      await say(two, { at: 5000 });
      expect(await list({ agent: "other" })).toEqual([two]);
      expect(await list({ agent: "unknown" })).toEqual([]);
      expect(await list({ user: "ann" })).toEqual([two, three]);
      expect(await list({ user: "" })).toEqual([]);
      expect(await list({ state: "completed" })).toEqual([three]);
      expect(await list({ state: "queued" })).toEqual([two]);
      expect(await list({ since: 3000 })).toEqual([two, three]);
      expect(await list({ since: 3001 })).toEqual([two]);
      expect(await list({ until: 3000 })).toEqual([three, one]);
      expect(await list({ since: 3000, until: 3000 })).toEqual([three]);
      expect(await list({ since: 5, until: 4 })).toEqual([]);
      expect(await list({ user: "ann", state: "completed", agent: "tester", since: 1, words: "done" })).toEqual([
        three,
      ]);
      expect(await list({ user: "ann", state: "completed", agent: "other", words: "done" })).toEqual([]);
    });

    test("[L9] hold only what their caller may see, whatever is asked", async () => {
      const owners = [
        { key: "alice", user: "ann" },
        { key: "alice", user: "ben" },
        { key: "alice", user: null },
        { key: "bob", user: "ann" },
      ];
      const ids: string[] = [];
      for (const owner of owners) {
        const session = await makeSession({ owner });
        await say(session, { prompt: "common words", answer: "same" });
        await store.commit([snapshotOf(session)]);
        ids.push(session);
      }
      const [ann, ben, nobody, other] = ids as [string, string, string, string];
      const seen = async (caller: Caller, filter: Partial<SessionFilter> = {}) =>
        (await list(filter, caller)).toSorted();
      const cases: [Caller, string[]][] = [
        [{ key: "alice", user: "ann", reach: "user" }, [ann]],
        [{ key: "alice", user: null, reach: "user" }, [nobody]],
        [{ key: "alice", user: "", reach: "user" }, []],
        [{ key: "alice", user: null, reach: "key" }, [ann, ben, nobody]],
        [{ key: "bob", user: null, reach: "key" }, [other]],
        [{ key: "mallory", user: "ann", reach: "user" }, []],
        [everything, ids],
      ];
      for (const [caller, expected] of cases) {
        for (const filter of [{}, { words: "common" }, { agent: "tester" }, { state: "completed" as const }])
          expect(await seen(caller, filter)).toEqual(expected.toSorted());
        for (const session of ids) {
          const isSeen = expected.includes(session);
          expect([!!(await store.session(caller, session)), !!(await store.snapshot(caller, session))]).toEqual([
            isSeen,
            isSeen,
          ]);
          const removed = isSeen ? undefined : await store.removeSession(caller, session);
          expect(removed).toBeUndefined();
        }
      }
      expect(await seen({ key: "alice", user: "ann", reach: "user" }, { user: "ben" })).toEqual([]);
      expect(await store.removeOldEvents({ key: "mallory", user: null, reach: "key" }, 1e12)).toBe(0);
      expect(await store.removeOldEvents({ key: "bob", user: null, reach: "key" }, 1e12)).toBe(2);
      for (const session of [ann, ben, nobody]) expect(await eventsOf(session)).toHaveLength(2);
    });
  });

  describe.each<Caller>([alice, { ...alice, reach: "user" }, everything])("search with the reach of %j", (caller) => {
    const list = async (filter: Partial<SessionFilter>) =>
      (await store.sessions(caller, { limit: 100, ...filter })).map(({ session }) => session);
    const find = (words: string) => list({ words });

    test("finds by words of a prompt and of an answer, newest first, the last one also as a beginning", async () => {
      const one = await makeSession();
      const two = await makeSession();
      const three = await makeSession();
      await say(one, { prompt: "Where is the harbour?", answer: "By the Ünterelbe, near berth seven.", at: 2000 });
      await say(two, { prompt: "harbours of Europe", answer: "Rotterdam", at: 3000 });
      await say(three, { prompt: "nothing of it", answer: "no", at: 4000 });
      expect(await find("harbour")).toEqual([two, one]);
      expect(await find("HARB")).toEqual([two, one]);
      expect(await find("harbours")).toEqual([two]);
      expect(await find("berth")).toEqual([one]);
      expect(await find("unterelbe")).toEqual([one]);
      expect(await find("harb berth")).toEqual([]);
      expect(await find("berth harb")).toEqual([one]);
      expect(await find("rotterdam")).toEqual([two]);
      expect(await find("  \n rotterdam\t")).toEqual([two]);
      expect(await list({ words: "harbour", limit: 1 })).toEqual([two]);
      const [row] = await store.sessions(caller, { words: "harbour", limit: 1 });
      expect(await list({ words: "harbour", after: row! })).toEqual([one]);
    });

    test("wants all words in one turn: its prompt and its answer together", async () => {
      const session = await makeSession();
      await say(session, { prompt: "apple", answer: "pear" });
      await say(session, { prompt: "cherry", answer: "plum" });
      expect(await find("apple pear")).toEqual([session]);
      expect(await find("plum cherry")).toEqual([session]);
      expect(await find("apple cherry")).toEqual([]);
    });

    test("takes a last word that ends in a sign for a whole one", async () => {
      const session = await makeSession();
      await say(session, { prompt: "C++ and seaside", answer: "can be" });
      await say(await makeSession(), { prompt: "can be seasick", answer: "cats" });
      expect(await find("C++")).toEqual([session]);
      expect(await find("and C++")).toEqual([session]);
      expect(await find("sea!")).toEqual([]);
      expect(await find("sea")).toHaveLength(2);
    });

    test("takes each of these as plain words, and none does harm", async () => {
      const session = await makeSession();
      await say(session, {
        prompt: 'He said "quoted words" in C++ AND not NEAR(ly) so; foo-bar, O\'Brien 50% a*b {x} col:val ^up',
        answer: "Straße 東京 naïve 1.5 mail@example.com",
      });
      for (const words of [
        '"quoted words"',
        '"',
        "C++",
        "AND",
        "and NOT near",
        "foo-bar",
        "O'Brien",
        "NEAR(ly)",
        "a*b",
        "col:val",
        "{x}",
        "^up",
        "quoted:words",
        "straße",
        "東京",
        "naive",
        "1.5",
        "mail@example.com",
        'quoted" "words',
      ])
        expect({ words, found: await find(words) }).toEqual({ words, found: words === '"' ? [] : [session] });
      const none = ["NEAR(", "OR nothing", "-foo2", "words : nothing", "foo\u0000nothing", "'; DROP TABLE turns; --"];
      // Words that are half a character, and letters that are newer than the database.
      none.push("\ud83d nothing", "nothing \ud800", "\u{1e900}\u{1e943} nothing", "\u0301nothing");
      for (const words of none) {
        const found = await find(words);
        expect({ words, found }).toEqual({ words, found: words === "NEAR(" ? [session] : [] });
      }
    });

    test.each(["*", '"', '""', "🦥", "++ -- ()", "   ", "\u0000", "* * *", "…"])(
      "for %j, which has no word at all, finds nothing",
      async (words) => {
        await say(await makeSession(), { prompt: `* " 🦥 ++ ${words}`, answer: "…" });
        expect(await find(words)).toEqual([]);
      },
    );

    test("finds what was said in a failed turn, and nothing of a removed session", async () => {
      const session = await makeSession();
      const turn = await say(session, { prompt: "first question" });
      await store.commit([
        eventsWrite(session, newEvent({ type: "turn_cancelled", by: { key: "alice" }, text: "halfanswer" }, turn)),
      ]);
      expect(await find("halfanswer")).toEqual([session]);
      await store.removeSession(alice, session);
      expect(await find("halfanswer")).toEqual([]);
      expect(await find("question")).toEqual([]);
      // Whatever takes the removed one's place in the index has its own words.
      const next = await makeSession();
      await say(next, { prompt: "other", answer: "words" });
      expect([await find("other"), await find("halfanswer"), await find("words")]).toEqual([[next], [], [next]]);
    });
  });

  describe("search among others", () => {
    const ann: Owner = { key: "alice", user: "ann" };
    const ben: Owner = { key: "alice", user: "ben" };
    const bob: Owner = { key: "bob", user: "ann" };

    test("[L9] finds the caller's own words, of one user, of a key's users, or of all", async () => {
      const [anns, bens, nobodys, bobs] = await Promise.all(
        [ann, ben, { key: "alice", user: null }, bob].map((owner) => makeSession({ owner })),
      );
      for (const session of [anns, bens, nobodys, bobs])
        await say(session!, { prompt: "harbours", answer: "of Europe" });
      for (const words of ["harbours", "harb", "harbours of europe"]) {
        const found = (caller: Caller) => find(words, caller);
        expect(await found({ ...ann, reach: "user" })).toEqual([anns]);
        expect(await found({ ...ben, reach: "user" })).toEqual([bens]);
        expect(await found({ key: "alice", user: null, reach: "user" })).toEqual([nobodys]);
        expect(await found({ ...bob, reach: "user" })).toEqual([bobs]);
        expect(new Set(await found(alice))).toEqual(new Set([anns, bens, nobodys]));
        expect(await found({ key: "nobody", user: "ann", reach: "user" })).toEqual([]);
        expect(await found(everything)).toHaveLength(4);
        expect(await list({ words, user: "ann" }, alice)).toEqual([anns]);
      }
    });

    test("[L9] no words lead to somebody else's: marks that the index may have, its columns and its signs", async () => {
      const mine = await makeSession({ owner: ann });
      await say(mine, { prompt: "mine", answer: "own" });
      for (let count = 0; count < 12; count++)
        await say(await makeSession({ owner: { key: "alice", user: `user ${count}` } }), {
          prompt: "secret",
          answer: "s",
        });
      const caller: Caller = { ...ann, reach: "user" };
      const marks = Array.from({ length: 30 }, (_, id) => [
        `${id}wsecret`,
        `${id}w`,
        `${id}`,
        `words:${id}wsecret`,
      ]).flat();
      for (const words of [...marks, '" OR secret OR "', "secret*", '"secret', "s", "{words} : secret"])
        expect([words, await find(words, caller)]).toEqual([words, []]);
      expect(await find("mine", caller)).toEqual([mine]);
    });
  });

  describe("titles", () => {
    test("are the first line of the first prompt, and stay when there is another or one is given", async () => {
      const session = await makeSession();
      await say(session, { prompt: "\n  A first line \nand a second" });
      expect(await store.session(alice, session)).toMatchObject({ title: "A first line" });
      await say(session, { prompt: "another" });
      expect(await store.session(alice, session)).toMatchObject({ title: "A first line" });
      await store.commit([{ kind: "session_title", session, title: "Renamed" }]);
      await say(session, { prompt: "a third" });
      expect(await store.session(alice, session)).toMatchObject({ title: "Renamed" });
      const named = await makeSession({ title: "Given" });
      await say(named, { prompt: "not this" });
      expect(await store.session(alice, named)).toMatchObject({ title: "Given" });
    });

    test("of long prompts are cut between characters; a prompt without words gives none", async () => {
      const session = await makeSession();
      await say(session, { prompt: "🦥".repeat(200) });
      const { title } = (await store.session(alice, session))!;
      expect(title).toMatch(/^(🦥){10,}…$/u);
      expect(title!.isWellFormed()).toBe(true);
      const image = await makeSession();
      await say(image, { more: { prompt: [] } });
      expect(await store.session(alice, image)).toMatchObject({ title: null });
      await say(image, { prompt: "now words" });
      expect(await store.session(alice, image)).toMatchObject({ title: "now words" });
    });
  });

  describe("removal", () => {
    test("takes all of a session and nothing of another, and says how much it was", async () => {
      const [gone, kept] = [await makeSession(), await makeSession()];
      const [own, shared] = [attachmentOf("own"), attachmentOf("shared")];
      for (const session of [gone, kept]) {
        const turn = await say(session, { prompt: "word", answer: "word" });
        await say(session);
        await store.commit([
          { kind: "attachment", session, attachment: shared },
          { kind: "turn_answer", turn, answerUuid: "a" },
          snapshotOf(session),
        ]);
      }
      await store.commit([{ kind: "attachment", session: gone, attachment: own }]);
      const before = [await store.turns(alice, { session: kept, limit: 9 }), await eventsOf(kept)];
      expect(await store.removeSession(alice, gone)).toEqual({ turns: 2, events: 3, attachments: 1 });
      expect(await store.session(everything, gone)).toBeUndefined();
      expect(await store.turns(everything, { session: gone, limit: 9 })).toEqual([]);
      expect(await eventsOf(gone)).toEqual([]);
      expect(await store.snapshot(everything, gone)).toBeUndefined();
      expect(await store.attachment(everything, own.hash)).toBeUndefined();
      expect(await store.attachment(alice, shared.hash)).toBeDefined();
      expect([await store.turns(alice, { session: kept, limit: 9 }), await eventsOf(kept)]).toEqual(before);
      expect(await store.snapshot(alice, kept)).toBeDefined();
      expect(await list()).toEqual([kept]);
      expect(await store.removeSession(alice, gone)).toBeUndefined();
      expect(await store.removeSession(alice, kept)).toMatchObject({ attachments: 1 });
      expect(await store.attachment(everything, shared.hash)).toBeUndefined();
    });

    test("[T3] frees the idempotency keys of its turns, and leaves those of others", async () => {
      const [gone, kept] = [await makeSession(), await makeSession()];
      for (const session of [gone, kept]) {
        const idempotency = { caller: alice, key: session, bodyHash: "h" };
        await store.commit([{ kind: "turn", turn: newTurn(session), idempotency }]);
      }
      await store.removeSession(alice, gone);
      expect(await store.idempotentTurn(alice, gone, 0)).toBeUndefined();
      expect(await store.idempotentTurn(alice, kept, 0)).toBeDefined();
    });

    test("leaves nothing that could be written to: events and turns of it are refused, others in their commit too", async () => {
      const session = await makeSession();
      const turn = await say(session);
      await store.removeSession(alice, session);
      for (const write of [
        eventsWrite(session, newEvent(notice("late"))),
        { kind: "turn", turn: newTurn(session) } as const,
        snapshotOf(session),
        { kind: "attachment", session, attachment: attachmentOf("late") } as const,
      ])
        await expect(store.commit([write])).rejects.toThrow(/session|constraint|foreign/i);
      expect(await store.turn(everything, turn)).toBeUndefined();
      expect(await store.attachment(everything, attachmentOf("late").hash)).toBeUndefined();
    });
  });

  describe("branches", () => {
    async function fork(from: string, turns: readonly string[]): Promise<{ to: string; copies: string[] }> {
      const to = randomUUID();
      const copies = turns.map((turn) => ({ turn, copy: newTurn(to).turn }));
      const owner = { key: "alice", user: null };
      await store.commit([
        { kind: "session", session: { session: to, agent: "tester", owner, createdAt: 9000, title: "branch" } },
        { kind: "fork", from, to, turns: copies },
      ]);
      return { to, copies: copies.map(({ copy }) => copy) };
    }

    /** Three turns with something between them; the second one's deltas are folded. */
    async function makeParent(): Promise<{ session: string; turns: string[] }> {
      const session = await makeSession();
      const turns: string[] = [];
      for (const name of ["one", "two", "three"]) {
        const turn = await say(session, { prompt: `prompt ${name}` });
        const deltas: EventBody[] = deltasOf(["a", "bc", "def", "ghij"], { message: `m-${name}` });
        await store.commit([
          eventsWrite(session, newEvent(notice("of no turn"))),
          eventsWrite(session, ...[...deltas, blockStop(`m-${name}`)].map((body) => newEvent(body, turn))),
          eventsWrite(session, newEvent(completed(`answer ${name}`), turn)),
          { kind: "turn_answer", turn, answerUuid: `uuid-${name}` },
        ]);
        turns.push(turn);
      }
      const runs = foldedRuns((await eventsOf(session)).filter((event) => event.turn === turns[1]));
      await store.commit(runs.map((run) => ({ kind: "fold", session, run })));
      return { session, turns };
    }

    test("have the turns' events in order, numbered anew without a hole, under new turn ids", async () => {
      const { session, turns } = await makeParent();
      const before = await eventsOf(session);
      const { to, copies } = await fork(session, turns.slice(0, 2));
      const events = await eventsOf(to);
      expect(events.flatMap(({ first, seq }) => Array.from({ length: seq - first + 1 }, (_, i) => first + i))).toEqual(
        Array.from({ length: 14 }, (_, index) => index + 1),
      );
      expect(events.map(({ turn }) => turn)).toEqual([...Array(7).fill(copies[0]), ...Array(4).fill(copies[1])]);
      const parents = before.filter(({ turn }) => turns.slice(0, 2).includes(turn!));
      expect(events.map(({ at, type }) => [at, type])).toEqual(parents.map(({ at, type }) => [at, type]));
      expect(await eventsOf(session)).toEqual(before);
      expect(await store.session(alice, to)).toMatchObject({ lastSeq: 14, oldestSeq: 1, title: "branch" });
      expect(await store.commit([eventsWrite(to, newEvent(notice("next")))])).toEqual([15]);
    });

    test("say of themselves, and not of their parent, which session they are", async () => {
      const { session, turns } = await makeParent();
      const { to } = await fork(session, turns);
      const text = JSON.stringify(await bodies(to));
      expect(text).not.toContain(session);
      expect((await bodies(to)).filter(({ type }) => type === "turn_queued")).toEqual(
        turns.map(() => expect.objectContaining({ session: to }) as unknown),
      );
    });

    test("have turns with their own numbers, and all else as the parent's have it", async () => {
      const { session, turns } = await makeParent();
      const { to, copies } = await fork(session, turns.slice(0, 2));
      const rows = (await store.turns(alice, { session: to, limit: 9 })).toReversed();
      const parents = (await store.turns(alice, { session, limit: 9 })).toReversed().slice(0, 2);
      const numbers = [
        { firstSeq: 1, lastSeq: 7 },
        { firstSeq: 8, lastSeq: 14 },
      ];
      expect(rows).toEqual(
        parents.map((parent, index) => ({ ...parent, session: to, turn: copies[index], ...numbers[index] })),
      );
      expect(rows.map(({ answerUuid }) => answerUuid)).toEqual(["uuid-one", "uuid-two"]);
      expect(await store.turns(alice, { session, limit: 9 })).toHaveLength(3);
    });

    test("[L8] a folded row survives, and is read from every cursor inside it", async () => {
      const { session, turns } = await makeParent();
      const { to } = await fork(session, turns.slice(1));
      const whole = textsOf(await eventsOf(to));
      expect([...whole.values()]).toEqual(["abcdefghij", "abcdefghij"]);
      const singles = deltasOf(["a", "bc", "def", "ghij"], { message: "m-two" });
      for (let after = 1; after <= 5; after++) {
        const known = textsOf(singles.slice(0, after - 1).map((body) => newEvent(body)));
        const rest = await eventsOf(to, after);
        expect(rest[0]!.first).toBe(after + 1);
        expect(textsOf(rest, known)).toEqual(whole);
      }
    });

    test("are found by their words, keep their attachments, and go on when the parent is removed", async () => {
      const { session, turns } = await makeParent();
      const attachment = attachmentOf("seen by both");
      await store.commit([{ kind: "attachment", session, attachment }]);
      const { to } = await fork(session, turns.slice(0, 2));
      expect(await find("prompt one")).toEqual([session, to].toSorted((a, b) => (a === to ? -1 : b === to ? 1 : 0)));
      expect(await find("answer two")).toContain(to);
      expect(await find("three")).toEqual([session]);
      const [rows, events] = [await store.turns(alice, { session: to, limit: 9 }), await eventsOf(to)];
      await store.removeSession(alice, session);
      expect(await store.turns(alice, { session: to, limit: 9 })).toEqual(rows);
      expect(await eventsOf(to)).toEqual(events);
      expect(await find("answer two")).toEqual([to]);
      expect(await store.attachment(alice, attachment.hash)).toBeDefined();
      expect(await store.removeSession(alice, to)).toMatchObject({ turns: 2, events: 11, attachments: 1 });
    });

    test("of a branch, and of no turn at all, are sessions like others", async () => {
      const { session, turns } = await makeParent();
      const { to, copies } = await fork(session, turns);
      const second = await fork(to, copies.slice(0, 2));
      expect(textsOf(await eventsOf(second.to))).toEqual(
        new Map([
          ["m-one 0 text_delta", "abcdefghij"],
          ["m-two 0 text_delta", "abcdefghij"],
        ]),
      );
      const empty = await fork(session, []);
      expect(await eventsOf(empty.to)).toEqual([]);
      expect(await store.session(alice, empty.to)).toMatchObject({ lastSeq: 0, oldestSeq: 1, state: null });
      await say(empty.to, { prompt: "a first one" });
      expect(await store.session(alice, empty.to)).toMatchObject({ lastSeq: 1, state: "queued" });
    });
  });

  describe("snapshots", () => {
    test("are read back as they were written, and the newest replaces the one before", async () => {
      const session = await makeSession();
      expect(await store.snapshot(alice, session)).toBeUndefined();
      await store.commit([snapshotOf(session, { origin: "parent", answerUuid: null, packed: Buffer.from([0, 255]) })]);
      const first = (await store.snapshot(alice, session))!;
      expect({ ...first, packed: [...first.packed] }).toEqual({
        session,
        origin: "parent",
        answerUuid: null,
        packed: [0, 255],
        at: 5,
      });
      await store.commit([snapshotOf(session, { answerUuid: "b", at: 6 })]);
      expect(await store.snapshot(alice, session)).toMatchObject({ origin: session, answerUuid: "b", at: 6 });
    });
  });

  describe("the age limit", () => {
    test("[L5] removes the events of turns that ended before it, and says from where there are some", async () => {
      const session = await makeSession();
      const old = await say(session, { answer: "old", endedAt: 10_000 });
      const young = await say(session, { answer: "young", endedAt: 20_000 });
      expect(await store.session(alice, session)).toMatchObject({ oldestSeq: 1, lastSeq: 4 });
      expect(await store.removeOldEvents(everything, 20_000)).toBe(2);
      expect((await eventsOf(session)).map(({ turn }) => turn)).toEqual([young, young]);
      expect(await store.session(alice, session)).toMatchObject({ oldestSeq: 3, lastSeq: 4 });
      expect(await store.turn(alice, old)).toMatchObject({ state: "completed", ending: { text: "old" } });
      expect(await store.removeOldEvents(everything, 20_000)).toBe(0);
      expect(await store.removeOldEvents(everything, 20_001)).toBe(2);
      expect(await store.session(alice, session)).toMatchObject({ oldestSeq: 5, lastSeq: 4 });
      expect(await store.commit([eventsWrite(session, newEvent(notice("next")))])).toEqual([5]);
    });

    test("[L5] what is kept has no hole: an event of no turn, or of a turn that waits, hides none that is missing", async () => {
      const session = await makeSession();
      const [early, late] = [1000, 30_000];
      const changed = (at: number) => ({ ...newEvent({ type: "session_changed", title: "t" }), at });
      await store.commit([eventsWrite(session, changed(early))]);
      const old = await say(session, { at: early });
      const waiting = await say(session, { at: early });
      const ending = { ...newEvent(completed("old"), old), at: early };
      await store.commit([
        eventsWrite(session, newEvent(notice("x"), old), ending),
        eventsWrite(session, changed(late)),
      ]);
      await store.removeOldEvents(everything, 20_000);
      const [events, row] = [await eventsOf(session), (await store.session(alice, session))!];
      // From the oldest on all is there.
      expect(events.map(({ seq }) => seq)).toEqual(
        Array.from({ length: row.lastSeq - row.oldestSeq + 1 }, (_, index) => row.oldestSeq + index),
      );
      expect(events[0]).toMatchObject({ turn: waiting, type: "turn_queued" });
      await store.commit([eventsWrite(session, { ...newEvent(completed(), waiting), at: early })]);
      await store.removeOldEvents(everything, 20_000);
      // The late change stands before that turn's end: both are kept while it is young.
      expect((await eventsOf(session)).map(({ type }) => type)).toEqual(["session_changed", "turn_completed"]);
      await store.removeOldEvents(everything, late + 1);
      expect(await store.session(alice, session)).toMatchObject({ oldestSeq: row.lastSeq + 2 });
    });

    test("leaves the events of turns that have not ended, however old", async () => {
      const session = await makeSession();
      await say(session, { at: 1 });
      expect(await store.removeOldEvents(everything, 1e12)).toBe(0);
      expect(await eventsOf(session)).toHaveLength(1);
    });
  });
}

function attachmentOf(text: string) {
  const bytes = Buffer.from(text);
  return { hash: createHash("sha256").update(bytes).digest("hex"), mediaType: "text/plain", bytes };
}
