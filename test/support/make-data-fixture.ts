// Makes a fixture such as test/fixtures/data-0.1: what an installation of the present version leaves on disk, with one of everything.
// `node test/support/make-data-fixture.ts FOLDER`. All paths in it are of /srv/sluice, which must not exist and is removed afterwards.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { gunzipSync, gzipSync } from "node:zlib";
import { markedWith } from "../../gateway/claude/process-table.ts";
import { findSessionFile } from "../../gateway/claude/session-file.ts";
import { png } from "./attachments.ts";
import { copyFixture, readTranscript, type Expected } from "./data-fixture.ts";
import { createClient, gatewayEnvironment, jsonBody, runSluice, spawnGateway, type Client } from "./gateway.ts";
import { openReader } from "./reader.ts";
import { openScene, type Scene } from "./real-cli.ts";
import { until } from "./wait.ts";

const root = "/srv/sluice";
const target = process.argv[2];
if (target === undefined) throw new Error("name the folder of the fixture");
if (existsSync(root)) throw new Error(`${root} exists: it would be overwritten`);

const page = "https://www.example.org";
const configuration = {
  agents: [
    { name: "default", description: "Works in the shared workspace", allowed_tools: ["Write", "Agent", "Task"] },
    { name: "desk", workspace: join(root, "desk"), allowed_tools: ["Write"], instructions: "Answer in one sentence." },
    { name: "front", permission_mode: "dontAsk" as const, public: { origins: [page] } },
  ],
  limits: { running_turns: 4 },
  allowed_origins: ["https://intranet.example"],
  workspace_roots: [join(root, "desk")],
};
const { agents, limits, ...file } = configuration;
const settings = { agents, limits, file, dataFolder: join(root, "data") };

const ownScene = await openScene();
const environment = { ...ownScene.environment, PATH: "/usr/local/bin:/usr/bin:/bin", HOME: join(root, "home") };
const scene: Scene = { ...ownScene, folder: root, environment };
const expected: Expected = {
  keys: {},
  attachment: "",
  sessions: {},
  transcripts: {},
  usage: null,
  cut: { turn: "", text: "" },
  waiting: { turn: "", approval: "", text: "" },
  queued: [],
};

try {
  for (const folder of ["home", "desk"]) mkdirSync(join(root, folder), { recursive: true });
  await makeSessions();
  await makeUnfinished();
  pack(target);
  await recordRecovery(target);
  writeFileSync(join(target, "expected.json"), `${JSON.stringify(expected, null, 1)}\n`);
} finally {
  rmSync(root, { recursive: true, force: true });
  await ownScene.close();
}

async function call<T>(client: Client, path: string, init: RequestInit): Promise<T> {
  const reply = await client.fetch(path, init);
  if (!reply.ok) throw new Error(`${path} is refused: ${await reply.text()}`);
  return (await reply.json()) as T;
}

/** Runs a turn of one of the fixture's sessions, which begins with its first. */
async function say(client: Client, name: string, prompt: unknown, body: Record<string, unknown> = {}) {
  const session = expected.sessions[name];
  const where = session === undefined ? { agent: "default" } : { session };
  const posted = await client.post(prompt as string, { ...where, ...body });
  expected.sessions[name] = posted.session;
  return client.ended(posted.turn);
}

/** By the command line, as an operator makes one. */
async function addKey(name: string): Promise<void> {
  const { code, stdout, stderr } = await runSluice(["key", "add", name], gatewayEnvironment(scene, settings));
  if (code !== 0) throw new Error(stderr);
  expected.keys[name] = stdout.split("\n")[0]!;
}

