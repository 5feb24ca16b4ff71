// [A7] What must never leave its place is planted and looked for: in the log and whatever else the gateway writes, in refusals, and in all that another
// user can ask for; over turns that end well, fail, and lose their CLI, refused requests, a bug, and a crash of the gateway itself.
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createClient, jsonBody, spawnGateway, type ChildGateway, type Client } from "../support/gateway.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

const canaries: Record<string, string> = {
  key: "canary-of-the-service-key",
  oauth: "canary-of-the-oauth-token",
  environment: "canary-of-the-environment",
  prompt: "canary-of-the-prompt",
};

let scene: Scene;
let gateway: ChildGateway;
let page: Client;
let ann: Client;
let bob: Client;
/** Bodies and headers of every refusal. */
const refusals: string[] = [];

beforeAll(async () => {
  scene = await openScene({ CLAUDE_CODE_OAUTH_TOKEN: canaries["oauth"], TEAM_SECRET: canaries["environment"] });
  gateway = await spawnGateway(scene, {
    agents: [{ name: "tester", allowed_tools: ["Bash"] }],
    environment: { SLUICE_LOG: "trace", SLUICE_KEYS: `page:${canaries["key"]}` },
  });
  page = createClient(gateway.address, canaries["key"]);
  [ann, bob] = [await user("ann"), await user("bob")];
});
afterAll(async () => {
  await gateway.kill("SIGKILL");
  await scene.close();
});

async function user(name: string): Promise<Client> {
  const { token } = (await (await page.fetch("/api/tokens", jsonBody({ user: name }))).json()) as { token: string };
  canaries[`token of ${name}`] = token;
  return createClient(gateway.address, token);
}

/** Runs a turn with the prompt's canary in it. */
async function run(script: string) {
  const { turn } = await ann.post(`${script}\n${canaries["prompt"]}`);
  return ann.ended(turn);
}

async function refused(status: number, reply: Promise<Response>): Promise<void> {
  const {
    status: got,
    headers,
    ...rest
  } = await reply.then(async (it) => ({
    status: it.status,
    headers: JSON.stringify([...it.headers]),
    text: await it.text(),
  }));
  expect(got).toBe(status);
  refusals.push(headers, rest.text);
}

function found(text: string, names = Object.keys(canaries)): string[] {
  return names.filter((name) => text.includes(canaries[name]!));
}

test("[A7] turns: no secret reaches the model's tools; a prompt stands in its own session and in no other's", async () => {
  const told = await run('demo:tool Bash {"command":"env"}');
  expect(told).toMatchObject({ state: "completed" });
  const own = await (await ann.fetch(`/api/sessions/${told.session}/transcript?format=ndjson`)).text();
  expect(own).toContain("SLUICE_PROCESS=");
  expect(found(own)).toEqual(["prompt"]);
  // What the CLI itself was given is closed to its tools.
  const given = await run(String.raw`demo:tool Bash {"command":"tr '\\0' '\\n' < /proc/$CLAUDE_PID/environ"}`);
  expect(given["text"]).toContain("Permission denied");
  expect(found(given["text"] as string)).toEqual([]);

  expect(await run("demo:error status=500")).toMatchObject({ state: "failed", code: "api_error" });
  expect(await run('demo:tool Bash {"command":"kill -9 $PPID"}')).toMatchObject({ state: "failed" });

  const asked = [
    "/api/turns",
    "/api/sessions",
    `/api/sessions?q=${canaries["prompt"]}`,
    "/api/approvals",
    "/api/usage",
  ];
  const seen = await Promise.all(asked.map(async (path) => (await bob.fetch(path)).text()));
  expect(found(seen.join(""))).toEqual([]);
  // She who may see it finds it in the same way.
  const hers = (await (await ann.fetch(asked[2]!)).json()) as { sessions: unknown[] };
  expect(hers.sessions).toHaveLength(4);
});

test("[A7] refused requests and a bug tell nobody anything", async () => {
  const { turn, session } = await run("demo:text hello");
  const reply = await ann.fetch(`/api/sessions/${session}/ticket`, { method: "POST" });
  canaries["ticket"] = ((await reply.json()) as { ticket: string }).ticket;
  const none = createClient(gateway.address, undefined);
  const { prompt, ticket, key } = canaries as Record<"prompt" | "ticket" | "key", string>;
  await refused(404, bob.fetch(`/api/turns/${turn}`));
  await refused(404, bob.fetch(`/api/sessions/${session}/events?ticket=${ticket}`));
  await refused(401, none.fetch(`/api/turns?ticket=${ticket}&key=${key}`));
  await refused(401, createClient(gateway.address, `${key}-almost`).fetch("/api/turns"));
  await refused(405, ann.fetch(`/api/turns/${turn}?${prompt}`, { method: "DELETE" }));
  await refused(403, ann.fetch(`/api/turns/${turn}/diagnostics`));
  await refused(400, ann.fetch("/api/turns", { ...jsonBody(""), body: `{"prompt": "${prompt}"` }));
  await refused(400, ann.fetch("/api/turns", jsonBody({ prompt, on_busy: prompt })));
  await refused(413, ann.fetch("/api/turns", jsonBody({ prompt: prompt.repeat(150_000) })));
  // The database as no gateway writes it: whatever reads the row now throws an error that quotes it.
  const database = new DatabaseSync(join(gateway.dataFolder, "sluice.sqlite"));
  database.prepare("UPDATE turns SET prompt = ? WHERE turn = ?").run(prompt, turn);
  database.close();
  await refused(500, ann.fetch(`/api/turns/${turn}`));
  expect(found(refusals.join("\n"))).toEqual([]);
});

test("[A7] the log has every request and the bug, and not one canary", async () => {
  const { stdout, stderr } = await gateway.kill("SIGTERM");
  const lines = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as { msg: string; path?: string; status?: number; err?: { type: string } });
  expect(lines.filter(({ path, status }) => path === "/api/turns" && status === 401)).toHaveLength(2);
  expect(lines.filter(({ msg }) => msg === "bug").map(({ err }) => err?.type)).toEqual(["SyntaxError"]);
  expect(found(stdout + stderr)).toEqual([]);
});

test("[A7] a crash of the gateway is told without the words of its error", async () => {
  // Once it has said that it listens, however long that takes.
  const crash = `const { log } = console; console.log = (...words) => {
    log(...words);
    setTimeout(() => JSON.parse(${JSON.stringify(canaries["prompt"])}), 100);
  };`;
  const doomed = await spawnGateway(scene, {
    environment: { NODE_OPTIONS: `--import data:text/javascript;base64,${Buffer.from(crash).toString("base64")}` },
  });
  const { code, stdout, stderr } = await doomed.exited;
  expect(code).toBe(70);
  expect(JSON.parse(stderr.trim().split("\n").at(-1)!)).toMatchObject({ msg: "crash", err: { type: "SyntaxError" } });
  expect(found(stdout + stderr)).toEqual([]);
});
