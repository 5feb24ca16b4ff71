// Sessions with the real CLI: made ahead, warmed, branched, brought back from a snapshot or from the log, and removed.
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync, type Dirent } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { findSessionFile, removeSessionFiles } from "../../gateway/claude/session-file.ts";
import { listProcesses } from "../../gateway/claude/process-table.ts";
import { jsonBody, newFolder, openGateway, type OwnGateway, type Turn } from "../support/gateway.ts";
import { lacksCurl } from "../support/programs.ts";
import { openReader, readAll } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");

let scene: Scene;
let gateway: OwnGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await openGateway(scene, { agents: [{ name: "tester", allowed_tools: ["Agent", "Task"] }] });
});
afterAll(async () => {
  await gateway.close();
  await scene.close();
});

interface Session {
  readonly session: string;
  readonly title: string | null;
  readonly [field: string]: unknown;
}

async function call<T = Session>(path: string, body: unknown = {}, own = gateway): Promise<T> {
  const reply = await own.fetch(path, jsonBody(body));
  if (!reply.ok) throw new Error(`${path} is refused: ${await reply.text()}`);
  return (await reply.json()) as T;
}

async function say(session: string | undefined, words: string, own = gateway, body: object = {}): Promise<Turn> {
  return own.ended((await own.post(words, { session, ...body })).turn);
}

async function started(turn: Turn, own = gateway) {
  return (await readAll(turn.events_url, own)).find(({ type }) => type === "turn_started");
}

/** The words of the newest request for an answer that holds these. */
function requestWith(words: string): string {
  const found = scene.requests.findLast(({ body }) => JSON.stringify(body.messages).includes(words));
  return JSON.stringify(found?.body.messages);
}

/** Which of these words stand in the request. */
function heard(request: string, words: readonly string[]): string[] {
  return words.filter((word) => request.includes(word));
}

/** The CLI's processes that live now. */
function children(): number[] {
  return listProcesses()
    .filter(({ parent }) => parent === process.pid)
    .map(({ pid }) => pid);
}

function processesOf(session: string): number[] {
  return children().filter((pid) => commandOf(pid).includes(session));
}

function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    // It has just ended.
    return "";
  }
}

const places = (own: { dataFolder: string }) => ({
  environment: scene.environment,
  sessions: join(own.dataFolder, "sessions"),
});

/** Whether our store has the session's file as it was behind its newest answer. */
function hasSnapshot(own: { dataFolder: string }, session: string): boolean {
  const database = new DatabaseSync(join(own.dataFolder, "sluice.sqlite"), { readOnly: true });
  const row = database
    .prepare(
      `SELECT 1 FROM snapshots n WHERE n.session = ?1 AND n.origin = n.session AND n.answer_uuid =
         (SELECT t.answer_uuid FROM turns t WHERE t.session = ?1 AND t.answer_uuid IS NOT NULL ORDER BY t.turn DESC LIMIT 1)`,
    )
    .get(session);
  database.close();
  return row !== undefined;
}

const snapshotTaken = (session: string, own = gateway) =>
  until("the snapshot", () => hasSnapshot(own, session), 30_000);

function forget(own: { dataFolder: string }, session: string): void {
  const database = new DatabaseSync(join(own.dataFolder, "sluice.sqlite"));
  database.prepare(`DELETE FROM snapshots WHERE session = ?`).run(session);
  database.close();
}

/** Kills the session's process; resolves when the gateway knows of it, and has tried to bring another one up. */
async function killProcess(session: string, afterwards = () => {}): Promise<void> {
  for (const pid of processesOf(session)) process.kill(pid, "SIGKILL");
  await until("no process", () => processesOf(session).length === 0, 30_000);
  afterwards();
  const warm = () => gateway.fetch(`/api/sessions/${session}/warm`, { method: "POST" });
  await until("another one", async () => !(await warm()).ok || processesOf(session).length > 0, 30_000);
}

/** The same, and removes what the CLI has of the session before another one comes up. */
function loseFile(session: string): Promise<void> {
  return killProcess(session, () => expect(removeSessionFiles(places(gateway), session)).toBeGreaterThan(0));
}

test("a session that was made ahead, and warmed up, answers its first prompt in the process that waits", async () => {
  const { session } = await call("/api/sessions", { title: "Made ahead" });
  expect(processesOf(session)).toEqual([]);
  await call(`/api/sessions/${session}/warm`);
  const [pid, ...others] = processesOf(session);
  expect(others).toEqual([]);
  const turn = await say(session, "demo:text First words.");
  expect(turn).toMatchObject({ state: "completed", session, text: "First words." });
  expect(processesOf(session)).toEqual([pid]);
  await call(`/api/sessions/${session}/warm`);
  expect(processesOf(session)).toEqual([pid]);
  expect(await started(turn)).toMatchObject({ session, reused: false });
  const row = (await (await gateway.fetch(`/api/sessions/${session}`)).json()) as Session;
  expect(row).toMatchObject({ title: "Made ahead", state: "completed" });
});

