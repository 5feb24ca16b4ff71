import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { EventSource } from "eventsource";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openGateway, type OwnGateway } from "../support/gateway.ts";
import { copyRepository } from "../support/git-scene.ts";
import { connectMcp } from "../support/mcp-client.ts";
import { lacksCurl } from "../support/programs.ts";
import { startProxy, type Proxy } from "../support/proxy.ts";
import type { WireEvent } from "../support/reader.ts";
import { giveToSessions } from "../support/owner.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

// The README's own lines, run as they stand there. Only the port is another one, so that nothing else on the machine is met.

const root = resolve(import.meta.dirname, "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");

/** The code block behind `<!-- run: name -->`. */
function block(name: string): string {
  const found = new RegExp(`<!-- run: ${name} -->\\s*\`\`\`\\w+\\n([^]*?)\`\`\``).exec(readme)?.[1];
  if (found === undefined) throw new Error(`the README has no block to run that is called ${name}`);
  return found.trim();
}

interface Started {
  readonly child: ChildProcess;
  readonly port: string;
}

/** Runs an npm script and waits for the line that says where the gateway listens. */
async function start(command: string, env: NodeJS.ProcessEnv): Promise<Started> {
  const [file, ...args] = command.split(" ");
  const child = spawn(file!, args, {
    cwd: root,
    env: { PATH: process.env["PATH"], SLUICE_PORT: "0", SLUICE_LOG: "warn", ...env },
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const port = /^listening on http:\/\/127\.0\.0\.1:(\d+)$/.exec(line)?.[1];
    if (port !== undefined) return { child, port };
  }
  throw new Error(`${command} ended before it listened`);
}

async function end({ child }: Started): Promise<void> {
  const gone = new Promise((done) => child.once("exit", done));
  // npm and the gateway below it, as a terminal's Ctrl-C reaches both.
  process.kill(-child.pid!, "SIGTERM");
  await gone;
}

async function runLines(lines: string, port: string, cwd: string): Promise<string[]> {
  const outputs: string[] = [];
  for (const line of lines.split("\n")) {
    const { stdout } = await promisify(execFile)("bash", ["-c", line.replaceAll(":8787", `:${port}`)], { cwd });
    outputs.push(stdout);
  }
  return outputs;
}

function expectAnswers([asEvents, asText]: string[]): void {
  expect(asEvents).toMatch(/^event: ping\ndata: \{"type":"ping"\}\n\nid: 1\nevent: turn_queued\n/);
  expect(asEvents).toContain("event: content_block_delta\n");
  expect(asEvents?.match(/^event: turn_completed$/gm)).toHaveLength(1);
  expect(asText).toMatch(/^You said: hello\n/);
}

describe("the README's lines", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "sluice-readme-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test.skipIf(lacksCurl)(
    "npm run demo answers the curl lines without any key; a script tells a turn that failed",
    async () => {
      const [install, demo] = block("demo").split(" && ");
      expect(install).toBe("npm install");
      const gateway = await start(demo!, { SLUICE_DATA: join(folder, ".sluice-demo"), HOME: folder });
      try {
        expectAnswers(await runLines(block("demo-curl"), gateway.port, folder));
        await runLines(block("state"), gateway.port, folder);
        const failing = (name: string) => block(name).replaceAll("hello", "demo:error status=400");
        for (const line of failing("state").split("\n"))
          await expect(runLines(line, gateway.port, folder)).rejects.toMatchObject({ code: 1 });
        const [, asText] = await runLines(failing("demo-curl"), gateway.port, folder);
        expect(asText?.split("\n").at(-2)).toBe("[turn_failed: api_error]");
      } finally {
        await end(gateway);
      }
    },
  );

  test.skipIf(lacksCurl)("npm start answers the same lines with the key that it made", async () => {
    const scene: Scene = await openScene();
    const gateway = await start("npm start", { ...scene.environment, SLUICE_DATA: join(folder, ".sluice") });
    try {
      expectAnswers(await runLines(block("key-curl"), gateway.port, folder));
      const [, withoutKey] = await runLines(block("demo-curl"), gateway.port, folder);
      expect(JSON.parse(withoutKey!)).toMatchObject({ status: 401, code: "unauthorized" });
    } finally {
      await end(gateway);
      await scene.close();
    }
  });
});

