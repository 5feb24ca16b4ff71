import { afterEach, describe, expect, test } from "vitest";
import type { Caller } from "../../../gateway/protocol/callers.ts";
import type { TurnView } from "../../../gateway/turns/turns.ts";
import { createEventLog } from "../../../gateway/log/event-log.ts";
import { recoverTurns } from "../../../gateway/turns/recovery.ts";
import {
  alice,
  completed,
  delta,
  eventsWrite,
  newEvent,
  newTurn,
  queued,
  sessionWrite,
} from "../../support/log-drafts.ts";
import { readAgent } from "../../support/real-cli.ts";
import { openTestStore } from "../../support/full-store.ts";
import { openTurns, type TurnsOptions, type TurnsScene } from "../../support/open-turns.ts";
import { until } from "../../support/wait.ts";

const scenes: TurnsScene[] = [];
afterEach(async () => {
  for (const scene of scenes.splice(0)) await scene.close();
});

function open(options?: TurnsOptions): TurnsScene {
  const scene = openTurns(options);
  scenes.push(scene);
  return scene;
}

const bob: Caller = { key: "bob", user: null, reach: "key" };
const ann: Caller = { key: "alice", user: "ann", reach: "user" };
const typesOf = (events: readonly { type: string }[]) => events.map(({ type }) => type);
const moves = (events: readonly { type: string }[]) =>
  events.flatMap((event) => (event.type === "turn_moved" ? [(event as { position?: number | null }).position] : []));

describe("one turn", () => {
  test("[L3, T7] is queued, runs and ends with what its process said, once", async () => {
    const scene = open();
    const turn = await scene.create({ metadata: { n: 1 } });
    expect(turn).toMatchObject({ state: "queued", agent: "tester", owner: { key: "alice", user: null }, ending: null });
    const driver = await scene.running(turn.turn);
    expect(await scene.turns.get(alice, turn.turn)).toMatchObject({ state: "running", position: null });
    driver.say(delta("Hi", 0));
    driver.finish(completed("Hi"));
    expect(await scene.inState(turn.turn, "completed")).toMatchObject({ ending: { text: "Hi" }, position: null });
    const events = await scene.events(turn);
    expect(typesOf(events)).toEqual(["turn_queued", "turn_moved", "content_block_delta", "turn_completed"]);
    expect(events[0]).toMatchObject({ position: 1, metadata: { n: 1 }, by: { key: "alice" } });
    expect(moves(events)).toEqual([null]);
  });

  test("[L3] a process that cannot be started, or dies, is the turn's failure", async () => {
    const scene = open();
    const turn = await scene.create();
    (await scene.running(turn.turn)).die();
    expect(await scene.inState(turn.turn, "failed")).toMatchObject({ ending: { code: "process_died" } });
    const next = await scene.create({ session: turn.session });
    (await scene.running(next.turn)).finish();
    await scene.inState(next.turn, "completed");
    expect(scene.started).toHaveLength(2);
  });

  test("[L9, A4] is found by its caller alone, and its session is taken up by its caller alone", async () => {
    const scene = open({ isQuick: true });
    const turn = await scene.create({}, ann);
    expect((await scene.turns.get(alice, turn.turn)).owner).toEqual({ key: "alice", user: "ann" });
    await expect(scene.turns.get(bob, turn.turn)).rejects.toMatchObject({ code: "not_found" });
    await expect(scene.turns.cancel(bob, turn.turn)).rejects.toMatchObject({ code: "not_found" });
    await expect(scene.create({ session: turn.session }, bob)).rejects.toMatchObject({ code: "not_found" });
    expect(await scene.turns.list(bob, { limit: 10 })).toEqual([]);
  });

  test("[A5] refuses another agent than the session's, and wishes beyond the agent's", async () => {
    const agents = [readAgent({ name: "default", model: "m" }), readAgent({ name: "other" })];
    const scene = open({ agents, isQuick: true });
    const turn = await scene.create();
    const refused = (fields: Parameters<TurnsScene["create"]>[0]) =>
      scene.create(fields).then(String, (error: unknown) => (error as { code: string }).code);
    expect(await refused({ session: turn.session, agent: "other" })).toBe("conflict");
    expect(await refused({ agent: "unknown" })).toBe("not_found");
    expect(await refused({ model: "n" })).toBe("forbidden");
    expect(await refused({ permission_mode: "acceptEdits" })).toBe("forbidden");
    expect(await refused({ turn_timeout_s: 80_000 })).toBe("forbidden");
    expect(await scene.turns.list(alice, { limit: 10 })).toHaveLength(1);
  });
});