/** Everything that has ended, by a gateway that was ended as it should be. */
async function makeSessions(): Promise<void> {
  for (const name of ["wiki", "former"]) await addKey(name);
  await runSluice(["key", "revoke", "former"], gatewayEnvironment(scene, settings));
  const gateway = await spawnGateway(scene, settings);
  const wiki = createClient(gateway.address, expected.keys["wiki"]);

  const told = await say(gateway, "told", 'Remember the word "kingfisher".', { metadata: { ticket: 7 } });
  const rating = JSON.stringify({ rating: "up", comment: "It kept the word." });
  const headers = { "content-type": "application/json" };
  await call(gateway, `/api/turns/${told.turn}/rating`, { method: "PUT", body: rating, headers });
  await say(gateway, "told", "demo:text The word was said.", { context: { page: "/birds" } });

  const image = { method: "POST", body: png, headers: { "content-type": "image/png" } };
  expected.attachment = (await call<{ attachment: string }>(gateway, "/api/attachments", image)).attachment;
  const source = { type: "attachment", attachment: expected.attachment };
  const words = { type: "text", text: "demo:text This is a dunnock." };
  await say(gateway, "told", [{ type: "image", source }, words]);

  await say(gateway, "tools", 'demo:tool Write {"file_path":"notes/harbour.md","content":"The bittern booms.\\n"}');
  await allowed(gateway, "tools", 'demo:tool Bash {"command":"cat notes/harbour.md > bittern.txt; cat bittern.txt"}');
  const title = JSON.stringify({ title: "Notes of the harbour" });
  await call(gateway, `/api/sessions/${expected.sessions["tools"]}`, { method: "PATCH", body: title, headers });

  const task = { description: "look", prompt: "demo:text A goldcrest below.", subagent_type: "general-purpose" };
  await say(gateway, "subagent", `demo:tool Agent ${JSON.stringify(task)}\ndemo:text It saw a goldcrest.`);

  const first = await say(gateway, "parent", "demo:text First a wren.");
  await say(gateway, "parent", "demo:text Then a hoopoe.");
  const fork = async (name: string, body: object) => {
    const path = `/api/sessions/${expected.sessions["parent"]}/fork`;
    expected.sessions[name] = (await call<{ session: string }>(gateway, path, jsonBody(body))).session;
  };
  await fork("fork", {});
  await say(gateway, "fork", "demo:text Here a fieldfare.");
  await fork("unbegun fork", { turn: first.turn });
  await say(gateway, "parent", "demo:text Last a nuthatch.");

  await say(wiki, "user", "demo:text For Ann a siskin.", { user: "ann" });
  await call(gateway, "/api/agents", jsonBody({ name: "guide", instructions: "Answer in one sentence." }));
  const message = jsonBody({ prompt: "demo:text The guide saw a redstart." }, { prefer: "wait=60" });
  const standing = await call<{ session: string }>(wiki, "/api/agents/guide/message?user=ann", message);
  expected.sessions["standing"] = standing.session;

  await say(gateway, "desk", 'demo:tool Write {"file_path":"wheatear.md","content":"A wheatear.\\n"}', {
    agent: "desk",
  });
  await visit(gateway.address);
  await say(gateway, "restored", "demo:text Long ago a whinchat.");
  await say(gateway, "continued", "demo:text Before the damage a stonechat.");
  const cancelled = await gateway.post("demo:long words=200 rate=20", { session: expected.sessions["desk"] });
  await firstWords(gateway, cancelled.events_url);
  await call(gateway, `/api/turns/${cancelled.turn}/cancel`, { method: "POST" });
  await gateway.kill("SIGTERM");
}

/** A turn whose tool is allowed for the rest of the session. */
async function allowed(gateway: Client, name: string, prompt: string): Promise<void> {
  const { turn } = await gateway.post(prompt, { session: expected.sessions[name] });
  const { approval } = await pending(gateway, turn);
  await call(gateway, `/api/approvals/${approval}`, jsonBody({ decision: "allow", scope: "session" }));
  await gateway.ended(turn);
}

function pending(gateway: Client, turn: string): Promise<{ approval: string }> {
  return until("a question", async () => {
    const { approvals } = (await (await gateway.fetch("/api/approvals")).json()) as {
      approvals: { approval: string; turn: string }[];
    };
    return approvals.find((one) => one.turn === turn);
  });
}

async function firstWords(client: Client, url: string): Promise<void> {
  const reader = await openReader(url, client);
  await reader.find("its first words", ({ delta }) => JSON.stringify(delta)?.includes("word5") ?? false);
  reader.leave();
}

/** What a visitor of the public agent's page does. */
async function visit(address: string): Promise<void> {
  const init = jsonBody({ agent: "front" }, { origin: page });
  const { token } = await call<{ token: string }>(createClient(address, undefined), "/api/tokens", init);
  await say(createClient(address, token), "visitor", "demo:text Out front a chough.", { agent: "front" });
}

