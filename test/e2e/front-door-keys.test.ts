import { execFile } from "node:child_process";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { spawn as spawnPty } from "node-pty";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  binFile,
  createClient,
  gatewayEnvironment,
  jsonBody,
  newFolder,
  runSluice,
  spawnGateway,
  type ChildGateway,
} from "../support/gateway.ts";
import { openReader } from "../support/reader.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

const root = resolve(import.meta.dirname, "../..");
let scene: Scene;
let gateway: ChildGateway;
const revocationS = 0.6;
const settings = { agents: [{ name: "default" }, { name: "other" }], limits: { revocation_s: revocationS } };

beforeAll(async () => {
  scene = await openScene();
  gateway = await spawnGateway(scene, settings);
});
afterAll(async () => {
  await gateway.kill("SIGTERM");
  await scene.close();
});

const sluice = (args: readonly string[], dataFolder = gateway.dataFolder, environment = {}) =>
  runSluice(args, gatewayEnvironment(scene, { ...settings, dataFolder, environment }));
const secretIn = (stdout: string) => stdout.split("\n")[0]!;
const client = (key: string) => createClient(gateway.address, key);

/** Makes a key; resolves with a client that has it, once the gateway knows it. */
async function addKey(name: string, ...args: string[]) {
  const { code, stdout } = await sluice(["key", "add", name, ...args]);
  expect(code).toBe(0);
  const secret = secretIn(stdout);
  await until(
    "the gateway to know the key",
    async () => (await client(secret).fetch("/api/turns")).status !== 401,
    30_000,
  );
  return { secret, ...client(secret) };
}

describe("sluice key, while a gateway runs [A8]", () => {
  test("adds a key whose secret is shown once and is in no file", async () => {
    const { secret } = await addKey("wiki");
    expect(secret).toMatch(/^sluice_[\w-]{32}$/);
    for (const name of readdirSync(gateway.dataFolder, { recursive: true, encoding: "utf8" })) {
      const file = join(gateway.dataFolder, name);
      if (!statSync(file).isFile()) continue;
      expect([name, readFileSync(file).includes(secret)]).toEqual([name, false]);
    }
    const { stdout } = await sluice(["key", "list"]);
    expect(stdout).toMatch(
      /^wiki {2}in use {2}made \S+Z {2}scopes turns,transcripts,agents,approvals,usage,tokens {2}agents all$/m,
    );
    expect(stdout).not.toContain(secret);
  });

  test("limits a key to scopes and agents", async () => {
    const key = await addKey("few", "--scopes", "turns,tokens", "--agents", "other");
    expect((await sluice(["key", "list"])).stdout).toMatch(/^few {2}in use .* scopes turns,tokens {2}agents other$/m);
    expect((await key.fetch("/api/usage")).status).toBe(403);
    expect((await key.fetch("/api/turns", jsonBody({ prompt: "x", agent: "default" }))).status).toBe(404);
    const turn = await key.post("hello", { agent: "other" });
    expect(await key.ended(turn.turn)).toMatchObject({ state: "completed", agent: "other" });
  });

  test("[CVE-2026-44553] a revoked key loses its open streams within revocation_s, and so do its token and ticket", async () => {
    const key = await addKey("leaked");
    const turn = await key.post("hello", { agent: "default", user: "ann" });
    const { token } = (await (await key.fetch("/api/tokens", jsonBody({ user: "ann" }))).json()) as { token: string };
    const events = `${gateway.address}/api/sessions/${turn.session}/events`;
    const made = await key.fetch(`/api/sessions/${turn.session}/ticket`, { method: "POST" });
    const { ticket } = (await made.json()) as { ticket: string };
    const readers = await Promise.all([
      openReader(events, { headers: key.headers }),
      openReader(events, { headers: { authorization: `Bearer ${token}` } }),
      openReader(`${events}?ticket=${ticket}`),
      openReader(events, { headers: gateway.headers }),
    ]);
    expect(readers.map(({ status }) => status)).toEqual([200, 200, 200, 200]);
    const revoked = await sluice(["key", "revoke", "leaked"]);
    expect([revoked.code, revoked.stdout]).toEqual([
      0,
      `Revoked. A running gateway cuts its streams within ${revocationS} s.\n`,
    ]);
    const began = performance.now();
    expect(await Promise.all(readers.slice(0, 3).map(({ ended }) => ended))).toEqual(["cut", "cut", "cut"]);
    // The promise, and what a loaded machine adds.
    expect(performance.now() - began).toBeLessThan(revocationS * 1000 + 2000);
    for (const headers of [key.headers, { authorization: `Bearer ${token}` }])
      expect((await fetch(events, { headers })).status).toBe(401);
    expect((await fetch(`${events}?ticket=${ticket}`)).status).toBe(401);
    // The administrator's own stream of that session goes on.
    const goesOn = readers[3];
    expect((await gateway.fetch("/api/turns", jsonBody({ prompt: "more", session: turn.session }))).status).toBe(202);
    await goesOn.find("the next turn", ({ type, turn: of }) => type === "turn_completed" && of !== turn.turn);
    goesOn.leave();
    expect((await sluice(["key", "list"])).stdout).toMatch(/^leaked {2}revoked \S+Z /m);
    // Its name can be given again, and brings back the sessions alone.
    const again = await addKey("leaked");
    expect((await again.fetch(`/api/sessions/${turn.session}`)).status).toBe(200);
    expect((await fetch(events, { headers: { authorization: `Bearer ${token}` } })).status).toBe(401);
  });

  test.each([
    [["key"], "add NAME, revoke NAME or list"],
    [["key", "add"], "add NAME, revoke NAME or list"],
    [["key", "add", "a", "b"], "add NAME, revoke NAME or list"],
    [["key", "list", "x"], "add NAME, revoke NAME or list"],
    [["key", "add", "a b"], "1 to 64 of A-Z, a-z, 0-9, _ and -"],
    [["key", "add", "local"], 'the name "local" is taken'],
    [["key", "add", "visitors"], 'the name "visitors" is taken'],
    [["key", "add", "x", "--scopes", "turns,root"], '"root" is none of'],
    [["key", "add", "x", "--scopes", ""], '"" is none of'],
    [["key", "add", "x", "--agents", "nobody"], 'no agent "nobody"'],
    [["key", "add", "x", "--agents", ""], 'no agent ""'],
    [["key", "revoke", "nobody"], 'no key "nobody"'],
    [["key", "revoke", "local"], 'no key "local"'],
    [["token"], "either --link or --user NAME"],
    [["token", "--link", "--user", "ann"], "either --link or --user NAME"],
  ])("sluice %s is refused in one line", async (args, reason) => {
    const { code, stderr, stdout } = await sluice(args);
    expect([code, stdout]).toEqual([2, ""]);
    expect(stderr).toContain(reason);
    expect(stderr.split("\n").length).toBeLessThan(5);
  });

  test("works before the first start, in a folder that only its owner may read", async () => {
    const folder = join(newFolder(scene, "fresh"), "data");
    const { code, stdout } = await sluice(["key", "add", "early"], folder);
    expect([code, statSync(folder).mode & 0o777]).toEqual([0, 0o700]);
    const early = await spawnGateway(scene, { ...settings, dataFolder: folder });
    try {
      expect((await createClient(early.address, secretIn(stdout)).fetch("/api/turns")).status).toBe(200);
    } finally {
      await early.kill("SIGTERM");
    }
  });
});

