import * as fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createPool, type Pool } from "../../../gateway/agents/pool.ts";
import { createRegistry, type Registry } from "../../../gateway/agents/registry.ts";
import { StartFailure } from "../../../gateway/claude/launch.ts";
import { failure } from "../../../gateway/claude/outcome.ts";
import type { AgentConfig } from "../../../gateway/protocol/agents.ts";
import { limits } from "../../../gateway/protocol/limits.ts";
import { cases } from "../../support/property.ts";
import { readAgent } from "../../support/real-cli.ts";
import { createScriptedDriver, type ScriptedDriver } from "../../support/scripted-driver.ts";
import { until } from "../../support/wait.ts";

interface Scene {
  readonly pool: Pool;
  readonly registry: Registry;
  /** Every process that was started, in order. */
  readonly started: ScriptedDriver[];
  alive(): ScriptedDriver[];
  /** The next start fails. */
  failNext: boolean;
  time: number;
  freeMemory: number;
  /** What the processes take, by session, in MB. */
  readonly memory: Map<string, number>;
}

const pools: Pool[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(pools.splice(0).map((pool) => pool.close()));
});

const plain = readAgent();
const megabyte = 1024 * 1024;

function openPool(processes: number, agents: AgentConfig[] = [plain]): Scene {
  const started: ScriptedDriver[] = [];
  const registry = createRegistry(agents);
  const scene: Scene = {
    started,
    registry,
    failNext: false,
    time: 0,
    freeMemory: Infinity,
    memory: new Map(),
    alive: () => started.filter(({ isEnded }) => !isEnded),
    pool: createPool({
      limits: limits.parse({ processes, process_idle_s: 10, min_free_memory_mb: 100, process_memory_mb: 1000 }),
      registry,
      now: () => scene.time,
      freeMemory: () => scene.freeMemory,
      measureMemory: async (pids) => {
        const measured = scene.alive().filter(({ pid }) => pids.includes(pid));
        return new Map(measured.map(({ pid, session }) => [pid, (scene.memory.get(session) ?? 100) * megabyte]));
      },
      start: async (_, session) => {
        if (scene.failNext) {
          scene.failNext = false;
          throw new StartFailure(failure("spawn_failed"));
        }
        const driver = createScriptedDriver({ session });
        started.push(driver);
        return driver;
      },
    }),
  };
  pools.push(scene.pool);
  return scene;
}

const sessionsOf = (drivers: readonly ScriptedDriver[]) => drivers.map(({ session }) => session).toSorted();

