// `sluice serve`, `ask` and `demo` as a person at a terminal has them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { spawn as spawnPty } from "node-pty";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readHolder } from "../../gateway/data-folder.ts";
import { readSelfMadeKey } from "../../gateway/keys.ts";
import {
  binFile,
  createClient,
  gatewayEnvironment,
  newFolder,
  openGateway,
  runSluice,
  spawnGateway,
  type ChildGateway,
} from "../support/gateway.ts";
import { startProxy } from "../support/proxy.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
let gateway: ChildGateway;
beforeAll(async () => {
  scene = await openScene();
  gateway = await spawnGateway(scene);
});
afterAll(async () => {
  await gateway.kill("SIGTERM");
  await scene.close();
});

/** The files of data folders that this process has open. */
function openFiles(): string[] {
  const targets = readdirSync("/proc/self/fd").map((fd) => {
    // The descriptor that lists the folder is gone by now.
    const target = `/proc/self/fd/${fd}`;
    return existsSync(target) ? readlinkSync(target) : "";
  });
  return targets.filter((target) => target.startsWith(scene.folder)).toSorted();
}

const serve = (settings: Parameters<typeof gatewayEnvironment>[1]) =>
  runSluice(["serve"], gatewayEnvironment(scene, settings));

test("[P8] a second gateway on a data folder is refused with the first one's pid", async () => {
  const { code, stdout, stderr } = await serve({ dataFolder: gateway.dataFolder });
  expect([code, stdout]).toEqual([1, ""]);
  expect(stderr).toContain(`is in use by another gateway (pid ${gateway.pid}).`);
  expect((await gateway.fetch("/readyz")).status).toBe(200);
});

test("a port that is taken is named, and nothing is left of the start", async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
  const { port } = taken.address() as AddressInfo;
  const dataFolder = newFolder(scene, "taken");
  const { code, stderr } = await serve({ port, dataFolder });
  expect([code, stderr]).toEqual([1, expect.stringContaining(`127.0.0.1:${port} is in use.`)]);
  const openBefore = openFiles();
  await expect(openGateway(scene, { port, dataFolder })).rejects.toMatchObject({ fault: "port_taken" });
  expect(openFiles()).toEqual(openBefore);
  await new Promise((resolve) => taken.close(resolve));
  const next = await spawnGateway(scene, { port, dataFolder });
  expect(next.address).toBe(`http://127.0.0.1:${port}`);
  expect((await next.kill("SIGINT")).code).toBe(0);
});

test("`token` says where no gateway runs: none at all, one that was killed, one of another data folder", async () => {
  const killed = newFolder(scene, "killed");
  writeFileSync(join(killed, "key"), "a-secret-that-was-made");
  writeFileSync(join(killed, "lock.json"), JSON.stringify({ pid: 1, address: "http://127.0.0.1:9" }));
  const port = Number(new URL(gateway.address).port);
  for (const [settings, mend] of [
    [{}, "npx sluice serve"],
    [{ dataFolder: killed }, "npx sluice serve"],
    [{ port }, `One of another data folder runs at ${gateway.address}`],
  ] as const) {
    const { code, stdout, stderr } = await runSluice(["token", "--link"], gatewayEnvironment(scene, settings));
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(/No gateway runs on the data folder/);
    expect(stderr).toContain(mend);
  }
});

test("a damaged database, and one of a newer Sluice, are left alone and named", async () => {
  const [damaged, newer] = [newFolder(scene, "damaged"), newFolder(scene, "newer")];
  writeFileSync(join(damaged, "sluice.sqlite"), "This is no database. ".repeat(500));
  const database = new DatabaseSync(join(newer, "sluice.sqlite"));
  database.exec("PRAGMA user_version = 9999");
  database.close();
  const replies = [await serve({ dataFolder: damaged }), await serve({ dataFolder: newer })];
  expect(replies.map(({ code }) => code)).toEqual([1, 1]);
  expect(replies[0]!.stderr).toMatch(/The database .*sluice\.sqlite cannot be read/);
  expect(replies[0]!.stderr).toContain("Put a backup of it back");
  expect(replies[1]!.stderr).toContain("was written by a newer Sluice (schema 9999");
  expect(readFileSync(join(damaged, "sluice.sqlite"), "utf8")).toContain("This is no database.");
});

