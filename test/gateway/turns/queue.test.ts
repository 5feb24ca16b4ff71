import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createQueue } from "../../../gateway/turns/queue.ts";
import type { Caps, Waiting } from "../../../gateway/turns/room.ts";
import { hasEnded, mayBecome, stateChange } from "../../../gateway/turns/machine.ts";
import { turnStates } from "../../../gateway/protocol/codes.ts";
import { cases } from "../../support/property.ts";

const entry = (turn: string, session = turn, agent = "x", caller = "me"): Waiting => ({ turn, session, agent, caller });
const always = () => true;
const queueWith = (caps: Partial<Caps> = {}) =>
  createQueue({
    running: Infinity,
    processes: Infinity,
    runningOfAgent: () => Infinity,
    processesOfAgent: () => Infinity,
    ...caps,
  });

const act = fc.oneof(
  fc.record({ do: fc.constant("add" as const), session: fc.nat(7), isFirst: fc.boolean() }),
  fc.record({ do: fc.constant("start" as const) }),
  fc.record({ do: fc.constant("finish" as const), which: fc.nat(9) }),
  fc.record({ do: fc.constant("remove" as const), which: fc.nat(9) }),
);

/** The rule of the order, step by step: what was served last, or came last, is due last; first the agent, then its caller, then by coming. */
function createRule() {
  let clock = 0;
  const came = new Map<Waiting, number>();
  let served = new Map<string, number>();
  const flow = ({ agent, caller }: Waiting) => `${agent} ${caller}`;

  function next(waiting: readonly Waiting[]): Waiting | undefined {
    const due = (group: readonly Waiting[], name: string) =>
      Math.max(served.get(name) ?? 0, Math.min(...group.map((one) => came.get(one)!)));
    const first = (entries: readonly Waiting[], nameOf: (one: Waiting) => string) => {
      let best: { name: string; due: number } | undefined;
      for (const name of new Set(entries.map(nameOf))) {
        const at = due(
          entries.filter((one) => nameOf(one) === name),
          name,
        );
        if (!best || at < best.due) best = { name, due: at };
      }
      return entries.filter((one) => nameOf(one) === best!.name);
    };
    if (waiting.length === 0) return undefined;
    return first(
      first(waiting, ({ agent }) => agent),
      flow,
    )[0];
  }

  function serve(one: Waiting): void {
    served.set(one.agent, ++clock);
    served.set(flow(one), clock);
  }

  return {
    came: (one: Waiting) => void came.set(one, ++clock),
    serve,
    /** The order, if nothing comes meanwhile. */
    order(waiting: readonly Waiting[]): Waiting[] {
      const [before, at] = [new Map(served), clock];
      const order: Waiting[] = [];
      for (let one = next(waiting); one; one = next(waiting.filter((other) => !order.includes(other)))) {
        order.push(one);
        serve(one);
      }
      served = before;
      clock = at;
      return order;
    },
  };
}