describe("a busy session", () => {
  async function busy(): Promise<{ scene: TurnsScene; first: TurnView; session: string }> {
    const scene = open();
    const first = await scene.create();
    await scene.running(first.turn);
    return { scene, first, session: first.session };
  }

  test("[T1, T2] queues a further prompt, which runs in the same process when the first has ended", async () => {
    const { scene, first, session } = await busy();
    const [second, third] = [await scene.create({ session }), await scene.create({ session })];
    expect([second.position, third.position]).toEqual([1, 2]);
    const driver = scene.started[0]!;
    expect(driver.requests).toHaveLength(1);
    driver.finish();
    await scene.running(second.turn);
    expect(moves(await scene.events(third))).toEqual([1]);
    driver.finish();
    await scene.running(third.turn);
    driver.finish();
    await scene.inState(third.turn, "completed");
    expect(driver.requests.map(({ turn }) => turn)).toEqual([first, second, third].map(({ turn }) => turn));
  });

  test("[T1] refuses it as busy where that was asked, and stores nothing", async () => {
    const { scene, session } = await busy();
    await expect(scene.create({ session, on_busy: "reject" })).rejects.toMatchObject({ code: "busy" });
    expect(await scene.turns.list(alice, { limit: 10 })).toHaveLength(1);
  });

  test("[T1] a session is not busy with a turn whose end can be seen, though its process is still set back", async () => {
    const scene = open({ agents: [readAgent({ queue: 0 })] });
    const { turn, session } = await scene.create();
    const driver = await scene.running(turn);
    await expect(scene.create({ session, on_busy: "reject" })).rejects.toMatchObject({ code: "busy" });
    const isSetBack = Promise.withResolvers<void>();
    driver.finish(completed("done"), isSetBack.promise);
    await scene.inState(turn, "completed");
    const next = await scene.create({ session, on_busy: "reject" });
    await expect(scene.create({ session, on_busy: "reject" })).rejects.toMatchObject({ code: "busy" });
    expect(driver.requests).toHaveLength(1);
    isSetBack.resolve();
    (await scene.running(next.turn)).finish();
    await scene.inState(next.turn, "completed");
  });

  test("[T1] of two prompts at once that do not want to wait, one is refused", async () => {
    const { scene, first, session } = await busy();
    scene.started[0]!.finish();
    await scene.inState(first.turn, "completed");
    await until("the session to be idle", () => scene.turns.runningCount === 0);
    const outcomes = await Promise.allSettled([1, 2, 3].map(() => scene.create({ session, on_busy: "reject" })));
    expect(outcomes.map(({ status }) => status)).toEqual(["fulfilled", "rejected", "rejected"]);
  });

  test("[T1] an interrupting prompt ends the running turn as cancelled and goes before those that wait", async () => {
    const { scene, first, session } = await busy();
    const waiting = await scene.create({ session });
    const urgent = await scene.create({ session, on_busy: "interrupt" });
    expect(await scene.inState(first.turn, "cancelled")).toMatchObject({ ending: { by: { key: "alice" } } });
    await scene.running(urgent.turn);
    expect(await scene.turns.get(alice, waiting.turn)).toMatchObject({ state: "queued", position: 1 });
    expect(moves(await scene.events(waiting))).toEqual([2, 1]);
  });
});

