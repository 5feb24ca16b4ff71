// [A7] What a process said beside its protocol: kept with its turn, for administrators alone.
import { afterEach, beforeEach, expect, test } from "vitest";
import { StartFailure } from "../../../gateway/claude/launch.ts";
import { failure } from "../../../gateway/claude/outcome.ts";
import { createDiagnostics } from "../../../gateway/turns/diagnostics.ts";
import { until } from "../../support/wait.ts";
import { bossKey, mainKey, openWholeApp, type WholeApp } from "../../support/whole-app.ts";

let app: WholeApp;

beforeEach(async () => {
  app = await openWholeApp();
});
afterEach(() => app.close());

/** Runs a turn in which the process says this, as it has it in its ring at the end. */
async function run(ring: string, session?: string): Promise<{ turn: string; session: string }> {
  const made = await app.json("/api/turns", { key: mainKey, json: { prompt: "x", agent: "default", session } });
  const driver = await until("the process", () => app.drivers.get(made["session"]!));
  await until("its turn", () => driver.requests.at(-1)?.turn === made["turn"]);
  driver.diagnostics = () => ring;
  driver.finish();
  await until("its end", () => app.turns.runningCount === 0);
  return { turn: made["turn"]!, session: made["session"]! };
}

const read = async (turn: string) => (await app.json(`/api/turns/${turn}/diagnostics`, { key: bossKey }))["text"];

test("[A7] an administrator reads them; every other key and token is refused, whether there is such a turn or not", async () => {
  const { turn } = await run("segfault at /opt/claude\n");
  const reply = await app.request(`/api/turns/${turn}/diagnostics`, { key: bossKey });
  expect([reply.status, reply.headers.get("cache-control")]).toEqual([200, "no-store"]);
  expect(await reply.json()).toEqual({ turn, text: "segfault at /opt/claude\n" });
  const { token } = await app.json("/api/tokens", { key: bossKey, json: { user: "ann" } });
  for (const key of [mainKey, token])
    for (const asked of [turn, crypto.randomUUID()]) {
      const refused = await app.request(`/api/turns/${asked}/diagnostics`, { key });
      expect(refused.status).toBe(403);
      expect(await refused.text()).not.toContain("segfault");
    }
  expect((await app.request(`/api/turns/${crypto.randomUUID()}/diagnostics`, { key: bossKey })).status).toBe(404);
  expect((await app.request("/api/turns/nonsense/diagnostics", { key: bossKey })).status).toBe(404);
});

test("[A7] a turn has what came since the one before it, and of a silent one there is nothing", async () => {
  const first = await run("one\n");
  const second = await run("one\n", first.session);
  const third = await run("one\nthree\n", first.session);
  const fourth = await run("the ring has gone round\n", first.session);
  expect(await Promise.all([first, second, third, fourth].map(({ turn }) => read(turn)))).toEqual([
    "one\n",
    "",
    "three\n",
    "the ring has gone round\n",
  ]);
  await app.request(`/api/sessions/${first.session}`, { key: mainKey, method: "DELETE" });
  expect((await app.request(`/api/turns/${first.turn}/diagnostics`, { key: bossKey })).status).toBe(404);
});

test("[A7] no more than the newest 64 KB is kept, in whole characters", async () => {
  const { turn } = await run(`${"€".repeat(40_000)}end`);
  const text = (await read(turn))!;
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(64 * 1024);
  expect(Buffer.byteLength(text)).toBeGreaterThan(64 * 1024 - 20);
  expect(text.endsWith("€€end")).toBe(true);
});

test("[A7] of a process that did not start its failure's cause is kept", () => {
  const cause = Object.assign(new Error("spawn EACCES /opt/claude"), { code: "EACCES" });
  const [write] = createDiagnostics().ofStart("turn", new StartFailure(failure("spawn_failed"), { cause }));
  expect(write).toMatchObject({ kind: "diagnostics", turn: "turn" });
  expect((write as { text: string }).text).toContain("spawn EACCES /opt/claude");
  expect(createDiagnostics().ofStart("turn", new StartFailure(failure("not_logged_in")))).toEqual([]);
});
