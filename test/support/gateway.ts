// A gateway in front of the real CLI and the demo model: in this process, or as a child that can be killed. Its own data folder.
import { spawn, type ChildProcess } from "node:child_process";
import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll } from "vitest";
import type { z } from "zod";
import { readConfig } from "../../gateway/config.ts";
import { readSelfMadeKey } from "../../gateway/keys.ts";
import type { agentConfig } from "../../gateway/protocol/agents.ts";
import type { Caller } from "../../gateway/protocol/callers.ts";
import type { limits } from "../../gateway/protocol/limits.ts";
import { startGateway, type Gateway } from "../../gateway/serve.ts";
import { linkCliCopy } from "./cli-copy.ts";
import type { Scene } from "./real-cli.ts";
import type { WireEvent } from "./reader.ts";

export interface GatewaySettings {
  /** Default: one agent named `tester`. */
  readonly agents?: readonly z.input<typeof agentConfig>[];
  readonly limits?: z.input<typeof limits>;
  /** Further fields of the configuration file. */
  readonly file?: Readonly<Record<string, unknown>>;
  /** Default: a new one in the scene's folder. */
  readonly dataFolder?: string;
  readonly port?: number;
  /** Further variables. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Everybody is let in as this caller; only in process. */
  readonly openCaller?: Caller;
}

export interface Turn {
  readonly turn: string;
  readonly session: string;
  readonly state: string;
  readonly position: number | null;
  readonly events_url: string;
  readonly [field: string]: unknown;
}

/** What a client of a gateway needs, whatever process it runs in. */
export interface Client {
  readonly address: string;
  /** With the key. */
  readonly headers: Readonly<Record<string, string>>;
  /** A request with the key. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** POSTs a turn; rejects where it is refused. */
  post(prompt: string, body?: Record<string, unknown>): Promise<Turn>;
  turn(turn: string, waitS?: number): Promise<Turn>;
  /** The turn once it has ended. */
  ended(turn: string): Promise<Turn>;
  session(session: string): Promise<{ last_seq: number; state: string }>;
}

export interface OwnGateway extends Client {
  readonly dataFolder: string;
  /** Every request that was answered, or whose stream has begun, in order. */
  readonly requests: readonly { readonly method: string; readonly path: string; readonly status: number }[];
  /** Rejects where the gateway has logged an error: a bug. */
  close(graceMs?: number): Promise<void>;
}

export interface ChildGateway extends Client {
  readonly dataFolder: string;
  readonly pid: number;
  readonly exited: Promise<ChildExit>;
  kill(signal: NodeJS.Signals): Promise<ChildExit>;
}

