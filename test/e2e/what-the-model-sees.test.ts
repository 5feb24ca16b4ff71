// What reaches the model beside a prompt, with the newest CLI and the oldest one that Sluice supports: no file that the prompt only names,
// and all that the turn's start reports.
import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findSessionFile } from "../../gateway/claude/session-file.ts";
import type { PromptBlock } from "../../gateway/protocol/prompt.ts";
import { modelPrompt } from "../../gateway/turns/model-prompt.ts";
import { openGateway } from "../support/gateway.ts";
import { lacksOldestCli, oldestCli } from "../support/programs.ts";
import { openScene, type Driven, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

interface Asked {
  readonly tools?: readonly { readonly name: string }[];
  readonly messages: readonly { readonly content: unknown }[];
}

const echoServer = {
  type: "stdio",
  command: process.execPath,
  args: [new URL("../support/mcp-server.ts", import.meta.url).pathname],
};
const image = {
  type: "image",
  source: {
    type: "base64",
    media_type: "image/png",
    data: "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==",
  },
} as const;
const text = (words: string): PromptBlock => ({ type: "text", text: words });

let scene: Scene;
let httpServer: Server;
beforeAll(async () => {
  scene = await openScene();
  httpServer = await startHttpServer();
});
afterAll(async () => {
  httpServer.close();
  await scene.close();
});

const lastAsked = () => scene.requests.at(-1)!.body as unknown as Asked;

describe.each([
  { cli: "the newest CLI", binary: undefined, isMissing: false },
  { cli: "the oldest CLI", binary: oldestCli, isMissing: lacksOldestCli },
])("$cli", ({ binary, isMissing }) => {
  const drive: Scene["drive"] = (options = {}) =>
    scene.drive({ ...(binary === undefined ? {} : { binary }), ...options });
  const session = randomUUID();

  test.skipIf(isMissing)(
    "[P2] attaches no file that a prompt names, wherever in it, nor in a resumed or forked session",
    async () => {
      const secret = hideSecret();
      const words = `Look: @${secret.outside} and @"${secret.outside}" and @${secret.inside}`;
      const prompts: PromptBlock[][] = [
        [text(words)],
        [text(secret.mention)],
        modelPrompt({ page: words }, [text(words)]),
        [image, text(words)],
        [text(words), image],
        [text(words), text("and this")],
        [text("one"), text(words)],
        [text(`/cost ${secret.mention}`)],
      ];
      const first = await drive({ session });
      for (const prompt of prompts) expect((await first.say(prompt)).ending.type).toBe("turn_completed");
      // Prompts that got no answer stand in front of the next one.
      const hanging = first.begin(`${words}\ndemo:hang`);
      const asked = scene.requests.length;
      await until("the prompt at the model", () => scene.requests.length > asked || undefined, 30_000);
      first.driver.cancel({ key: "test" });
      await hanging.ended;
      expect((await first.say(words)).ending.type).toBe("turn_completed");
      await first.driver.end();
      const file = await until("the session's file", () =>
        findSessionFile({ environment: scene.environment }, session),
      );
      for (const origin of [{ kind: "fork", file, answerUuid: null } as const, { kind: "resume", file } as const]) {
        const driven = await drive({ session: origin.kind === "fork" ? randomUUID() : session, origin });
        const continued = [text(`This was said before:\nuser: ${words}\n`), text(words)];
        for (const prompt of [[text(words)], continued]) await driven.say(prompt);
        await driven.driver.end();
      }
      expect(JSON.stringify(scene.requests)).toContain(secret.mention);
      expect(JSON.stringify(scene.requests)).not.toContain(secret.words);
    },
  );

  test.skipIf(isMissing)("[P2] nor one that a command names, where only commands are wanted", async () => {
    const secret = hideSecret();
    const driven = await drive({ agent: { slash_commands: true } });
    for (const words of [`/review ${secret.mention}`, `/no-such-command ${secret.mention}`]) await driven.say(words);
    await driven.say([text(secret.mention), text("/review")]);
    await driven.say(secret.mention);
    expect(JSON.stringify(scene.requests)).toContain(secret.mention);
    expect(JSON.stringify(scene.requests)).not.toContain(secret.words);
  });

  test.skipIf(isMissing)("with file_mentions it does", async () => {
    const secret = hideSecret();
    const driven = await drive({ agent: { file_mentions: true } });
    await driven.say(`Look: ${secret.mention}`);
    expect(JSON.stringify(lastAsked())).toContain(secret.words);
  });

  test.skipIf(isMissing)("whatever tools a turn's start reports the model has, or is told of by name", async () => {
    const { port } = httpServer.address() as AddressInfo;
    const mcp_servers = { echo: echoServer, web: { type: "http", url: `http://127.0.0.1:${port}/mcp` } };
    const agents = [{}, { mcp_servers }, { mcp_servers, permission_mode: "plan" as const, background_tasks: true }];
    for (const agent of agents) {
      const driven = await drive({ agent });
      const tools = await toolsAt(driven, agent.mcp_servers ? ["mcp__echo__echo", "mcp__web__look"] : []);
      expect(tools).toEqual(expect.arrayContaining(["Read", "WebSearch"]));
      const { tools: given = [], messages } = lastAsked();
      const told = new Set(JSON.stringify(messages).split(/\\n|[^\w-]/));
      const names = new Set(given.map(({ name }) => name));
      // The CLI reports it under its old name.
      const isThere = (tool: string) => names.has(tool === "Task" ? "Agent" : tool) || told.has(tool);
      expect(tools.filter((tool) => !isThere(tool))).toEqual([]);
      await driven.driver.end();
    }
  });

  test.skipIf(isMissing)("skills, the instructions of folders and plan mode's reach the model", async () => {
    const workspace = join(scene.folder, `of-${randomUUID()}`);
    mkdirSync(join(workspace, ".claude/skills/juggling"), { recursive: true });
    mkdirSync(join(workspace, "inner"));
    const skill = "---\nname: juggling\ndescription: Throws many-balls-at-once\n---\nThrow.";
    writeFileSync(join(workspace, ".claude/skills/juggling/SKILL.md"), skill);
    writeFileSync(join(workspace, "inner/CLAUDE.md"), "instructions-of-the-inner-folder");
    writeFileSync(join(workspace, "inner/file.txt"), "nothing");
    const driven = await drive({ workspace, agent: { setting_sources: ["project"], permission_mode: "plan" } });
    await driven.say(`demo:tool Read ${JSON.stringify({ file_path: join(workspace, "inner/file.txt") })}`);
    const all = JSON.stringify(lastAsked());
    expect(all).toContain("many-balls-at-once");
    expect(all).toContain("instructions-of-the-inner-folder");
    expect(all).toMatch(/plan mode is active/i);
  });

  /** The tools that the start of a turn reports, once these are among them: MCP servers may come late. */
  async function toolsAt(driven: Driven, expected: readonly string[]): Promise<readonly string[]> {
    for (let tries = 0; ; tries++) {
      const { events } = await driven.say("demo:text Hi.");
      const started = events.find((event) => event.type === "turn_started");
      const tools = started?.type === "turn_started" ? started.tools : [];
      if (tries >= 20 || expected.every((tool) => tools.includes(tool))) return tools;
    }
  }
});

test("[P2, A5] over HTTP a command that names a file with @ is refused by name, unless the agent attaches files", async () => {
  const gateway = await openGateway(scene, {
    agents: [
      { name: "commands", slash_commands: true },
      { name: "both", slash_commands: true, file_mentions: true },
      { name: "neither" },
    ],
  });
  const post = (agent: string, prompt: string) =>
    gateway.fetch("/api/turns", {
      method: "POST",
      body: JSON.stringify({ agent, prompt }),
      headers: { "content-type": "application/json" },
    });
  const refused = await post("commands", "/review @/etc/passwd");
  expect([refused.status, await refused.json()]).toMatchObject([403, { code: "forbidden", field: "prompt" }]);
  for (const [agent, prompt] of [
    ["commands", "/cost"],
    ["commands", "write to a@b.example or @/etc/passwd"],
    ["both", "/cost @/etc/passwd"],
    ["neither", "/review @/etc/passwd"],
  ] as const)
    expect([agent, prompt, (await post(agent, prompt)).status]).toEqual([agent, prompt, 202]);
  await gateway.close(20_000);
});

/** Files with words that no request may hold unless one of them was attached. */
function hideSecret() {
  const words = `secret-${randomUUID()}`;
  const name = `${randomUUID()}.txt`;
  const outside = join(scene.folder, name);
  for (const path of [outside, join(scene.workspace, name)]) writeFileSync(path, words);
  return { words, outside, inside: name, mention: `@${outside}` };
}

/** A Model Context Protocol server over HTTP with one tool. */
async function startHttpServer(): Promise<Server> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.method !== "POST") return void response.writeHead(405).end();
      const { id, method, params } = JSON.parse(Buffer.concat(chunks).toString()) as {
        id?: number;
        method: string;
        params?: { protocolVersion?: string };
      };
      if (id === undefined) return void response.writeHead(202).end();
      const results: Record<string, object> = {
        initialize: {
          protocolVersion: params?.protocolVersion,
          capabilities: { tools: {} },
          serverInfo: { name: "web", version: "1.0.0" },
        },
        "tools/list": { tools: [{ name: "look", description: "Looks.", inputSchema: { type: "object" } }] },
      };
      const body = { jsonrpc: "2.0", id, result: results[method] ?? {} };
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}