describe("Idempotency-Key [T3]", () => {
  test("the same key and body give the same turn, one after the other and at once", async () => {
    const scene = open({ isQuick: true });
    const first = await scene.create({}, alice, "k");
    const again = await Promise.all([1, 2, 3].map(() => scene.create({}, alice, "k")));
    expect(again.map(({ turn }) => turn)).toEqual([1, 2, 3].map(() => first.turn));
    const fresh = await Promise.all([1, 2, 3, 4].map(() => scene.create({}, alice, "k2")));
    expect(new Set(fresh.map(({ turn }) => turn)).size).toBe(1);
    expect(await scene.turns.list(alice, { limit: 10 })).toHaveLength(2);
  });

  test("where the first of several at once fails, one turn is made by the others", async () => {
    const scene = open({ isQuick: true });
    scene.freeMemory = 0;
    const outcomes = [1, 2, 3].map(() =>
      scene.create({}, alice, "k").finally(() => {
        scene.freeMemory = Infinity;
      }),
    );
    const settled = await Promise.allSettled(outcomes);
    expect(settled[0]!.status).toBe("rejected");
    const made = settled.flatMap((outcome) => (outcome.status === "fulfilled" ? [outcome.value.turn] : []));
    expect(made).toHaveLength(2);
    expect(new Set(made).size).toBe(1);
  });

  test("another body is idempotency_mismatch; another caller's same key is their own", async () => {
    const scene = open({ isQuick: true });
    const first = await scene.create({}, alice, "k");
    await expect(scene.create({ prompt: "other" }, alice, "k")).rejects.toMatchObject({ code: "idempotency_mismatch" });
    const others = await Promise.all([bob, ann].map((caller) => scene.create({ prompt: "other" }, caller, "k")));
    expect(new Set([first, ...others].map(({ turn }) => turn)).size).toBe(3);
  });

  test("holds for a key that goes on with one of its users' sessions", async () => {
    const scene = open({ isQuick: true });
    const { session } = await scene.create({}, ann);
    const [one, two] = [await scene.create({ session }, alice, "k"), await scene.create({ session }, alice, "k")];
    expect(two.turn).toBe(one.turn);
  });

  test("is forgotten after a day", async () => {
    const scene = open({ isQuick: true });
    const first = await scene.create({}, alice, "k");
    scene.time += 24 * 3_600_000 - 1;
    expect((await scene.create({}, alice, "k")).turn).toBe(first.turn);
    scene.time += 2;
    expect((await scene.create({}, alice, "k")).turn).not.toBe(first.turn);
  });
});

describe("cancelling [T4]", () => {
  test("a running turn ends as cancelled, by whom, and the reply has its end", async () => {
    const scene = open();
    const turn = await scene.create({}, ann);
    await scene.running(turn.turn);
    const cancelled = await scene.turns.cancel(ann, turn.turn);
    expect(cancelled).toMatchObject({ state: "cancelled", ending: { by: { key: "alice", user: "ann" } } });
    expect(typesOf(await scene.events(turn)).filter((type) => type === "turn_cancelled")).toHaveLength(1);
  });

  test("a waiting turn never runs, and those behind it move up", async () => {
    const scene = open();
    const first = await scene.create();
    const { session } = first;
    await scene.running(first.turn);
    const [second, third] = [await scene.create({ session }), await scene.create({ session })];
    const replies = await Promise.all([scene.turns.cancel(alice, second.turn), scene.turns.cancel(alice, second.turn)]);
    expect(replies.map(({ state }) => state)).toEqual(["cancelled", "cancelled"]);
    expect(moves(await scene.events(third))).toEqual([1]);
    scene.started[0]!.finish();
    await scene.running(third.turn);
    expect(scene.started[0]!.requests).toHaveLength(2);
  });

  test("a turn that has ended is left as it is", async () => {
    const scene = open({ isQuick: true });
    const turn = await scene.create();
    const ended = await scene.inState(turn.turn, "completed");
    expect(await scene.turns.cancel(alice, turn.turn)).toEqual(ended);
  });
});