describe("the README's JavaScript goes on where a cut connection left it:", () => {
  const words = Array.from({ length: 100 }, (_, index) => `word${index + 1}`).join(" ");
  const prompt = "demo:long words=100 rate=50";
  let scene: Scene;
  let gateway: OwnGateway;
  let proxy: Proxy;
  beforeAll(async () => {
    scene = await openScene();
    gateway = await openGateway(scene);
    proxy = await startProxy(gateway.address);
  });
  afterAll(async () => {
    proxy.close();
    await gateway.close();
    await scene.close();
  });

  async function load<Ask>(name: string): Promise<Ask> {
    const file = join(scene.folder, `${name}.mjs`);
    writeFileSync(file, block(name));
    return ((await import(pathToFileURL(file).href)) as { ask: Ask }).ask;
  }

  test("fetch", async () => {
    type Ask = (...args: [string, typeof gateway.headers, string]) => AsyncGenerator<WireEvent>;
    const ask = await load<Ask>("fetch");
    const events: WireEvent[] = [];
    for await (const event of ask(proxy.address, gateway.headers, prompt)) {
      events.push(event);
      const isDelta = event.type === "content_block_delta";
      if (isDelta && events.filter(({ type }) => type === event.type).length === 20) proxy.cut();
    }
    expect(events.at(-1)).toMatchObject({ type: "turn_completed", text: words });
    const ids = events.flatMap(({ seq }) => seq ?? []);
    expect(ids).toEqual([...new Set(ids)].toSorted((a, b) => a - b));
    expect(events.filter(({ type }) => type === "ping").length).toBeGreaterThan(1);
    await expect(ask(proxy.address, {}, prompt).next()).rejects.toThrow("A key is needed");
  });

  test("EventSource, by the ticket that a token finds in the address; it is closed at the end", async () => {
    type Ask = (
      ...args: [string, Record<string, string>, string, (text: string) => void]
    ) => Promise<Record<string, unknown>>;
    const ask = await load<Ask>("event-source");
    const body = JSON.stringify({ user: "ann" });
    const reply = await gateway.fetch("/api/tokens", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const { token } = (await reply.json()) as { token: string };
    const before = gateway.requests.length;
    const opened: EventSource[] = [];
    class Noted extends EventSource {
      constructor(url: string) {
        super(url);
        opened.push(this);
      }
    }
    Object.assign(globalThis, { EventSource: Noted });
    let text = "";
    const end = await ask(proxy.address, { authorization: `Bearer ${token}` }, prompt, (more) => {
      if (text.length < 100 && (text + more).length >= 100) proxy.cut();
      text += more;
    });
    expect([end["type"], text]).toEqual(["turn_completed", words]);
    const streams = gateway.requests.slice(before).filter(({ path }) => path.endsWith("/events"));
    expect(streams.map(({ status }) => status)).toEqual([200, 200]);
    expect(opened.map(({ readyState }) => readyState)).toEqual([EventSource.CLOSED]);
  });
});

describe("the README's MCP", () => {
  test("the client's configuration and the line for Claude Code reach the agents of the sample that supervises", async () => {
    const scene = await openScene();
    const config = join(scene.folder, "supervise.json");
    const workspace = join(scene.folder, "code");
    copyRepository(workspace);
    giveToSessions(workspace);
    writeFileSync(config, block("supervise").replaceAll("/srv/code", workspace));
    const data = join(scene.folder, ".sluice");
    const gateway = await start("npm start", { ...scene.environment, SLUICE_DATA: data, SLUICE_CONFIG: config });
    try {
      const key = readFileSync(join(data, "key"), "utf8").trim();
      const sample = block("mcp-client").replace("${SLUICE_KEY}", key).replace(":8787", `:${gateway.port}`);
      const { mcpServers } = JSON.parse(sample) as {
        mcpServers: { sluice: { url: string; headers: { Authorization: string } } };
      };
      const { url, headers } = mcpServers.sluice;
      const client = await connectMcp(url, { key: headers.Authorization.replace("Bearer ", "") });
      const { agents } = await client.data<{ agents: { name: string }[] }>("list_agents");
      expect(agents.map(({ name }) => name)).toEqual(["lead", "coder-1", "coder-2"]);
      await client.close();

      const line = /`(claude mcp add [^`]+)`/.exec(readme)![1]!.replace(":8787", `:${gateway.port}`);
      const env = { ...scene.environment, PATH: `${join(root, "node_modules/.bin")}:${process.env["PATH"]}` };
      const run = (command: string) => promisify(execFile)("bash", ["-c", command], { cwd: scene.folder, env });
      await run(line);
      expect((await run("claude mcp list")).stdout).toMatch(/^sluice: .*Connected/m);
    } finally {
      await end(gateway);
      await scene.close();
    }
  });
});