test("`ask` uses the gateway that runs on the data folder, with its key, and says when things happened", async () => {
  const environment = gatewayEnvironment(scene, { dataFolder: gateway.dataFolder });
  const first = await runSluice(["ask", "demo:text To a running gateway.", "--timing"], environment);
  expect([first.code, first.stdout]).toEqual([0, "To a running gateway."]);
  expect(first.stderr).toMatch(/^\[\d+ ms\] accepted\n\[\d+ ms\] started, model \S+\n\[\d+ ms\] first words\n/);
  const session = /--session (\S+)\]/.exec(first.stderr)?.[1];
  const second = await runSluice(["ask", "demo:text Again.", "--session", session!], environment);
  expect([second.code, second.stdout]).toEqual([0, "Again."]);
  expect(second.stderr).not.toContain(" ms] ");
  const { turns } = (await (await gateway.fetch(`/api/turns?session=${session}`)).json()) as { turns: unknown[] };
  expect(turns).toHaveLength(2);
});

test("[L4] `ask` goes on where a cut connection left it", async () => {
  const proxy = await startProxy(gateway.address);
  const lock = join(gateway.dataFolder, "lock.json");
  const holder = readFileSync(lock, "utf8");
  writeFileSync(lock, JSON.stringify({ ...(JSON.parse(holder) as object), address: proxy.address }));
  const asked = runSluice(
    ["ask", "demo:long words=200 rate=50"],
    gatewayEnvironment(scene, { dataFolder: gateway.dataFolder }),
  );
  const running = await until("the turn", async () => {
    const reply = await gateway.fetch("/api/turns?state=running");
    return ((await reply.json()) as { turns: { turn: string; events_url: string; session: string }[] }).turns[0];
  });
  await until("some text", async () => (await gateway.session(running.session)).last_seq > 30, 30_000);
  const before = proxy.connections;
  proxy.cut();
  const { code, stdout } = await asked;
  expect([code, stdout]).toEqual([0, Array.from({ length: 200 }, (_, index) => `word${index + 1}`).join(" ")]);
  expect(proxy.connections).toBeGreaterThan(before);
  writeFileSync(lock, holder);
  proxy.close();
});

test("`ask` and `doctor` find a gateway that listens on all addresses and is called by another name outside", async () => {
  const environment = {
    SLUICE_HOST: "0.0.0.0",
    SLUICE_KEYS: "main:main-secret-0123456789",
    SLUICE_PUBLIC_URL: "https://sluice.example",
  };
  const open = await spawnGateway(scene, { environment });
  const { port } = new URL(open.address);
  const own = gatewayEnvironment(scene, { dataFolder: open.dataFolder, port: Number(port), environment });
  const asked = await runSluice(["ask", "demo:text Found."], own);
  expect([asked.code, asked.stdout]).toEqual([0, "Found."]);
  const checked = await runSluice(["doctor"], own);
  expect(checked.stdout).toMatch(new RegExp(`^ok {4}address .*http://127\\.0\\.0\\.1:${port}$`, "m"));
  const link = await runSluice(["token", "--link"], own);
  expect([link.code, link.stdout]).toEqual([0, expect.stringContaining("https://sluice.example/sign-in?code=")]);
  expect((await open.kill("SIGTERM")).code).toBe(0);
});

test("[A2] a gateway answers to the address that it listens on", async () => {
  const environment = { SLUICE_HOST: "127.0.0.2" };
  const open = await spawnGateway(scene, { environment });
  expect(open.address).toMatch(/^http:\/\/127\.0\.0\.2:/);
  expect((await open.fetch("/healthz")).status).toBe(200);
  expect((await open.kill("SIGTERM")).code).toBe(0);
});

test("[S3] one Ctrl-C that comes twice, from the terminal and from whoever passes it on, ends a gateway gracefully", async () => {
  const settings = { dataFolder: newFolder(scene, "twice"), limits: { shutdown_grace_s: 30 } };
  const twice = await spawnGateway(scene, settings);
  const turn = await twice.post("demo:long words=100 rate=50");
  await until("the turn to run", async () => (await twice.turn(turn.turn)).state === "running");
  process.kill(twice.pid, "SIGINT");
  await until("the shutdown", async () => (await twice.fetch("/readyz")).status === 503);
  const { code, stderr } = await twice.kill("SIGINT");
  expect([code, stderr]).toEqual([0, expect.stringContaining('"msg":"shutting down"')]);
  const next = await spawnGateway(scene, settings);
  expect(await next.turn(turn.turn)).toMatchObject({ state: "completed" });
  expect((await next.kill("SIGTERM")).code).toBe(0);
});

