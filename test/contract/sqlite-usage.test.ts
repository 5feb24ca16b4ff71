import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { gatewayCaller } from "../../gateway/protocol/callers.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { migrations } from "../../gateway/store/sqlite-schema.ts";
import { alice, completed } from "../support/log-drafts.ts";
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

  test("of an earlier schema counts the turns that had ended by then", async () => {
    const before = migrations.findIndex((entry) => entry.includes("CREATE TABLE turn_usage"));
    const database = new DatabaseSync(file);
    for (const migration of migrations.slice(0, before)) database.exec(migration);
    const ending = JSON.stringify({ ...completed("x"), usage: { input_tokens: 12, output_tokens: 3 }, cost_usd: 0.5 });
    database.exec(`
      PRAGMA user_version = ${before};
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
