// The rules of a Store for agents that are made by API, for standing sessions, and for what agents have failed by and were paid with.
import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { gatewayCaller, type Caller } from "../../gateway/protocol/callers.ts";
import type { EventBody } from "../../gateway/protocol/events.ts";
import type { Store, StoredAgent } from "../../gateway/store/port.ts";
import { alice, completed, eventsWrite, newEvent, newTurn, sessionWrite } from "../support/log-drafts.ts";
import type { StorePlace } from "./store-contract.ts";

const ann: Caller = { key: "alice", user: "ann", reach: "user" };
const bob: Caller = { key: "bob", user: null, reach: "key" };

export function agentsContract(makePlace: () => Promise<StorePlace>): void {
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

  const agent = (name: string, more: Partial<StoredAgent> = {}): StoredAgent => ({
    name,
    settings: { model: "m", allowed_tools: ["Bash(git *)"], worktree: false },
    madeBy: "alice",
    madeAt: 1,
    changedAt: 1,
    ...more,
  });
  const put = (...agents: StoredAgent[]) => store.commit(agents.map((one) => ({ kind: "agent", agent: one })));

  async function stand(owner: Pick<Caller, "key" | "user">): Promise<string> {
    const session = randomUUID();
    await store.commit([
      sessionWrite(session, { key: owner.key, user: owner.user }),
      { kind: "standing_session", session },
    ]);
    return session;
  }

  /** A turn of a new session that has ended so. */
  async function endTurn(owner: Pick<Caller, "key" | "user">, at: number, ...bodies: EventBody[]): Promise<string> {
    const session = sessionWrite(randomUUID(), { key: owner.key, user: owner.user });
    const turn = newTurn(session.session.session);
    const events = bodies.map((body) => ({ ...newEvent(body, turn.turn), at }));
    await store.commit([
      session,
      { kind: "turn", turn },
      { kind: "turn_state", turn: turn.turn, state: "running", at },
      eventsWrite(turn.session, ...events),
    ]);
    return turn.turn;
  }

  test("an agent is read back as it was given, is changed by the next write, and is there again later", async () => {
    await put(agent("b"), agent("a", { settings: {} }));
    const changed = agent("b", { settings: { instructions: "Be brief.\n" }, changedAt: 5 });
    await put(changed);
    expect(await store.agents(gatewayCaller)).toEqual([agent("a", { settings: {} }), changed]);
    const again = await place.open();
    expect(await again.agents(gatewayCaller)).toEqual([agent("a", { settings: {} }), changed]);
    await again.close();
  });

  test("[L9] a caller who is limited to some agents is given no others", async () => {
    await put(agent("a"), agent("b"));
    expect((await store.agents({ ...bob, agents: ["b", "c"] })).map(({ name }) => name)).toEqual(["b"]);
    expect(await store.agents({ ...bob, agents: [] })).toEqual([]);
  });

  test("a standing session is one owner's alone, and the newest is the one that counts", async () => {
    const [own, anns] = [await stand(alice), await stand(ann)];
    expect(await store.standingSession(alice, "tester")).toBe(own);
    expect(await store.standingSession(ann, "tester")).toBe(anns);
    for (const caller of [bob, { ...ann, user: "amy" }, { ...bob, user: "ann" }] as Caller[])
      expect(await store.standingSession(caller, "tester")).toBeUndefined();
    expect(await store.standingSession(alice, "other")).toBeUndefined();
    const newer = await stand(ann);
    expect([await store.standingSession(ann, "tester"), await store.standingSession(alice, "tester")]).toEqual([
      newer,
      own,
    ]);
  });

  test("a standing session that is removed is none any more", async () => {
    const [own, anns] = [await stand(alice), await stand(ann)];
    expect(await store.removeSession(alice, own)).toBeDefined();
    expect(await store.standingSession(alice, "tester")).toBeUndefined();
    expect(await store.standingSession(ann, "tester")).toBe(anns);
  });

  test("with an agent its standing sessions end, but stay as sessions; nothing else goes", async () => {
    await put(agent("tester"), agent("other"));
    const session = await stand(alice);
    await store.commit([{ kind: "agent_removed", name: "other" }]);
    expect(await store.standingSession(alice, "tester")).toBe(session);
    await store.commit([{ kind: "agent_removed", name: "tester" }]);
    expect(await store.agents(gatewayCaller)).toEqual([]);
    expect(await store.standingSession(alice, "tester")).toBeUndefined();
    expect(await store.session(alice, session)).toMatchObject({ session, agent: "tester" });
  });

  const failed = (message: string): EventBody => ({
    type: "turn_failed",
    code: "api_error",
    message,
    retryable: true,
    text: "",
  });

  test("[L9] an agent's last failed turn is the last that the caller may see", async () => {
    const last = async (caller: Caller, name = "tester") => (await store.lastFailedTurn(caller, name))?.turn;
    expect(await last(gatewayCaller)).toBeUndefined();
    await endTurn(alice, 10, failed("first"));
    const own = await endTurn(alice, 30, failed("second"));
    const anns = await endTurn(ann, 40, failed("hers"));
    await endTurn(alice, 50, completed());
    expect(await store.lastFailedTurn(gatewayCaller, "tester")).toMatchObject({ turn: anns, ending: failed("hers") });
    expect([await last(alice), await last(ann), await last({ ...alice, reach: "user" }), await last(bob)]).toEqual([
      anns,
      anns,
      own,
      undefined,
    ]);
    expect(await last(gatewayCaller, "other")).toBeUndefined();
    expect(await last({ ...alice, agents: ["other"] })).toBeUndefined();
  });

  test("[P5] usage is grouped by what the CLI said would pay; a turn that ended before that has nothing", async () => {
    const started = (api_key_source: string): EventBody => ({
      type: "turn_started",
      session: "s",
      model: "m",
      permission_mode: "default",
      tools: [],
      mcp_servers: [],
      claude_version: "2",
      api_key_source,
      reused: false,
    });
    await endTurn(alice, 10, started("none"), { ...completed(), cost_usd: 1 });
    await endTurn(alice, 20, started("none"), { ...completed(), cost_usd: 2 });
    await endTurn(alice, 30, started("ANTHROPIC_API_KEY"), { ...completed(), cost_usd: 4 });
    await endTurn(alice, 40, failed("not started"));
    await endTurn(bob, 40, started("none"), completed());
    const rows = await store.usage(alice, { by: "api_key_source" });
    expect(rows.map((row) => [row.apiKeySource, row.turns, row.costUsd])).toEqual([
      ["none", 2, 3],
      [null, 1, 0],
      ["ANTHROPIC_API_KEY", 1, 4],
    ]);
  });
}
