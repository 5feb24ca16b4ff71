import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { configFile } from "../../gateway/config.ts";
import { errorStatus, failureRetryable, ownEventTypes } from "../../gateway/protocol/codes.ts";
import { copyRepository } from "../support/git-scene.ts";
import { connectMcp } from "../support/mcp-client.ts";
import { lacksCurl } from "../support/programs.ts";
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

  test.skipIf(lacksCurl)("npm run demo answers the two curl lines without any key", async () => {
    const [install, demo] = block("demo").split(" && ");
    expect(install).toBe("npm install");
    const gateway = await start(demo!, { SLUICE_DATA: join(folder, ".sluice-demo"), HOME: folder });
    try {
      expectAnswers(await runLines(block("demo-curl"), gateway.port, folder));
    } finally {
      await end(gateway);
    }
  });

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

describe("the README's MCP", () => {
  test("the client's configuration and the line for Claude Code reach the agents of the sample that supervises", async () => {
    const scene = await openScene();
    const config = join(scene.folder, "supervise.json");
    const workspace = join(scene.folder, "code");
    copyRepository(workspace);
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

describe("the README's lists", () => {
  test("the sample configuration is a valid one", () => {
    const sample = /```json\n([^]*?)```/.exec(readme.slice(readme.indexOf("## Operate")))![1]!;
    expect(configFile.parse(JSON.parse(sample)).agents?.map(({ name }) => name)).toEqual(["default", "reviewer"]);
  });

  test("name every error code with its status, every failure code and every event of ours", () => {
    const section = (from: string, to: string) => readme.slice(readme.indexOf(from), readme.indexOf(to));
    const errors = section("### Errors", "## Operate");
    for (const [code, status] of Object.entries(errorStatus)) {
      const row = errors.split("\n").find((line) => line.includes(`\`${code}\``));
      expect(row, code).toContain(String(status));
    }
    for (const code of Object.keys(failureRetryable)) expect(readme.includes(`\`${code}\``), code).toBe(true);
    for (const type of ownEventTypes) expect(readme.includes(`\`${type}\``), type).toBe(true);
  });
});
