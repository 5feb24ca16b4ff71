// Which of the CLI's tools an agent has, with the newest CLI and the oldest one that Sluice supports.
import { chmodSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { locateCli } from "../../gateway/claude/locate.ts";
import { findNewTools, toolsOfCli } from "../../gateway/claude/new-tools.ts";
import { knownVersions, tools, toolsOf, unknownTools } from "../../gateway/claude/tools.ts";
import { openFakeScene } from "../support/fake-scene.ts";
import { gatewayEnvironment, openGateway, runSluice } from "../support/gateway.ts";
import { lacksOldestCli, oldestCli } from "../support/programs.ts";
import { readAll } from "../support/reader.ts";
import { openScene, readAgent, type Scene, type Turn } from "../support/real-cli.ts";

const echoServer = new URL("../support/mcp-server.ts", import.meta.url).pathname;

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

/** As the table names it. */
const names = (reported: readonly string[]) => reported.map((name) => (name === "Task" ? "Agent" : name));

function toolsAt({ events }: Turn): string[] {
  const started = events.find((event) => event.type === "turn_started");
  return names(started?.type === "turn_started" ? started.tools : []);
}

describe.each([
  { cli: "the newest CLI", given: undefined, isMissing: false },
  { cli: "the oldest CLI", given: oldestCli, isMissing: lacksOldestCli },
])("$cli", ({ given, isMissing }) => {
  const binary = () => given ?? scene.binary;
  const drive: Scene["drive"] = (options = {}) => scene.drive({ binary: binary(), ...options });

  test.skipIf(isMissing)("[A5] has no tool that is not in the table for its version", async () => {
    const { version } = await locateCli(binary(), "");
    const reported = await toolsOfCli(binary(), { searchPath: process.env["PATH"] });
    expect(reported.length).toBeGreaterThan(20);
    expect(unknownTools(reported)).toEqual([]);
    const ofVersion = Object.keys(tools).filter((name) => {
      const { versions = knownVersions } = tools[name]!;
      return versions.some((known) => known === version);
    });
    expect(ofVersion).toEqual(expect.arrayContaining(names(reported)));
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith("sluice-tools-"))).toEqual([]);
  });

  test.skipIf(isMissing)(
    "[A5, P7] an agent has what it is told by name, its MCP servers' tools, and nothing else",
    async () => {
      const agent = {
        mcp_servers: { echo: { type: "stdio", command: process.execPath, args: [echoServer] } },
        allowed_tools: ["Bash", "ListAgents", "mcp__echo", "Agent"],
      };
      const driven = await drive({ agent });
      const echo = await driven.say('demo:tool mcp__echo__echo {"words":"hello"}');
      expect(echo.events.find((event) => event.type === "tool_result")).toMatchObject({ is_error: false });
      const had = toolsAt(echo).filter((name) => !name.startsWith("mcp__"));
      expect(toolsOf(readAgent(agent))).toEqual(expect.arrayContaining(had));
      expect(had).toEqual(
        expect.arrayContaining(["Agent", "Bash", "Glob", "Grep", "Read", "TaskCreate", "WebFetch", "Write"]),
      );
      // A name that an allow rule has is no tool for that; nor is one that a subagent asks for.
      const off = await driven.say(
        "demo:tool SendMessage {}\ndemo:tool Workflow {}\ndemo:tool CronList {}\ndemo:tool EnterPlanMode {}",
      );
      const results = off.events.filter((event) => event.type === "tool_result");
      expect(results.map((event) => event.type === "tool_result" && event.is_error)).toEqual([true, true, true, true]);
    },
  );

  test.skipIf(isMissing)(
    "[A5] extra_tools switches a tool on, and a public agent's subagents have no more than it",
    async () => {
      const driven = await drive({ agent: { extra_tools: ["Workflow", "NoSuchTool"] } });
      expect(toolsAt(await driven.say("demo:text Hi."))).toContain("Workflow");
      const origins = ["https://www.example.org"];
      const subagents = { looker: { description: "Looks", prompt: "Look.", tools: ["Bash", "Read"] } };
      const visited = await drive({
        agent: { public: { origins }, extra_tools: ["Agent"], allowed_tools: ["Bash", "Agent"], subagents },
      });
      const call = { command: `touch ${join(scene.workspace, "by-a-visitor")}` };
      const prompt = `demo:tool Bash ${JSON.stringify(call)}\ndemo:text Done.`;
      const looked = { description: "look", prompt, subagent_type: "looker", run_in_background: false };
      const turn = await visited.say(`demo:tool Agent ${JSON.stringify(looked)}`);
      expect(toolsAt(turn).toSorted()).toEqual(["Agent", "Glob", "Grep", "Read"]);
      await visited.say(prompt);
      expect(existsSync(call.command.slice("touch ".length))).toBe(false);
    },
  );
});