test("a second signal, later, ends a gateway at once; what it leaves is swept at the next start", async () => {
  const settings = { dataFolder: newFolder(scene, "impatient"), limits: { shutdown_grace_s: 60 } };
  const impatient = await spawnGateway(scene, settings);
  const turn = await impatient.post("demo:hang");
  await until("the turn to run", async () => (await impatient.turn(turn.turn)).state === "running");
  process.kill(impatient.pid, "SIGTERM");
  const repeat = setInterval(() => process.kill(impatient.pid, "SIGTERM"), 100);
  const { code } = await impatient.exited.finally(() => clearInterval(repeat));
  expect(code).toBe(143);
  const next = await spawnGateway(scene, settings);
  expect(await next.turn(turn.turn)).toMatchObject({ state: "failed", code: "gateway_restarted" });
  expect(readdirSync(join(settings.dataFolder, "run"))).toEqual([]);
  expect((await next.kill("SIGTERM")).code).toBe(0);
});

test("[S3] a terminal that is closed ends a gateway gracefully, though nothing can be written there any more", async () => {
  const settings = { dataFolder: newFolder(scene, "closed"), limits: { shutdown_grace_s: 30 } };
  const environment = { ...gatewayEnvironment(scene, settings), TERM: "xterm" };
  const terminal = spawnPty(process.execPath, [binFile, "serve"], { env: environment, cols: 300 });
  let said = "";
  terminal.onData((text) => (said += text));
  const [, address] = await until("the gateway", () => /listening on (http\S+)/.exec(said));
  const { post, turn } = createClient(address!, readSelfMadeKey(settings.dataFolder));
  const asked = await post("demo:long words=100 rate=50");
  await until("the turn to run", async () => (await turn(asked.turn)).state === "running");
  const lock = join(settings.dataFolder, "lock.json");
  expect(existsSync(lock)).toBe(true);
  // Not in the types: closes the terminal, as its window does, which the system tells the gateway by SIGHUP.
  (terminal as unknown as { destroy(): void }).destroy();
  await until("the gateway to end", () => !existsSync(`/proc/${terminal.pid}`), 30_000);
  expect(existsSync(lock)).toBe(false);
  const next = await spawnGateway(scene, settings);
  expect(await next.turn(asked.turn)).toMatchObject({ state: "completed" });
  expect((await next.kill("SIGTERM")).code).toBe(0);
});

test("where its log cannot be written a gateway starts and serves all the same", async () => {
  const dataFolder = newFolder(scene, "unlogged");
  const full = openSync("/dev/full", "w");
  const unlogged = spawn(process.execPath, [binFile, "serve"], {
    env: gatewayEnvironment(scene, { dataFolder }),
    stdio: ["ignore", "pipe", full],
  });
  closeSync(full);
  let said = "";
  unlogged.stdout!.setEncoding("utf8").on("data", (text: string) => (said += text));
  const exited = once(unlogged, "exit");
  try {
    const [, address] = await until("the gateway", () => /listening on (http\S+)/.exec(said));
    const { post, ended } = createClient(address!, readSelfMadeKey(dataFolder));
    expect(await ended((await post("demo:text Answered.")).turn)).toMatchObject({ text: "Answered." });
  } finally {
    unlogged.kill("SIGTERM");
  }
  expect((await exited)[0]).toBe(0);
});

/** What `bin.js` takes for an older Node: the packaged one is started by it. */
const olderNode = ["--import", "data:text/javascript,Object.defineProperty(process.versions,'node',{value:'20.19.0'})"];

test.each(["SIGTERM", "SIGKILL"] as const)(
  "started by an older Node, a gateway ends when that gets %s",
  async (signal) => {
    const dataFolder = newFolder(scene, "older");
    const starter = spawn(process.execPath, [...olderNode, binFile, "serve"], {
      env: gatewayEnvironment(scene, { dataFolder }),
      stdio: "ignore",
    });
    const lock = join(dataFolder, "lock.json");
    const holder = await until("the gateway", () => {
      const { pid, address } = readHolder(dataFolder) ?? {};
      return pid !== undefined && address !== undefined && { pid, address };
    });
    expect(holder.pid).not.toBe(starter.pid);
    expect((await fetch(`${holder.address}/healthz`)).status).toBe(200);
    starter.kill(signal);
    await until("the gateway to end", () => !existsSync(`/proc/${holder.pid}`));
    expect(existsSync(lock)).toBe(false);
  },
);

test("`ask` without a gateway starts one of its own, and ends it; a failed turn is exit code 1", async () => {
  const environment = gatewayEnvironment(scene, { dataFolder: newFolder(scene, "alone") });
  const answered = await runSluice(["ask", "demo:text", "Two", "words."], environment);
  expect([answered.code, answered.stdout]).toEqual([0, "Two words."]);
  const failed = await runSluice(["ask", "demo:error status=401"], environment);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toMatch(/\[turn_failed: \w+\]/);
});

