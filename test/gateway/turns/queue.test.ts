import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createQueue, type Waiting } from "../../../gateway/turns/queue.ts";
import { hasEnded, mayBecome, stateChange } from "../../../gateway/turns/machine.ts";
import { turnStates } from "../../../gateway/protocol/codes.ts";
import { cases } from "../../support/property.ts";

const entry = (turn: string, session = turn, agent = "x"): Waiting => ({ turn, session, agent, caller: "me" });
const always = () => true;

const act = fc.oneof(
  fc.record({ do: fc.constant("add" as const), session: fc.nat(4), isFirst: fc.boolean() }),
  fc.record({ do: fc.constant("start" as const) }),
  fc.record({ do: fc.constant("finish" as const), which: fc.nat(9) }),
  fc.record({ do: fc.constant("remove" as const), which: fc.nat(9) }),
);

describe("the queue", () => {
  test("[T1, T6] for any course of events: one turn a session, no cap exceeded, in order, positions honest", () => {
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (acts, all, ofX) => {
          const queue = createQueue({ running: all, runningOfAgent: (agent) => (agent === "x" ? ofX : Infinity) });
          let waiting: Waiting[] = [];
          let running: Waiting[] = [];
          let made = 0;
          const hasRoom = (agent: string) =>
            running.length < all && (agent !== "x" || running.filter((other) => other.agent === "x").length < ofX);
          for (const one of acts) {
            if (one.do === "add") {
              // Sessions 0 and 1 are of the agent with a cap of its own.
              const added = entry(`t${made++}`, `s${one.session}`, one.session < 2 ? "x" : "y");
              queue.add(added, one.isFirst ? "first_of_session" : "last");
              const at = one.isFirst ? waiting.findIndex(({ session }) => session === added.session) : -1;
              waiting.splice(at < 0 ? waiting.length : at, 0, added);
            } else if (one.do === "start") {
              const next = queue.start(always);
              const expected = waiting.find(
                ({ session, agent }, index) =>
                  hasRoom(agent) &&
                  !running.some((other) => other.session === session) &&
                  waiting.findIndex((other) => other.session === session) === index,
              );
              if (next !== expected) throw new Error(`${next?.turn} started where ${expected?.turn} is next`);
              waiting = waiting.filter((other) => other !== next);
              if (next) running.push(next);
            } else if (one.do === "finish") {
              const ended = running[one.which];
              if (ended) queue.finish(ended.turn);
              running = running.filter((other) => other !== ended);
            } else {
              const removed = waiting[one.which];
              const isRemoved = queue.remove(removed?.turn ?? "none");
              if (isRemoved !== (removed !== undefined)) throw new Error(`remove says ${isRemoved}`);
              waiting = waiting.filter((other) => other !== removed);
            }
            expect(queue.length).toBe(waiting.length);
            expect(queue.runningCount).toBe(running.length);
            for (const other of running) expect(queue.running(other.session)).toEqual(other);
            expect(new Set(running.map(({ session }) => session)).size).toBe(running.length);
            const positions = queue.positions();
            expect([...positions.keys()]).toEqual(waiting.map(({ turn }) => turn));
            // Among the turns of one session positions rise in their order, and nobody is told more than how many wait.
            for (const session of new Set(waiting.map((other) => other.session))) {
              const own = waiting.filter((other) => other.session === session).map(({ turn }) => positions.get(turn)!);
              expect(own).toEqual([...new Set(own)].toSorted((a, b) => a - b));
              expect(own[0]).toBeGreaterThanOrEqual(1);
              expect(own.at(-1)).toBeLessThanOrEqual(waiting.length);
            }
          }
        },
      ),
      cases(),
    );
  });

  test("[T2] what is not stored yet does not start, and nothing of its session overtakes it", () => {
    const queue = createQueue({ running: 5, runningOfAgent: () => Infinity });
    queue.add(entry("a", "s"), "last");
    queue.add(entry("b", "s"), "last");
    queue.add(entry("c", "other"), "last");
    expect(queue.start((turn) => turn !== "a")?.turn).toBe("c");
    expect(queue.start((turn) => turn !== "a")).toBeUndefined();
    expect(queue.start(always)?.turn).toBe("a");
  });

  test("[T6] position 1 is next: behind its session's running turn, or first of all that wait where there is no room", () => {
    const queue = createQueue({ running: 1, runningOfAgent: () => Infinity });
    for (const [turn, session] of [
      ["a", "s"],
      ["b", "s"],
      ["c", "other"],
      ["d", "s"],
    ] as const)
      queue.add(entry(turn, session), "last");
    queue.start(always);
    expect(Object.fromEntries(queue.positions())).toEqual({ b: 1, c: 2, d: 3 });
    const wide = createQueue({ running: 9, runningOfAgent: () => Infinity });
    for (const [turn, session] of [
      ["a", "s"],
      ["b", "s"],
      ["c", "other"],
      ["d", "s"],
    ] as const)
      wide.add(entry(turn, session), "last");
    wide.start(always);
    expect(Object.fromEntries(wide.positions())).toEqual({ b: 1, c: 1, d: 2 });
  });

  test("[T6] count tells how many of a caller or agent wait, running ones not among them", () => {
    const queue = createQueue({ running: 1, runningOfAgent: () => Infinity });
    for (const turn of ["a", "b", "c"]) queue.add(entry(turn), "last");
    queue.start(always);
    expect(queue.count(({ caller }) => caller === "me")).toBe(2);
    expect(queue.count(({ agent }) => agent === "y")).toBe(0);
  });
});

describe("the states of a turn", () => {
  test("[T7] queued → running ⇄ waiting → completed, failed or cancelled, and nothing behind these", () => {
    const ways = turnStates.flatMap((from) =>
      turnStates.filter((to) => mayBecome(from, to)).map((to) => `${from} ${to}`),
    );
    expect(ways).toEqual([
      "queued running",
      "queued failed",
      "queued cancelled",
      "running waiting",
      "running completed",
      "running failed",
      "running cancelled",
      "waiting running",
      "waiting completed",
      "waiting failed",
      "waiting cancelled",
    ]);
    expect(turnStates.filter(hasEnded)).toEqual(["completed", "failed", "cancelled"]);
    expect(stateChange("t", "queued", "running", 5)).toEqual({
      kind: "turn_state",
      turn: "t",
      state: "running",
      at: 5,
    });
    expect(() => stateChange("t", "completed", "running", 5)).toThrow(/from completed to running/);
  });
});
