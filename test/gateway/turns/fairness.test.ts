// [T8] No caller's work, waiting or running, keeps another caller from a place for longer than one turn of its own kind; all visitors of
// public agents together have at most half of the places and of the queue.
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createQueue } from "../../../gateway/turns/queue.ts";
import { shareOf, type Caps, type Waiting } from "../../../gateway/turns/room.ts";
import { alice, completed } from "../../support/log-drafts.ts";
import { openTurns } from "../../support/open-turns.ts";
import { cases } from "../../support/property.ts";

const always = () => true;
const halves = { caller: 0.5, visitors: 0.5 };
const capsOf = (caps: Partial<Caps>): Caps => ({
  running: 8,
  processes: 16,
  runningOfAgent: () => Infinity,
  processesOfAgent: () => Infinity,
  shares: halves,
  ...caps,
});
const visitor = (turn: string, caller = "visitor"): Waiting => ({
  turn,
  session: turn,
  agent: "x",
  caller,
  isVisitor: true,
});
const member = (turn: string, caller: string): Waiting => ({ turn, session: turn, agent: "x", caller });

/** Starts what may start; the turns that did. */
function startAll(queue: ReturnType<typeof createQueue>): string[] {
  const started: string[] = [];
  for (let next = queue.start(always); next; next = queue.start(always)) started.push(next.turn);
  return started;
}

describe("[T8] places", () => {
  test("a caller has half of them, and all visitors together do", () => {
    const queue = createQueue(capsOf({}));
    for (let i = 0; i < 9; i++) queue.add(visitor(`v${i}`, `visitor-${i}`), "last");
    expect(startAll(queue)).toEqual(["v0", "v1", "v2", "v3"]);
    for (let i = 0; i < 9; i++) queue.add(member(`a${i}`, "ann"), "last");
    expect(startAll(queue)).toEqual(["a0", "a1", "a2", "a3"]);
    const narrow = createQueue(capsOf({ runningOfAgent: () => 2 }));
    for (const turn of ["a", "b"]) narrow.add(member(turn, "ann"), "last");
    narrow.add(member("c", "bob"), "last");
    expect(startAll(narrow)).toEqual(["a", "c"]);
  });

  test("turns that wait for a person keep half of the processes free, and all places", () => {
    const queue = createQueue(capsOf({}));
    const letAllAsk = () => {
      for (let started = startAll(queue); started.length > 0; started = startAll(queue))
        for (const turn of started) queue.suspend(turn, "person");
      return queue.runningCount;
    };
    for (let i = 0; i < 20; i++) queue.add(visitor(`v${i}`), "last");
    // One visitor has half of what all of them have.
    expect(letAllAsk()).toBe(4);
    for (let i = 0; i < 20; i++) queue.add(visitor(`w${i}`, `visitor-${i}`), "last");
    expect(letAllAsk()).toBe(8);
    for (let i = 0; i < 8; i++) queue.add(member(`m${i}`, `member-${i}`), "last");
    expect(startAll(queue)).toHaveLength(8);
  });

  test("with one place it is whoever's turn it is, and one that is answered is next", () => {
    const queue = createQueue(capsOf({ running: 1 }));
    queue.add(visitor("asks"), "last");
    startAll(queue);
    queue.suspend("asks", "person");
    for (const turn of ["a", "b"]) queue.add(member(turn, "ann"), "last");
    expect(startAll(queue)).toEqual(["a"]);
    const said: string[] = [];
    queue.resume("asks", () => said.push("goes on"), "person");
    expect([said, startAll(queue)]).toEqual([[], []]);
    queue.finish("a");
    expect([said, startAll(queue)]).toEqual([["goes on"], []]);
    queue.finish("asks");
    expect(startAll(queue)).toEqual(["b"]);
  });

  test("two turns that ask and are answered in turn, for ever, do not keep the third caller out", () => {
    const queue = createQueue(capsOf({ running: 1 }));
    for (const turn of ["one", "two"]) {
      queue.add(visitor(turn), "last");
      startAll(queue);
      queue.suspend(turn, "person");
    }
    const goOn = (turn: string) => queue.resume(turn, () => {}, "person");
    goOn("one");
    queue.add(member("a", "ann"), "last");
    expect(startAll(queue)).toEqual([]);
    goOn("two");
    queue.suspend("one", "person");
    goOn("one");
    expect(startAll(queue)).toEqual([]);
    queue.suspend("two", "person");
    expect(startAll(queue)).toEqual(["a"]);
  });

  test("a turn that asks for the second time, before it has its place back, does not go on without one", () => {
    const queue = createQueue(capsOf({ running: 1 }));
    queue.add(member("a", "ann"), "last");
    startAll(queue);
    queue.suspend("a", "person");
    queue.add(member("b", "bob"), "last");
    startAll(queue);
    const said: string[] = [];
    queue.resume("a", () => said.push("first answer"), "person");
    queue.suspend("a", "person");
    queue.resume("a", () => said.push("second answer"), "person");
    expect(said).toEqual([]);
    queue.finish("b");
    expect(said).toEqual(["first answer", "second answer"]);
  });

  test("an answer has a turn that waits for another one not take a place from it", () => {
    const queue = createQueue(capsOf({ running: 1 }));
    queue.add(member("lead", "ann"), "last");
    startAll(queue);
    queue.suspend("lead", "person");
    queue.suspend("lead");
    queue.add(member("below", "ann"), "last");
    expect(startAll(queue)).toEqual(["below"]);
    const said: string[] = [];
    queue.resume("lead", () => said.push("answered"), "person");
    expect(said).toEqual(["answered"]);
    queue.resume("lead", () => said.push("has its answer"));
    expect(said).toEqual(["answered"]);
    queue.finish("below");
    expect(said).toEqual(["answered", "has its answer"]);
  });

  test("a turn that the CLI begins takes one, and no second process in the session of another turn", () => {
    const queue = createQueue(capsOf({ running: 2, processes: 2, shares: { caller: 1, visitors: 0.5 } }));
    queue.begin({ ...member("own", "ann"), session: "s" });
    queue.add({ ...member("a", "ann"), session: "s" }, "last");
    queue.add(member("b", "ann"), "last");
    expect(startAll(queue)).toEqual(["a"]);
    queue.finish("own");
    expect(startAll(queue)).toEqual(["b"]);
  });
});