test("`ask` lets no answer command the terminal that it is shown on, and changes none in a file", async () => {
  const environment = { ...gatewayEnvironment(scene, { dataFolder: gateway.dataFolder }), TERM: "xterm" };
  const args = ["ask", "demo:text One\u001b]0;owned\u0007 two\u009b2J\tthree"];
  const terminal = spawnPty(process.execPath, [binFile, ...args], { env: environment, cols: 300 });
  let said = "";
  terminal.onData((text) => (said += text));
  await new Promise((resolve) => terminal.onExit(resolve));
  expect(said).toContain("One]0;owned two2J\tthree");
  expect(said.replaceAll(/[\r\n\t]/g, "")).not.toMatch(/\p{Cc}/u);
  expect((await runSluice(args, environment)).stdout).toBe("One\u001b]0;owned\u0007 two\u009b2J\tthree");
});

test("`demo` tells a person at a terminal what to try, and what it says works without a key", async () => {
  const folder = newFolder(scene, "demo");
  const dataFolder = join(folder, "data");
  mkdirSync(dataFolder);
  const environment = { ...gatewayEnvironment(scene, { dataFolder }), TERM: "xterm" };
  const terminal = spawnPty(process.execPath, [binFile, "demo"], { cwd: folder, env: environment, cols: 300 });
  let said = "";
  terminal.onData((text) => (said += text));
  const exited = new Promise<number>((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
  const shown = await until("the hint", () => /curl -N (http\S+)\/api\/turns .*\r\n.*event-stream'/.exec(said), 30_000);
  expect(said).toMatch(/listening on http:\S+\r\n/);
  expect(said).toContain("no account is used");
  const reply = await fetch(`${shown[1]}/api/turns`, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "text/plain" },
    body: '{"prompt":"hello"}',
  });
  expect(await reply.text()).toContain("You said: hello");
  const asked = await runSluice(["demo", "ask", "show", "me", "a", "table"], environment);
  expect([asked.code, asked.stdout]).toEqual([0, expect.stringContaining("|")]);
  const { port } = new URL(shown[1]!);
  for (const settings of [{ dataFolder }, { dataFolder: newFolder(scene, "none"), port: Number(port) }]) {
    const link = await runSluice(["token", "--link"], gatewayEnvironment(scene, settings));
    expect(link).toMatchObject({
      code: 1,
      stdout: "",
      stderr: expect.stringContaining(`${shown[1]}, which needs no sign-in`),
    });
  }
  const other = gatewayEnvironment(scene, { port: Number(port) });
  const checked = await runSluice(["doctor"], other);
  expect(checked.stdout).toMatch(
    new RegExp(`^FAIL {2}address .*127\\.0\\.0\\.1:${port} is in use by Sluice's demo\\.\n`, "m"),
  );
  terminal.write("\u0003");
  expect(await exited).toBe(0);
});

test("without a login a gateway listens, says in log and /readyz that it has none, and logs a turn that fails for it without its prompt", async () => {
  const stranger = await openScene({ CLAUDE_CODE_OAUTH_TOKEN: undefined });
  const open = await spawnGateway(stranger);
  const readiness = async () => {
    const reply = await open.fetch("/readyz");
    return [reply.status, ((await reply.json()) as { login: string }).login];
  };
  expect((await readiness())[0]).toBe(200);
  await until("the CLI to be asked", async () => (await readiness())[1] === "not_logged_in", 30_000);
  await open.fetch("/%C2%9B31m%E2%80%AE");
  const { turn } = await open.post("a prompt of mine");
  expect(await open.ended(turn)).toMatchObject({ state: "failed", code: "not_logged_in" });
  expect(await readiness()).toEqual([200, "not_logged_in"]);
  const { code, stderr } = await open.kill("SIGTERM");
  expect(code).toBe(0);
  const warnings = stderr.split("\n").filter((line) => line.includes('"level":40'));
  expect(warnings.map((line) => (JSON.parse(line) as { msg: string; code?: string }).code)).toEqual([
    undefined,
    "not_logged_in",
  ]);
  expect(warnings[0]).toContain("the CLI is not logged in");
  expect(stderr).not.toContain("a prompt of mine");
  // Whoever reads the log in a terminal sees what was asked for.
  expect(stderr).toContain("\\u009b31m\\u202e");
  expect(stderr).not.toMatch(/[\u007f-\u009f]|\p{Cf}/u);
  expect(await (await gateway.fetch("/readyz")).json()).toMatchObject({ login: "logged_in" });
  await stranger.close();
});
