// What a gateway's end leaves: killed at any moment, ended by a signal, with its newest commits lost, with its disk full.
import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { backup, DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { markedWith } from "../../gateway/claude/process-table.ts";
import { linkCliCopy } from "../support/cli-copy.ts";
import { endingTypes, jsonBody, newFolder, spawnGateway, type ChildGateway } from "../support/gateway.ts";
import { lacksMounts, ownMounts } from "../support/programs.ts";
import { joined, openReader, readAll, textOf, type WireEvent } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { random, scaled, testSeed } from "../support/scale.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

const words = (length: number) => Array.from({ length }, (_, index) => `word${index + 1}`).join(" ");

function sessionUrl({ address }: ChildGateway, session: string): URL {
  return new URL(`/api/sessions/${session}/events`, address);
}

/** Everything that a session's log holds now. */
async function wholeLog(gateway: ChildGateway, session: string, after?: number): Promise<WireEvent[]> {
  const { last_seq: last } = await gateway.session(session);
  const reader = await openReader(sessionUrl(gateway, session), {
    ...gateway,
    ...(after === undefined ? {} : { after }),
  });
  if (last > (after ?? 0)) await reader.find(`event ${last}`, ({ seq }) => seq >= last);
  reader.leave();
  return reader.events;
}

/** Throws where the stored log of a session leaves out a `seq`. */
function checkNoHoles(dataFolder: string, session: string): void {
  const database = new DatabaseSync(join(dataFolder, "sluice.sqlite"), { readOnly: true });
  const rows = database.prepare("SELECT first_seq, seq FROM events WHERE session = ? ORDER BY seq").all(session) as {
    first_seq: number;
    seq: number;
  }[];
  database.close();
  let next = 1;
  for (const { first_seq: first, seq } of rows) {
    if (first !== next) throw new Error(`event ${next} is missing: ${first} comes instead`);
    next = seq + 1;
  }
}

test(
  "[L3, T2] a gateway that is killed at any moment loses nothing that was shown, and goes on with what waits",
  { timeout: scaled({ short: 180_000, long: 1_800_000 }) },
  async () => {
    const seed = testSeed();
    console.log(`seed ${seed}: set SLUICE_TEST_SEED to it to replay`);
    const next = random(seed);
    const dataFolder = newFolder(scene, "killed");
    let gateway = await spawnGateway(scene, { dataFolder });
    let cutTurns = 0;
    for (let round = 0; round < scaled({ short: 10, long: 100 }); round++) {
      const first = await gateway.post("demo:long words=300 rate=200");
      const { session } = first;
      const reader = await openReader(sessionUrl(gateway, session), gateway);
      const later = [
        await gateway.post("demo:text Waited one.", { session }),
        await gateway.post("demo:text Waited two.", { session }),
      ];
      // Half of the kills fall into the stream itself, the others anywhere, the start and the end included.
      if (next() < 0.5) await reader.find("a delta", ({ type }) => type === "content_block_delta");
      await wait(next() * 1600);
      const markers = new Set(readdirSync(join(dataFolder, "run")));
      await gateway.kill("SIGKILL");
      expect(await reader.ended).toBe("cut");
      gateway = await spawnGateway(scene, { dataFolder });
      expect(markedWith(markers)).toEqual([]);

      const turns = [first, ...later];
      const wanted = [words(300), "Waited one.", "Waited two."];
      const endings = await Promise.all(turns.map(({ turn }) => gateway.ended(turn)));
      const log = await wholeLog(gateway, session);
      expect(joined([...reader.events, ...(await wholeLog(gateway, session, reader.cursor))])).toEqual(joined(log));
      checkNoHoles(dataFolder, session);
      for (const [index, { turn, state, code, text }] of endings.entries()) {
        const own = log.filter((event) => event.turn === turn);
        expect(endingTypes(own, turn)).toHaveLength(1);
        expect(text).toBe(textOf(own));
        expect(wanted[index]!.startsWith(textOf(own))).toBe(true);
        expect([state, code ?? text]).toEqual(
          state === "failed" ? ["failed", "gateway_restarted"] : ["completed", wanted[index]],
        );
      }
      // At most the one that ran was lost.
      const failed = endings.filter(({ state }) => state === "failed").length;
      expect(failed).toBeLessThanOrEqual(1);
      cutTurns += failed;
    }
    const end = await gateway.kill("SIGTERM");
    expect(end.code).toBe(0);
    expect(readdirSync(join(dataFolder, "run"))).toEqual([]);
    expect(cutTurns).toBeGreaterThan(0);
  },
);

test("[L4] a reader of events that a lost disk took with it gets `gap`, and then everything from the start", async () => {
  const dataFolder = newFolder(scene, "lost");
  let gateway = await spawnGateway(scene, { dataFolder });
  const turn = await gateway.post("demo:long words=2000 rate=300");
  const reader = await openReader(turn.events_url, gateway);
  await reader.find("a few deltas", ({ seq }) => seq > 30);
  const file = join(dataFolder, "sluice.sqlite");
  const source = new DatabaseSync(file, { readOnly: true });
  await backup(source, `${file}.older`);
  source.close();
  const copied = reader.cursor;
  await reader.find("many more", ({ seq }) => seq > copied + 100);
  await gateway.kill("SIGKILL");
  const cursor = reader.cursor;
  for (const end of ["", "-wal", "-shm"]) rmSync(`${file}${end}`, { force: true });
  const older = new DatabaseSync(`${file}.older`);
  await backup(older, file);
  older.close();

  gateway = await spawnGateway(scene, { dataFolder });
  await gateway.ended(turn.turn);
  for (const url of [new URL(new URL(turn.events_url).pathname, gateway.address), sessionUrl(gateway, turn.session)]) {
    const again = await openReader(url, { ...gateway, after: cursor });
    const ending = await again.find("the ending", ({ type }) => type === "turn_failed");
    again.leave();
    expect(ending).toMatchObject({ code: "gateway_restarted", text: textOf(again.events) });
    expect(ending.seq).toBeLessThan(cursor);
    const gaps = again.asides.filter(({ type }) => type === "gap");
    expect(gaps).toEqual([
      {
        type: "gap",
        turn: null,
        oldest: 1,
        transcript_url: `${gateway.address}/api/sessions/${turn.session}/transcript`,
      },
    ]);
    expect(again.events[0]!.seq).toBe(1);
    expect(joined(again.events)).toEqual(joined(await wholeLog(gateway, turn.session)));
  }
  await gateway.kill("SIGTERM");
});

test("[S3] SIGTERM closes the listener, then the streams, ends in time, and what waits goes on after the next start", async () => {
  const settings = { dataFolder: newFolder(scene, "ended"), limits: { shutdown_grace_s: 1 } };
  let gateway = await spawnGateway(scene, settings);
  const running = await gateway.post("demo:long words=2000 rate=50");
  const waiting = await gateway.post("demo:text Waited for the next start.", { session: running.session });
  const url = sessionUrl(gateway, running.session);
  const sse = await fetch(url, { headers: { ...gateway.headers, accept: "text/event-stream" } });
  const ndjson = await openReader(url, { ...gateway, format: "ndjson" });
  const reader = await openReader(url, gateway);
  await reader.find("a delta", ({ type }) => type === "content_block_delta");
  const { port } = new URL(gateway.address);
  const atEnd = reader.ended.then(async (how) => {
    const refused = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), "127.0.0.1", () => resolve("taken in"));
      socket.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
    });
    return [how, refused];
  });
  const began = performance.now();
  const exited = gateway.kill("SIGTERM");
  const refused = await until("a refusal", async () => {
    const reply = await gateway.fetch("/api/turns", jsonBody({ prompt: "too late" }));
    return reply.status === 202 ? undefined : reply;
  });
  expect([refused.status, refused.headers.get("retry-after"), await refused.json()]).toMatchObject([
    503,
    "10",
    { code: "shutting_down" },
  ]);
  const notReady = await gateway.fetch("/readyz");
  expect(notReady.status).toBe(503);
  expect(await atEnd).toEqual(["end", "ECONNREFUSED"]);
  expect(await sse.text()).toMatch(/\n\nretry: \d+\n\n$/);
  expect(await ndjson.ended).toBe("cut");
  expect((await exited).code).toBe(0);
  expect(performance.now() - began).toBeLessThan(1000 + 4500 + 3000);
  expect(readdirSync(join(settings.dataFolder, "run"))).toEqual([]);
  expect(reader.events.at(-1)).toMatchObject({ type: "turn_cancelled", by: { gateway: "shutdown" } });

  gateway = await spawnGateway(scene, settings);
  const resumed = await openReader(sessionUrl(gateway, running.session), { ...gateway, after: reader.cursor });
  const ending = await resumed.find("the ending", ({ type }) => type === "turn_completed");
  resumed.leave();
  expect(ending).toMatchObject({ turn: waiting.turn, text: "Waited for the next start." });
  expect(joined([...reader.events, ...resumed.events])).toEqual(joined(await wholeLog(gateway, running.session)));
  await gateway.kill("SIGTERM");
});

