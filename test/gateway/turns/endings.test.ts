// Turns whose end is in danger: calls that fail, and cancels and requests at awkward moments. The store, log, pool and queue are real.
import { afterEach, describe, expect, test } from "vitest";
import { StartFailure } from "../../../gateway/claude/launch.ts";
import { failure } from "../../../gateway/claude/outcome.ts";
import type { Write } from "../../../gateway/store/port.ts";
import { alice, eventsWrite, newEvent, newTurn, queued, sessionWrite } from "../../support/log-drafts.ts";
import { openTestStore, type TestStore } from "../../support/full-store.ts";
import { openTurns, type TurnsOptions, type TurnsScene } from "../../support/open-turns.ts";
import { readAgent } from "../../support/real-cli.ts";
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

/** A store that refuses, as a bug would, what holds such a change. */
function refusing(isRefused: (write: Write) => boolean): TestStore {
  const store = openTestStore();
  const { commit } = store;
  return Object.assign(store, {
    commit: (writes: readonly Write[]) =>
      writes.some(isRefused) ? Promise.reject(new Error("refused by the test")) : commit(writes),
  });
}

const isEnding = ({ type }: { type: string }) => /^turn_(completed|failed|cancelled)$/.test(type);

describe("[L3] exactly one ending", () => {
  test("though what is noted behind it cannot be stored", async () => {
    const store = refusing((write) => write.kind === "turn_answer");
    const scene = open({ store });
    const turn = await scene.create();
    const driver = await scene.running(turn.turn);
    Object.assign(driver, { answerUuid: "an-answer" });
    driver.finish();
    await until("the bug to be noted", () => scene.bugs.length > 0, 30_000);
    expect((await scene.events(turn)).filter(isEnding)).toMatchObject([{ type: "turn_completed" }]);
    scene.bugs.splice(0);
  });

  test("though the process's own ending cannot be stored", async () => {
    const isOdd = (write: Write) =>
      write.kind === "events" && write.events.some(({ type }) => type === "turn_completed");
    const scene = open({ store: refusing(isOdd) });
    const turn = await scene.create();
    (await scene.running(turn.turn)).finish();
    expect(await scene.inState(turn.turn, "failed")).toMatchObject({ ending: { code: "internal" } });
    scene.bugs.splice(0);
  });

  test("a turn that was cancelled while its process failed to start is cancelled", async () => {
    const scene = open({ limits: { processes: 1 } });
    const first = await scene.create();
    const driver = await scene.running(first.turn);
    driver.finish();
    await scene.inState(first.turn, "completed");
    // The first process's end is held up, so that the second turn waits for its place.
    const held = Promise.withResolvers<void>();
    const { end } = driver;
    Object.assign(driver, { end: () => held.promise.then(() => end()) });
    const second = await scene.create();
    await scene.inState(second.turn, "running");
    const cancelled = scene.turns.cancel(alice, second.turn);
    const closed = scene.pool.close();
    held.resolve();
    await closed;
    expect(await cancelled).toMatchObject({ state: "cancelled", ending: { by: { key: "alice" } } });
  });
});

describe("a turn that is still getting its process", () => {
  test("[T4] is cancelled at once, and what comes up then serves the session's next turn", async () => {
    const start = Promise.withResolvers<void>();
    const scene = open({ starting: () => start.promise });
    const turn = await scene.create();
    await scene.inState(turn.turn, "running");
    expect(await scene.turns.cancel(alice, turn.turn)).toMatchObject({ state: "cancelled" });
    const next = await scene.create({ session: turn.session });
    start.resolve();
    const driver = await scene.running(next.turn);
    expect(scene.started).toEqual([driver]);
    expect(driver.requests).toHaveLength(1);
    driver.finish();
    await scene.inState(next.turn, "completed");
    expect(scene.pool.processesOf("tester")).toMatchObject({ live: 1, idle: 1 });
  });

  test("[T5] ends by its wall clock", async () => {
    const start = Promise.withResolvers<void>();
    const scene = open({ agents: [readAgent({ turn_timeout_s: 0.05 })], starting: () => start.promise });
    const turn = await scene.create();
    expect(await scene.inState(turn.turn, "failed")).toMatchObject({ ending: { code: "turn_timeout" } });
    start.resolve();
  });

  test("[T5] has only the rest of its time for its prompt", async () => {
    const start = Promise.withResolvers<void>();
    const scene = open({ starting: () => start.promise });
    const turn = await scene.create({ turn_timeout_s: 100 });
    await scene.inState(turn.turn, "running");
    start.resolve();
    const driver = await scene.running(turn.turn);
    expect(driver.requests[0]!.timeoutS).toBeGreaterThan(90);
    expect(driver.requests[0]!.timeoutS).toBeLessThan(100);
    driver.finish();
    await scene.inState(turn.turn, "completed");
  });

  test("[T4] and is cancelled while it waits for room, costs no start", async () => {
    const scene = open({ limits: { processes: 1 } });
    await scene.pool.acquire(scene.registry.find(undefined), "warmed up");
    const turn = await scene.create();
    await scene.inState(turn.turn, "running");
    expect(await scene.turns.cancel(alice, turn.turn)).toMatchObject({ state: "cancelled" });
    scene.pool.release("warmed up");
    // Whoever waits for room is woken by that.
    for (let turns = 0; turns < 10; turns++) await new Promise(setImmediate);
    expect(scene.started).toMatchObject([{ isEnded: false }]);
  });

  test("[T4] that may say when it is up that its conversation is lost, is cancelled at once and gives the process back", async () => {
    const scene = open({ ready: new Promise(() => {}) });
    const turn = await scene.create({ continue_from: "transcript" });
    await until("the start", () => scene.started.length > 0, 30_000);
    expect(await scene.turns.cancel(alice, turn.turn)).toMatchObject({ state: "cancelled" });
    expect(scene.started[0]!.requests).toEqual([]);
    await until("the process to be idle", () => scene.pool.processesOf(turn.agent).idle === 1, 30_000);
  });

  test("[T4] anew, since its conversation was lost, leaves none that has not heard of that", async () => {
    const start = Promise.withResolvers<void>();
    const startsAnew = Promise.withResolvers<void>();
    const scene = open({
      starting(isAnew) {
        if (!isAnew) return Promise.reject(new StartFailure(failure("session_lost")));
        startsAnew.resolve();
        return start.promise;
      },
    });
    const turn = await scene.create({ continue_from: "transcript" });
    await startsAnew.promise;
    expect(await scene.turns.cancel(alice, turn.turn)).toMatchObject({ state: "cancelled" });
    start.resolve();
    await until("its end", () => scene.pool.size === 0, 30_000);
    expect(scene.started).toMatchObject([{ isEnded: true }]);
  });
});