describe("the queue", () => {
  test("[T1, T6] for any course of events: one turn a session, no cap exceeded, in fair order, positions honest", () => {
    fc.assert(
      fc.property(
        fc.array(act, { maxLength: 60 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (acts, all, ofX) => {
          const queue = queueWith({ running: all, runningOfAgent: (agent) => (agent === "x" ? ofX : Infinity) });
          const rule = createRule();
          let waiting: Waiting[] = [];
          let running: Waiting[] = [];
          let made = 0;
          const isAgentFull = (agent: string) =>
            agent === "x" && running.filter((other) => other.agent === "x").length >= ofX;
          for (const one of acts) {
            const order = rule.order(waiting);
            if (one.do === "add") {
              // Half of the sessions are of the agent with a cap of its own; each agent has two callers.
              const agent = one.session % 2 === 0 ? "x" : "y";
              const added = entry(`t${made++}`, `s${one.session}`, agent, one.session < 4 ? "ann" : "bob");
              queue.add(added, one.isFirst ? "first_of_session" : "last");
              rule.came(added);
              const at = one.isFirst ? waiting.findIndex(({ session }) => session === added.session) : -1;
              waiting.splice(at < 0 ? waiting.length : at, 0, added);
            } else if (one.do === "start") {
              const next = queue.start(always);
              const expected = order.find(
                ({ session, agent }, index) =>
                  running.length < all &&
                  !isAgentFull(agent) &&
                  !running.some((other) => other.session === session) &&
                  order.findIndex((other) => other.session === session) === index,
              );
              if (next !== expected) throw new Error(`${next?.turn} started where ${expected?.turn} is next`);
              waiting = waiting.filter((other) => other !== next);
              if (next) rule.serve(next);
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
            const nowDue = rule.order(waiting);
            const place = (among: readonly Waiting[], own: Waiting) => among.indexOf(own) + 1;
            const expected = nowDue.map((own) => {
              const ofAgent = nowDue.filter(({ agent }) => agent === own.agent);
              const ofSession = nowDue.filter(({ session }) => session === own.session);
              if (running.length >= all) return [own.turn, place(nowDue, own)];
              return [own.turn, place(isAgentFull(own.agent) ? ofAgent : ofSession, own)];
            });
            expect([...queue.positions()]).toEqual(expected);
          }
        },
      ),
      cases(),
    );
  });

  test("[T6] without a place are as many as still wait when all that can have begun", () => {
    const turn = fc.record({ session: fc.nat(9), agent: fc.constantFrom("x", "y") });
    fc.assert(
      fc.property(
        fc.array(turn, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 6 }),
        (turns, processes) => {
          const queue = queueWith({ running: 4, processes, runningOfAgent: (agent) => (agent === "x" ? 2 : Infinity) });
          for (const [index, { session, agent }] of turns.entries())
            queue.add(entry(`t${index}`, `${agent}${session}`, agent), "last");
          const next = entry("next", `${turns[0]!.agent}${turns[0]!.session}`);
          const left = queue.withoutPlace(next);
          expect(queue.length).toBe(turns.length);
          while (queue.start(always));
          expect(left).toHaveLength(queue.length + 1);
          expect(left.at(-1)).toBe(next);
        },
      ),
      cases(),
    );
  });

  test("[T6] what the positions say comes true: with one place, and nothing new, turns start in their order", () => {
    const turn = fc.record({ agent: fc.constantFrom("x", "y", "z"), caller: fc.constantFrom("ann", "bob", "cy") });
    fc.assert(
      fc.property(
        fc.array(turn, { maxLength: 15 }),
        fc.array(turn, { minLength: 1, maxLength: 15 }),
        (before, after) => {
          const queue = queueWith({ running: 1 });
          let made = 0;
          const add = ({ agent, caller }: { agent: string; caller: string }) => {
            queue.add(entry(`t${made}`, `s${made++}`, agent, caller), "last");
          };
          for (const one of before) add(one);
          let current = queue.start(always);
          for (const one of after) {
            add(one);
            if (current) queue.finish(current.turn);
            current = queue.start(always);
          }
          const told = [...queue.positions()].toSorted(([, a], [, b]) => a - b);
          expect(told.map(([, position]) => position)).toEqual(told.map((_, index) => index + 1));
          for (const [due] of told) {
            queue.finish(current!.turn);
            current = queue.start(always);
            expect(current?.turn).toBe(due);
          }
        },
      ),
      cases(),
    );
  });

  test("[T6] who sends many turns holds nobody up: neither another caller, nor another agent", () => {
    const queue = queueWith({ running: 1 });
    for (let turn = 0; turn < 20; turn++) queue.add(entry(`flood-${turn}`, `f${turn}`, "x", "flood"), "last");
    expect(queue.start(always)?.turn).toBe("flood-0");
    queue.add(entry("ann-1", "a1", "x", "ann"), "last");
    queue.add(entry("ann-2", "a2", "x", "ann"), "last");
    queue.add(entry("other", "o", "y", "flood"), "last");
    expect(["ann-1", "ann-2", "other"].map((turn) => queue.positions().get(turn))).toEqual([3, 5, 2]);
    const started: string[] = [];
    for (let current = "flood-0"; started.length < 6;) {
      queue.finish(current);
      current = queue.start(always)!.turn;
      started.push(current);
    }
    expect(started).toEqual(["flood-1", "other", "ann-1", "flood-2", "ann-2", "flood-3"]);
  });

  test("[T6] an endless row of new callers does not keep one that was served before from its next turn", () => {
    const queue = queueWith({ running: 1 });
    queue.add(entry("ann-1", "a1", "x", "ann"), "last");
    let current = queue.start(always)!.turn;
    queue.add(entry("new-0", "n0", "x", "new-0"), "last");
    queue.add(entry("ann-2", "a2", "x", "ann"), "last");
    const started: string[] = [];
    for (let round = 1; round < 5; round++) {
      queue.add(entry(`new-${round}`, `n${round}`, "x", `new-${round}`), "last");
      queue.finish(current);
      current = queue.start(always)!.turn;
      started.push(current);
    }
    expect(started).toEqual(["new-0", "ann-2", "new-1", "new-2"]);
  });

  test("[T6] with room overall, a turn whose agent has none is told its place among that one's", () => {
    const queue = queueWith({ running: 9, runningOfAgent: (agent) => (agent === "x" ? 1 : Infinity) });
    for (const turn of ["a", "b", "c"]) queue.add(entry(turn), "last");
    queue.add(entry("d", "d", "y"), "last");
    expect([queue.start(always)?.turn, queue.start(always)?.turn, queue.start(always)]).toEqual(["a", "d", undefined]);
    queue.add(entry("e", "d", "y"), "last");
    expect(Object.fromEntries(queue.positions())).toEqual({ b: 1, c: 2, e: 1 });
  });

  test("[T2] what is not stored yet does not start, and nothing of its session overtakes it", () => {
    const queue = queueWith({ running: 5 });
    queue.add(entry("a", "s"), "last");
    queue.add(entry("b", "s"), "last");
    queue.add(entry("c", "other"), "last");
    expect(queue.start((turn) => turn !== "a")?.turn).toBe("c");
    expect(queue.start((turn) => turn !== "a")).toBeUndefined();
    expect(queue.start(always)?.turn).toBe("a");
  });

  test("[T6] position 1 is next: behind its session's running turn, or first of all that wait where there is no room", () => {
    const queue = queueWith({ running: 1 });
    for (const [turn, session] of [
      ["a", "s"],
      ["b", "s"],
      ["c", "other"],
      ["d", "s"],
    ] as const)
      queue.add(entry(turn, session), "last");
    queue.start(always);
    expect(Object.fromEntries(queue.positions())).toEqual({ b: 1, c: 2, d: 3 });
    const wide = queueWith({ running: 9 });
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
    const queue = queueWith({ running: 1 });
    for (const turn of ["a", "b", "c"]) queue.add(entry(turn), "last");
    queue.start(always);
    expect(queue.count(({ caller }) => caller === "me")).toBe(2);
    expect(queue.count(({ agent }) => agent === "y")).toBe(0);
  });
});

describe("turns that wait for others", () => {
  test("[T6] a turn that waits gives its place away, and has one again before any that has not begun", () => {
    const queue = queueWith({ running: 1 });
    for (const turn of ["lead", "a", "b"]) queue.add(entry(turn), "last");
    queue.start(always);
    expect(queue.start(always)).toBeUndefined();
    queue.suspend("lead");
    expect(queue.start(always)?.turn).toBe("a");
    const said: string[] = [];
    queue.resume("lead", () => said.push("lead runs"));
    expect(said).toEqual([]);
    queue.finish("a");
    expect(said).toEqual(["lead runs"]);
    expect(queue.start(always)).toBeUndefined();
    queue.finish("lead");
    expect(queue.start(always)?.turn).toBe("b");
  });

  test("[T6] the same under the cap of its agent, which keeps no other agent's turn from beginning", () => {
    const queue = queueWith({ runningOfAgent: (agent) => (agent === "lead" ? 1 : Infinity) });
    queue.add(entry("one", "one", "lead"), "last");
    queue.add(entry("two", "two", "lead"), "last");
    queue.start(always);
    queue.suspend("one");
    expect(queue.start(always)?.turn).toBe("two");
    const said: string[] = [];
    queue.resume("one", () => said.push("one runs"));
    queue.add(entry("other", "other", "coder"), "last");
    expect(queue.start(always)?.turn).toBe("other");
    expect(said).toEqual([]);
    queue.suspend("two");
    expect(said).toEqual(["one runs"]);
  });

  test("a turn that wants its place back and waits anew, or ends, keeps nobody waiting for that", () => {
    const queue = queueWith({ running: 1 });
    for (const turn of ["lead", "a"]) queue.add(entry(turn), "last");
    queue.start(always);
    queue.suspend("lead");
    queue.start(always);
    const said: string[] = [];
    queue.resume("lead", () => said.push("first"));
    queue.suspend("lead");
    expect(said).toEqual(["first"]);
    queue.resume("lead", () => said.push("second"));
    queue.finish("lead");
    expect(said).toEqual(["first", "second"]);
    queue.resume("gone", () => said.push("at once"));
    expect(said.at(-1)).toBe("at once");
  });

  test("[T1] its session's next turn waits for it all the same", () => {
    const queue = queueWith();
    queue.add(entry("lead", "s"), "last");
    queue.add(entry("next", "s"), "last");
    queue.start(always);
    queue.suspend("lead");
    expect(queue.start(always)).toBeUndefined();
    expect(queue.ahead("next")).toEqual([entry("lead", "s")]);
    expect(queue.runningCount).toBe(1);
  });

  test("[T6] ten that wait under a cap of ten leave a process for those that they wait for", () => {
    const queue = queueWith({ running: 10, processes: 10 });
    for (let i = 0; i < 10; i++) queue.add({ ...entry(`lead-${i}`), levels: 1 }, "last");
    for (let next = queue.start(always); next; next = queue.start(always)) queue.suspend(next.turn);
    expect(queue.runningCount).toBe(9);
    queue.add(entry("coder"), "last");
    expect(queue.positions().get("lead-9")).toBe(1);
    expect(queue.start(always)?.turn).toBe("coder");
    expect(queue.start(always)).toBeUndefined();
  });

  const tree = (depth: number): fc.Arbitrary<Tree> =>
    fc.record({
      agent: fc.constantFrom("x", "y"),
      children: depth === 0 ? fc.constant([]) : fc.array(tree(depth - 1), { maxLength: 3 }),
    });

  test("[T6] whatever turns wait for one another, under any caps that have a process for every level, all end", () => {
    fc.assert(
      fc.property(
        fc.array(tree(3), { minLength: 1, maxLength: 12 }),
        fc.record({
          running: fc.integer({ min: 1, max: 3 }),
          more: fc.nat(3),
          ofX: fc.integer({ min: 1, max: 2 }),
          shares: fc.record({ caller: fc.constantFrom(0.2, 0.5, 1), visitors: fc.constantFrom(0.2, 0.5) }),
        }),
        fc.array(fc.nat(20), { minLength: 1, maxLength: 40 }),
        (trees, { running, more, ofX, shares }, choices) => {
          const levels = Math.max(...trees.map(levelsOf));
          const processes = levels + 1 + more;
          const ofAgent = (agent: string) => (agent.startsWith("x") ? ofX : Infinity);
          const ofAgents = { runningOfAgent: ofAgent, processesOfAgent: ofAgent };
          const caps = { running, processes, ...ofAgents, shares, levels: () => levels };
          const course = followTrees(trees, caps, choices);
          expect(course.unfinished).toBe(0);
          expect(course.mostActive).toBeLessThanOrEqual(running);
          expect(course.mostBegun).toBeLessThanOrEqual(processes);
        },
      ),
      cases({ short: 2000, long: 50_000 }),
    );
  });
});

/** A turn and the turns that it waits for. */
interface Tree {
  readonly agent: string;
  readonly children: readonly Tree[];
}

const levelsOf = ({ children }: Tree): number => (children.length === 0 ? 0 : 1 + Math.max(...children.map(levelsOf)));
/** An agent stands on one level, as it does where no circle leads back to it. */
const agentOf = (tree: Tree) => `${tree.agent}${levelsOf(tree)}`;

const [me, ann, guest] = [{ caller: "me" }, { caller: "ann" }, { caller: "guest", isVisitor: true }] as const;

/** Runs all trees to their end, in an order that the choices give: a turn sends for its children at once, waits, goes on, ends. */
function followTrees(trees: readonly Tree[], caps: Caps, choices: readonly number[]) {
  const queue = createQueue(caps);
  const nodes = new Map<string, { tree: Tree; parent: string | undefined; open: number }>();
  const callers = new Map<string, Pick<Waiting, "caller" | "isVisitor">>();
  /** Turns that have a place and nothing to wait for: they may end at any time. */
  const ready: string[] = [];
  let [made, active, mostActive, mostBegun, choice] = [0, 0, 0, 0, 0];
  const add = (tree: Tree, parent?: string) => {
    const turn = `t${made++}`;
    nodes.set(turn, { tree, parent, open: tree.children.length });
    // Work is handed on in the name of the caller of the first turn.
    const owner = callers.get(parent ?? "") ?? [me, ann, guest][made % 3]!;
    callers.set(turn, owner);
    queue.add({ ...entry(turn, turn, agentOf(tree)), ...owner, levels: levelsOf(tree) }, "last");
  };
  const startAll = () => {
    for (let next = queue.start(always); next; next = queue.start(always)) {
      mostBegun = Math.max(mostBegun, queue.runningCount);
      mostActive = Math.max(mostActive, ++active);
      const { children } = nodes.get(next.turn)!.tree;
      if (children.length === 0) {
        ready.push(next.turn);
        continue;
      }
      for (const child of children) add(child, next.turn);
      active -= 1;
      queue.suspend(next.turn);
    }
  };
  for (const one of trees) add(one);
  for (startAll(); ready.length > 0; startAll()) {
    const [turn] = ready.splice(choices[choice++ % choices.length]! % ready.length, 1);
    const { parent } = nodes.get(turn!)!;
    nodes.delete(turn!);
    active -= 1;
    queue.finish(turn!);
    const above = parent === undefined ? undefined : nodes.get(parent)!;
    if (!above || --above.open > 0) continue;
    queue.resume(parent!, () => {
      mostActive = Math.max(mostActive, ++active);
      ready.push(parent!);
    });
  }
  return { unfinished: nodes.size, mostActive, mostBegun };
}

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
