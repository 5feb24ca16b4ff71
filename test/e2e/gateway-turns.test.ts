// Turns over real sockets, with the real CLI: renderings, the queue, cancelling, watchdogs, and the life of processes.
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listProcesses } from "../../gateway/claude/process-table.ts";
import { curl } from "../support/curl.ts";
import { jsonBody, openGateway, type OwnGateway } from "../support/gateway.ts";
import { lacksCurl } from "../support/programs.ts";
import { joined, openReader, readAll, textOf } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, {
    agents: [
      { name: "default", model: "claude-sonnet-4-5", models: ["claude-sonnet-4-5", "claude-haiku-4-5"] },
      { name: "hasty", silence_timeout_s: 1, turn_timeout_s: 60 },
      { name: "short", turn_timeout_s: 2 },
      { name: "narrow", running_turns: 1 },
      { name: "restless", background_tasks: true, allowed_tools: ["Bash"] },
    ],
  });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

/** The CLI's processes that live now. */
function claudes(): number[] {
  return listProcesses()
    .filter(({ parent }) => parent === process.pid)
    .map(({ pid }) => pid);
}

/** Those that were started for a session. */
function processOf(session: string): number[] {
  return claudes().filter((pid) => commandOf(pid).includes(session));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has just ended.
    return "";
  }
}

function modelsAsked(containing: string): string[] {
  return scene.requests
    .filter(({ body }) => JSON.stringify(body.messages).includes(containing))
    .map(({ body }) => body.model);
}

const text = (length: number) => Array.from({ length }, (_, index) => `word${index + 1}`).join(" ");

test("[L6] one POST streams a turn as Server-Sent Events and as NDJSON, and both say the same as the log", async () => {
  const post = (prompt: string, session?: string) => jsonBody({ prompt, session, agent: "default" });
  const url = new URL("/api/turns", gateway.address);
  const first = await openReader(url, { init: post("demo:long words=50"), headers: gateway.headers });
  expect(await first.ended).toBe("end");
  expect(first.headers.get("content-type")).toBe("text/event-stream; charset=utf-8");
  expect(textOf(first.events)).toBe(text(50));
  expect(first.events.map(({ type }) => type).slice(0, 3)).toEqual(["turn_queued", "turn_moved", "turn_started"]);
  expect(first.events.at(-1)).toMatchObject({ type: "turn_completed", text: text(50) });
  const location = first.headers.get("location")!;
  expect(joined(await readAll(location, { headers: gateway.headers }))).toEqual(joined(first.events));

  const session = first.headers.get("sluice-session")!;
  const second = await openReader(url, {
    init: post("demo:text Ünïcødé 🦥 text", session),
    headers: gateway.headers,
    format: "ndjson",
  });
  expect(await second.ended).toBe("end");
  expect(textOf(second.events)).toBe("Ünïcødé 🦥 text");
  expect(second.events.find(({ type }) => type === "turn_started")).toMatchObject({ session, reused: true });
  expect(second.events[0]!.seq).toBe(first.events.at(-1)!.seq + 1);
});

test("JSON is answered with 202 at once, and with `Prefer: wait` when the turn has ended or the time is up", async () => {
  const accepted = await gateway.fetch("/api/turns", jsonBody({ prompt: "demo:long words=60 rate=40" }));
  const turn = (await accepted.json()) as { turn: string; session: string; state: string };
  expect(accepted.status).toBe(202);
  expect(accepted.headers.get("location")).toBe(`${gateway.address}/api/turns/${turn.turn}`);
  const early = await gateway.fetch(`/api/turns/${turn.turn}`, { headers: { prefer: "wait=1" } });
  expect([early.status, ((await early.json()) as { state: string }).state]).toEqual([200, "running"]);
  const waited = await gateway.fetch(
    "/api/turns",
    jsonBody({ prompt: "demo:text Waited for.", session: turn.session }, { prefer: "wait=30" }),
  );
  expect(waited.status).toBe(200);
  expect(await waited.json()).toMatchObject({ state: "completed", text: "Waited for.", session: turn.session });
  expect(await gateway.turn(turn.turn)).toMatchObject({ state: "completed", text: text(60) });
});

test.skipIf(lacksCurl)(
  "text/plain is the answer alone, as curl gets it, and two sessions are answered at once",
  async () => {
    const ask = (prompt: string) =>
      curl(gateway, "/api/turns", { accept: "text/plain", body: { prompt, agent: "default" } });
    const began = scene.requests.length;
    const both = Promise.all([ask("demo:long words=80 rate=40"), ask("demo:long words=81 rate=40")]);
    await until("two requests for answers", () => scene.requests.length >= began + 2, 30_000);
    const running = await gateway.fetch("/api/turns?state=running");
    expect(((await running.json()) as { turns: unknown[] }).turns).toHaveLength(2);
    expect(await both).toEqual([
      [text(80), 0],
      [text(81), 0],
    ]);
  },
);