test("[P6] a session that is made while a spare waits takes its id, and its first prompt its process", async () => {
  const before = children();
  const own = await openGateway(scene, { agents: [{ name: "tester", spares: 1 }] });
  try {
    const isSpare = (pid: number) => !before.includes(pid) && commandOf(pid).includes("--session-id=");
    await until("a spare", () => children().some(isSpare), 30_000);
    const { session } = await call("/api/sessions", {}, own);
    const [pid] = processesOf(session);
    expect(pid).toBeDefined();
    expect(await say(session, "demo:text From the spare.", own)).toMatchObject({ state: "completed" });
    expect(processesOf(session)).toEqual([pid]);
  } finally {
    await own.close();
  }
});

test("[P6] a branch has heard exactly the turns up to where it begins, and its parent goes on unharmed", async () => {
  const first = await say(undefined, "demo:text Alpha.");
  const parent = first.session;
  await say(parent, "demo:text Beta.");
  await say(parent, "demo:text Gamma.");
  const words = ["Alpha.", "Beta.", "Gamma.", "Delta.", "Epsilon.", "Zeta.", "Eta."];

  const atEnd = await call(`/api/sessions/${parent}/fork`);
  const early = await call(`/api/sessions/${parent}/fork`, { turn: first.turn });
  expect(await say(parent, "demo:text Delta.")).toMatchObject({ state: "completed", text: "Delta." });
  expect(heard(requestWith("Delta."), words)).toEqual(["Alpha.", "Beta.", "Gamma.", "Delta."]);

  const onEnd = await say(atEnd.session, "demo:text Epsilon.");
  expect(onEnd).toMatchObject({ state: "completed", text: "Epsilon.", session: atEnd.session });
  expect(heard(requestWith("Epsilon."), words)).toEqual(["Alpha.", "Beta.", "Gamma.", "Epsilon."]);
  expect(await say(early.session, "demo:text Zeta.")).toMatchObject({ state: "completed", text: "Zeta." });
  expect(heard(requestWith("Zeta."), words)).toEqual(["Alpha.", "Zeta."]);

  // Each has its own file now.
  await killProcess(early.session);
  expect(await say(early.session, "demo:text Eta.")).toMatchObject({ state: "completed", text: "Eta." });
  expect(heard(requestWith("Eta."), words)).toEqual(["Alpha.", "Zeta.", "Eta."]);
  await say(parent, "demo:text Theta.");
  expect(heard(requestWith("Theta."), words)).toEqual(["Alpha.", "Beta.", "Gamma.", "Delta."]);
  const events = await (async () => {
    const { turns } = (await (await gateway.fetch(`/api/turns?session=${early.session}`)).json()) as { turns: Turn[] };
    return turns.map(({ text }) => text);
  })();
  expect(events).toEqual(["Eta.", "Zeta.", "Alpha."]);
});

test("[P6] a branch of a branch, begun or not, also behind a turn that it has from its parent", async () => {
  const first = await say(undefined, "demo:text One.");
  await say(first.session, "demo:text Two.");
  const branch = await call(`/api/sessions/${first.session}/fork`);
  const unbegun = await call(`/api/sessions/${branch.session}/fork`);
  await say(branch.session, "demo:text Three.");
  const begun = await call(`/api/sessions/${branch.session}/fork`);
  const { turns } = (await (await gateway.fetch(`/api/turns?session=${branch.session}`)).json()) as { turns: Turn[] };
  const inherited = await call(`/api/sessions/${branch.session}/fork`, { turn: turns.at(-1)!.turn });
  const words = ["One.", "Two.", "Three."];
  const cases = [
    [unbegun, "Four.", ["One.", "Two."]],
    [begun, "Five.", ["One.", "Two.", "Three."]],
    [inherited, "Six.", ["One."]],
  ] as const;
  for (const [{ session }, word, expected] of cases) {
    expect(await say(session, `demo:text ${word}`)).toMatchObject({ state: "completed", text: word });
    expect(heard(requestWith(word), words)).toEqual(expected);
  }
});

