import { get, type ClientRequest } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import { endingTypes, newFolder, spawnGateway, type ChildGateway, type Turn } from "../support/gateway.ts";
import { joined, readAll, sseParser, type WireEvent } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { scaled } from "../support/scale.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

/** One of a crowd: it keeps what it got and where it is, and comes back when it is told to. */
interface Member {
  readonly session: string;
  readonly events: WireEvent[];
  status: number;
  request?: ClientRequest;
}

/** Opens a member's stream behind what it has; resolves at its end, however that comes. */
function follow(member: Member, { address, headers }: ChildGateway): Promise<void> {
  const url = new URL(`/api/sessions/${member.session}/events`, address);
  const cursor = { "last-event-id": String(member.events.at(-1)?.seq ?? 0) };
  return new Promise((resolve) => {
    // A connection each, as so many browsers have.
    member.request = get(url, { agent: false, headers: { ...headers, ...cursor } }, (reply) => {
      member.status = reply.statusCode ?? 0;
      const feed = sseParser((event) => event.seq !== undefined && member.events.push(event));
      reply.setEncoding("utf8").on("data", feed);
      reply.on("error", () => resolve()).on("close", () => resolve());
    });
    member.request.on("error", () => resolve());
  });
}

test("[S3] SIGTERM under a crowd: running turns, open streams and stuck readers end in time, and every reader resumes without loss", async () => {
  const sessions = 3;
  const crowdSize = scaled({ short: 500, long: 2000 });
  const graceS = 1;
  const settings = {
    dataFolder: newFolder(scene, "crowd"),
    limits: { processes: sessions, running_turns: sessions, caller_share: 1, shutdown_grace_s: graceS },
  };
  let gateway = await spawnGateway(scene, settings);
  const turns: { running: Turn; waiting: Turn }[] = [];
  for (let made = 0; made < sessions; made++) {
    const running = await gateway.post("demo:long words=4000 rate=50");
    const waiting = await gateway.post(`demo:text Number ${made} waited.`, { session: running.session });
    turns.push({ running, waiting });
  }
  const crowd = Array.from({ length: crowdSize }, (_, at): Member => {
    return { session: turns[at % sessions]!.running.session, events: [], status: 0 };
  });
  let ends = crowd.map((member) => follow(member, gateway));
  const stuck = turns.map(({ running }) =>
    get(new URL(`/api/sessions/${running.session}/events`, gateway.address), {
      agent: false,
      headers: gateway.headers,
    }),
  );
  for (const request of stuck) request.on("response", (reply) => reply.pause()).on("error", () => {});
  const hasDelta = ({ events }: Member) => events.some(({ type }) => type === "content_block_delta");
  await until("everybody to read a delta", () => crowd.every(hasDelta), 60_000);

  const began = performance.now();
  const { code, stderr } = await gateway.kill("SIGTERM");
  const tookMs = performance.now() - began;
  expect(code).toBe(0);
  // The grace time; what cancelled turns and their processes may still take; and a loaded machine.
  expect(tookMs).toBeLessThan(graceS * 1000 + 4500 + 3000);
  expect(stderr).not.toMatch(/"level":(50|60)/);
  await Promise.all(ends);
  for (const request of stuck) request.destroy();

  gateway = await spawnGateway(scene, settings);
  for (const { waiting } of turns) expect((await gateway.ended(waiting.turn)).state).toBe("completed");
  ends = crowd.map((member) => follow(member, gateway));
  const lastOf = (session: string) => turns.find(({ running }) => running.session === session)!.waiting.turn;
  const isThrough = ({ session, events }: Member) => endingTypes(events, lastOf(session)).length > 0;
  await until("everybody to be through", () => crowd.every(isThrough), 60_000);
  for (const { request } of crowd) request?.destroy();
  await Promise.all(ends);

  for (const { running, waiting } of turns) {
    const whole = await readAll(`${gateway.address}/api/turns/${running.turn}/events`, gateway);
    const last = await readAll(`${gateway.address}/api/turns/${waiting.turn}/events`, gateway);
    const expected = joined([...whole, ...last].toSorted((a, b) => a.seq - b.seq));
    expect(endingTypes(expected, running.turn)).toEqual(["turn_cancelled"]);
    expect(endingTypes(expected, waiting.turn)).toEqual(["turn_completed"]);
    const readers = crowd.filter(({ session }) => session === running.session);
    // All of them alike, so one is shown where they differ.
    const wrong = readers.filter(({ events }) => JSON.stringify(joined(events)) !== JSON.stringify(expected));
    expect(wrong.map(({ events }) => joined(events))).toEqual([]);
    expect(new Set(readers.map(({ status }) => status))).toEqual(new Set([200]));
  }
  await gateway.kill("SIGTERM");
}, 180_000);
