// Sessions in the SQLite store: the contract, and what only a look into its tables can tell.
import { createHash, randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, test } from "vitest";
import type { EventBody } from "../../gateway/protocol/events.ts";
import { gatewayCaller } from "../../gateway/protocol/callers.ts";
import { migrations } from "../../gateway/store/sqlite-schema.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import {
  alice,
  completed,
  eventsWrite,
  newEvent,
  newTurn,
  notice,
  queued,
  sessionWrite,
} from "../support/log-drafts.ts";
import { sessionContract } from "./session-contract.ts";

const newFolder = () => mkdtempSync(join(tmpdir(), "sluice-sessions-"));

describe("sessions in the SQLite store", () => {
  sessionContract(async () => {
    const folder = newFolder();
    return {
      open: async () => openSqliteStore(join(folder, "s.sqlite")),
      remove: async () => rmSync(folder, { recursive: true }),
    };
  });
});

/** Rows of every table in which any of these texts stands, by the table's name; the search index is read as a table, too. */
function rowsWith(file: string, texts: readonly string[]): Record<string, number> {
  const database = new DatabaseSync(file, { readOnly: true });
  const names = database.prepare(`SELECT name FROM sqlite_schema WHERE type = 'table'`).all() as { name: string }[];
  const found = names
    // Of the index's own tables only its content holds words as they are.
    .filter(({ name }) => !/^(?:turn|marked)_words_(data|idx|docsize|config)$/.test(name))
    .map(({ name }) => {
      const rows = database.prepare(`SELECT * FROM "${name}"`).all();
      const count = rows.filter((row) => texts.some((text) => allText(row).includes(text))).length;
      return [name, count] as const;
    });
  database.close();
  return Object.fromEntries(found.filter(([, count]) => count > 0));
}

function allText(row: Record<string, unknown>): string {
  return Object.values(row)
    .map((value) => (value instanceof Uint8Array ? Buffer.from(value).toString("utf8") : String(value)))
    .join("\n");
}

test("a removed session leaves no row in any table, but for what its turns have used", async () => {
  const folder = newFolder();
  const file = join(folder, "s.sqlite");
  const store = openSqliteStore(file);
  const sessions: { session: string; turn: string; secret: string; approval: string }[] = [];
  for (const secret of ["secretofgone", "secretofkept"]) {
    const made = sessionWrite();
    const { session } = made.session;
    const turn = newTurn(session, { prompt: [{ type: "text", text: secret }] });
    const approval = randomUUID();
    const bytes = Buffer.from(secret);
    const requested = {
      type: "approval_requested",
      approval,
      tool: "Bash",
      tool_use_id: "t",
      parent_tool_use_id: null,
      input: { secret },
      reason: null,
      expires_at: "2026-01-01T00:00:00.000Z",
    } as unknown as EventBody;
    await store.commit([
      made,
      { kind: "turn", turn, idempotency: { caller: alice, key: secret, bodyHash: "h" } },
      eventsWrite(session, newEvent(queued(session), turn.turn), newEvent(notice(secret), turn.turn)),
      eventsWrite(session, newEvent(requested, turn.turn)),
      eventsWrite(session, newEvent(completed(secret), turn.turn)),
      { kind: "turn_answer", turn: turn.turn, answerUuid: secret },
      { kind: "snapshot", snapshot: { session, origin: session, answerUuid: secret, packed: bytes, at: 1 } },
      {
        kind: "attachment",
        session,
        attachment: { hash: createHash("sha256").update(bytes).digest("hex"), mediaType: "text/plain", bytes },
      },
      { kind: "session_title", session, title: secret },
    ]);
    sessions.push({ session, turn: turn.turn, secret, approval });
  }
  const [gone, kept] = sessions as [(typeof sessions)[0], (typeof sessions)[0]];
  const texts = (one: typeof gone) => Object.values(one);
  const before = rowsWith(file, texts(kept));
  for (const table of ["sessions", "turns", "events", "turn_words_content", "snapshots", "idempotency_keys"])
    expect(Object.keys(before)).toContain(table);
  for (const table of ["session_attachments", "attachments", "approvals"]) expect(Object.keys(before)).toContain(table);
  expect(rowsWith(file, texts(gone))).toEqual(before);
  await store.removeSession(gatewayCaller, gone.session);
  // What a turn has used is counted on; that row names the turn and nothing that was said.
  expect(rowsWith(file, texts(gone))).toEqual({ turn_usage: 1 });
  expect(rowsWith(file, [gone.secret, gone.session])).toEqual({});
  expect(rowsWith(file, texts(kept))).toEqual(before);
  await store.close();
  rmSync(folder, { recursive: true });
});

test("[L9] a database of an older version opens at once, and its words are found bit by bit, each by those whose they are", async () => {
  const folder = newFolder();
  const file = join(folder, "s.sqlite");
  const before = migrations.findIndex((entry) => entry.includes("CREATE VIRTUAL TABLE marked_words"));
  const database = new DatabaseSync(file);
  for (const migration of migrations.slice(0, before)) database.exec(migration);
  database.exec(`PRAGMA user_version = ${before}`);
  const count = 450;
  for (let turn = 0; turn < count; turn++) {
    const [session, owner] = [`s${turn}`, turn % 2 === 0 ? "ann" : "ben"];
    database
      .prepare(
        `INSERT INTO sessions (session, agent, owner_key, owner_user, created_at) VALUES (?, 'tester', 'alice', ?, 1)`,
      )
      .run(session, owner);
    database
      .prepare(
        `INSERT INTO turns (turn, session, by, state, prompt, options, queued_at) VALUES (?, ?, '{}', 'queued', '[]', '{}', 1)`,
      )
      .run(`t${turn}`, session);
    database
      .prepare(`INSERT INTO turn_words (rowid, words, turn, session) VALUES (?, ?, ?, ?)`)
      .run(turn + 1, `Hafenrundfahrt number${turn}`, `t${turn}`, session);
  }
  database.close();
  let store = openSqliteStore(file);
  const found = async (user: string, words = "hafen") =>
    (await store.sessions({ key: "alice", user, reach: "user" }, { words, limit: 1000 })).length;
  expect(await store.markOldWords()).toBe(true);
  // The newest first; what is said meanwhile is found as well, and what an old turn says.
  expect([await found("ann", "number448"), await found("ben", "number1"), await found("ben", "number448")]).toEqual([
    1, 0, 0,
  ]);
  const made = sessionWrite("new", { key: "alice", user: "ann" });
  const turn = newTurn("new", { prompt: [{ type: "text", text: "hafengeburtstag" }] });
  await store.commit([made, { kind: "turn", turn }, eventsWrite("s1", newEvent(completed("elbe"), "t1"))]);
  expect([await found("ann", "hafengeb"), await found("ben", "elbe hafen"), await found("ann", "elbe")]).toEqual([
    1, 1, 0,
  ]);
  await store.close();
  // A start in between goes on.
  store = openSqliteStore(file);
  let batches = 1;
  while (await store.markOldWords()) batches++;
  expect(batches).toBeGreaterThan(1);
  expect([await found("ann"), await found("ben")]).toEqual([count / 2 + 1, count / 2]);
  expect(await store.markOldWords()).toBe(false);
  await store.close();
  rmSync(folder, { recursive: true });
});