describe("caps [T6]", () => {
  test("turns beyond the caps wait, overall and per agent, and their positions move as others end", async () => {
    const agents = [readAgent({ name: "default" }), readAgent({ name: "small", running_turns: 1 })];
    const scene = open({ agents, limits: { running_turns: 2, caller_share: 1 } });
    const small = [await scene.create({ agent: "small" }), await scene.create({ agent: "small" })];
    await scene.running(small[0]!.turn);
    expect(small[1]!.position).toBe(1);
    const others = [await scene.create(), await scene.create(), await scene.create()];
    const running = await scene.running(others[0]!.turn);
    expect(others.map(({ position }) => position)).toEqual([null, 2, 3]);
    running.finish();
    await scene.running(others[1]!.turn);
    expect(moves(await scene.events(others[2]!)).at(-1)).toBe(2);
    expect((await scene.turns.get(alice, small[1]!.turn)).state).toBe("queued");
    expect(scene.turns.runningCount).toBe(2);
  });

  test("an agent's cap on processes is one on its running turns too", async () => {
    const scene = open({ agents: [readAgent({ processes: 1 })] });
    const [one, two] = [await scene.create(), await scene.create()];
    (await scene.running(one.turn)).say(delta("x", 0));
    expect(await scene.turns.get(alice, two.turn)).toMatchObject({ state: "queued", position: 1 });
    expect(scene.turns.runningCount).toBe(1);
    (await scene.running(one.turn)).finish();
    (await scene.running(two.turn)).finish();
    await scene.inState(two.turn, "completed");
  });

  test("what is refused at once says when to come back, and leaves nothing behind", async () => {
    const agents = [readAgent({ name: "default" }), readAgent({ name: "short", queue: 1 })];
    const scene = open({ agents, limits: { running_turns: 1, queue: 4, queue_per_caller: 2 } });
    await scene.running((await scene.create()).turn);
    await scene.create({ agent: "short" });
    const refused = async (caller: Caller, agent: string) => {
      const error: unknown = await scene.create({ agent }, caller).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ extra: { retry_after_s: 10 } });
      return (error as { code: string }).code;
    };
    expect(await refused(bob, "short")).toBe("queue_full");
    await scene.create();
    expect(await refused(alice, "default")).toBe("too_many_requests");
    await scene.create({}, bob);
    await scene.create({}, bob);
    expect(await refused(ann, "default")).toBe("queue_full");
    scene.freeMemory = 50 * 1024 * 1024;
    await scene.turns.cancel(bob, (await scene.turns.list(bob, { limit: 1 }))[0]!.turn);
    expect(await refused(ann, "default")).toBe("no_capacity");
    expect(await scene.turns.list({ ...alice, reach: "all" }, { limit: 10 })).toHaveLength(5);
    expect(scene.turns.queueLength).toBe(3);
  });

  test("prompts at once do not fill the queue over its cap", async () => {
    const scene = open({ limits: { running_turns: 1, queue_per_caller: 3 } });
    await scene.running((await scene.create()).turn);
    const outcomes = await Promise.allSettled(Array.from({ length: 8 }, () => scene.create()));
    expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
    expect(scene.turns.queueLength).toBe(3);
  });

  test.each([0, 1])(
    "[T6] with room for %i in its queue an agent refuses what would wait, and nothing else",
    async (queue) => {
      const scene = open({ agents: [readAgent({ queue, running_turns: 3 })], limits: { caller_share: 1 } });
      const outcomes = await Promise.allSettled(Array.from({ length: 6 }, () => scene.create()));
      expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(3 + queue);
      for (const outcome of outcomes.filter(({ status }) => status === "rejected"))
        expect(outcome).toMatchObject({ reason: { code: "queue_full" } });
    },
  );

  test("[T6] turns that wait for another agent's cap keep nobody from a free place", async () => {
    const agents = [readAgent({ name: "default" }), readAgent({ name: "small", running_turns: 1 })];
    const scene = open({ agents, limits: { queue: 1, queue_per_caller: 1 } });
    await scene.create({ agent: "small" });
    await scene.create({ agent: "small" });
    await expect(scene.create({ agent: "small" })).rejects.toMatchObject({ code: "too_many_requests" });
    await scene.running((await scene.create()).turn);
  });

  test("a full disk refuses a prompt, gives its place back, and it can be sent again", async () => {
    const scene = open({ isQuick: true });
    scene.store.isFull = true;
    await expect(scene.create()).rejects.toMatchObject({ code: "not_ready" });
    expect(scene.turns.queueLength).toBe(0);
    scene.store.isFull = false;
    await until("room", () => scene.log.isHealthy);
    await scene.inState((await scene.create()).turn, "completed");
  });
});