test("[T1, T2] five prompts of one session wait in order, and each is told when it moves", async () => {
  const first = await gateway.post("demo:long words=30 rate=30", { agent: "default" });
  const later = [];
  for (const n of [1, 2, 3, 4]) later.push(await gateway.post(`demo:text Answer ${n}.`, { session: first.session }));
  expect(later.map(({ position, state }) => [position, state])).toEqual([1, 2, 3, 4].map((n) => [n, "queued"]));
  const endings = await Promise.all(later.map(({ turn }) => gateway.ended(turn)));
  expect(endings.map(({ text: said }) => said)).toEqual([1, 2, 3, 4].map((n) => `Answer ${n}.`));
  for (const [index, { events_url: url }] of later.entries()) {
    const events = await readAll(url, { headers: gateway.headers });
    const positions = events.filter(({ type }) => type.startsWith("turn_")).map((event) => event["position"]);
    const expected: unknown[] = Array.from({ length: index + 1 }, (_, n) => index + 1 - n);
    expect(positions).toEqual([...expected, null, undefined, undefined]);
    expect(events.map(({ type }) => type).slice(0, 1)).toEqual(["turn_queued"]);
  }
  const session = await gateway.session(first.session);
  const all = await openReader(new URL(`/api/sessions/${first.session}/events`, gateway.address), gateway);
  await all.find("the newest event", ({ seq }) => seq === session.last_seq);
  all.leave();
  const starts = joined(all.events).filter(({ type }) => type === "turn_started");
  expect(starts.map(({ turn }) => turn)).toEqual([first, ...later].map(({ turn }) => turn));
});

test("[T6] at an agent's cap a turn of another session waits, and goes on when there is room", async () => {
  const first = await gateway.post("demo:long words=30 rate=30", { agent: "narrow" });
  const second = await gateway.post("demo:text Now there is room.", { agent: "narrow" });
  expect(second).toMatchObject({ state: "queued", position: 1 });
  expect(await gateway.ended(first.turn)).toMatchObject({ state: "completed" });
  expect(await gateway.ended(second.turn)).toMatchObject({ state: "completed", text: "Now there is room." });
});

test("[T1] `on_busy` refuses a prompt, or puts it first and interrupts what runs", async () => {
  const first = await gateway.post("demo:long words=500 rate=50", { agent: "default" });
  const reader = await openReader(first.events_url, gateway);
  const queued = await gateway.post("demo:text Was first in the queue.", { session: first.session });
  const refused = await gateway.fetch(
    "/api/turns",
    jsonBody({ prompt: "no", session: first.session, on_busy: "reject" }),
  );
  expect([refused.status, await refused.json()]).toMatchObject([409, { code: "busy" }]);
  await reader.find("some text", ({ type }) => type === "content_block_delta");
  const urgent = await gateway.post("demo:text Urgent.", { session: first.session, on_busy: "interrupt" });
  expect(await reader.ended).toBe("end");
  const ending = reader.events.at(-1)!;
  expect(ending).toMatchObject({ type: "turn_cancelled", by: { key: "local" } });
  expect(ending["text"]).toBe(textOf(reader.events));
  expect(text(500).startsWith(String(ending["text"]))).toBe(true);
  const [late, soon] = [await gateway.ended(queued.turn), await gateway.ended(urgent.turn)];
  expect([soon["text"], late["text"]]).toEqual(["Urgent.", "Was first in the queue."]);
  expect(String(soon["started_at"]) < String(late["started_at"])).toBe(true);
});

test("[T4] cancelling keeps the partial text, also of a client that went away; a queued turn is cancelled unheard", async () => {
  const first = await gateway.post("demo:long words=500 rate=50", { agent: "default" });
  const queued = await gateway.post("demo:text Never said.", { session: first.session });
  const reader = await openReader(first.events_url, gateway);
  await reader.find("some text", ({ type }) => type === "content_block_delta");
  reader.leave();
  const cancel = async (turn: string) =>
    (await gateway.fetch(`/api/turns/${turn}/cancel`, { method: "POST" })).json() as Promise<Record<string, unknown>>;
  expect(await cancel(queued.turn)).toMatchObject({ state: "cancelled", text: "" });
  expect(await gateway.turn(first.turn)).toMatchObject({ state: "running" });
  const cancelled = await cancel(first.turn);
  expect(cancelled).toMatchObject({ state: "cancelled" });
  expect(String(cancelled["text"])).toMatch(/^word1 /);
  expect(await cancel(first.turn)).toEqual(cancelled);
  const events = await readAll(first.events_url, gateway);
  expect(textOf(events)).toBe(cancelled["text"]);
  const next = await gateway.post("demo:text It goes on.", { session: first.session });
  expect(await gateway.ended(next.turn)).toMatchObject({ state: "completed", text: "It goes on." });
  expect(JSON.stringify(scene.requests.at(-1)!.body.messages)).not.toContain("Never said.");
});

test("[T5] silence fails a turn, and so does its time, with what was said; the session goes on", async () => {
  const silent = await gateway.post("demo:hang", { agent: "hasty" });
  const long = await gateway.post("demo:long words=2000 rate=20", { agent: "short" });
  expect(await gateway.ended(silent.turn)).toMatchObject({ state: "failed", code: "silence_timeout", retryable: true });
  const timedOut = await gateway.ended(long.turn);
  expect(timedOut).toMatchObject({ state: "failed", code: "turn_timeout" });
  expect(text(2000).startsWith(String(timedOut["text"]))).toBe(true);
  const next = await gateway.post("demo:text Awake again.", { session: silent.session });
  expect(await gateway.ended(next.turn)).toMatchObject({ state: "completed", text: "Awake again." });
});

