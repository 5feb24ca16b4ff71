// What sessions have in their boxes, as the configuration opens it to them: networks, variables, files, devices, settings, logins; with the real CLI.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SetupError } from "../../gateway/protocol/errors.ts";
import { newFolder, openGateway, type GatewaySettings, type OwnGateway } from "../support/gateway.ts";
import { giveToSessions, newWorkspace } from "../support/owner.ts";
import { lacksOldestCli, oldestCli } from "../support/programs.ts";
import { openScene, type Scene } from "../support/real-cli.ts";

let scene: Scene;
let other: Server;
let otherPort: number;
beforeAll(async () => {
  scene = await openScene();
  chmodSync(scene.folder, 0o755);
  other = createServer((_, reply) => reply.end("another service\n"));
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  otherPort = (other.address() as AddressInfo).port;
});
afterAll(async () => {
  other.close();
  await scene.close();
});

const gateways: OwnGateway[] = [];
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
});

async function open(agent: object, { scene: own = scene, ...settings }: GatewaySettings & { scene?: Scene } = {}) {
  const agents = [{ name: "tester", allowed_tools: ["Bash"], ...agent }];
  const gateway = await openGateway(own, { ...settings, agents });
  gateways.push(gateway);
  return gateway;
}

/** What a command says in a session, on stdout and stderr. */
async function run(gateway: OwnGateway, command: string): Promise<string> {
  const turn = await gateway.ended((await gateway.post(`demo:tool Bash ${JSON.stringify({ command })}`)).turn);
  expect(turn).toMatchObject({ state: "completed" });
  return turn["text"] as string;
}

describe("a box without a network", () => {
  const curl = (port: number | string) => `curl -s -m 5 http://127.0.0.1:${port}/ && echo through || echo refused $?`;
  const modelPort = () => new URL(scene.model.url).port;

  const clis: [string, () => Scene][] = [
    ["the newest CLI", () => scene],
    ["the oldest CLI", () => ({ ...scene, binary: oldestCli })],
  ];
  test.skipIf(lacksOldestCli).each(clis)("[A9] reaches the model by %s, and no port of the machine", async (_, own) => {
    const gateway = await open({ box: { network: "none" } }, { scene: own() });
    const said = await Promise.all([curl(modelPort()), curl(otherPort)].map((command) => run(gateway, command)));
    for (const words of said) expect(words).toContain("refused 7");
    expect(said.join("")).not.toMatch(/through|another service/);
  });

  test("[A9] is what visitors have; with a network of their own they would reach the other service", async () => {
    const visited = { public: { origins: ["https://www.example.org"] }, extra_tools: ["Bash"] };
    expect(await run(await open(visited), curl(otherPort))).toContain("refused 7");
    expect(await run(await open({ ...visited, box: { network: "open" } }), curl(otherPort))).toContain("through");
  });

  test("the way to the model is gone with the gateway", async () => {
    const relays = () => readdirSync(tmpdir()).filter((name) => name.startsWith("sluice-api-"));
    const before = new Set(relays());
    const gateway = await open({ box: { network: "none" } });
    await gateway.ended((await gateway.post("hello")).turn);
    const own = relays().filter((name) => !before.has(name));
    expect(own.length).toBeGreaterThan(0);
    await gateways.pop()!.close();
    expect(relays()).not.toEqual(expect.arrayContaining(own));
  });
});

test("variables that are named reach the tools and the MCP servers, and no others do", async () => {
  const environment = { NAMED: "its 'value'", UNNAMED: "secret-unnamed" };
  const gateway = await open(
    {
      box: { env: ["NAMED"], network: "open" },
      mcp_servers: {
        other: { type: "http", url: `http://127.0.0.1:${otherPort}/mcp`, headers: { "X-Named": "${NAMED}" } },
      },
    },
    { environment },
  );
  const heard: unknown[] = [];
  other.on("request", ({ headers }) => heard.push(headers["x-named"]));
  const said = await run(gateway, 'echo "<$NAMED>"; env | grep -c secret-unnamed');
  expect(said).toContain("<its 'value'>\n0");
  expect(heard).toContain("its 'value'");
});