test("[P6] a branch whose parent is removed before its first prompt goes on all the same", async () => {
  const first = await say(undefined, "demo:text Of the parent.");
  const branch = await call(`/api/sessions/${first.session}/fork`);
  const reply = await gateway.fetch(`/api/sessions/${first.session}`, { method: "DELETE" });
  expect(reply.status).toBe(200);
  expect(await say(branch.session, "demo:text Of the branch.")).toMatchObject({ text: "Of the branch." });
  expect(requestWith("Of the branch.")).toContain("Of the parent.");
  expect(await say(branch.session, "demo:text And again.")).toMatchObject({ text: "And again." });
});

test("a branch that is warmed up first is one all the same", async () => {
  const first = await say(undefined, "demo:text Before it branched.");
  const branch = await call(`/api/sessions/${first.session}/fork`);
  await call(`/api/sessions/${branch.session}/warm`);
  const [pid] = processesOf(branch.session);
  expect(await say(branch.session, "demo:text In the warm branch.")).toMatchObject({ text: "In the warm branch." });
  expect(processesOf(branch.session)).toEqual([pid]);
  expect(requestWith("In the warm branch.")).toContain("Before it branched.");
});

test("[P6] a session goes on from its snapshot when the CLI's own file is gone, its subagents' files too", async () => {
  const prompt = { description: "look", prompt: "demo:text From below.", subagent_type: "general-purpose" };
  const first = await say(undefined, `demo:tool Agent ${JSON.stringify(prompt)}\ndemo:text Delegated.`);
  expect(first).toMatchObject({ state: "completed" });
  const { session } = first;
  await say(session, "demo:text Kept in a snapshot.");
  await snapshotTaken(session);
  const folder = findSessionFile(places(gateway), session)!.replace(/\.jsonl$/, "");
  const files = readdirSync(folder, { recursive: true, encoding: "utf8" });
  expect(files.some((name) => name.startsWith("subagents/"))).toBe(true);
  const contents = (root: string) =>
    files.filter((name) => statSync(join(root, name)).isFile()).map((name) => readFileSync(join(root, name), "utf8"));
  const before = contents(folder);
  await loseFile(session);
  expect(existsSync(folder)).toBe(false);
  const turn = await say(session, "demo:text Back again.");
  expect(turn).toMatchObject({ state: "completed", text: "Back again." });
  expect(requestWith("Back again.")).toContain("Kept in a snapshot.");
  expect(requestWith("Back again.")).toContain("Delegated.");
  expect(contents(findSessionFile(places(gateway), session)!.replace(/\.jsonl$/, ""))).toEqual(before);
});

test("[P6] a backup of the database alone, made while the gateway ran as the README says, brings a session to another data folder, home and workspace", async () => {
  const own = await openGateway(scene);
  const first = await say(undefined, "demo:text On the first machine.", own);
  await snapshotTaken(first.session, own);
  const branch = await call(`/api/sessions/${first.session}/fork`, {}, own);
  const dataFolder = newFolder(scene, "moved");
  const database = new DatabaseSync(join(own.dataFolder, "sluice.sqlite"));
  const backup = /sqlite3 .sluice\/sluice.sqlite "(VACUUM INTO '.*')"/.exec(readme)![1]!;
  database.exec(backup.replace("backup.sqlite", join(dataFolder, "sluice.sqlite")));
  database.close();
  await own.close();

  const home = newFolder(scene, "home");
  const elsewhere = { ...scene, environment: { ...scene.environment, HOME: home } };
  const other = await openGateway(elsewhere, { dataFolder });
  try {
    for (const { session } of [first, branch]) {
      expect(await say(session, `demo:text On the second machine.`, other)).toMatchObject({ state: "completed" });
      expect(requestWith("On the second machine.")).toContain("On the first machine.");
    }
  } finally {
    await other.close();
  }
  // And once more, from what the second machine has written.
  const third = await openGateway(elsewhere, { dataFolder });
  try {
    await say(first.session, "demo:text Third time.", third);
    expect(heard(requestWith("Third time."), ["On the first", "On the second"])).toHaveLength(2);
  } finally {
    await third.close();
  }
});

