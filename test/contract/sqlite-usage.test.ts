import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { gatewayCaller } from "../../gateway/protocol/callers.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { migrations } from "../../gateway/store/sqlite-schema.ts";
import { alice, completed, eventsWrite, newEvent, newTurn, sessionWrite } from "../support/log-drafts.ts";
import { usageContract } from "./usage-contract.ts";

describe("the SQLite store", () => {
  usageContract(async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-store-"));
    return {
      open: async () => openSqliteStore(join(folder, "s.sqlite")),
      remove: async () => rmSync(folder, { recursive: true }),
    };
  });
});

describe("its file", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-store-"));
    file = join(folder, "s.sqlite");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A database as it was before this table came. */
  function openEarlier(table: string): DatabaseSync {
    const before = migrations.findIndex((entry) => entry.includes(`CREATE TABLE ${table}`));
    const database = new DatabaseSync(file);
    for (const migration of migrations.slice(0, before)) database.exec(migration);
    database.exec(`PRAGMA user_version = ${before}`);
    return database;
  }

  test("of an earlier schema counts the turns that had ended by then", async () => {
    const database = openEarlier("turn_usage");
    const ending = JSON.stringify({ ...completed("x"), usage: { input_tokens: 12, output_tokens: 3 }, cost_usd: 0.5 });
    database.exec(`
      INSERT INTO sessions (session, agent, owner_key, created_at) VALUES ('s', 'tester', 'alice', 1);
      INSERT INTO turns (turn, session, by, state, prompt, options, queued_at) VALUES ('t0', 's', '{}', 'queued', '[]', '{}', 1);
      INSERT INTO turns (turn, session, by, state, prompt, options, queued_at, ended_at, ending)
        VALUES ('t1', 's', '{}', 'completed', '[]', '{}', 1, 5, '${ending}'),
               ('t2', 's', '{}', 'failed', '[]', '{}', 1, 6, '{"type":"turn_failed"}');
    `);
    database.close();
    const store = openSqliteStore(file);
    expect(await store.usage(alice, {})).toMatchObject([
      { turns: 2, completed: 1, failed: 1, inputTokens: 12, outputTokens: 3, cacheReadTokens: 0, costUsd: 0.5 },
    ]);
    await store.close();
  });

  test("of a schema without sums of days has them of what was counted by then, and counts on", async () => {
    const database = openEarlier("usage_days");
    const [morning, evening] = [Date.parse("2026-05-10T00:00:00Z"), Date.parse("2026-05-10T23:59:59.999Z")];
    database.exec(`
      INSERT INTO turn_usage VALUES ('t1', 'tester', 'alice', 'ann', ${morning}, 'completed', 1, 2, 3, 4, 0.5, 'none'),
        ('t2', 'tester', 'alice', 'ann', ${evening}, 'failed', 10, 20, 30, 40, 0.25, 'none'),
        ('t3', 'tester', 'alice', NULL, ${evening}, 'cancelled', 0, 0, 0, 0, 0, NULL),
        ('t4', 'tester', 'alice', 'ann', ${evening + 1}, 'completed', 100, 0, 0, 0, 0, NULL);
    `);
    database.close();
    const store = openSqliteStore(file);
    const session = sessionWrite("s", { key: "alice", user: "ann" });
    const turn = newTurn("s");
    const ending = eventsWrite("s", { ...newEvent(completed(), turn.turn), at: evening });
    await store.commit([session, { kind: "turn", turn }, ending]);
    expect(await store.usage(alice, { by: "user", until: "2026-05-10" })).toMatchObject([
      {
        owner: { user: "ann" },
        turns: 3,
        completed: 2,
        failed: 1,
        inputTokens: 11,
        cacheReadTokens: 44,
        costUsd: 0.75,
      },
      { owner: { user: null }, turns: 1, cancelled: 1, inputTokens: 0 },
    ]);
    expect(await store.usage(alice, { by: "day" })).toMatchObject([
      { day: "2026-05-11", turns: 1, inputTokens: 100 },
      { day: "2026-05-10", turns: 4 },
    ]);
    await store.close();
  });

  test("loses what was sent more than a week ago and no session refers to", async () => {
    const now = Date.now();
    const store = openSqliteStore(file);
    const owner = { key: "alice", user: null };
    const upload = (name: string, age: number) => {
      const attachment = { hash: name.repeat(64), mediaType: "image/png", bytes: Buffer.from(name) };
      return { kind: "upload", owner, attachment, at: now - age } as const;
    };
    const day = 24 * 60 * 60 * 1000;
    const session = { session: "s", agent: "tester", owner, createdAt: 1 };
    await store.commit([
      { kind: "session", session },
      upload("a", 8 * day),
      upload("b", 6 * day),
      upload("c", 8 * day),
    ]);
    await store.commit([{ kind: "attachment_link", session: "s", hash: "c".repeat(64) }]);
    const kept = () =>
      Promise.all(["a", "b", "c"].map(async (name) => Boolean(await store.attachment(gatewayCaller, name.repeat(64)))));
    expect(await kept()).toEqual([true, true, true]);
    await store.dropExpired(now);
    expect(await kept()).toEqual([false, true, true]);
    await store.close();
  });
});