describe("sluice token", () => {
  test("--link signs a browser in once; --user gives a browser token", async () => {
    const link = new URL((await sluice(["token", "--link"])).stdout.trim());
    expect(link.origin).toBe(gateway.address);
    const send = () =>
      fetch(`${gateway.address}/sign-in`, {
        method: "POST",
        body: new URLSearchParams(link.searchParams),
        redirect: "manual",
      });
    const [first, second] = [await send(), await send()];
    expect([first.status, second.status]).toEqual([303, 401]);
    const cookie = first.headers.get("set-cookie")!.split(";")[0]!;
    expect((await fetch(`${gateway.address}/api/turns`, { headers: { cookie } })).status).toBe(200);
    const token = (await sluice(["token", "--user", "ann"])).stdout.trim();
    expect((await client(token).fetch("/api/turns")).status).toBe(200);
    expect((await client(token).fetch("/api/usage")).status).toBe(403);
  });

  test("without a gateway says so", async () => {
    const { code, stderr } = await sluice(["token", "--link"], newFolder(scene, "empty"));
    expect([code, stderr]).toEqual([1, expect.stringContaining("No gateway runs on the data folder")]);
  });
});

test("[A1] at a terminal the start prints a link that signs in once; elsewhere it prints none", async () => {
  const environment = { ...gatewayEnvironment(scene, settings), TERM: "xterm" };
  const terminal = spawnPty(process.execPath, [binFile, "serve"], { env: environment, cols: 300 });
  let said = "";
  terminal.onData((text) => (said += text));
  const exited = new Promise<number>((done) => terminal.onExit(({ exitCode }) => done(exitCode)));
  const [, link] = await until("the link", () => /in, once, and chat: (http:\S+)\r\n/.exec(said), 30_000);
  const { origin, searchParams } = new URL(link!);
  const send = () => fetch(`${origin}/sign-in`, { method: "POST", body: searchParams, redirect: "manual" });
  const statuses = [(await send()).status, (await send()).status];
  terminal.write("\u0003");
  expect([statuses, await exited]).toEqual([[303, 401], 0]);
  const own = await spawnGateway(scene, settings);
  const { stdout } = await own.kill("SIGTERM");
  expect(stdout).toBe(`listening on ${own.address}\n`);
});

