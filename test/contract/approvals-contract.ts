// What every Store must do with approvals: their events make and settle them.
import { randomUUID, randomUUIDv7 } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Caller } from "../../gateway/protocol/callers.ts";
import type { EventBody } from "../../gateway/protocol/events.ts";
import type { Store } from "../../gateway/store/port.ts";
import { requested, resolved } from "../support/approval-drafts.ts";
import { alice, eventsWrite, newEvent, newTurn, queued, sessionWrite } from "../support/log-drafts.ts";
import type { StorePlace } from "./store-contract.ts";

const everybody: Caller = { key: "someone", user: null, reach: "all" };

export function approvalsContract(makePlace: () => Promise<StorePlace>): void {
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

  async function makeTurn(owner?: { key: string; user: string | null }): Promise<{ session: string; turn: string }> {
    const { session } = sessionWrite(randomUUID(), owner).session;
    const turn = newTurn(session);
    await store.commit([
      sessionWrite(session, owner),
      { kind: "turn", turn },
      eventsWrite(session, newEvent(queued(session), turn.turn)),
    ]);
    return { session, turn: turn.turn };
  }

  const write = ({ session, turn }: { session: string; turn: string }, ...bodies: EventBody[]) =>
    store.commit([eventsWrite(session, ...bodies.map((body) => newEvent(body, turn)))]);

  describe("approvals", () => {
    test("[L3] an approval is there with its event, and settled with the event that settles it, once", async () => {
      const at = await makeTurn();
      const request = requested({ reason: "outside the workspace", parent_tool_use_id: "toolu_0" });
      const { approval } = request;
      expect(await store.approval(alice, approval)).toBeUndefined();
      await write(at, request);
      const pending = { approval, ...at, requested: request, requestedAt: 3000, resolved: null, resolvedAt: null };
      expect(await store.approval(alice, approval)).toEqual(pending);
      const first = resolved(approval, { decision: "deny", message: "no", by: { gateway: "timeout" } });
      await write(at, first);
      await write(at, resolved(approval, { scope: "session" }));
      expect(await store.approval(alice, approval)).toEqual({ ...pending, resolved: first, resolvedAt: 3000 });
      expect(await store.isGranted(alice, at.session, "Bash")).toBe(false);
    });

    test("a list is newest first, filtered by session, user and state, and goes on behind a cursor", async () => {
      const one = await makeTurn();
      const other = await makeTurn({ key: "alice", user: "bob" });
      const ids = Array.from({ length: 4 }, (_, index) => `0000000${index}-0000-7000-8000-000000000000`);
      await write(one, requested({ approval: ids[0]! }), requested({ approval: ids[1]! }), resolved(ids[0]!));
      await write(other, requested({ approval: ids[2]! }), requested({ approval: ids[3]! }));
      const list = async (filter: Partial<Parameters<Store["approvals"]>[1]>) =>
        (await store.approvals(everybody, { limit: 10, ...filter })).map(({ approval }) => ids.indexOf(approval));
      expect(await list({})).toEqual([3, 2, 1, 0]);
      expect(await list({ limit: 2 })).toEqual([3, 2]);
      expect(await list({ before: ids[2] })).toEqual([1, 0]);
      expect(await list({ session: one.session })).toEqual([1, 0]);
      expect(await list({ session: one.session, state: "pending" })).toEqual([1]);
      expect(await list({ state: "resolved" })).toEqual([0]);
      expect(await list({ state: "pending" })).toEqual([3, 2, 1]);
      expect(await list({ user: "bob" })).toEqual([3, 2]);
    });

    test("a grant holds for its session and tool alone, and for another connection too", async () => {
      const at = await makeTurn();
      const { session: elsewhere } = await makeTurn();
      const request = requested();
      await write(at, request, resolved(request.approval, { scope: "session" }));
      const again = await place.open();
      expect(await again.isGranted(alice, at.session, "Bash")).toBe(true);
      expect(await again.isGranted(alice, at.session, "Write")).toBe(false);
      expect(await again.isGranted(alice, elsewhere, "Bash")).toBe(false);
      await again.close();
    });

    test("[L9] nobody sees or has approvals of sessions that are not theirs", async () => {
      const at = await makeTurn({ key: "alice", user: "bob" });
      const { approval } = requested();
      await write(at, requested({ approval }), resolved(approval, { scope: "session" }));
      const seers: [Caller, boolean][] = [
        [alice, true],
        [everybody, true],
        [{ key: "alice", user: "bob", reach: "user" }, true],
        [{ key: "alice", user: "carol", reach: "user" }, false],
        [{ key: "alice", user: null, reach: "user" }, false],
        [{ key: "mallory", user: "bob", reach: "key" }, false],
      ];
      for (const [caller, sees] of seers) {
        const found = {
          one: (await store.approval(caller, approval)) !== undefined,
          list: (await store.approvals(caller, { session: at.session, limit: 10 })).length > 0,
          grant: await store.isGranted(caller, at.session, "Bash"),
        };
        expect({ caller, ...found }).toEqual({ caller, one: sees, list: sees, grant: sees });
      }
    });

    test("an event of another session settles nothing", async () => {
      const at = await makeTurn();
      const other = await makeTurn();
      const request = requested();
      await write(at, request);
      await write(other, resolved(request.approval), resolved(randomUUIDv7()));
      expect(await store.approval(alice, request.approval)).toMatchObject({ resolved: null });
    });

    test("a removed session takes its approvals with it", async () => {
      const at = await makeTurn();
      const request = requested();
      await write(at, request);
      await store.removeSession(alice, at.session);
      expect(await store.approvals(everybody, { limit: 10 })).toEqual([]);
    });
  });
}