describe("[T8] positions", () => {
  test("a turn that only its caller's share keeps waiting is told its place among those of its caller", () => {
    const queue = createQueue(capsOf({}));
    for (let i = 0; i < 6; i++) queue.add(member(`a${i}`, "ann"), "last");
    startAll(queue);
    expect(Object.fromEntries(queue.positions())).toEqual({ a4: 1, a5: 2 });
    for (let i = 0; i < 4; i++) queue.add(visitor(`v${i}`, `visitor-${i}`), "last");
    startAll(queue);
    queue.finish("a0");
    queue.add(visitor("v4", "visitor-4"), "last");
    queue.add(visitor("v5", "visitor-5"), "last");
    startAll(queue);
    queue.finish("a1");
    expect(Object.fromEntries(queue.positions())).toMatchObject({ v4: 1, v5: 2 });
  });
});

test("[T8] a turn that the CLI begins takes a place, and others wait for its end", async () => {
  const scene = openTurns({ limits: { running_turns: 1 } });
  const { turn, session } = await scene.create();
  (await scene.running(turn)).finish();
  await scene.inState(turn, "completed");
  const by = { cli: "task-notification" };
  scene.turns.onEvents(session, [
    { turn: "own", type: "turn_queued", session, agent: "default", prompt: [], position: null, by },
  ]);
  // It is known whose it is once the store has said so.
  await scene.store.session(alice, session);
  const next = await scene.create();
  expect(await scene.turns.get(alice, next.turn)).toMatchObject({ state: "queued", position: 1 });
  scene.turns.onEvents(session, [{ turn: "own", ...completed("done") }]);
  (await scene.running(next.turn)).finish();
  await scene.inState(next.turn, "completed");
  await scene.close();
});

const people = ["ann", "bob", "cy", "visitor-1", "visitor-2", "visitor-3"] as const;
const act = fc.oneof(
  fc.record({ do: fc.constant("add" as const), who: fc.constantFrom(...people) }),
  fc.record({ do: fc.constant("add" as const), who: fc.constant("ann" as const) }),
  fc.record({ do: fc.constantFrom("finish", "ask", "ask", "ask", "answer", "answer", "answer"), which: fc.nat(20) }),
);

