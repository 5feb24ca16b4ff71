// The store on `node:sqlite`: one file, WAL, one writer. A commit survives a killed process; a lost machine may lose the newest
// ones (synchronous = NORMAL), which readers are told by `gap`.
import { closeSync, existsSync, openSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { SetupError } from "../protocol/errors.ts";
import type { Store } from "./port.ts";
import { createAgentRows } from "./sqlite-agents.ts";
import { createApprovalRows } from "./sqlite-approvals.ts";
import { createAttachments } from "./sqlite-attachments.ts";
import { createCommit } from "./sqlite-commit.ts";
import { createReads } from "./sqlite-reads.ts";
import { createKeys } from "./sqlite-keys.ts";
import { createSessions } from "./sqlite-sessions.ts";
import { migrations } from "./sqlite-schema.ts";
import { createUsage } from "./sqlite-usage.ts";
import { prepareStatements, type Statements } from "./sqlite-statements.ts";
import { inTransaction } from "./sqlite-transaction.ts";
import { createWords } from "./sqlite-words.ts";

/** Idempotency keys are kept for so long. */
const idempotencyMs = 24 * 60 * 60 * 1000;

/** And attachments that no prompt refers to. */
const uploadMs = 7 * 24 * 60 * 60 * 1000;

/** And users that were revoked: longer than any token lives and can be renewed. */
const revokedMs = 40 * 24 * 60 * 60 * 1000;

/** Opens the file, made if absent. Throws a `SetupError` if it is damaged or of a newer Sluice. */
export function openSqliteStore(path: string): Store {
  const { database, sql } = openDatabase(path);
  const wordIndex = createWords(database);
  const { write, ...sessions } = createSessions(database, wordIndex);
  const { note, ...approvals } = createApprovalRows(database);
  const attachments = createAttachments(database);
  const usage = createUsage(database);
  const agents = createAgentRows(database);
  const keys = createKeys(database);
  return {
    commit: createCommit(database, sql, {
      sessions: { write },
      approvals: { note },
      attachments,
      usage,
      agents,
      wordIndex,
    }),
    ...createReads(sql),
    ...sessions,
    ...approvals,
    ...attachments.reads,
    ...usage.reads,
    ...agents.reads,
    ...keys.keys,
    async dropExpired(now) {
      sql.dropIdempotencyKeys.run({ before: now - idempotencyMs });
      attachments.dropUploads(now - uploadMs);
      keys.dropRevoked(now - revokedMs);
    },
    async markOldWords() {
      return wordIndex.hasOld() && inTransaction(database, wordIndex.markOld);
    },
    async close() {
      database.close();
    },
  };
}

function openDatabase(path: string): { database: DatabaseSync; sql: Statements } {
  let database: DatabaseSync | undefined;
  try {
    makePrivate(path);
    database = new DatabaseSync(path);
    database.exec(
      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON; PRAGMA busy_timeout = 5000",
    );
    migrate(database, path);
    // A damaged table is found out here at the latest.
    const sql = prepareStatements(database);
    // A commit that finds a lock holds up everything else meanwhile, and is tried again.
    database.exec("PRAGMA busy_timeout = 1000");
    return { database, sql };
  } catch (error) {
    database?.close();
    throw damaged(path, error);
  }
}

/**
 * Before SQLite makes the file, for everybody to read; it gives those beside it the same mode. One that is there is not opened: closing it
 * would take this process's locks on it away (POSIX).
 */
function makePrivate(path: string): void {
  if (path !== ":memory:" && !existsSync(path)) closeSync(openSync(path, "a", 0o600));
}

/** Looks at a file that is there, and changes nothing. Throws the `SetupError` with which it could not be opened. */
export function checkSqliteFile(path: string): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { readOnly: true });
    checkVersion(database, path);
    const { quick_check: found } = database.prepare("PRAGMA quick_check(1)").get() as { quick_check: string };
    if (found !== "ok") throw new Error(found);
  } catch (error) {
    throw damaged(path, error);
  } finally {
    database?.close();
  }
}

function damaged(path: string, error: unknown): SetupError {
  if (error instanceof SetupError) return error;
  const reason = error instanceof Error ? error.message : "unknown error";
  return new SetupError(
    "database_damaged",
    `The database ${path} cannot be read (${reason}).`,
    "Put a backup of it back, or move it away to start anew.",
  );
}

/** How many migrations the database has seen. */
function checkVersion(database: DatabaseSync, path: string): number {
  const { user_version: seen } = database.prepare("PRAGMA user_version").get() as { user_version: number };
  if (seen > migrations.length)
    throw new SetupError(
      "database_newer",
      `The database ${path} was written by a newer Sluice (schema ${seen}, this one knows ${migrations.length}).`,
      "Use that version of Sluice, or another data folder.",
    );
  return seen;
}

function migrate(database: DatabaseSync, path: string): void {
  const seen = checkVersion(database, path);
  for (let version = seen; version < migrations.length; version++)
    database.exec(`BEGIN IMMEDIATE; ${migrations[version]!} PRAGMA user_version = ${version + 1}; COMMIT`);
}
