import { beforeEach, describe, expect, test } from "vitest";
import type { AgentConfig } from "../../../gateway/protocol/agents.ts";
import type { EventBody, TurnEvent } from "../../../gateway/protocol/events.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import type { Store } from "../../../gateway/store/port.ts";
import { createRateLimits, type RateLimits } from "../../../gateway/turns/rate-limits.ts";
import { readAgent } from "../../support/real-cli.ts";

const minute = 60_000;
const hour = 60 * minute;
const noon = Date.parse("2026-05-10T12:00:00Z");

let clock: number;
let store: Store;
let limits: RateLimits;
const agent = readAgent({ billing: "subscription" });
const sameAccount = readAgent({ name: "other", billing: "subscription" });
const otherAccount = readAgent({ name: "third", billing: "api_key" });

beforeEach(() => {
  clock = noon;
  store = openSqliteStore(":memory:");
  limits = open();
});

function open(): RateLimits {
  return createRateLimits({ store, now: () => clock, credentialOf: ({ billing }) => billing });
}

const limitEvent = (status: string, more: object = {}): EventBody => ({
  type: "rate_limit",
  status,
  limit: "five_hour",
  resets_at: new Date(noon + 2 * hour).toISOString(),
  using_overage: false,
  ...more,
});
const failed = (code: "rate_limited" | "api_error"): EventBody => ({
  type: "turn_failed",
  code,
  message: "",
  retryable: true,
  text: "",
});
const completed = { type: "turn_completed" } as EventBody;

/** What a process of the agent gives; stored as the gateway does. */
async function hear(who: AgentConfig, ...bodies: EventBody[]): Promise<void> {
  await store.commit(
    limits.note(
      who,
      bodies.map((body): TurnEvent => ({ turn: "t", ...body })),
    ),
  );
}

describe("a rejected limit", () => {
  test("stops the turns of its credential until it resets, once a turn has failed by it", async () => {
    await hear(agent, limitEvent("rejected"));
    expect(limits.stoppedUntil(agent)).toBeUndefined();
    await hear(agent, failed("rate_limited"));
    expect(limits.stoppedUntil(agent)).toBe(noon + 2 * hour);
    expect(limits.admit(agent)).toBe(noon + 2 * hour);
    expect(limits.stoppedUntil(sameAccount)).toBe(noon + 2 * hour);
    expect(limits.stoppedUntil(otherAccount)).toBeUndefined();
    expect(limits.admit(otherAccount)).toBeUndefined();
    clock = noon + 14 * minute;
    expect(limits.stoppedUntil(agent)).toBe(noon + 2 * hour);
    clock = noon + 2 * hour;
    expect(limits.stoppedUntil(agent)).toBeUndefined();
  });

  test("is kept over a restart", async () => {
    await hear(agent, limitEvent("rejected"), failed("rate_limited"));
    limits = open();
    expect(limits.stoppedUntil(agent)).toBeUndefined();
    await limits.load();
    expect(limits.admit(agent)).toBe(noon + 2 * hour);
    expect(limits.stoppedUntil(otherAccount)).toBeUndefined();
  });

  test("lets one turn through every quarter of an hour, and ends where that one completes", async () => {
    await hear(agent, limitEvent("rejected"), failed("rate_limited"));
    clock = noon + 15 * minute;
    expect(limits.stoppedUntil(agent)).toBeUndefined();
    expect(limits.admit(agent)).toBeUndefined();
    expect(limits.admit(sameAccount)).toBe(noon + 2 * hour);
    expect(limits.stoppedUntil(agent)).toBe(noon + 2 * hour);
    await hear(agent, limitEvent("rejected"), failed("rate_limited"));
    expect(limits.admit(agent)).toBe(noon + 2 * hour);
    clock = noon + 31 * minute;
    expect(limits.admit(agent)).toBeUndefined();
    await hear(agent, completed);
    expect(limits.admit(agent)).toBeUndefined();
    expect(limits.admit(agent)).toBeUndefined();
    limits = open();
    await limits.load();
    expect(limits.stoppedUntil(agent)).toBeUndefined();
  });

  test("that is allowed again stops nothing", async () => {
    await hear(agent, limitEvent("rejected"), failed("rate_limited"), limitEvent("allowed"));
    expect(limits.stoppedUntil(agent)).toBeUndefined();
  });
});

test.each<[string, EventBody[]]>([
  ["a warning before another failure", [limitEvent("allowed_warning"), failed("rate_limited")]],
  ["a rejected limit before another failure", [limitEvent("rejected"), failed("api_error")]],
  ["a rejected limit that overage pays for", [limitEvent("rejected", { using_overage: true }), failed("rate_limited")]],
  ["a rejected limit without an end", [limitEvent("rejected", { resets_at: null }), failed("rate_limited")]],
  [
    "a rejected limit that has reset already",
    [limitEvent("rejected", { resets_at: new Date(noon).toISOString() }), failed("rate_limited")],
  ],
  ["a rejected limit of one model", [limitEvent("rejected", { limit: "seven_day_opus" }), failed("rate_limited")]],
  ["a rate limit that nothing more is known of", [failed("rate_limited")]],
])("%s stops no turn", async (_, events) => {
  await hear(agent, ...events);
  expect(limits.stoppedUntil(agent)).toBeUndefined();
  expect(limits.admit(agent)).toBeUndefined();
});

test("the newest of each limit is stored, with the key's source as the process has told it", async () => {
  await hear(agent, { type: "turn_started", api_key_source: "none" } as EventBody);
  await hear(agent, limitEvent("allowed"), limitEvent("allowed_warning", { limit: null }));
  clock += 1000;
  await hear(agent, limitEvent("rejected"));
  const found = await store.rateLimits({ key: "x", user: null, reach: "all" });
  expect(found).toMatchObject([
    { credential: "subscription", limit: "five_hour", status: "rejected", apiKeySource: "none", at: noon + 1000 },
    { credential: "subscription", limit: null, status: "allowed_warning", stopsTurns: false, at: noon },
  ]);
});