test("the README's lines about keys and tokens do what it says", async () => {
  const readme = readFileSync(new URL("../../README.md", import.meta.url), "utf8");
  const lines = /<!-- run: keys -->\s*```sh\n([^]*?)```/.exec(readme)![1]!.trim().split("\n");
  const own = await spawnGateway(scene, settings);
  try {
    const env = gatewayEnvironment(scene, { ...settings, dataFolder: own.dataFolder });
    const outputs: string[] = [];
    for (const line of lines)
      outputs.push((await promisify(execFile)("bash", ["-c", line], { env, cwd: root })).stdout);
    const [added, listed, revoked, link, token] = outputs;
    expect(added).toMatch(/^sluice_[\w-]{32}\n/);
    expect(listed).toMatch(/^wiki {2}in use .* scopes turns,transcripts,approvals,tokens {2}agents default\n$/);
    expect(revoked).toContain("Revoked.");
    expect(link).toContain(`${own.address}/sign-in?code=`);
    expect((await createClient(own.address, token!.trim()).fetch("/api/sessions")).status).toBe(200);
  } finally {
    await own.kill("SIGTERM");
  }
});

describe("[A1] SLUICE_KEYS", () => {
  const environment = { SLUICE_KEYS: "wiki:wiki-secret-0123456789,cron:cron-secret-0123456789" };

  test("are the gateway's keys, each with its own sessions, instead of the self-made one", async () => {
    const dataFolder = newFolder(scene, "keys");
    // An earlier start without them has left a key behind: it must not be taken for one of now.
    const before = await spawnGateway(scene, { ...settings, dataFolder });
    await before.kill("SIGTERM");
    const configured = await spawnGateway(scene, { ...settings, dataFolder, environment });
    try {
      expect(
        (await createClient(configured.address, readFileSync(join(dataFolder, "key"), "utf8")).fetch("/api/turns"))
          .status,
      ).toBe(401);
      const [wiki, cron] = ["wiki", "cron"].map((name) =>
        createClient(configured.address, `${name}-secret-0123456789`),
      );
      const made = await wiki!.fetch("/api/sessions", jsonBody({ agent: "default" }));
      const { session } = (await made.json()) as { session: string };
      expect((await cron!.fetch(`/api/sessions/${session}`)).status).toBe(404);
      expect((await wiki!.fetch(`/api/sessions/${session}`)).status).toBe(200);
      const link = await sluice(["token", "--link"], dataFolder, environment);
      expect([link.code, link.stdout]).toEqual([0, expect.stringContaining(`${configured.address}/sign-in?code=`)]);
      const keyless = await sluice(["token", "--link"], dataFolder);
      expect([keyless.code, keyless.stderr]).toEqual([2, expect.stringContaining("those of its SLUICE_KEYS")]);
      const taken = await sluice(["key", "add", "wiki"], dataFolder, environment);
      expect(taken.stderr).toContain('the name "wiki" is taken');
    } finally {
      await configured.kill("SIGTERM");
    }
  });

  test.each([
    ["short:tooshort", "at least 16 characters"],
    ["a:0123456789abcdef,a:fedcba9876543210", "must not name a key twice"],
    ["visitors:0123456789abcdef", "must not name a key visitors"],
    ["0123456789abcdef0123456789", "must be name:secret"],
  ])("%s is refused at the start, without being repeated", async (keys, reason) => {
    const { code, stderr } = await sluice(["serve"], newFolder(scene, "refused"), { SLUICE_KEYS: keys });
    expect(code).toBe(2);
    expect(stderr).toContain(reason);
    expect(stderr).not.toContain(keys.split(":").at(-1));
  });
});

test("[A7] nothing that was shown to the gateway is in its log", async () => {
  const noisy = await spawnGateway(scene, { ...settings, environment: { SLUICE_LOG: "trace" } });
  const key = noisy.headers["authorization"]!.slice("Bearer ".length);
  const turn = await noisy.post("a prompt that nobody else may read", { agent: "default" });
  await noisy.ended(turn.turn);
  const { ticket } = (await (await noisy.fetch(`/api/sessions/${turn.session}/ticket`, { method: "POST" })).json()) as {
    ticket: string;
  };
  await (await fetch(`${noisy.address}/api/turns/${turn.turn}/events?ticket=${ticket}`)).text();
  await noisy.fetch("/api/turns", {
    method: "POST",
    body: "{broken: a prompt that",
    headers: { "content-type": "application/json" },
  });
  const { stdout, stderr } = await noisy.kill("SIGTERM");
  const log = stdout + stderr;
  expect(log).toContain(`/api/turns/${turn.turn}/events`);
  for (const secret of [key, ticket, "a prompt that"]) expect(log.includes(secret)).toBe(false);
});
