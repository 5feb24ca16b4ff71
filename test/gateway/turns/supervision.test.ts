// Turns that give work to others and wait for them, on a real store, log, pool and queue; the processes are scripted.
import { afterEach, describe, expect, test } from "vitest";
import { levelsBelow } from "../../../gateway/agents/levels.ts";
import type { AgentConfig } from "../../../gateway/protocol/agents.ts";
import type { Caller } from "../../../gateway/protocol/callers.ts";
import type { TurnView } from "../../../gateway/turns/turns.ts";
import { question } from "../../support/approval-drafts.ts";
import { alice, completed } from "../../support/log-drafts.ts";
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

const lead = readAgent({ name: "lead", supervises: ["coder", "other"] });
const coder = readAgent({ name: "coder" });
const other = readAgent({ name: "other" });
const team = { agents: [lead, coder, other] };
const minute = { ms: 60_000 };

/** As whom the process of a turn that runs asks. */
async function callerIn(scene: TurnsScene, { turn, session, agent: name }: TurnView): Promise<Caller> {
  await scene.running(turn);
  const { supervises } = scene.registry.find(name);
  return scene.turns.callerOf({ agent: name, session, supervises });
}

async function begun(scene: TurnsScene, agent = "lead"): Promise<{ turn: TurnView; caller: Caller }> {
  const turn = await scene.create({ agent });
  return { turn, caller: await callerIn(scene, turn) };
}

