// The rules of a Store for what users send ahead and think of answers, for what turns have used, and for the accounts' limits.
import { createHash, randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Caller } from "../../gateway/protocol/callers.ts";
import { gatewayCaller } from "../../gateway/protocol/callers.ts";
import type { EventBody } from "../../gateway/protocol/events.ts";
import type { Attachment, LimitWindow, Store, UsageRow } from "../../gateway/store/port.ts";
import { alice, completed, eventsWrite, newEvent, newTurn, sessionWrite } from "../support/log-drafts.ts";
import type { StorePlace } from "./store-contract.ts";

const ann: Caller = { key: "alice", user: "ann", reach: "user" };
const bob: Caller = { key: "bob", user: null, reach: "key" };
const day = 24 * 60 * 60 * 1000;
const noon = Date.parse("2026-05-10T12:00:00Z");

export function usageContract(makePlace: () => Promise<StorePlace>): void {
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

  async function makeSession(owner: { key: string; user: string | null } = alice): Promise<string> {
    const write = sessionWrite(randomUUID(), owner);
    await store.commit([write]);
    return write.session.session;
  }

  async function endTurn(session: string, ending: EventBody, at = noon): Promise<string> {
    const turn = newTurn(session);
    await store.commit([{ kind: "turn", turn }, eventsWrite(session, { ...newEvent(ending, turn.turn), at })]);
    return turn.turn;
  }

  const upload = (attachment: Attachment, owner: { key: string; user: string | null }) =>
    store.commit([{ kind: "upload", owner, attachment, at: Date.now() }]);

  describe("uploads", () => {
    test("[L9] an attachment sent ahead is seen by its owner, and by nobody else", async () => {
      const attachment = attachmentOf("picture");
      await upload(attachment, { key: "alice", user: "ann" });
      for (const caller of [ann, alice, gatewayCaller]) {
        const found = await store.attachment(caller, attachment.hash);
        expect(found && Buffer.from(found.bytes).toString()).toBe("picture");
        expect(await store.attachmentHead(caller, attachment.hash)).toEqual({
          hash: attachment.hash,
          mediaType: "text/plain",
          size: 7,
        });
      }
      for (const caller of [{ ...ann, user: "amy" }, { ...ann, user: null }, { ...ann, user: "" }, bob] as Caller[]) {
        expect(await store.attachment(caller, attachment.hash)).toBeUndefined();
        expect(await store.attachmentHead(caller, attachment.hash)).toBeUndefined();
      }
    });

    test("[L9] the same bytes sent by two are each one's own; a session that refers to them shows them to its owner", async () => {
      const attachment = attachmentOf("picture");
      await upload(attachment, { key: "alice", user: "amy" });
      await upload(attachment, { key: "alice", user: "amy" });
      await upload(attachment, bob);
      expect(await store.attachment(bob, attachment.hash)).toBeDefined();
      expect(await store.attachment(ann, attachment.hash)).toBeUndefined();
      const session = await makeSession({ key: "alice", user: "ann" });
      await store.commit([{ kind: "attachment_link", session, hash: attachment.hash }]);
      await store.commit([{ kind: "attachment_link", session, hash: attachment.hash }]);
      expect(await store.attachment(ann, attachment.hash)).toBeDefined();
    });

    test("a link to what is not kept fails, and changes nothing", async () => {
      const session = await makeSession();
      await expect(store.commit([{ kind: "attachment_link", session, hash: "0".repeat(64) }])).rejects.toThrow(
        /FOREIGN KEY/,
      );
      expect(await store.attachmentHead(gatewayCaller, "0".repeat(64))).toBeUndefined();
    });

    test("a removed session takes what its owner had sent ahead for it, and nothing else", async () => {
      const [its, shared, others, unused] = ["its", "shared", "others", "unused"].map(attachmentOf);
      const [session, second] = [await makeSession(), await makeSession()];
      for (const attachment of [its!, shared!, others!, unused!]) await upload(attachment, alice);
      await upload(others!, bob);
      const link = (to: string, { hash }: Attachment) => store.commit([{ kind: "attachment_link", session: to, hash }]);
      for (const attachment of [its!, shared!, others!]) await link(session, attachment);
      await link(second, shared!);
      expect(await store.removeSession(alice, session)).toMatchObject({ attachments: 1 });
      const seen = async (caller: Caller) =>
        Promise.all(
          [its!, shared!, others!, unused!].map(async ({ hash }) => Boolean(await store.attachment(caller, hash))),
        );
      expect(await seen(alice)).toEqual([false, true, false, true]);
      expect(await seen(bob)).toEqual([false, false, true, false]);
      expect(await store.removeSession(alice, second)).toMatchObject({ attachments: 1 });
    });
  });

  test("a rating is kept with its turn, changed and taken back", async () => {
    const turn = await endTurn(await makeSession(), completed());
    const rated = async () => (await store.turn(alice, turn))?.rating;
    expect(await rated()).toBeNull();
    await store.commit([{ kind: "rating", turn, rating: { rating: "down", comment: "wrong \u0000 👎" } }]);
    expect(await rated()).toEqual({ rating: "down", comment: "wrong \u0000 👎" });
    await store.commit([{ kind: "rating", turn, rating: { rating: "up", comment: null } }]);
    expect(await rated()).toEqual({ rating: "up", comment: null });
    await store.commit([{ kind: "rating", turn, rating: null }]);
    expect(await rated()).toBeNull();
  });

  describe("usage", () => {
    const used = (input: number, output: number, costUsd: number) => ({
      ...completed(),
      usage: {
        input_tokens: input,
        output_tokens: output,
        cache_creation_input_tokens: 3,
        cache_read_input_tokens: 4,
      },
      cost_usd: costUsd,
    });
    const failed: EventBody = { type: "turn_failed", code: "internal", message: "", retryable: false, text: "" };
    const brief = (rows: readonly UsageRow[]) =>
      rows.map(({ day: date, agent, owner, turns, inputTokens }) => [date ?? agent ?? owner, turns, inputTokens]);

    test("sums what completed turns report, and counts the others", async () => {
      const session = await makeSession();
      expect(await store.usage(alice, {})).toEqual([
        {
          turns: 0,
          completed: 0,
          failed: 0,
          cancelled: 0,
          inputTokens: 0,
          outputTokens: 0,
          cacheCreationTokens: 0,
          cacheReadTokens: 0,
          costUsd: 0,
        },
      ]);
      await endTurn(session, used(10, 20, 0.5));
      await endTurn(session, used(1, 2, 0.25));
      await endTurn(session, failed);
      await endTurn(session, { type: "turn_cancelled", by: { key: "alice" }, text: "" });
      await store.commit([{ kind: "turn", turn: newTurn(session) }]);
      expect(await store.usage(alice, {})).toEqual([
        {
          turns: 4,
          completed: 2,
          failed: 1,
          cancelled: 1,
          inputTokens: 11,
          outputTokens: 22,
          cacheCreationTokens: 6,
          cacheReadTokens: 8,
          costUsd: 0.75,
        },
      ]);
    });

    test("[L3] a turn counts once, and whatever the CLI calls its usage never keeps it from ending", async () => {
      const session = await makeSession();
      const odd = { input_tokens: "many", output_tokens: -5, cache_read_input_tokens: 1e300, server: { tool: 1 } };
      const turn = await endTurn(session, { ...completed(), usage: odd as never, cost_usd: Number.NaN });
      await store.commit([eventsWrite(session, newEvent(used(7, 7, 7), turn))]);
      expect(await store.turn(alice, turn)).toMatchObject({ state: "completed" });
      expect(await store.usage(alice, {})).toMatchObject([{ turns: 1, inputTokens: 0, outputTokens: 0, costUsd: 0 }]);
    });

    test("is grouped by day of UTC, by agent and by user, within a span of time", async () => {
      const [own, anns] = [await makeSession(), await makeSession({ key: "alice", user: "ann" })];
      await endTurn(own, used(1, 0, 0), Date.parse("2026-05-09T23:59:59.999Z"));
      await endTurn(own, used(2, 0, 0), Date.parse("2026-05-10T00:00:00Z"));
      await endTurn(anns, used(4, 0, 0), noon);
      await endTurn(anns, used(8, 0, 0), noon + day);
      await endTurn(anns, used(16, 0, 0), noon + day);
      expect(brief(await store.usage(alice, { by: "day" }))).toEqual([
        ["2026-05-11", 2, 24],
        ["2026-05-10", 2, 6],
        ["2026-05-09", 1, 1],
      ]);
      expect(brief(await store.usage(alice, { by: "agent" }))).toEqual([["tester", 5, 31]]);
      expect(brief(await store.usage(alice, { by: "user" }))).toEqual([
        [{ key: "alice", user: "ann" }, 3, 28],
        [{ key: "alice", user: null }, 2, 3],
      ]);
      const span = { since: "2026-05-10", until: "2026-05-10" };
      expect(brief(await store.usage(alice, { by: "day", ...span }))).toEqual([["2026-05-10", 2, 6]]);
      expect(brief(await store.usage(alice, span))).toEqual([[undefined, 2, 6]]);
    });

    test("[L9] is that of the caller's own turns, and stays when their session is removed", async () => {
      const [anns, bobs] = [await makeSession({ key: "alice", user: "ann" }), await makeSession(bob)];
      await endTurn(anns, used(1, 0, 0));
      await endTurn(bobs, used(2, 0, 0));
      const inputs = async (caller: Caller) => (await store.usage(caller, {}))[0]?.inputTokens;
      const seen = async () => [await inputs(gatewayCaller), await inputs(alice), await inputs(ann), await inputs(bob)];
      expect(await seen()).toEqual([3, 1, 1, 2]);
      expect(await inputs({ ...ann, user: "amy" })).toBe(0);
      expect(await inputs({ ...ann, user: null })).toBe(0);
      expect(await store.usage({ ...ann, user: "amy" }, { by: "user" })).toEqual([]);
      await store.removeSession(alice, anns);
      expect(await seen()).toEqual([3, 1, 1, 2]);
    });
  });

  test("[L9] a limit is kept as it was last heard of, and shown to whoever is no single user", async () => {
    const window: LimitWindow = {
      credential: "c1",
      limit: "five_hour",
      status: "allowed",
      resetsAt: noon,
      usingOverage: false,
      apiKeySource: "none",
      at: 1,
      stopsTurns: false,
    };
    const later = { ...window, status: "rejected", usingOverage: true, at: 5, stopsTurns: true };
    const other = { ...window, limit: null, resetsAt: null, apiKeySource: null, at: 3 };
    await store.commit([window, other, later].map((one) => ({ kind: "rate_limit", window: one }) as const));
    for (const caller of [gatewayCaller, alice, bob]) expect(await store.rateLimits(caller)).toEqual([later, other]);
    expect(await store.rateLimits(ann)).toEqual([]);
    const again = await place.open();
    expect(await again.rateLimits(gatewayCaller)).toEqual([later, other]);
    await again.close();
  });
}

function attachmentOf(text: string): Attachment {
  const bytes = Buffer.from(text);
  return { hash: createHash("sha256").update(bytes).digest("hex"), mediaType: "text/plain", bytes };
}
