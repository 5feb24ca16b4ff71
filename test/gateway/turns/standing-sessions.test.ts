import { afterEach, describe, expect, test } from "vitest";
import type { Caller } from "../../../gateway/protocol/callers.ts";
import type { TurnView } from "../../../gateway/turns/turns.ts";
import { alice } from "../../support/log-drafts.ts";
import { openTurns, type TurnsOptions, type TurnsScene } from "../../support/open-turns.ts";
import { readAgent } from "../../support/real-cli.ts";

const ann: Caller = { key: "alice", user: "ann", reach: "user" };
const bob: Caller = { key: "bob", user: null, reach: "key" };

let scene: TurnsScene;
afterEach(() => scene.close());

const agents = [readAgent(), readAgent({ name: "other" })];
const open = (options: TurnsOptions = {}) => (scene = openTurns({ agents, isQuick: true, ...options }));

function message(
  caller: Caller = alice,
  { reset = false, agent = "tester", key = "", text = "hello" } = {},
): Promise<TurnView> {
  const prompt = [{ type: "text" as const, text }];
  return scene.turns.create(caller, { prompt, agent, on_busy: "queue", standing: { reset } }, key || undefined);
}

describe("a standing session", () => {
  test("is made at the first prompt, and has every later one of its owner with this agent", async () => {
    open();
    const first = await message();
    expect((await message()).session).toBe(first.session);
    const others = [await message(ann), await message(bob), await message(alice, { agent: "other" })];
    expect(new Set([first, ...others].map(({ session }) => session)).size).toBe(4);
    expect((await message(ann)).session).toBe(others[0]!.session);
    expect(await scene.store.session(ann, others[0]!.session)).toMatchObject({
      agent: "tester",
      owner: { user: "ann" },
    });
    // A prompt without session begins one of its own, as ever.
    expect((await scene.create({ agent: "tester" })).session).not.toBe(first.session);
    expect((await message()).session).toBe(first.session);
  });

  test("is one, however many first prompts come at once", async () => {
    open();
    const made = await Promise.all(Array.from({ length: 8 }, () => message()));
    expect(new Set(made.map(({ session }) => session)).size).toBe(1);
    expect(await scene.store.sessions(alice, { limit: 10 })).toHaveLength(1);
  });

  test("begins anew with reset, and the one before stays a session", async () => {
    open();
    const first = await message();
    const second = await message(alice, { reset: true });
    expect(second.session).not.toBe(first.session);
    expect((await message()).session).toBe(second.session);
    expect(await scene.store.session(alice, first.session)).toMatchObject({ session: first.session });
  });

  test("that was deleted is made anew at its next use", async () => {
    open();
    const first = await message();
    await scene.inState(first.turn, "completed");
    await scene.pool.end(first.session);
    await scene.store.removeSession(alice, first.session);
    const second = await message();
    expect(second.session).not.toBe(first.session);
    expect((await message()).session).toBe(second.session);
  });

  test("that is just being deleted is not written to: another one takes its place", async () => {
    open();
    const first = await message();
    await scene.inState(first.turn, "completed");
    const reopen = await scene.turns.closeSession(alice, first.session);
    const second = await message();
    expect(second.session).not.toBe(first.session);
    reopen();
    expect((await message()).session).toBe(second.session);
  });

  test("[T6] is not lost by a reset that is refused, and none is made by a first prompt that is", async () => {
    open({ isQuick: false, limits: { running_turns: 1, queue: 1 } });
    const first = await message();
    await scene.running(first.turn);
    await message();
    for (const refused of [message(alice, { reset: true }), message(bob)])
      await expect(refused).rejects.toMatchObject({ code: "queue_full" });
    expect(await scene.store.standingSession(alice, "tester")).toBe(first.session);
    expect(await scene.store.standingSession(bob, "tester")).toBeUndefined();
    expect(await scene.store.sessions(bob, { limit: 10 })).toEqual([]);
  });

  test("[T3] a repeated key gives the first turn, also of a reset; with another prompt it is refused", async () => {
    open();
    const first = await message(alice, { key: "k1" });
    const reset = await message(alice, { key: "k2", reset: true });
    expect(await message(alice, { key: "k1" })).toMatchObject({ turn: first.turn, session: first.session });
    expect(await message(alice, { key: "k2", reset: true })).toMatchObject({
      turn: reset.turn,
      session: reset.session,
    });
    expect((await message()).session).toBe(reset.session);
    for (const other of [{ text: "else" }, { reset: true }, { agent: "other" }])
      await expect(message(alice, { key: "k1", ...other })).rejects.toMatchObject({ code: "idempotency_mismatch" });
  });

  test("[A4] of an agent that the caller is not for is refused, and makes nothing", async () => {
    open();
    await expect(message({ ...bob, agents: ["other"] })).rejects.toMatchObject({ code: "not_found" });
    await expect(message(bob, { agent: "nobody" })).rejects.toMatchObject({ code: "not_found" });
    expect(await scene.store.sessions(bob, { limit: 10 })).toEqual([]);
  });
});
