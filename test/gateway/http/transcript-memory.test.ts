import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Transcript } from "../../../gateway/protocol/transcript.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import { sessionWrite } from "../../support/log-drafts.ts";
import { scaled } from "../../support/scale.ts";
import { storeTurn } from "../../support/transcript-drafts.ts";

// 2,000 turns: 50 MB of text and tool results, in the long run 200. It is served by a process of its own, which has written none of it, and
// whose heap has no room for it: whoever gathers a session fails here, in the short run too. Without that bound the collector lets
// garbage stand where there is memory.
const turns = 2000;
const charsOfTurn = scaled({ short: 25_000, long: 100_000 });
const maxMb = 60;

let folder: string;
let server: ChildProcessByStdio<Writable, Readable, null>;
let address: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "sluice-transcript-"));
  const path = join(folder, "s.sqlite");
  const store = openSqliteStore(path);
  const made = sessionWrite();
  await store.commit([made]);
  for (let index = 0; index < turns; index++)
    await storeTurn(store, made.session.session, {
      prompt: `prompt ${index}`,
      texts: ["words ".repeat(charsOfTurn / 12), "Done."],
      toolResult: "y".repeat(charsOfTurn / 2),
    });
  await store.close();
  const script = new URL("../../support/transcript-server.ts", import.meta.url).pathname;
  server = spawn(
    process.execPath,
    ["--max-old-space-size=48", "--max-semi-space-size=4", script, path, made.session.session],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  const [line] = (await once(server.stdout, "data")) as [Buffer];
  address = line.toString().trim();
}, 120_000);
afterAll(async () => {
  server.stdin.end();
  await once(server, "exit");
  rmSync(folder, { recursive: true, force: true });
});

/** By how much the server has grown at most so far. */
async function grownMb(): Promise<number> {
  return Number(await (await fetch(`${address}memory`)).text());
}

/** Bytes and lines of a whole reply, of which nothing is kept. */
async function streamed(query: string): Promise<{ bytes: number; lines: number }> {
  const reply = await fetch(`${address}${query}`);
  let [bytes, lines] = [0, 0];
  for await (const chunk of reply.body!) {
    bytes += chunk.length;
    for (let at = chunk.indexOf(10); at >= 0; at = chunk.indexOf(10, at + 1)) lines += 1;
  }
  return { bytes, lines };
}

test.each([
  ["NDJSON", "?format=ndjson", turns * 3],
  ["Markdown", "?format=md", turns * 20],
])(
  "[S2] a long session is streamed as %s within a bound of memory, and all of it comes",
  async (_, query, least) => {
    const { bytes, lines } = await streamed(query);
    expect(lines).toBeGreaterThanOrEqual(least);
    expect(bytes).toBeGreaterThan(turns * (charsOfTurn - 20));
    expect(await grownMb()).toBeLessThan(maxMb);
  },
  120_000,
);

test("[S2] a long session is paged within a bound of memory, and every message comes once", async () => {
  const ids = new Set<string>();
  let messages = 0;
  for (let cursor: string | null = ""; cursor !== null;) {
    const reply = await fetch(`${address}?limit=100&order=desc${cursor && `&cursor=${cursor}`}`);
    const page = (await reply.json()) as Transcript;
    for (const { id } of page.messages) ids.add(id);
    messages += page.messages.length;
    cursor = page.next_cursor;
  }
  expect([messages, ids.size]).toEqual([turns * 3, turns * 3]);
  expect(await grownMb()).toBeLessThan(maxMb);
}, 120_000);
