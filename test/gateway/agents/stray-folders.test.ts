import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { removeStrayFolders } from "../../../gateway/agents/stray-folders.ts";
import { visitorKey } from "../../../gateway/protocol/callers.ts";
import type { SessionRow } from "../../../gateway/store/port.ts";

const dayMs = 24 * 60 * 60 * 1000;
const now = 100 * dayMs;

let sessions: string;
beforeEach(() => (sessions = mkdtempSync(join(tmpdir(), "sluice-strays-"))));
afterEach(() => rmSync(sessions, { recursive: true }));

function row(key: string, daysAgo: number): SessionRow {
  const at = now - daysAgo * dayMs;
  const rest = { lastSeq: 0, oldestSeq: 1, title: null, state: null };
  return { session: "", agent: "a", owner: { key, user: null }, createdAt: at, updatedAt: at, ...rest };
}

test("folders that belong to no session, and those of visitors who cannot come back, are removed; all others stay", async () => {
  const rows: Record<string, SessionRow | undefined> = {
    "of-a-spare": undefined,
    "of-a-spare-that-waits": undefined,
    "of-a-key": row("wiki", 90),
    "of-a-visitor": row(visitorKey, 30),
    "of-a-visitor-who-is-gone": row(visitorKey, 32),
    "of-a-visitor-who-is-just-back": row(visitorKey, 32),
  };
  for (const name of Object.keys(rows)) {
    mkdirSync(join(sessions, name, "claude"), { recursive: true });
    writeFileSync(join(sessions, name, "claude", "file"), "");
  }
  const live = ["of-a-spare-that-waits", "of-a-visitor-who-is-just-back"];
  const store = { session: async (_: unknown, session: string) => rows[session] };
  const isLive = (session: string) => live.includes(session);
  expect(await removeStrayFolders({ sessions, store, isLive, now: () => now })).toBe(2);
  expect(readdirSync(sessions).toSorted()).toEqual(["of-a-key", "of-a-visitor", ...live].toSorted());
});

test("a session that begins while its folder is looked at keeps it", async () => {
  mkdirSync(join(sessions, "new"));
  let isLive = false;
  const store = {
    session: async () => {
      isLive = true;
      return undefined;
    },
  };
  expect(await removeStrayFolders({ sessions, store, isLive: () => isLive })).toBe(0);
  expect(readdirSync(sessions)).toEqual(["new"]);
});