test("[T8] whatever callers send, ask and answer: no share is exceeded, and nobody overtakes a turn more than once as a new one and once as an answered one", () => {
  fc.assert(
    fc.property(
      fc.array(act, { maxLength: 150 }),
      fc.record({ running: fc.integer({ min: 1, max: 5 }), more: fc.nat(8) }),
      (acts, { running, more }) => {
        const caps = capsOf({ running, processes: running + more });
        const queue = createQueue(caps);
        const begun = new Map<string, { entry: Waiting; is: "active" | "asking" | "answered" }>();
        /** By turn that waits, how often each caller of its kind has overtaken it while there was room for it, in one way and the other. */
        const overtaken = new Map<string, { entry: Waiting; by: string[] }>();
        let made = 0;
        const kind = ({ isVisitor = false }: Waiting) => isVisitor;
        const goesOn = (entry: Waiting, how: "new" | "answered") => {
          overtaken.delete(entry.turn);
          for (const other of overtaken.values())
            if (kind(other.entry) === kind(entry) && other.entry.caller !== entry.caller && mayBegin(other.entry))
              other.by.push(`${entry.caller} ${how}`);
        };
        const count = (of: (entry: Waiting) => boolean, is?: string) =>
          [...begun.values()].filter((one) => of(one.entry) && (is === undefined || one.is === is)).length;
        const isHis = (one: Waiting) => (other: Waiting) => other.caller === one.caller;
        const ownShare = (isVisitor: boolean) => (isVisitor ? 0.25 : 0.5);
        const hasProcess = (entry: Waiting) =>
          count(() => true) < caps.processes && (!kind(entry) || count(kind) < shareOf(caps.processes, 0.5));
        /** There is a process for it, and its own share has room: who goes on before it overtakes it. */
        const mayBegin = (entry: Waiting) =>
          hasProcess(entry) &&
          count(isHis(entry), "active") < shareOf(caps.running, ownShare(kind(entry))) &&
          count(isHis(entry)) < shareOf(caps.processes, ownShare(kind(entry)));
        const start = () => {
          for (let next = queue.start(always); next; next = queue.start(always)) {
            goesOn(next, "new");
            begun.set(next.turn, { entry: next, is: "active" });
          }
        };
        for (const one of acts) {
          const among = (is: string) => [...begun.values()].filter((other) => other.is === is);
          if (one.do === "add") {
            const turn = `t${made++}`;
            const entry = one.who.startsWith("visitor") ? visitor(turn, one.who) : member(turn, one.who);
            overtaken.set(turn, { entry, by: [] });
            queue.add(entry, "last");
          } else if (one.do === "finish") {
            const active = among("active");
            const ending = active[one.which % active.length];
            if (ending) begun.delete(ending.entry.turn);
            if (ending) queue.finish(ending.entry.turn);
          } else if (one.do === "ask") {
            const active = among("active");
            const asking = active[one.which % active.length];
            if (asking) asking.is = "asking";
            if (asking) queue.suspend(asking.entry.turn, "person");
          } else {
            const asking = among("asking");
            const answered = asking[one.which % asking.length];
            if (!answered) continue;
            answered.is = "answered";
            const goOn = () => {
              goesOn(answered.entry, "answered");
              answered.is = "active";
            };
            queue.resume(answered.entry.turn, goOn, "person");
          }
          start();
          expect(count(() => true, "active")).toBeLessThanOrEqual(caps.running);
          expect(count(() => true)).toBeLessThanOrEqual(caps.processes);
          for (const who of people) {
            const share = ownShare(who.startsWith("visitor"));
            expect(count(({ caller }) => caller === who, "active")).toBeLessThanOrEqual(shareOf(caps.running, share));
            expect(count(({ caller }) => caller === who)).toBeLessThanOrEqual(shareOf(caps.processes, share));
          }
          expect(count(kind, "active")).toBeLessThanOrEqual(shareOf(caps.running, 0.5));
          expect(count(kind)).toBeLessThanOrEqual(shareOf(caps.processes, 0.5));
          for (const { by } of overtaken.values()) expect(new Set(by).size).toBe(by.length);
        }
      },
    ),
    cases({ short: 3000, long: 60_000 }),
  );
});