test("[P6] a session whose file and snapshot are gone fails as session_lost, and says how to go on", async () => {
  const first = await say(undefined, "demo:text Soon forgotten.");
  const { session } = first;
  await snapshotTaken(session);
  forget(gateway, session);
  await loseFile(session);
  const before = scene.requests.length;
  const lost = await say(session, "demo:text Never said.");
  expect(lost).toMatchObject({ state: "failed", code: "session_lost", retryable: false });
  expect(lost["message"]).toContain('`continue_from: "transcript"`');
  expect(await say(session, "demo:text Nor this.")).toMatchObject({ code: "session_lost" });
  expect(scene.requests).toHaveLength(before);
  const warm = await gateway.fetch(`/api/sessions/${session}/warm`, { method: "POST" });
  expect([warm.status, await warm.json()]).toMatchObject([503, { code: "not_ready", failure: "session_lost" }]);
  const fork = await gateway.fetch(`/api/sessions/${session}/fork`, jsonBody({}));
  expect([fork.status, await fork.json()]).toMatchObject([409, { code: "conflict" }]);

  const turn = await say(session, "demo:text Continued.", gateway, { continue_from: "transcript" });
  expect(turn).toMatchObject({ state: "completed", text: "Continued.", session });
  const events = await readAll(turn.events_url, gateway);
  const types = events.map(({ type }) => type);
  expect(events.find(({ type }) => type === "notice")).toMatchObject({ kind: "continued_from_transcript" });
  expect(types.indexOf("notice")).toBeLessThan(types.indexOf("turn_started"));
  expect(events[0]).toMatchObject({ prompt: [{ type: "text", text: "demo:text Continued." }] });
  const request = requestWith("Continued.");
  expect(heard(request, ["earlier_conversation", "Soon forgotten.", "Continued."])).toHaveLength(3);
  expect(heard(request, ["Never said.", "Nor this."])).toEqual(["Never said.", "Nor this."]);
  // From here on it is a session like any other, and the field changes nothing.
  await killProcess(session);
  const next = await say(session, "demo:text As ever.", gateway, { continue_from: "transcript" });
  expect(next).toMatchObject({ state: "completed", text: "As ever." });
  expect((await readAll(next.events_url, gateway)).filter(({ type }) => type === "notice")).toEqual([]);
  expect(requestWith("As ever.").split("<earlier_conversation>")).toHaveLength(2);
});

test("[P6] a session whose file is damaged goes on from the transcript too, and the file stays beside the new one until it is removed", async () => {
  const { session } = await say(undefined, "demo:text Soon unreadable.");
  const file = findSessionFile(places(gateway), session)!;
  await killProcess(session, () => writeFileSync(file, "this is no session\n"));
  const lost = await say(session, "demo:text Never said.");
  expect(lost).toMatchObject({ state: "failed", code: "session_lost" });
  expect(lost["message"]).toContain('`continue_from: "transcript"`');
  const turn = await say(session, "demo:text Continued.", gateway, { continue_from: "transcript" });
  expect(turn).toMatchObject({ state: "completed", text: "Continued.", session });
  expect(heard(requestWith("Continued."), ["earlier_conversation", "Soon unreadable."])).toHaveLength(2);
  expect(readFileSync(`${file}.damaged`, "utf8")).toBe("this is no session\n");
  await killProcess(session);
  expect(await say(session, "demo:text As ever.")).toMatchObject({ state: "completed" });
  expect(heard(requestWith("As ever."), ["Soon unreadable.", "Continued."])).toHaveLength(2);
  expect((await gateway.fetch(`/api/sessions/${session}`, { method: "DELETE" })).ok).toBe(true);
  expect(existsSync(`${file}.damaged`)).toBe(false);
});

test("[T2] a queued turn keeps its wish to continue from the transcript over a restart", async () => {
  const own = await openGateway(scene);
  const first = await say(undefined, "demo:text Before the restart.", own);
  await snapshotTaken(first.session, own);
  const running = await own.post("demo:long words=2000 rate=20", { session: first.session });
  const reader = await openReader(running.events_url, own);
  await reader.find("its text", ({ type }) => type === "content_block_delta");
  const queued = await own.post("demo:text After the restart.", {
    session: first.session,
    continue_from: "transcript",
  });
  await own.close();
  removeSessionFiles(places(own), first.session);
  forget(own, first.session);
  const again = await openGateway(scene, { dataFolder: own.dataFolder });
  try {
    expect(await again.ended(queued.turn)).toMatchObject({ state: "completed", text: "After the restart." });
    const events = await readAll(queued.events_url.replace(own.address, again.address), again);
    expect(events.find(({ type }) => type === "notice")).toMatchObject({ kind: "continued_from_transcript" });
    expect(heard(requestWith("After the restart."), ["Before the restart.", "word1 "])).toHaveLength(2);
  } finally {
    await again.close();
  }
});