test("[A5] a request's own model, permission mode and time hold for its turn alone", async () => {
  const first = await gateway.post("demo:text My first one.", { agent: "default" });
  await gateway.ended(first.turn);
  const wishes = { session: first.session, model: "claude-haiku-4-5", permission_mode: "plan" };
  const second = await gateway.post("demo:text My second one.", wishes);
  const third = await gateway.post("demo:long words=2000 rate=20", { session: first.session, turn_timeout_s: 1 });
  const fourth = await gateway.post("demo:text My fourth one.", { session: first.session });
  expect(await gateway.ended(third.turn)).toMatchObject({ state: "failed", code: "turn_timeout" });
  await gateway.ended(fourth.turn);
  const started = async ({ events_url: url }: { events_url: string }) =>
    (await readAll(url, gateway)).find(({ type }) => type === "turn_started");
  const [agents, own] = [
    { model: "claude-sonnet-4-5", permission_mode: "default" },
    { model: "claude-haiku-4-5", permission_mode: "plan" },
  ];
  expect(await started(first)).toMatchObject(agents);
  expect(await started(second)).toMatchObject({ ...own, reused: true });
  expect(await started(fourth)).toMatchObject({ ...agents, reused: true });
  expect(modelsAsked("My first one.")[0]).toBe("claude-sonnet-4-5");
  expect(modelsAsked("My second one.")[0]).toBe("claude-haiku-4-5");
  expect(modelsAsked("My fourth one.").at(-1)).toBe("claude-sonnet-4-5");
  const refused = await gateway.fetch("/api/turns", jsonBody({ prompt: "no", agent: "default", model: "other" }));
  expect([refused.status, await refused.json()]).toMatchObject([403, { code: "forbidden", field: "model" }]);
});

test("[P6] an idle process is ended, and its session goes on in a new one that remembers", async () => {
  const own = await openGateway(scene, { limits: { process_idle_s: 0.5 } });
  try {
    const before = claudes();
    const first = await own.post("demo:text To be remembered.");
    await own.ended(first.turn);
    await until("a process", () => claudes().length > before.length);
    await until("the idle process to be ended", () => claudes().every((pid) => before.includes(pid)), 30_000);
    const second = await own.post("demo:text And again.", { session: first.session });
    expect(await own.ended(second.turn)).toMatchObject({ state: "completed", text: "And again." });
    expect(JSON.stringify(scene.requests.at(-1)!.body.messages)).toContain("demo:text To be remembered.");
    const events = await readAll(second.events_url, own);
    expect(events.find(({ type }) => type === "turn_started")).toMatchObject({ reused: false });
  } finally {
    await own.close();
  }
});

test("[P6] the first prompt of a new session runs in the spare that waits, and another spare takes its place", async () => {
  const before = claudes();
  const own = await openGateway(scene, { agents: [{ name: "tester", spares: 1 }] });
  // A gateway has other children for a moment too.
  const fresh = () => claudes().filter((pid) => !before.includes(pid) && commandOf(pid).includes("--session-id"));
  try {
    const spare = await until("a spare", () => fresh()[0]);
    const turn = await own.post("demo:text From the spare.");
    expect(processOf(turn.session)).toEqual([spare]);
    expect(await own.ended(turn.turn)).toMatchObject({ state: "completed", text: "From the spare." });
    await until("the next spare", () => fresh().length === 2, 30_000);
    expect(fresh()).toContain(spare);
    const second = await own.post("demo:text In the same one.", { session: turn.session });
    await own.ended(second.turn);
    expect(processOf(turn.session)).toEqual([spare]);
  } finally {
    await own.close();
  }
  expect(fresh()).toEqual([]);
});

test("[P7, T4] a turn that the CLI began by itself is listed, and cancelled as any other", async () => {
  // The model answers the notice of the task's end by the words of its command: the CLI's own turn hangs.
  const call = JSON.stringify({ command: "sleep 0.2 #\ndemo:hang", run_in_background: true });
  const { turn, session } = await gateway.post(`demo:tool Bash ${call}\ndemo:text It was started.`, {
    agent: "restless",
  });
  await gateway.ended(turn);
  const own = await until(
    "the CLI's own turn",
    async () => {
      const reply = await gateway.fetch(`/api/turns?session=${session}&state=running`);
      return ((await reply.json()) as { turns: { turn: string }[] }).turns[0]?.turn;
    },
    30_000,
  );
  expect(own).not.toBe(turn);
  const reply = await gateway.fetch(`/api/turns/${own}/cancel`, { method: "POST" });
  expect(await reply.json()).toMatchObject({ turn: own, state: "cancelled", by: { key: "local" } });
  expect(await gateway.ended((await gateway.post("demo:text Go on.", { session })).turn)).toMatchObject({
    text: "Go on.",
  });
});