test("files are there to read or to write, in the home by the same names; a device is one", async () => {
  const home = scene.environment["HOME"]!;
  const shared = newWorkspace(scene, "shared");
  chmodSync(home, 0o755);
  writeFileSync(join(home, ".toolrc"), "a setting\n");
  mkdirSync(join(home, ".cache/tool"), { recursive: true });
  giveToSessions(join(home, ".cache"));
  writeFileSync(join(home, "private"), "private\n");
  const box = { read: ["~/.toolrc"], write: ["~/.cache/tool", shared], devices: ["/dev/zero"] };
  const gateway = await open({ box });
  const said = await run(
    gateway,
    `cat ~/.toolrc; (echo x > ~/.toolrc) 2>&1; echo kept > ~/.cache/tool/file; echo kept > ${shared}/file; head -c 3 /dev/zero | wc -c; ls -A ~ | grep -c private`,
  );
  expect(said).toMatch(/^a setting\n.*Read-only.*\n3\n0/m);
  for (const folder of [shared, join(home, ".cache/tool")])
    expect(readFileSync(join(folder, "file"), "utf8")).toBe("kept\n");
  expect(readFileSync(join(home, ".toolrc"), "utf8")).toBe("a setting\n");
  rmSync(join(home, ".toolrc"));
});

test("[A9] the user's settings are shown to read, and nothing else of the operator's folder", async () => {
  const folder = join(scene.environment["HOME"]!, ".claude");
  const write = (name: string, content: string) => {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), content);
    // What keeps a session from changing it is not its mode.
    chmodSync(join(folder, name), 0o666);
  };
  write("settings.json", JSON.stringify({ env: { FROM_SETTINGS: "heard" } }));
  write("CLAUDE.md", "The operator's word is pelican.");
  write("skills/fly/SKILL.md", "---\nname: fly\ndescription: Flies.\n---\nFly.");
  const secrets = [".credentials.json", "history.jsonl", "projects/-x/1.jsonl", "sessions/1.json"];
  for (const name of secrets) write(name, "{}");
  const gateway = await open({ setting_sources: ["user"] });
  const said = await run(
    gateway,
    `cd $CLAUDE_CONFIG_DIR; echo "<$FROM_SETTINGS>"; ls ${secrets.join(" ")} 2>/dev/null | wc -l; ls skills; for f in settings.json CLAUDE.md skills/fly/SKILL.md; do (echo x >> $f) 2>&1; done`,
  );
  expect(said).toMatch(/<heard>\n0\nfly\n/);
  expect(said.match(/Read-only/g)).toHaveLength(3);
  expect(JSON.stringify(scene.requests.at(-1)!.body)).toContain("The operator's word is pelican.");
  rmSync(folder, { recursive: true });
});

describe("a login on disk", () => {
  const hour = 60 * 60 * 1000;
  const login = (token: string) =>
    JSON.stringify({
      claudeAiOauth: {
        accessToken: token,
        refreshToken: `refresh-${token}`,
        expiresAt: Date.now() + 24 * hour,
        scopes: ["user:inference", "user:profile"],
        subscriptionType: "max",
      },
    });
  const put = (folder: string, token: string) => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(join(folder, ".credentials.json"), login(token), { mode: 0o600 });
  };
  const operators = () => join(scene.environment["HOME"]!, ".claude");
  const tokenless = () => ({ ...scene, environment: { ...scene.environment, CLAUDE_CODE_OAUTH_TOKEN: undefined } });
  afterEach(() => rmSync(operators(), { recursive: true, force: true }));

  test("[A9] of the operator's is shared with no session: the start says how to give the gateway its own", async () => {
    put(operators(), "made-up-operators");
    const refusal: unknown = await open({}, { scene: tokenless() }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(SetupError);
    expect(refusal).toMatchObject({
      fault: "login_not_shared",
      mend: expect.stringMatching(/CLAUDE_SECURESTORAGE_CONFIG_DIR=.*\/login claude auth login/) as string,
    });
  });

  test("[A9] of the gateway's own pays for sessions, visitors' excepted", async () => {
    put(operators(), "made-up-operators");
    const dataFolder = newFolder(scene, "data");
    put(join(dataFolder, "login"), "made-up-gateways");
    const gateway = await open({}, { scene: tokenless(), dataFolder });
    expect(await run(gateway, "echo hello")).toContain("hello");
    const tokens = () => scene.requests.slice(-4).map(({ headers }) => headers["authorization"]);
    expect(tokens()).toContain("Bearer made-up-gateways");
    expect(tokens()).not.toContain("Bearer made-up-operators");
    await gateways.pop()!.close();
    const visited = await open(
      { public: { origins: ["https://www.example.org"] } },
      { scene: tokenless(), dataFolder },
    );
    const turn = await visited.ended((await visited.post("hello")).turn);
    expect(turn).toMatchObject({ state: "failed", code: "not_logged_in" });
  });
});