/** Whether a promise settles without anything else happening. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const note = () => void (settled = true);
  promise.then(note, note);
  for (let rounds = 0; rounds < 20; rounds++) await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

async function finish(scene: TurnsScene, turn: string, words = "done"): Promise<void> {
  (await scene.running(turn)).finish(completed(words));
}

describe("a turn of a supervising agent", () => {
  test("[A4] asks on behalf of its session's owner, and its link stands in the other turn's log", async () => {
    const scene = open(team);
    const { turn, caller } = await begun(scene);
    expect(caller).toMatchObject({ key: "alice", user: null, agents: ["coder", "other"], as: { agent: "lead" } });
    const below = await scene.create({ agent: "coder" }, caller);
    expect(below.owner).toEqual({ key: "alice", user: null });
    expect((await scene.events(below))[0]).toMatchObject({
      type: "turn_queued",
      by: { agent: "lead", turn: turn.turn },
    });
    expect(await scene.turns.get(alice, below.turn)).toMatchObject({ session: below.session });
    await expect(scene.create({ agent: "lead" }, caller)).rejects.toMatchObject({ code: "not_found" });
    const foreign = await scene.create({ agent: "coder" }, { key: "bob", user: null, reach: "key" });
    await expect(scene.turns.get(caller, foreign.turn)).rejects.toMatchObject({ code: "not_found" });
    await expect(scene.turns.follow(caller, turn.turn, minute)).rejects.toMatchObject({ code: "not_found" });
  });

  test("asks nothing once its turn has ended", async () => {
    const scene = open(team);
    const { turn } = await begun(scene);
    await finish(scene, turn.turn);
    await scene.inState(turn.turn, "completed");
    await until("its place to be free", () => scene.turns.runningCount === 0);
    const { session } = turn;
    await expect(scene.turns.callerOf({ agent: "lead", session, supervises: [] })).rejects.toMatchObject({
      code: "conflict",
    });
  });

  test("waits until the other one has ended", async () => {
    const scene = open(team);
    const { caller } = await begun(scene);
    const below = await scene.create({ agent: "coder" }, caller);
    const followed = scene.turns.follow(caller, below.turn, minute);
    expect(await isSettled(followed)).toBe(false);
    await finish(scene, below.turn, "forty-two");
    expect(await followed).toMatchObject({
      turn: { state: "completed", ending: { answer: "forty-two" } },
      approvals: [],
    });
    expect(await scene.turns.follow(caller, below.turn, minute)).toMatchObject({ turn: { state: "completed" } });
  });

  test("waits for no longer than it wants, or than its client listens", async () => {
    const scene = open(team);
    const { caller } = await begun(scene);
    const below = await scene.create({ agent: "coder" }, caller);
    await scene.running(below.turn);
    expect(await scene.turns.follow(caller, below.turn, { ms: 20 })).toMatchObject({ turn: { state: "running" } });
    const listening = new AbortController();
    const followed = scene.turns.follow(caller, below.turn, { ...minute, signal: listening.signal });
    expect(await isSettled(followed)).toBe(false);
    listening.abort();
    expect(await followed).toMatchObject({ turn: { state: "running" } });
  });

  test("hears of a question that the other one asks, once", async () => {
    const scene = open(team);
    const { caller } = await begun(scene);
    const below = await scene.create({ agent: "coder" }, caller);
    await scene.running(below.turn);
    const followed = scene.turns.follow(caller, below.turn, minute);
    expect(await isSettled(followed)).toBe(false);
    const asked = scene.turns.approvals.ask(coder, below.session, question(below.turn), new AbortController().signal);
    const { turn, approvals } = await followed;
    expect(turn.state).toBe("waiting");
    expect(approvals).toMatchObject([{ turn: below.turn, resolved: null }]);
    const again = scene.turns.follow(caller, below.turn, minute);
    expect(await isSettled(again)).toBe(false);
    const approval = approvals[0]!.approval;
    await scene.turns.approvals.answer(caller, approval, { decision: "allow", scope: "once" });
    await asked;
    expect(await isSettled(again)).toBe(false);
    await finish(scene, below.turn);
    expect(await again).toMatchObject({ turn: { state: "completed" }, approvals: [] });
    const resolved = (await scene.events(below)).find(({ type }) => type === "approval_resolved");
    expect(resolved).toMatchObject({ by: caller.as });
  });
});

describe("[T6] a turn that waits", () => {
  test("is none of the running turns meanwhile, and goes on only with a place of its own", async () => {
    const scene = open({ ...team, limits: { running_turns: 1 } });
    const { caller } = await begun(scene);
    const below = await scene.create({ agent: "coder" }, caller);
    expect((await scene.turns.get(alice, below.turn)).state).toBe("queued");
    const followed = scene.turns.follow(caller, below.turn, minute);
    const driver = await scene.running(below.turn);
    const next = await scene.create({ agent: "other" });
    driver.finish();
    await followed;
    expect((await scene.turns.get(alice, next.turn)).state).toBe("queued");
    await finish(scene, caller.as!.turn);
    await finish(scene, next.turn);
    await scene.inState(next.turn, "completed");
  });

  test("keeps its place while it does not wait, though it has sent others", async () => {
    const scene = open({ ...team, limits: { running_turns: 1 } });
    const { caller } = await begun(scene);
    const below = await scene.create({ agent: "coder" }, caller);
    expect(await scene.turns.follow(caller, below.turn, { ms: 0 })).toMatchObject({
      turn: { state: "queued", position: 1 },
    });
    expect((await scene.turns.get(alice, below.turn)).state).toBe("queued");
  });

  test("waits for several at once, and is told of each as it ends", async () => {
    const scene = open({ ...team, limits: { running_turns: 2, caller_share: 1 } });
    const { caller } = await begun(scene);
    const [one, two] = [await scene.create({ agent: "coder" }, caller), await scene.create({ agent: "other" }, caller)];
    const first = scene.turns.follow(caller, one.turn, minute);
    const second = scene.turns.follow(caller, two.turn, minute);
    await Promise.all([scene.running(one.turn), scene.running(two.turn)]);
    await finish(scene, one.turn);
    await first;
    expect(await isSettled(second)).toBe(false);
    await finish(scene, two.turn);
    await second;
  });

  test("ten supervisors under a cap of ten, with two running turns, still finish", async () => {
    const scene = open({ ...team, limits: { processes: 10, running_turns: 2 } });
    const leads = await Promise.all(Array.from({ length: 10 }, () => scene.create({ agent: "lead" })));
    const courses = leads.map(async (turn) => {
      const caller = await callerIn(scene, turn);
      const below = await scene.create({ agent: "coder" }, caller);
      const followed = scene.turns.follow(caller, below.turn, minute);
      await finish(scene, below.turn);
      expect((await followed).turn.state).toBe("completed");
      expect(scene.pool.size).toBeLessThanOrEqual(10);
      await finish(scene, turn.turn);
      return scene.inState(turn.turn, "completed");
    });
    await Promise.all(courses);
  });

  test("three levels under a cap of three processes and one running turn finish, however many there are", async () => {
    const agents = [
      readAgent({ name: "head", supervises: ["lead"] }),
      readAgent({ name: "lead", supervises: ["coder"] }),
      readAgent({ name: "coder", processes: 1 }),
    ];
    const scene = open({ agents, limits: { processes: 3, running_turns: 1 } });
    const below: Record<string, string | undefined> = { head: "lead", lead: "coder" };
    async function course(turn: TurnView): Promise<void> {
      const next = below[turn.agent];
      await scene.running(turn.turn);
      if (next !== undefined) {
        const caller = await callerIn(scene, turn);
        const sent = await scene.create({ agent: next }, caller);
        await Promise.all([course(sent), scene.turns.follow(caller, sent.turn, minute)]);
      }
      await finish(scene, turn.turn);
      await scene.inState(turn.turn, "completed");
    }
    const heads = await Promise.all(Array.from({ length: 4 }, () => scene.create({ agent: "head" })));
    await Promise.all(heads.map(course));
    expect(scene.started.length).toBeGreaterThanOrEqual(3);
  });
});

describe("[T6] loops are cut", () => {
  const ring = [
    readAgent({ name: "a", supervises: ["b", "c"] }),
    readAgent({ name: "b", supervises: ["a", "c"] }),
    readAgent({ name: "c", supervises: ["a", "b"] }),
  ];

  test("no turn gives work to an agent that stands above it, not round a circle either", async () => {
    const scene = open({ agents: ring });
    const { caller: inA } = await begun(scene, "a");
    const b = await scene.create({ agent: "b" }, inA);
    const inB = await callerIn(scene, b);
    await expect(scene.create({ agent: "a" }, inB)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining('"a" stands above this turn'),
    });
    const c = await scene.create({ agent: "c" }, inB);
    for (const agent of ["a", "b"])
      await expect(scene.create({ agent }, await callerIn(scene, c))).rejects.toMatchObject({ code: "conflict" });
  });

  test("no turn waits for one that waits for it, through whatever sessions", async () => {
    const scene = open({ agents: ring, limits: { processes: 16 } });
    // Two people's prompts: the one of a waits for b, behind a turn of b that wants to wait for a, behind the first.
    const { turn: x, caller: inX } = await begun(scene, "a");
    const { turn: z, caller: inZ } = await begun(scene, "b");
    const y = await scene.create({ agent: "b", session: z.session }, inX);
    const w = await scene.create({ agent: "a", session: x.session }, inZ);
    const followed = scene.turns.follow(inX, y.turn, minute);
    expect(await isSettled(followed)).toBe(false);
    await expect(scene.turns.follow(inZ, w.turn, minute)).rejects.toMatchObject({
      code: "conflict",
      message: expect.stringContaining("would never end"),
    });
    expect(await scene.turns.follow(inZ, w.turn, { ms: 0 })).toMatchObject({ turn: { state: "queued" } });
    await finish(scene, z.turn);
    await finish(scene, y.turn);
    expect((await followed).turn.state).toBe("completed");
  });

  test("no turn waits for one of an agent above it", async () => {
    const scene = open({ agents: ring });
    const { turn: above, caller: inA } = await begun(scene, "a");
    const b = await scene.create({ agent: "b" }, inA);
    const inB = await callerIn(scene, b);
    await expect(scene.turns.follow(inB, above.turn, minute)).rejects.toMatchObject({ code: "conflict" });
    const stranger = await scene.create({ agent: "a" });
    await expect(scene.turns.follow(inB, stranger.turn, minute)).rejects.toMatchObject({ code: "conflict" });
  });

  test("work is handed on so many times and no more", async () => {
    const chain = ["a", "b", "c", "d"].map((name, at, all) =>
      readAgent({ name, supervises: all[at + 1] === undefined ? [] : [all[at + 1]!] }),
    );
    const scene = open({ agents: chain, limits: { supervise_depth: 2 } });
    const { caller: inA } = await begun(scene, "a");
    const inB = await callerIn(scene, await scene.create({ agent: "b" }, inA));
    const inC = await callerIn(scene, await scene.create({ agent: "c" }, inB));
    await expect(scene.create({ agent: "d" }, inC)).rejects.toMatchObject({
      code: "forbidden",
      message: expect.stringContaining("at most 2 times (supervise_depth)"),
    });
  });

  test("one turn has so many others under way and no more", async () => {
    const scene = open({ ...team, limits: { supervise_turns: 2, running_turns: 8 } });
    const { caller } = await begun(scene);
    const sent = await Promise.allSettled([1, 2, 3].map(() => scene.create({ agent: "coder" }, caller)));
    expect(sent.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "fulfilled", "rejected"]);
    const refused = sent.find((one) => one.status === "rejected");
    expect(refused?.reason).toMatchObject({ code: "too_many_requests", message: expect.stringContaining("2 turns") });
    const [first] = sent.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    await finish(scene, first!.turn);
    await scene.turns.follow(caller, first!.turn, minute);
    await until("its end to be counted", () => scene.create({ agent: "other" }, caller).catch(() => undefined));
  });

  test("how deep agents can stand below one another", () => {
    const agents = (names: Record<string, string[]>) =>
      Object.entries(names).map(([name, supervises]): Pick<AgentConfig, "name" | "supervises"> => ({
        name,
        supervises,
      }));
    const tree = agents({ a: ["b", "c"], b: ["d"], c: [], d: ["e"], e: [] });
    expect(["a", "b", "c", "d", "e", "?"].map((name) => levelsBelow(tree, name, { most: 9 }))).toEqual([
      3, 2, 0, 1, 0, 0,
    ]);
    expect(levelsBelow(tree, "a", { most: 2 })).toBe(2);
    const circle = agents({ a: ["b"], b: ["c", "a"], c: ["a"] });
    expect(levelsBelow(circle, "a", { most: 9 })).toBe(2);
    expect(levelsBelow(circle, "b", { above: ["a"], most: 9 })).toBe(1);
    expect(levelsBelow(circle, "c", { above: ["a", "b"], most: 9 })).toBe(0);
  });
});

describe("when a turn that waits ends otherwise than completed", () => {
  test("what it has sent and waits for is cancelled; what it did not wait for goes on", async () => {
    const scene = open(team);
    const { turn, caller } = await begun(scene);
    const waitedFor = await scene.create({ agent: "coder" }, caller);
    const leftAlone = await scene.create({ agent: "other" }, caller);
    const followed = scene.turns.follow(caller, waitedFor.turn, minute);
    await Promise.all([scene.running(waitedFor.turn), scene.running(leftAlone.turn)]);
    await scene.turns.cancel(alice, turn.turn);
    expect(await scene.inState(waitedFor.turn, "cancelled")).toMatchObject({
      ending: { by: { agent: "lead", turn: turn.turn } },
    });
    await followed;
    expect((await scene.turns.get(alice, leftAlone.turn)).state).toBe("running");
    await finish(scene, leftAlone.turn);
  });

  test("also where its client had given the wait up, and where the other one still waited in the queue", async () => {
    const scene = open({ agents: [lead, readAgent({ name: "coder", processes: 1 }), other] });
    const { turn, caller } = await begun(scene);
    const given = await scene.create({ agent: "coder" }, caller);
    const queued = await scene.create({ agent: "coder" }, caller);
    await scene.turns.follow(caller, given.turn, { ms: 20 });
    const followed = scene.turns.follow(caller, queued.turn, minute);
    (await scene.running(turn.turn)).die();
    await scene.inState(given.turn, "cancelled");
    expect((await followed).turn.turn).toBe(queued.turn);
    await scene.inState(queued.turn, "cancelled");
  });

  test("also where it ends before its call has come to wait", async () => {
    const scene = open(team);
    const { turn, caller } = await begun(scene);
    const below = await scene.create({ agent: "coder" }, caller);
    await scene.running(below.turn);
    await scene.turns.cancel(alice, turn.turn);
    expect(await scene.turns.follow(caller, below.turn, minute)).toMatchObject({ turn: { state: "cancelled" } });
  });

  test("what somebody else has sent is not cancelled, and nothing is when it completes", async () => {
    const scene = open(team);
    const { turn, caller } = await begun(scene);
    const theirs = await scene.create({ agent: "coder" });
    const followed = scene.turns.follow(caller, theirs.turn, minute);
    await scene.running(theirs.turn);
    await scene.turns.cancel(alice, turn.turn);
    await followed;
    expect((await scene.turns.get(alice, theirs.turn)).state).toBe("running");
    await finish(scene, theirs.turn);

    const second = await begun(scene);
    const own = await scene.create({ agent: "other" }, second.caller);
    await scene.turns.follow(second.caller, own.turn, { ms: 20 });
    await finish(scene, second.turn.turn);
    await scene.inState(second.turn.turn, "completed");
    expect((await scene.inState(own.turn, "running")).ending).toBeNull();
    await finish(scene, own.turn);
  });
});