test("[T4] a waiting turn that is cancelled twice at once costs the running one nothing", async () => {
  const scene = open();
  const first = await scene.create();
  const driver = await scene.running(first.turn);
  const waiting = await scene.create({ session: first.session });
  driver.isBusy = true;
  const cancels = await Promise.all([1, 2].map(() => scene.turns.cancel(alice, waiting.turn)));
  expect(cancels.map(({ state }) => state)).toEqual(["cancelled", "cancelled"]);
  expect(await scene.turns.get(alice, first.turn)).toMatchObject({ state: "running" });
  driver.finish();
  await scene.inState(first.turn, "completed");
});

describe("a process that somebody else warms up", () => {
  test("[P6] is not given back by a turn that never had it", async () => {
    const scene = open({ limits: { processes: 1 } });
    const made = sessionWrite();
    const { session } = made.session;
    await scene.store.commit([made]);
    await scene.pool.acquire(scene.registry.find(undefined), session);
    const turn = await scene.create({ session });
    await scene.turns.cancel(alice, turn.turn);
    const next = await scene.create({ session });
    const driver = await scene.running(next.turn);
    scene.pool.release(session);
    const other = await scene.create();
    await scene.inState(other.turn, "queued");
    const wanted = scene.pool.acquire(scene.registry.find(undefined), "another");
    await scene.log.commit([]);
    expect(driver.isEnded).toBe(false);
    driver.finish();
    await scene.inState(next.turn, "completed");
    await wanted;
    scene.pool.release("another");
    (await scene.running(other.turn)).finish();
  });
});

describe("[T1, T2] the queue", () => {
  test("a prompt or a cancel that comes while a start sees to what was left waits for that", async () => {
    const store = openTestStore();
    const made = sessionWrite();
    const { session } = made.session;
    const [ran, waited, unwanted] = [1, 2, 3].map(() => newTurn(session)) as [
      ReturnType<typeof newTurn>,
      ReturnType<typeof newTurn>,
      ReturnType<typeof newTurn>,
    ];
    await store.commit([
      made,
      ...[ran, waited, unwanted].flatMap((turn) => [
        { kind: "turn" as const, turn },
        eventsWrite(session, newEvent(queued(session), turn.turn)),
      ]),
      { kind: "turn_state", turn: ran.turn, state: "running", at: 1 },
    ]);
    const scene = open({ store });
    const recovered = scene.turns.recover();
    const [late, cancelled] = await Promise.all([
      scene.create({ session }),
      scene.turns.cancel(alice, unwanted.turn),
      recovered,
    ]);
    expect(cancelled.state).toBe("cancelled");
    (await scene.running(waited.turn)).finish();
    const driver = await scene.running(late.turn);
    expect(driver.requests.map(({ turn }) => turn)).toEqual([waited.turn, late.turn]);
    driver.finish();
    await scene.inState(late.turn, "completed");
  });

  test("[A5] a prompt that waited over a restart does not run with what its agent no longer allows", async () => {
    const strict = readAgent({ permission_mode: "default" });
    const store = openTestStore();
    const made = sessionWrite();
    const { session } = made.session;
    const turn = { ...newTurn(session), options: { permissionMode: "bypassPermissions" as const } };
    await store.commit([made, { kind: "turn", turn }, eventsWrite(session, newEvent(queued(session), turn.turn))]);
    const scene = open({ store, agents: [strict] });
    await scene.turns.recover();
    expect(await scene.inState(turn.turn, "failed")).toMatchObject({ ending: { code: "internal", retryable: false } });
    expect(scene.started).toEqual([]);
  });
});