test("[L3, S3] a start that cannot store anything is up and refuses turns, ends at a SIGTERM, and in time sees to what was left", async () => {
  const dataFolder = newFolder(scene, "locked");
  let gateway = await spawnGateway(scene, { dataFolder });
  const { turn } = await gateway.post("demo:long words=2000 rate=300");
  await until("it to run", async () => (await gateway.turn(turn)).state === "running");
  await gateway.kill("SIGKILL");
  const other = new DatabaseSync(join(dataFolder, "sluice.sqlite"));
  other.exec("BEGIN IMMEDIATE");
  gateway = await spawnGateway(scene, { dataFolder });
  expect((await gateway.kill("SIGTERM")).code).toBe(0);

  gateway = await spawnGateway(scene, { dataFolder });
  for (const [path, init] of [
    ["/api/turns", jsonBody({ prompt: "demo:text x" })],
    [`/api/turns/${turn}/cancel`, { method: "POST" }],
    ["/readyz", {}],
  ] as const)
    expect((await gateway.fetch(path, init)).status).toBe(503);
  other.close();
  await until("room", async () => (await gateway.turn(turn)).state === "failed", 30_000);
  const next = await until("a prompt to be taken", () => gateway.post("demo:text x").catch(() => undefined), 30_000);
  expect(await gateway.ended(next.turn)).toMatchObject({ state: "completed" });
  await gateway.kill("SIGTERM");
});