test("a removed session's files are removed with it, and the reply says how many places held one", async () => {
  const { session } = await say(undefined, "demo:text To be removed, word by word.");
  // A shell leaves something of its own behind.
  await say(session, 'demo:tool Bash {"command":"ls"}');
  await snapshotTaken(session);
  const [pid] = processesOf(session);
  const left = () => [...filesWith(scene.folder, session), ...filesWith(scene.folder, "word by word")];
  expect(left().length).toBeGreaterThan(1);
  const remove = async (id: string) =>
    (await (await gateway.fetch(`/api/sessions/${id}`, { method: "DELETE" })).json()) as Record<string, unknown>;
  const branch = await call(`/api/sessions/${session}/fork`);
  await say(branch.session, "demo:text Of the branch.");
  const removed = { turns: 2, events: expect.any(Number) as number, attachments: 0, cli_files: 1 };
  expect(await remove(session)).toEqual({ session, removed });
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(findSessionFile(places(gateway), session)).toBeUndefined();
  // The branch has its own copy of what it was told.
  expect(left().filter((path) => !path.includes(branch.session))).toEqual([]);
  expect(await remove(branch.session)).toMatchObject({ session: branch.session, removed: { turns: 3, cli_files: 1 } });
  expect([...left(), ...filesWith(scene.folder, branch.session)]).toEqual([]);
});

/**
 * Files and folders below it whose names hold the text, or that hold it themselves. The database's own are left out, and the CLI's counter of
 * its own use, which names the newest session and nothing of it.
 */
function filesWith(folder: string, text: string): string[] {
  return entriesOf(folder).flatMap((entry) => {
    const path = join(folder, entry.name);
    // Of live processes, whose files come and go; the CLI itself; and the counter.
    if (
      entry.name === "run" ||
      entry.name === "cli" ||
      entry.name.startsWith("sluice.sqlite") ||
      path.endsWith("/plugins/store")
    )
      return [];
    const isFound = path.includes(text) || (entry.isFile() && readFileSync(path, "utf8").includes(text));
    return [...(isFound ? [path] : []), ...(entry.isDirectory() ? filesWith(path, text) : [])];
  });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // It has just been removed.
    return [];
  }
}

test("[L5] events that an age limit removed are a gap, a turn without any still says how it ended, and old uploads are gone", async () => {
  const own = await openGateway(scene);
  const first = await say(undefined, "demo:text Too old soon.", own);
  const { last_seq: last } = await own.session(first.session);
  const init = { method: "POST", body: "%PDF-1.4", headers: { "content-type": "application/pdf" } };
  const upload = (await (await own.fetch("/api/attachments", init)).json()) as { attachment: string };
  await own.close();
  const database = new DatabaseSync(join(own.dataFolder, "sluice.sqlite"));
  database.prepare("UPDATE uploads SET at = ?").run(Date.now() - 8 * 24 * 60 * 60 * 1000);
  database.close();
  const limits = { transcript_age_days: 1e-9 };
  const again = await openGateway(scene, { dataFolder: own.dataFolder, limits });
  try {
    expect((await again.fetch(`/api/attachments/${upload.attachment}`)).status).toBe(404);
    const url = first.events_url.replace(own.address, again.address);
    const text = await (await fetch(url, { headers: { ...again.headers, accept: "text/event-stream" } })).text();
    const types = [...text.matchAll(/^event: (\w+)/gm)].map(([, type]) => type);
    expect(types).toEqual(["ping", "gap", "turn_completed"]);
    expect(text).toContain(`"oldest":${last + 1}`);
    expect(text).toContain(`/api/sessions/${first.session}/transcript`);
    const next = await say(first.session, "demo:text Still here.", again);
    expect(requestWith("Still here.")).toContain("Too old soon.");
    expect(next).toMatchObject({ state: "completed" });
  } finally {
    await again.close();
  }
});

test.skipIf(lacksCurl)("the README's lines make, warm, ask, find, rename, branch and remove a session", async () => {
  const own = await openGateway(scene, { openCaller: { key: "demo", user: null, reach: "all" } });
  try {
    const lines = /<!-- run: sessions -->\s*```sh\n([^]*?)\n```/.exec(readme)![1]!.split("\n");
    let session = "";
    const replies: Record<string, unknown>[] = [];
    for (const line of lines) {
      const command = line.replaceAll("localhost:8787", new URL(own.address).host);
      const env = { ...process.env, SESSION: session };
      const { stdout } = await promisify(execFile)("bash", ["-c", command], { env });
      const reply = JSON.parse(stdout) as Record<string, unknown>;
      replies.push(reply);
      session ||= reply["session"] as string;
    }
    expect(replies).toMatchObject([
      { session, title: "Harbour", state: null },
      { session, warm: true },
      { session, state: "completed" },
      { sessions: [{ session }], next_cursor: null },
      { session, title: "Port" },
      { title: "Port", state: "completed" },
      { session, removed: { turns: 1, cli_files: 1 } },
    ]);
    expect(replies[5]!["session"]).not.toBe(session);
  } finally {
    await own.close();
  }
});
