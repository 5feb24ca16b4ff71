// One transaction on the SQLite store: all of a change, or none of it.
import type { DatabaseSync } from "node:sqlite";
import { StoreFull } from "./port.ts";

/** Throws `StoreFull` where the database cannot be written at the moment. */
export function inTransaction<Result>(database: DatabaseSync, change: () => Result): Result {
  try {
    database.exec("BEGIN IMMEDIATE");
    const result = change();
    database.exec("COMMIT");
    return result;
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw storeError(error);
  }
}

/** What passes by itself, by SQLite's result codes: BUSY, NOMEM, READONLY, IOERR, FULL, CANTOPEN. https://sqlite.org/rescode.html */
const passingCodes = new Set([5, 7, 8, 10, 13, 14]);

function storeError(error: unknown): unknown {
  const code = (error as { errcode?: number }).errcode;
  if (code === undefined || !passingCodes.has(code & 0xff)) return error;
  return new StoreFull("the database could not be written", { cause: error });
}