test.skipIf(lacksMounts)(
  "a full disk makes new prompts wait outside and running turns wait inside; with room again nothing is lost",
  async () => {
    const dataFolder = newFolder(scene, "full");
    // A file system of its own, that ends with the gateway: mounted in a namespace that only the gateway is in.
    const prefix = [...ownMounts, "sh", "-c"];
    await linkCliCopy(join(scene.folder, "other"));
    const copy = `mkdir -m 700 '${dataFolder}/cli' && mount --bind '${join(scene.folder, "other", "cli")}' '${dataFolder}/cli'`;
    prefix.push(`mount -t tmpfs -o mode=700,size=12m tmpfs '${dataFolder}' && ${copy} && exec "$0" "$@"`);
    const gateway = await spawnGateway(scene, { dataFolder, limits: { shutdown_grace_s: 0.5 } }, { prefix });
    const filler = `/proc/${gateway.pid}/root${dataFolder}/filler`;
    const turn = await gateway.post("demo:long words=900 rate=150");
    const reader = await openReader(turn.events_url, gateway);
    await reader.find("a delta", ({ type }) => type === "content_block_delta");
    const isReady = async () => (await gateway.fetch("/readyz")).status === 200;
    expect(await isReady()).toBe(true);
    fill(filler);
    await until("the gateway to say that it cannot store", async () => !(await isReady()), 30_000);
    const refused = await gateway.fetch("/api/turns", jsonBody({ prompt: "no room" }));
    expect([refused.status, await refused.json()]).toMatchObject([503, { code: "not_ready" }]);
    const stoodAt = reader.cursor;
    rmSync(filler);
    expect(await gateway.ended(turn.turn)).toMatchObject({ state: "completed", text: words(900) });
    expect(await reader.ended).toBe("end");
    expect(reader.cursor).toBeGreaterThan(stoodAt);
    expect(textOf(joined(reader.events))).toBe(words(900));
    expect(joined(reader.events)).toEqual(joined(await readAll(turn.events_url, gateway)));
    expect(await isReady()).toBe(true);

    // With no turn that runs, nothing but the refused prompt itself meets the full disk.
    fill(filler);
    const large = { prompt: `demo:text ${"x".repeat(1_900_000)}` };
    const refusedLarge = await gateway.fetch("/api/turns", jsonBody(large));
    expect(refusedLarge.status).toBe(503);
    expect(await isReady()).toBe(false);
    rmSync(filler);
    await until("the gateway to be ready again", isReady);
    const last = await gateway.post("demo:text There is room again.");
    expect(await gateway.ended(last.turn)).toMatchObject({ state: "completed" });
    expect((await gateway.kill("SIGTERM")).code).toBe(0);
  },
);

/** Writes until nothing goes in any more. */
function fill(file: string): void {
  for (let bytes = 1024 * 1024; bytes >= 1024; bytes /= 2)
    for (;;)
      try {
        writeFileSync(file, Buffer.alloc(bytes), { flag: "a" });
      } catch {
        // Full for this size: smaller pieces may still fit.
        break;
      }
}
