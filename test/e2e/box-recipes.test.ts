// The recipes of gateway/docs/security.md, run as they stand there: only hosts and folders are others.
import { execFileSync } from "node:child_process";
import { chmodSync, constants, copyFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { dirname, join } from "node:path";
import type { z } from "zod";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { agentConfig } from "../../gateway/protocol/agents.ts";
import { newFolder, openGateway, type GatewaySettings, type OwnGateway } from "../support/gateway.ts";
import { openGitServer, type GitServer } from "../support/git-server.ts";
import { lacksBubblewrap } from "../support/programs.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

const page = readFileSync(new URL("../../gateway/docs/security.md", import.meta.url), "utf8");
const madeUpToken = "made-up-github-token";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

type Agent = z.input<typeof agentConfig>;

/** The code block after `<!-- run: name -->`, with other words for some of it. */
function block(name: string, ...changes: [from: string, to: string][]): string {
  const found = new RegExp(`<!-- run: ${name} -->\\s*\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page)?.[1];
  if (found === undefined) throw new Error(`the page has no block to run that is called ${name}`);
  for (const [from] of changes) expect(found).toContain(from);
  return changes.reduce((text, [from, to]) => text.replaceAll(from, to), found);
}

const agentOf = (json: string) => (JSON.parse(json) as { agents: [Agent] }).agents[0];

/** What one prompt says at its end, of a gateway of its own. */
async function say(prompt: string, settings: GatewaySettings, where = scene): Promise<string> {
  const gateway: OwnGateway = await openGateway(where, { ...settings, file: { isolation: "required" } });
  try {
    return (await gateway.ended((await gateway.post(prompt)).turn))["text"] as string;
  } finally {
    await gateway.close();
  }
}

/** Runs a line as its reader would, in a shell. */
function run(line: string): void {
  const { PATH, HOME } = scene.environment;
  execFileSync("sh", ["-c", line], { env: { PATH, HOME, npm_config_offline: "true" }, stdio: "pipe" });
}

describe.skipIf(lacksBubblewrap)("a private git repository", () => {
  let server: GitServer;
  beforeAll(async () => {
    server = await openGitServer(newFolder(scene, "git"), madeUpToken);
    run(block("git-helper", ["https://github.com", server.origin]));
  });
  afterAll(() => server.close());

  const clone = () => {
    const command = `git clone -q ${server.origin}/team/private.git && git -C private log --format=%s`;
    return `demo:tool Bash ${JSON.stringify({ command })}`;
  };
  const environment = { GH_TOKEN: madeUpToken };

  test("[A9] is cloned with the token that the agent is given", async () => {
    expect(await say(clone(), { agents: [agentOf(block("git"))], environment })).toMatch(/^first$/m);
    expect([...server.credentials]).toEqual([`x-access-token:${madeUpToken}`]);
  });

  test("[A9] is closed to an agent that is not, though the gateway has the token", async () => {
    const { box, ...agent } = agentOf(block("git"));
    const { env, ...rest } = box!;
    expect(env).toEqual(["GH_TOKEN"]);
    const said = await say(clone(), { agents: [{ ...agent, box: rest }], environment });
    expect(said).toMatch(/Authentication failed|could not read/);
    expect(said).not.toMatch(/^first$/m);
  });
});

test.skipIf(lacksBubblewrap)("[A9] a hook whose program sessions can read denies what it is to deny", async () => {
  const folder = newFolder(scene, "hooks");
  chmodSync(folder, 0o755);
  writeFileSync(join(folder, "check-command"), "#!/bin/sh\necho 'not this one' >&2\nexit 2\n", { mode: 0o755 });
  const agents = [agentOf(block("hooks", ["/srv/hooks", folder]))];
  const said = await say('demo:tool Bash {"command":"echo it ran"}', { agents });
  expect(said).toContain("not this one");
  expect(said).not.toContain("it ran");
});

/** A package with the server of test/support/mcp-server.ts as its program; returns its tarball. */
function packServer(): string {
  const folder = newFolder(scene, "package");
  const source = readFileSync(new URL("../support/mcp-server.ts", import.meta.url), "utf8");
  const manifest = { name: "notes-server", version: "1.0.0", type: "module", bin: "server.js" };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(folder, "server.js"), `#!/usr/bin/env node\n${stripTypeScriptTypes(source)}`);
  execFileSync("npm", ["pack", "--silent"], { cwd: folder, env: { ...process.env, npm_config_offline: "true" } });
  return join(folder, "notes-server-1.0.0.tgz");
}

const callEcho = 'demo:tool mcp__notes__echo {"words":"heard in the box"}';

test.skipIf(lacksBubblewrap)(
  "[A9] an MCP server that is an npm package runs from a folder that sessions can read",
  async () => {
    const folder = newFolder(scene, "mcp");
    run(block("mcp-install", ["/srv/mcp", folder], ["notes-server@1.0.0", packServer()]));
    chmodSync(folder, 0o755);
    const agent = agentOf(block("mcp", ["/srv/mcp", folder]));
    expect(await say(callEcho, { agents: [agent] })).toContain("HEARD IN THE BOX");
    await expect(say(callEcho, { agents: [{ ...agent, box: {} }] })).rejects.toMatchObject({ fault: "config_invalid" });
  },
);

/** One version of Node as nvm installs it, in somebody's home. */
function installNode(home: string): string {
  const folder = join(home, ".nvm/versions/node/v24.1.0");
  for (const part of ["bin", "lib/node_modules"]) mkdirSync(join(folder, part), { recursive: true });
  copyFileSync(process.execPath, join(folder, "bin/node"), constants.COPYFILE_FICLONE);
  writeFileSync(join(home, ".nvm/other-file"), "");
  return join(folder, "bin");
}

test.skipIf(lacksBubblewrap)(
  "[A9] the Node of nvm is there, by the gateway's PATH alone, and nothing around it",
  async () => {
    const home = newFolder(scene, "nvm-home");
    const bin = installNode(home);
    const command = `command -v node; node -p process.execPath; ls -A ${dirname(dirname(dirname(dirname(bin))))}`;
    const agents: Agent[] = [{ name: "tester", allowed_tools: ["Bash"] }];
    const said = await say(`demo:tool Bash ${JSON.stringify({ command })}`, {
      agents,
      environment: { PATH: `${bin}:/usr/bin:/bin` },
    });
    expect(said.split("\n").slice(-3)).toEqual([`${bin}/node`, `${bin}/node`, "versions"]);
  },
);