export interface ChildExit {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const children = new Set<ChildProcess>();
const endChildren = () => {
  for (const child of children) child.kill("SIGKILL");
};

// None may outlive the tests of a file, or a benchmark, whatever becomes of them.
if (process.env["VITEST"]) afterAll(endChildren);
else process.once("exit", endChildren);

export const binFile = new URL("../../gateway/bin.js", import.meta.url).pathname;

/** The environment of a gateway of these settings. */
export function gatewayEnvironment(
  scene: Scene,
  {
    agents = [{ name: "tester" }],
    limits = {},
    file = {},
    dataFolder = newFolder(scene, "data"),
    port = 0,
    environment = {},
  }: GatewaySettings = {},
) {
  const config = join(newFolder(scene, "config"), "sluice.config.json");
  // Other tests run on the machine too: its free memory is not the subject.
  writeFileSync(config, JSON.stringify({ ...file, agents, limits: { min_free_memory_mb: 0, ...limits } }));
  return {
    ...scene.environment,
    ...environment,
    SLUICE_DATA: dataFolder,
    SLUICE_PORT: String(port),
    SLUICE_CONFIG: config,
    SLUICE_CLAUDE: scene.binary,
  };
}

export function newFolder(scene: Scene, name: string): string {
  return mkdtempSync(join(scene.folder, `${name}-`));
}

/** Starts one in this process. */
export async function openGateway(scene: Scene, settings: GatewaySettings = {}): Promise<OwnGateway> {
  const environment = gatewayEnvironment(scene, settings);
  await linkCliCopy(environment.SLUICE_DATA);
  const bugs: string[] = [];
  const requests: OwnGateway["requests"][number][] = [];
  const write = (line: string) => {
    const entry = JSON.parse(line) as OwnGateway["requests"][number] & { level: number; msg: string };
    if (entry.level >= 50) bugs.push(line);
    if (entry.msg === "request") requests.push(entry);
  };
  const logger = pino({ level: "info" }, { write });
  const config = readConfig(environment);
  const { openCaller } = settings;
  const gateway: Gateway = await startGateway(config, {
    logger,
    version: "0.0.0-test",
    ...(openCaller ? { openCaller } : {}),
  });
  const client = createClient(gateway.address, readSelfMadeKey(config.dataFolder));
  return {
    ...client,
    dataFolder: config.dataFolder,
    requests,
    async close(graceMs = 0) {
      await gateway.close(graceMs);
      if (bugs.length > 0) throw new Error(`the gateway logged ${bugs.join("")}`);
    },
  };
}

/** Starts `sluice serve` (or another command) as a child; resolves when it listens. */
export async function spawnGateway(
  scene: Scene,
  settings: GatewaySettings = {},
  { command = "serve", prefix = [] }: { command?: "serve" | "demo"; prefix?: readonly string[] } = {},
): Promise<ChildGateway> {
  const environment = gatewayEnvironment(scene, settings);
  const dataFolder = environment.SLUICE_DATA;
  mkdirSync(dataFolder, { recursive: true });
  await linkCliCopy(dataFolder);
  const [file, ...args] = [...prefix, process.execPath, binFile, command];
  const child = spawn(file, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  const { exited, output } = follow(child);
  void exited.then(() => children.delete(child));
  const address = await new Promise<string>((resolve, reject) => {
    child.stdout.on("data", () => {
      const found = /^listening on (http\S+)$/m.exec(output.stdout);
      if (found) resolve(found[1]!);
    });
    void exited.then(({ code, stderr }) => reject(new Error(`the gateway ended with ${code}: ${stderr}`)));
  });
  const kill = (signal: NodeJS.Signals) => {
    child.kill(signal);
    return exited;
  };
  const key = command === "demo" ? undefined : readSelfMadeKey(keyFolder(child.pid!, dataFolder, prefix));
  return { ...createClient(address, key), dataFolder, pid: child.pid!, exited, kill };
}

/** Runs `sluice` to its end. */
export function runSluice(args: readonly string[], environment: NodeJS.ProcessEnv): Promise<ChildExit> {
  return follow(spawn(process.execPath, [binFile, ...args], { env: environment, stdio: ["ignore", "pipe", "pipe"] }))
    .exited;
}

/** A child in a mount namespace of its own sees another data folder than we do; /proc shows us its. */
function keyFolder(pid: number, dataFolder: string, prefix: readonly string[]): string {
  return prefix.length > 0 ? `/proc/${pid}/root${dataFolder}` : dataFolder;
}

function follow(child: ChildProcess): { exited: Promise<ChildExit>; output: { stdout: string; stderr: string } } {
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const)
    child[name]!.setEncoding("utf8").on("data", (text: string) => (output[name] += text));
  const exited = new Promise<ChildExit>((resolve) => {
    child.once("close", (code) => resolve({ code, ...output }));
  });
  return { exited, output };
}

/** `more`: headers of all its requests. */
export function createClient(
  address: string,
  key: string | undefined,
  more: Readonly<Record<string, string>> = {},
): Client {
  const headers = { ...more, ...(key === undefined ? {} : { authorization: `Bearer ${key}` }) };
  const request = (path: string, init: RequestInit = {}) =>
    fetch(new URL(path, address), { ...init, headers: { ...headers, ...(init.headers as Record<string, string>) } });
  const json = async <T>(reply: Response): Promise<T> => {
    const body = (await reply.json()) as T;
    if (!reply.ok) throw new Error(`refused with ${reply.status}: ${JSON.stringify(body)}`);
    return body;
  };
  const turn = async (id: string, waitS?: number) =>
    json<Turn>(await request(`/api/turns/${id}`, waitS === undefined ? {} : { headers: { prefer: `wait=${waitS}` } }));
  return {
    address,
    headers,
    fetch: request,
    turn,
    async post(prompt, body = {}) {
      return json<Turn>(await request("/api/turns", jsonBody({ prompt, ...body })));
    },
    async ended(id) {
      const seen = await turn(id, 60);
      if (!/^(completed|failed|cancelled)$/.test(seen.state)) throw new Error(`the turn is still ${seen.state}`);
      return seen;
    },
    async session(id) {
      return json(await request(`/api/sessions/${id}`));
    },
  };
}

/** The options of a POST with a JSON body. */
export function jsonBody(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return { method: "POST", body: JSON.stringify(body), headers: { "content-type": "application/json", ...headers } };
}

/** What became of a turn: its ending's type, for a log that must have exactly one. */
export function endingTypes(events: readonly WireEvent[], turn: string): string[] {
  return events
    .filter((event) => event.turn === turn && /^turn_(completed|failed|cancelled)$/.test(event.type))
    .map(({ type }) => type);
}