test("[A5] of a version that nobody has looked at, the tools that are new are found by one run of it", async () => {
  const { path } = await locateCli(undefined, "");
  expect(await findNewTools({ path, version: "9.9.9" }, { searchPath: process.env["PATH"] })).toEqual([]);
  const script = (name: string, text: string) => {
    const file = join(scene.folder, name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  const init = { type: "system", subtype: "init", tools: ["Task", "Read", "Teleport", "mcp__a__b"] };
  const newer = script("newer", `echo words; echo '${JSON.stringify(init)}'`);
  expect(await findNewTools({ path: newer, version: "9.9.9" })).toEqual(["Teleport"]);
  await expect(findNewTools({ path: script("mute", "exit 0"), version: "9.9.9" })).rejects.toThrow("did not say");
  const silent = script("silent", "exec sleep 60");
  await expect(findNewTools({ path: silent, version: "9.9.9" }, { timeoutMs: 300 })).rejects.toThrow("failed");
});

test("[A5] the gateway says so in a session, and doctor in its line", async () => {
  const newer = join(scene.folder, "newer-still");
  const init = JSON.stringify({ type: "system", subtype: "init", tools: ["Read", "Teleport"] });
  const script = [
    "#!/bin/sh",
    `case " $* " in *" --version "*) echo "9.9.9 (Claude Code)"; exit;; *" --tools=default "*) echo '${init}'; exit;; esac`,
    `exec '${scene.binary}' "$@"`,
  ];
  writeFileSync(newer, script.join("\n"));
  chmodSync(newer, 0o755);
  const settings = { file: { isolation: "off" } };
  const gateway = await openGateway({ ...scene, binary: newer }, settings);
  const { turn, events_url: url } = await gateway.post("demo:text Hi.");
  expect(await gateway.ended(turn)).toMatchObject({ state: "completed" });
  const notices = (await readAll(url, gateway)).filter(({ type }) => type === "notice");
  expect(notices).toMatchObject([{ kind: "new_tools_off", text: expect.stringContaining("Teleport") as string }]);
  await gateway.close();
  const doctor = await runSluice(["doctor"], gatewayEnvironment({ ...scene, binary: newer }, settings));
  expect(doctor.stdout).toMatch(/claude CLI +9\.9\.9 at .*Teleport/);
});

test("[A5] they are named in the first turn of each process, and in no other", async () => {
  const fake = openFakeScene();
  try {
    const driven = await fake.drive(fake.play("on user\ninit\ntext Done.\nresult"), { newTools: ["Teleport"] });
    const turns = [await driven.say("one"), await driven.say("two")];
    const notices = driven.events.filter((event) => event.type === "notice");
    expect(notices).toMatchObject([{ kind: "new_tools_off", turn: turns[0]!.turn }]);
    expect(JSON.stringify(notices)).toContain("Teleport");
    expect(driven.driver.diagnostics()).toBe("");
  } finally {
    await fake.close();
  }
});