/** Whether a promise settles without anything else happening. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => void (settled = true);
  promise.then(note, note);
  for (let turns = 0; turns < 5; turns++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe("the pool", () => {
  test("[P6] a session's process serves its next turn; another session has its own", async () => {
    const { pool, started } = openPool(4);
    const first = await pool.acquire(plain, "a");
    pool.release("a");
    expect(await pool.acquire(plain, "a")).toBe(first);
    expect(await pool.acquire(plain, "b")).not.toBe(first);
    expect(started).toHaveLength(2);
  });

  test("[P6] where room is needed the longest idle one is ended, and never one that is held", async () => {
    const scene = openPool(3);
    for (const session of ["a", "b", "c"]) await scene.pool.acquire(plain, session);
    for (const session of ["b", "c", "a"]) {
      scene.time += 1000;
      scene.pool.release(session);
    }
    await scene.pool.acquire(plain, "b");
    await scene.pool.acquire(plain, "d");
    expect(sessionsOf(scene.alive())).toEqual(["a", "b", "d"]);
    await scene.pool.acquire(plain, "e");
    expect(sessionsOf(scene.alive())).toEqual(["b", "d", "e"]);
  });

  test("[T6] with every process held, the next one waits for a release, and for no longer", async () => {
    const scene = openPool(2);
    await scene.pool.acquire(plain, "a");
    await scene.pool.acquire(plain, "b");
    const third = scene.pool.acquire(plain, "c");
    expect(await isSettled(third)).toBe(false);
    scene.pool.release("a");
    await third;
    expect(sessionsOf(scene.alive())).toEqual(["b", "c"]);
  });

  test("[T6] an agent's own cap ends its own idle process, not another agent's", async () => {
    const [small, large] = [readAgent({ name: "small", processes: 1 }), readAgent({ name: "large" })];
    const scene = openPool(5, [small, large]);
    for (const [agent, session] of [
      [large, "l"],
      [small, "s"],
    ] as const) {
      await scene.pool.acquire(agent, session);
      scene.pool.release(session);
    }
    const next = scene.pool.acquire(small, "s2");
    await next;
    expect(sessionsOf(scene.alive())).toEqual(["l", "s2"]);
    const waiting = scene.pool.acquire(small, "s3");
    expect(await isSettled(waiting)).toBe(false);
    scene.pool.release("s2");
    await waiting;
    expect(sessionsOf(scene.alive())).toEqual(["l", "s3"]);
  });

  test("[T6] the caps hold for any acquires at once, and whoever waits is served", async () => {
    const act = fc.record({ session: fc.constantFrom("a", "b", "c", "d", "e", "f"), isSmall: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 12 }), fc.integer({ min: 1, max: 3 }), async (acts, processes) => {
        const small = readAgent({ name: "small", processes: 1 });
        const scene = openPool(processes, [plain, small]);
        const held = new Set<string>();
        let most = 0;
        const turns = acts.map(async ({ session, isSmall }) => {
          const name = `${session}${isSmall ? "s" : ""}`;
          await scene.pool.acquire(isSmall ? small : plain, name);
          held.add(name);
          most = Math.max(most, scene.pool.size);
          expect(scene.alive().filter((driver) => driver.session.endsWith("s")).length).toBeLessThanOrEqual(1);
          await new Promise((resolve) => setImmediate(resolve));
          scene.pool.release(name);
        });
        await Promise.all(turns);
        expect(most).toBeLessThanOrEqual(processes);
        expect(scene.alive().length).toBeLessThanOrEqual(processes);
      }),
      cases({ short: 200, long: 10_000 }),
    );
  });

  test("a process that cannot be used any more is replaced, and one that died too", async () => {
    const scene = openPool(2);
    await scene.pool.acquire(plain, "a");
    scene.started[0]!.isUsable = false;
    scene.pool.release("a");
    expect(await scene.pool.acquire(plain, "a")).toBe(scene.started[1]);
    expect(scene.started[0]!.isEnded).toBe(true);
    scene.pool.release("a");
    scene.started[1]!.die();
    await until("its place to be free", () => scene.pool.size === 0);
    expect(await scene.pool.acquire(plain, "a")).toBe(scene.started[2]);
  });

  test("a process that cannot be used any more is ended when it is released", async () => {
    const scene = openPool(2);
    await scene.pool.acquire(plain, "a");
    await scene.pool.acquire(plain, "b");
    scene.started[0]!.isUsable = false;
    for (const session of ["a", "b"]) scene.pool.release(session);
    await until("it to be gone", () => scene.pool.size === 1);
    expect(sessionsOf(scene.alive())).toEqual(["b"]);
  });

  test("a start that fails rejects, and gives its place back", async () => {
    const scene = openPool(1);
    scene.failNext = true;
    await expect(scene.pool.acquire(plain, "a")).rejects.toBeInstanceOf(StartFailure);
    await until("its place to be free", () => scene.pool.size === 0);
    expect(await scene.pool.acquire(plain, "a")).toBe(scene.started[0]);
  });

  test("[P6] idle processes are ended after a while; held ones, and ones the CLI itself is busy with, are not", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const scene = openPool(4);
    for (const session of ["held", "idle", "own", "fresh"]) await scene.pool.acquire(plain, session);
    for (const session of ["idle", "own"]) scene.pool.release(session);
    scene.started[2]!.isBusy = true;
    scene.time = 9_999;
    scene.pool.release("fresh");
    await vi.advanceTimersByTimeAsync(5000);
    expect(scene.alive()).toHaveLength(4);
    scene.time = 10_000;
    await vi.advanceTimersByTimeAsync(5000);
    expect(sessionsOf(scene.alive())).toEqual(["fresh", "held", "own"]);
  });

  test("[T6] below the memory floor idle processes are ended, one after the other, and no spare is started", async () => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval"] });
    const agent = readAgent({ spares: 1 });
    const scene = openPool(5, [agent]);
    for (const session of ["held", "older", "own", "newer"]) await scene.pool.acquire(agent, session);
    for (const session of ["own", "older", "newer"]) {
      scene.pool.release(session);
      scene.time += 1;
    }
    await vi.advanceTimersByTimeAsync(5000);
    expect(scene.alive()).toHaveLength(4);
    scene.freeMemory = 100 * 1024 * 1024 - 1;
    scene.pool.fill();
    const left = [sessionsOf(scene.alive())];
    for (let look = 0; look < 4; look++) {
      await vi.advanceTimersByTimeAsync(2500);
      left.push(sessionsOf(scene.alive()));
    }
    expect(left).toEqual([
      ["held", "newer", "older", "own"],
      ["held", "newer", "older"],
      ["held", "newer"],
      ["held"],
      ["held"],
    ]);
    scene.freeMemory = 100 * 1024 * 1024;
    scene.pool.fill();
    await until("the spare", () => scene.started.length === 5);
  });

  describe("[T6] below the memory floor a start waits", () => {
    const floor = 100 * megabyte;

    test("until the idle ones and spares are ended, one after the other, and no longer than until there is enough", async () => {
      const agent = readAgent({ spares: 1 });
      const scene = openPool(9, [agent]);
      for (const session of ["older", "newer"]) {
        await scene.pool.acquire(agent, session);
        scene.time += 1;
      }
      for (const session of ["older", "newer"]) scene.pool.release(session);
      scene.pool.fill();
      await until("the spare", () => scene.started.length === 3);
      scene.freeMemory = floor - 1;
      scene.started[0]!.exited.then(() => void (scene.freeMemory = floor)).catch(() => {});
      await scene.pool.acquire(agent, "next");
      expect(sessionsOf(scene.alive())).toEqual(["newer", "next", scene.started[2]!.session].toSorted());
      scene.freeMemory = floor - 1;
      const last = scene.pool.acquire(agent, "last");
      await until("all that can go to be gone", () => scene.alive().length === 1);
      expect(await isSettled(last)).toBe(false);
      expect(sessionsOf(scene.alive())).toEqual(["next"]);
      scene.pool.release("next");
      await last;
      expect(sessionsOf(scene.alive())).toEqual(["last"]);
    });

    test("while turns run, until memory is back; a session that has its process needs none", async () => {
      const scene = openPool(9);
      const first = await scene.pool.acquire(plain, "a");
      scene.freeMemory = floor - 1;
      const waiting = scene.pool.acquire(plain, "b");
      expect(await scene.pool.acquire(plain, "a")).toBe(first);
      expect(await isSettled(waiting)).toBe(false);
      scene.freeMemory = floor;
      await waiting;
      expect(sessionsOf(scene.alive())).toEqual(["a", "b"]);
    });

    test("not for ever: where nothing lives, or one that runs may wait for just this one, it is started", async () => {
      const scene = openPool(9);
      scene.freeMemory = 0;
      await scene.pool.acquire(plain, "a");
      const waiting = scene.pool.acquire(plain, "b");
      expect(await isSettled(waiting)).toBe(false);
      scene.time += 60_000;
      await waiting;
    });
  });

  describe("[T6] a process that is wanted only if there is room", () => {
    const ifRoom = { onlyIfRoom: true };
    const refused = { code: "no_capacity", extra: { retry_after_s: 10 } };

    test("takes an idle one's place, and is refused where all are held", async () => {
      const scene = openPool(2);
      for (const session of ["held", "idle"]) await scene.pool.acquire(plain, session);
      scene.pool.release("idle");
      await scene.pool.acquire(plain, "a", ifRoom);
      expect(sessionsOf(scene.alive())).toEqual(["a", "held"]);
      await expect(scene.pool.acquire(plain, "b", ifRoom)).rejects.toMatchObject(refused);
      expect(await scene.pool.acquire(plain, "a", ifRoom)).toBe(scene.started[2]);
    });

    test("is refused below the memory floor, also where nothing lives or another one is idle", async () => {
      const scene = openPool(9);
      scene.freeMemory = 0;
      await expect(scene.pool.acquire(plain, "a", ifRoom)).rejects.toMatchObject(refused);
      scene.freeMemory = Infinity;
      const first = await scene.pool.acquire(plain, "a", ifRoom);
      scene.pool.release("a");
      scene.freeMemory = 0;
      await expect(scene.pool.acquire(plain, "b", ifRoom)).rejects.toMatchObject(refused);
      expect(await scene.pool.acquire(plain, "a", ifRoom)).toBe(first);
    });
  });

  describe("a process that takes more memory than it may", () => {
    const look = () => vi.advanceTimersByTimeAsync(2000);
    const watched = (agents = [plain]) => {
      vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "setTimeout", "clearTimeout"] });
      return openPool(5, agents);
    };

    test("is ended, and its turn says so; its session goes on with another one, and the others stay", async () => {
      const scene = watched();
      const driver = await scene.pool.acquire(plain, "a");
      await scene.pool.acquire(plain, "b");
      const running = driver.run({ turn: "t", prompt: [] });
      scene.memory.set("a", 1000);
      await look();
      expect(scene.pool.processesOf(plain.name)).toMatchObject({ live: 2, memoryBytes: 1100 * megabyte });
      scene.memory.set("a", 1001);
      await look();
      expect(await running).toMatchObject({
        type: "turn_failed",
        code: "process_died",
        message: "The CLI was ended: with its tools it took more than 1000 MB of memory.",
      });
      scene.pool.release("a");
      scene.memory.delete("a");
      expect(await scene.pool.acquire(plain, "a")).toBe(scene.started[2]);
      await look();
      expect(sessionsOf(scene.alive())).toEqual(["a", "b"]);
    });

    test("is ended also where it is idle, or a spare, which is replaced", async () => {
      const agent = readAgent({ spares: 1 });
      const scene = watched([agent]);
      await scene.pool.acquire(agent, "idle");
      scene.pool.release("idle");
      scene.pool.fill();
      await look();
      const spare = scene.started[1]!.session;
      scene.memory.set("idle", 5000).set(spare, 5000);
      await look();
      expect(scene.alive()).toEqual([]);
      await vi.advanceTimersByTimeAsync(1000);
      expect(scene.pool.processesOf(agent.name)).toMatchObject({ live: 1, spare: 1 });
    });
  });

  test("[P6] a spare that dies is replaced, ever later where they die one after the other", async () => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    const scene = openPool(4, [readAgent({ spares: 1 })]);
    scene.pool.fill();
    for (const waitMs of [1000, 2000, 4000, 8000]) {
      await vi.advanceTimersByTimeAsync(0);
      const count = scene.started.length;
      scene.started.at(-1)!.die();
      await vi.advanceTimersByTimeAsync(waitMs - 1);
      expect(scene.started).toHaveLength(count);
      await vi.advanceTimersByTimeAsync(1);
      expect(scene.started).toHaveLength(count + 1);
    }
    // One that was good for long does not count.
    scene.time += 10 * 60_000;
    scene.started.at(-1)!.die();
    await vi.advanceTimersByTimeAsync(1000);
    expect(scene.alive()).toHaveLength(1);
  });

  test("[P6] a new session takes a spare's id, and a session that exists never takes a spare", async () => {
    const agent = readAgent({ spares: 1 });
    const scene = openPool(4, [agent]);
    scene.pool.fill();
    scene.pool.fill();
    await until("the spare", () => scene.started.length === 1);
    expect(scene.started).toHaveLength(1);
    await scene.pool.acquire(agent, "existing");
    expect(scene.started).toHaveLength(2);
    const session = scene.pool.newSession(agent);
    expect(session).toBe(scene.started[0]!.session);
    expect(scene.pool.newSession(agent)).not.toBe(session);
    expect(await scene.pool.acquire(agent, session)).toBe(scene.started[0]);
    await until("another spare", () => scene.started.length === 3);
  });

  test("[P6] a spare that died, or had to make room, is replaced when the next session begins", async () => {
    const agent = readAgent({ spares: 1 });
    const scene = openPool(4, [agent]);
    scene.pool.fill();
    await until("the spare", () => scene.started.length === 1);
    scene.started[0]!.die();
    await until("the spare to be gone", () => scene.pool.size === 0);
    scene.pool.newSession(agent);
    await until("another spare", () => scene.started.length === 2);
    expect(scene.alive()).toEqual([scene.started[1]]);
  });

  test("[P6] spares keep within the caps, and go after idle ones where room is needed", async () => {
    const agent = readAgent({ spares: 5, processes: 3 });
    const scene = openPool(4, [agent]);
    scene.pool.fill();
    await until("the spares", () => scene.started.length === 3);
    const session = scene.pool.newSession(agent);
    await scene.pool.acquire(agent, session);
    scene.pool.release(session);
    scene.time = 5000;
    await scene.pool.acquire(agent, "new");
    expect(scene.started[0]!.isEnded).toBe(true);
    expect(scene.alive()).toHaveLength(3);
    await scene.pool.acquire(agent, "newer");
    expect(scene.alive().map(({ session: one }) => one)).toContain("new");
    expect(scene.alive()).toHaveLength(3);
  });

  describe("[P6] when an agent is changed or removed", () => {
    const put = ({ registry }: Scene, fields: Parameters<typeof readAgent>[0] = {}) => {
      const agent = readAgent({ name: "made", ...fields });
      registry.put({ name: "made", settings: {}, madeBy: "alice", madeAt: 1, changedAt: 1 }, agent);
      return agent;
    };

    test("its idle processes and spares end, and those of other agents stay", async () => {
      const scene = openPool(5);
      const agent = put(scene, { spares: 1 });
      await until("the spare", () => scene.started.length === 1);
      for (const [one, session] of [
        [agent, "a"],
        [plain, "b"],
      ] as const) {
        await scene.pool.acquire(one, session);
        scene.pool.release(session);
      }
      expect(scene.pool.processesOf("made")).toMatchObject({ live: 2, busy: 0, idle: 1, spare: 1 });
      put(scene);
      await until("them to be gone", () => scene.pool.size === 1);
      expect(sessionsOf(scene.alive())).toEqual(["b"]);
      expect(scene.pool.processesOf("made")).toMatchObject({ live: 0, busy: 0, idle: 0, spare: 0 });
    });

    test("a process that has a turn finishes it and then ends; the next turn has one of its own", async () => {
      const scene = openPool(5);
      await scene.pool.acquire(put(scene), "a");
      const changed = put(scene, { model: "other" });
      expect(scene.pool.processesOf("made")).toMatchObject({ live: 1, busy: 1 });
      expect(scene.started[0]!.isEnded).toBe(false);
      scene.pool.release("a");
      expect(await scene.pool.acquire(changed, "a")).toBe(scene.started[1]);
      expect(scene.started[0]!.isEnded).toBe(true);
    });

    test("a turn does not join a process that is just being warmed up with the old settings", async () => {
      const scene = openPool(5);
      await scene.pool.acquire(put(scene), "a");
      const next = scene.pool.acquire(put(scene, { model: "other" }), "a");
      expect(await isSettled(next)).toBe(false);
      scene.pool.release("a");
      expect(await next).toBe(scene.started[1]);
    });

    test("a new session takes no spare of the old settings, and more spares are started at once", async () => {
      const scene = openPool(5);
      put(scene, { spares: 1 });
      await until("the spare", () => scene.started.length === 1);
      const changed = put(scene, { spares: 2 });
      const session = scene.pool.newSession(changed);
      expect(session).not.toBe(scene.started[0]!.session);
      await until("the new spares", () => scene.pool.processesOf("made").spare === 2);
      await until("the old one to be gone", () => scene.started[0]!.isEnded);
      scene.registry.remove("made");
      await until("all to be gone", () => scene.pool.size === 0);
    });
  });

  test("[P3] closing ends all, takes no more, and does not leave those that wait", async () => {
    const scene = openPool(1);
    await scene.pool.acquire(plain, "a");
    const waiting = scene.pool.acquire(plain, "b");
    const refused = waiting.catch((error: unknown) => error);
    await scene.pool.close();
    expect(await refused).toMatchObject({ code: "shutting_down" });
    await expect(scene.pool.acquire(plain, "c")).rejects.toMatchObject({ code: "shutting_down" });
    expect(scene.alive()).toEqual([]);
    expect(scene.pool.size).toBe(0);
  });
});
