import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { gatewayCaller } from "../../gateway/protocol/callers.ts";
import { SetupError } from "../../gateway/protocol/errors.ts";
import { StoreFull } from "../../gateway/store/port.ts";
import { openSqliteStore } from "../../gateway/store/sqlite.ts";
import { alice, eventsWrite, newEvent, newTurn, notice, sessionWrite } from "../support/log-drafts.ts";
import { agentsContract } from "./agents-contract.ts";
import { approvalsContract } from "./approvals-contract.ts";
import { storeContract } from "./store-contract.ts";

describe("the SQLite store", () => {
  const makePlace = async () => {
    const folder = mkdtempSync(join(tmpdir(), "sluice-store-"));
    return {
      open: async () => openSqliteStore(join(folder, "s.sqlite")),
      remove: async () => rmSync(folder, { recursive: true }),
    };
  };
  storeContract(makePlace);
  approvalsContract(makePlace);
  agentsContract(makePlace);
});

describe("its file", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-store-"));
    file = join(folder, "s.sqlite");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** What opening the file is refused with. */
  function fault(): string {
    try {
      void openSqliteStore(file).close();
      return "none";
    } catch (error) {
      if (error instanceof SetupError && error.message.includes(file) && error.mend !== "") return error.fault;
      throw error;
    }
  }

  test("[A8] is for its owner alone, with those beside it, in whatever folder", async () => {
    chmodSync(folder, 0o755);
    const store = openSqliteStore(file);
    await store.commit([sessionWrite("a")]);
    const files = readdirSync(folder);
    expect(files.length).toBeGreaterThan(1);
    expect(files.filter((name) => (statSync(join(folder, name)).mode & 0o077) !== 0)).toEqual([]);
    await store.close();
  });

  test("that is no database is refused as damaged, and left as it was", () => {
    writeFileSync(file, "this is no database, but it is long enough to be read as one".repeat(100));
    const before = readFileSync(file);
    expect(fault()).toBe("database_damaged");
    expect(readFileSync(file)).toEqual(before);
  });

  test("is its owner's to read alone, with what SQLite keeps beside it", async () => {
    const store = openSqliteStore(file);
    await store.commit([sessionWrite()]);
    const modes = readdirSync(folder).map((name) => [name, statSync(join(folder, name)).mode & 0o777]);
    expect(Object.fromEntries(modes)).toEqual({ "s.sqlite": 0o600, "s.sqlite-shm": 0o600, "s.sqlite-wal": 0o600 });
    await store.close();
  });

  test("with a torn header or a missing table is refused as damaged", async () => {
    await openSqliteStore(file).close();
    const bytes = readFileSync(file);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, 40), Buffer.alloc(60, 0xff), bytes.subarray(100)]));
    expect(fault()).toBe("database_damaged");
    writeFileSync(file, bytes);
    const database = new DatabaseSync(file);
    database.exec("DROP TABLE events");
    database.close();
    expect(fault()).toBe("database_damaged");
  });

  test("of a newer Sluice is refused as newer", async () => {
    await openSqliteStore(file).close();
    const database = new DatabaseSync(file);
    database.exec("PRAGMA user_version = 999");
    database.close();
    expect(fault()).toBe("database_newer");
  });

  test("[L2, L3] that somebody else has locked is a passing trouble, not a bug: what is to be stored is tried again", async () => {
    const store = openSqliteStore(file);
    const [old, made] = [sessionWrite(), sessionWrite()];
    await store.commit([old]);
    const other = new DatabaseSync(file);
    other.exec("BEGIN IMMEDIATE");
    await expect(store.commit([made])).rejects.toBeInstanceOf(StoreFull);
    await expect(store.removeSession(alice, old.session.session)).rejects.toBeInstanceOf(StoreFull);
    await expect(store.removeOldEvents(gatewayCaller, 1)).rejects.toBeInstanceOf(StoreFull);
    other.exec("ROLLBACK");
    other.close();
    expect(await store.removeSession(alice, old.session.session)).toBeDefined();
    await store.commit([made]);
    expect(await store.session(alice, made.session.session)).toBeDefined();
    await store.close();
  });

  test("[T3] loses idempotency keys of more than a day ago", async () => {
    const store = openSqliteStore(file);
    const made = sessionWrite();
    const { session } = made.session;
    const hours = (count: number) => Date.now() - count * 3_600_000;
    const turns = [newTurn(session, { queuedAt: hours(23) }), newTurn(session, { queuedAt: hours(25) })];
    const keys = turns.map((turn, index) => ({
      kind: "turn" as const,
      turn,
      idempotency: { caller: alice, key: `k${index}`, bodyHash: "h" },
    }));
    await store.commit([made, ...keys]);
    await store.dropExpired(Date.now());
    expect(await store.idempotentTurn(alice, "k0", 0)).toMatchObject({ turn: turns[0]!.turn });
    expect(await store.idempotentTurn(alice, "k1", 0)).toBeUndefined();
    await store.close();
  });

  test("[L2] on a full disk a commit rejects with StoreFull, changes nothing, and works again once there is room", async () => {
    const script = new URL("../support/fill-store.ts", import.meta.url).pathname;
    const limited = `ulimit -f 1280; exec '${process.execPath}' '${script}' '${file}'`;
    const output = execFileSync("sh", ["-c", limited], { encoding: "utf8" });
    const result = JSON.parse(output) as Record<string, unknown> & { session: string; stored: number };
    expect(result).toMatchObject({ failures: ["StoreFull", "StoreFull"], state: "running" });
    expect(result.stored).toBeGreaterThan(3);
    expect(result["lastSeq"]).toBe(result.stored);
    const store = openSqliteStore(file);
    expect(await store.commit([eventsWrite(result.session, newEvent(notice("room")))])).toEqual([result.stored + 1]);
    expect(await store.events(gatewayCaller, result.session, result.stored - 1, 10)).toHaveLength(2);
    await store.close();
  });
});