describe("both ends of a gateway's life", () => {
  test("[S3, T2] draining takes no more, lets running turns end, and keeps what waits", async () => {
    const scene = open();
    const first = await scene.create();
    const waiting = await scene.create({ session: first.session });
    const driver = await scene.running(first.turn);
    const drained = scene.turns.drain(20_000);
    await expect(scene.create()).rejects.toMatchObject({ code: "shutting_down", extra: { retry_after_s: 10 } });
    driver.finish();
    await drained;
    expect(await scene.turns.get(alice, first.turn)).toMatchObject({ state: "completed" });
    expect(await scene.turns.get(alice, waiting.turn)).toMatchObject({ state: "queued" });
    expect(driver.requests).toHaveLength(1);
  });

  test("[S3] what still runs when the grace is over is cancelled by the gateway", async () => {
    const scene = open();
    const turn = await scene.create();
    await scene.running(turn.turn);
    await scene.turns.drain(20);
    expect(await scene.turns.get(alice, turn.turn)).toMatchObject({
      state: "cancelled",
      ending: { by: { gateway: "shutdown" } },
    });
  });

  test("[T2, L3] a start ends what ran, keeping its words, and runs what waited, oldest first", async () => {
    const store = openTestStore();
    const made = sessionWrite();
    const { session } = made.session;
    const turns = [1, 2, 3].map(() => newTurn(session));
    const [ran, second, third] = turns.map(({ turn }) => turn) as [string, string, string];
    await store.commit([
      made,
      ...turns.flatMap((turn) => [
        { kind: "turn" as const, turn },
        eventsWrite(session, newEvent(queued(session), turn.turn)),
      ]),
      { kind: "turn_state", turn: ran, state: "running", at: 1 },
      eventsWrite(session, ...[delta("Kept", 0), delta(" words", 4)].map((body) => newEvent(body, ran))),
    ]);
    const scene = open({ store });
    await scene.turns.recover();
    expect(await scene.turns.get(alice, ran)).toMatchObject({
      state: "failed",
      ending: { code: "gateway_restarted", retryable: true, text: "Kept words" },
    });
    const driver = await scene.running(second);
    expect((await scene.turns.get(alice, third)).position).toBe(1);
    driver.finish();
    (await scene.running(third)).finish();
    await scene.inState(third, "completed");
  });

  test("[T2, L3] a start on a full disk refuses what is asked, and sees to what was left once there is room", async () => {
    const store = openTestStore();
    const made = sessionWrite();
    const { session } = made.session;
    const [ran, waits] = [newTurn(session), newTurn(session)];
    await store.commit([
      made,
      ...[ran, waits].flatMap((turn) => [
        { kind: "turn" as const, turn },
        eventsWrite(session, newEvent(queued(session), turn.turn)),
      ]),
      { kind: "turn_state", turn: ran.turn, state: "running", at: 1 },
    ]);
    store.isFull = true;
    const scene = open({ store });
    for (let times = 0; times < 2; times++) {
      const asked = [
        scene.turns.recover(),
        scene.create(),
        scene.turns.cancel(alice, ran.turn),
        scene.turns.closeSession(alice, session),
      ];
      for (const { status, reason } of (await Promise.allSettled(asked)) as PromiseRejectedResult[])
        expect([status, reason]).toMatchObject(["rejected", { code: "not_ready" }]);
    }
    store.isFull = false;
    await until("room", () => scene.log.isHealthy, 30_000);
    await scene.turns.recover();
    expect(await scene.turns.get(alice, ran.turn)).toMatchObject({ ending: { code: "gateway_restarted" } });
    (await scene.running(waits.turn)).finish();
    await scene.inState(waits.turn, "completed");
    expect(scene.started).toHaveLength(1);
  });

  test("[T2] a place in the line that is another after a restart is told", async () => {
    const store = openTestStore();
    const made = sessionWrite();
    const { session } = made.session;
    const [next, last] = [newTurn(session), newTurn(session)];
    await store.commit([
      made,
      ...[next, last].flatMap((turn) => [
        { kind: "turn" as const, turn },
        eventsWrite(session, newEvent(queued(session), turn.turn)),
      ]),
    ]);
    const scene = open({ store });
    await scene.turns.recover();
    const driver = await scene.running(next.turn);
    expect(moves(await scene.events(await scene.turns.get(alice, last.turn)))).toEqual([1]);
    driver.finish();
    (await scene.running(last.turn)).finish();
    await scene.inState(last.turn, "completed");
  });

  test("[T1, T2] a prompt that was to go first goes first after a restart too", async () => {
    const store = openTestStore();
    const before = open({ store });
    const asked = await before.create({ on_busy: "interrupt" });
    const { options } = (await store.turn(alice, asked.turn))!;
    (await before.running(asked.turn)).finish();
    await before.inState(asked.turn, "completed");
    const { session } = asked;
    const [early, late] = [newTurn(session), newTurn(session, { options })];
    for (const turn of [early, late])
      await store.commit([{ kind: "turn", turn }, eventsWrite(session, newEvent(queued(session), turn.turn))]);
    const after = openTurns({ store });
    await after.turns.recover();
    const driver = await after.running(late.turn);
    expect(await after.turns.get(alice, early.turn)).toMatchObject({ state: "queued", position: 1 });
    driver.finish();
    (await after.running(early.turn)).finish();
    await after.inState(early.turn, "completed");
  });

  test("[T2] a waiting turn whose agent is not configured any more fails, and says so", async () => {
    const before = open({ agents: [readAgent({ name: "gone" })], limits: { running_turns: 1 } });
    const first = await before.create();
    await before.running(first.turn);
    const waiting = await before.create();
    const made = await before.store.turn(alice, waiting.turn);
    expect(made?.state).toBe("queued");
    const after = openTurns({ agents: [readAgent({ name: "other" })], store: before.store });
    await after.turns.recover();
    expect(await after.inState(waiting.turn, "failed")).toMatchObject({
      state: "failed",
      ending: { code: "internal" },
    });
    await before.turns.cancel(alice, waiting.turn);
  });

  test("[L6] of a message that was discarded in part, the words before that part are kept", async () => {
    const store = openTestStore();
    const made = sessionWrite();
    const { session } = made.session;
    const turn = newTurn(session);
    const bodies = [
      delta("Kept", 0),
      delta("lost", 0, { index: 1 }),
      { type: "message_discarded", message: "m1", reason: "stream_lost", from_index: 1 } as const,
      delta("whole", 0, { message: "m2" }),
      { type: "message_discarded", message: "m2", reason: "stream_lost" } as const,
      delta("Said again", 0, { message: "m3" }),
    ];
    await store.commit([
      made,
      { kind: "turn", turn },
      { kind: "turn_state", turn: turn.turn, state: "running", at: 1 },
      eventsWrite(session, newEvent(queued(session), turn.turn), ...bodies.map((body) => newEvent(body, turn.turn))),
    ]);
    const log = createEventLog(store);
    await recoverTurns(store, log);
    expect((await store.turn(alice, turn.turn))?.ending).toMatchObject({ text: "Kept\n\nSaid again" });
    await log.close();
    await store.remove();
  });
});