/** What a second gateway continued, and what it was doing when it was killed. */
async function makeUnfinished(): Promise<void> {
  const gateway = await lose();
  await say(gateway, "restored", "demo:text Brought back with the whinchat.");
  await say(gateway, "continued", "demo:text This is not heard.");
  await say(gateway, "continued", "demo:text After the damage too.", { continue_from: "transcript" });
  await say(gateway, "told", "And what was that word?");
  await say(gateway, "busy", "demo:text Before it all a pipit.");
  await say(gateway, "asking", "demo:text Nobody answered the twite.");
  for (const [name, session] of Object.entries(expected.sessions))
    if (name !== "busy" && name !== "asking") expected.transcripts[name] = await readTranscript(gateway, session);
  const wiki = createClient(gateway.address, expected.keys["wiki"]);
  expected.usage = (await call<{ total: unknown }>(wiki, "/api/usage?user=ann", {})).total;

  const { turn } = await gateway.post('demo:tool Bash {"command":"touch twite.txt"}', {
    session: expected.sessions["asking"],
  });
  expected.waiting = { turn, approval: (await pending(gateway, turn)).approval, text: "" };
  const session = expected.sessions["busy"];
  const running = await gateway.post("demo:long words=2000 rate=20", { session });
  await firstWords(gateway, running.events_url);
  for (const text of ["It waited for the pipit.", "It waited longer."]) {
    const queued = await gateway.post(`demo:text ${text}`, { session, metadata: { waited: true } });
    expected.queued.push({ turn: queued.turn, text });
  }
  expected.cut = { turn: running.turn, text: "" };
  const markers = new Set(readdirSync(join(settings.dataFolder, "run")));
  await gateway.kill("SIGKILL");
  await until("its processes to be gone", () => markedWith(markers).length === 0, 30_000);
}

/** Takes away what one session has, damages what another has, and starts the second gateway. */
async function lose() {
  const fileOf = (name: string) => findSessionFile({ environment }, expected.sessions[name]!)!;
  rmSync(fileOf("restored"));
  writeFileSync(fileOf("continued"), "this is no session\n");
  return spawnGateway(scene, settings);
}

/** Only what is to be kept: no locks, no private folders of processes, of the CLI's config folder what belongs to sessions. */
function pack(folder: string): void {
  const { dataFolder } = settings;
  const isKept = (path: string) => !/\/(run|lock\.[^/]*)$/.test(path);
  for (const name of ["data", "claude", "desk"]) rmSync(join(folder, name), { recursive: true, force: true });
  cpSync(dataFolder, join(folder, "data"), { recursive: true, filter: isKept });
  cpSync(join(root, "desk"), join(folder, "desk"), { recursive: true });
  cpSync(join(root, "home/.claude/projects"), join(folder, "claude/projects"), { recursive: true });
  for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const path = join(folder, name);
    if (name.endsWith(".jsonl")) writeFileSync(path, withoutKernel(readFileSync(path, "utf8")));
  }
  packDatabase(join(folder, "data/sluice.sqlite"));
  writeFileSync(join(folder, "sluice.config.json"), `${JSON.stringify(configuration, null, 2)}\n`);
}

function packDatabase(path: string): void {
  const database = new DatabaseSync(path);
  const snapshots = database.prepare("SELECT session, packed FROM snapshots").all();
  const update = database.prepare("UPDATE snapshots SET packed = ? WHERE session = ?");
  for (const { session, packed } of snapshots as { session: string; packed: Uint8Array }[])
    update.run(gzipSync(withoutKernel(gunzipSync(packed).toString("utf8"))), session);
  // As a kill between an answer and its snapshot leaves it: the CLI's file is all that there is of its memory.
  database.prepare("DELETE FROM snapshots WHERE session = ?").run(expected.sessions["busy"]!);
  database.exec("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/** The CLI notes the kernel's version, which says something of the machine that made this. */
function withoutKernel(text: string): string {
  return text.replaceAll(release(), "6.1.0");
}

/** What this version says of the turns that ended with the gateway. */
async function recordRecovery(folder: string): Promise<void> {
  writeFileSync(join(folder, "expected.json"), JSON.stringify(expected));
  const { settings: copied } = copyFixture(ownScene, folder);
  const gateway = await spawnGateway(ownScene, copied);
  for (const unfinished of [expected.cut, expected.waiting])
    unfinished.text = String((await gateway.ended(unfinished.turn))["text"]);
  await gateway.kill("SIGTERM");
}
