import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { knownVersions, tools, toolsOf, unknownTools } from "../../../gateway/claude/tools.ts";
import { findNewTools, newToolsOff } from "../../../gateway/claude/new-tools.ts";
import { lacksOldestCli } from "../../support/programs.ts";
import { readAgent } from "../../support/real-cli.ts";

const named = (agent: Parameters<typeof readAgent>[0], version?: string) => toolsOf(readAgent(agent), version);
const open = { origins: ["https://www.example.org"] };

/** What reaches other sessions or the login's account, works between turns, leaves the workspace, or changes the mode. */
const offByDefault = new Set(
  "ListAgents SendMessage RemoteTrigger Artifact Projects ClaudeDesign PushNotification SendFeedback ReadNotifications Monitor ScheduleWakeup CronCreate CronDelete CronList Workflow TaskStop TaskOutput EnterWorktree ExitWorktree EnterPlanMode ExitPlanMode".split(
    " ",
  ),
);

describe("[A5, P7] the tools of an agent", () => {
  test("have none by default that reach beyond its turns, its workspace and its mode", () => {
    expect(named({}).filter((tool) => offByDefault.has(tool))).toEqual([]);
    expect(named({})).toEqual(
      expect.arrayContaining(["Agent", "Bash", "Read", "Write", "WebSearch", "AskUserQuestion"]),
    );
  });

  test("that may work between turns have those that begin turns, and none that reach others", () => {
    const more = named({ background_tasks: true }).filter((tool) => !named({}).includes(tool));
    expect(more.toSorted()).toEqual(
      ["CronCreate", "CronDelete", "CronList", "Monitor", "ScheduleWakeup", "TaskOutput", "TaskStop"].toSorted(),
    );
  });

  test("that plans can ask to carry its plan out", () =>
    expect(named({ permission_mode: "plan" }).filter((tool) => offByDefault.has(tool))).toEqual(["ExitPlanMode"]));

  test("with public are three that read", () => {
    expect(named({ public: open }).toSorted()).toEqual(["Glob", "Grep", "Read"]);
    expect(named({ public: open, extra_tools: ["AskUserQuestion"] })).toContain("AskUserQuestion");
  });

  test("are more with extra_tools, also by a name that Sluice does not know", () => {
    const more = named({ extra_tools: ["Monitor", "Teleport", "Read"] }).filter((tool) => !named({}).includes(tool));
    expect(more).toEqual(["Monitor", "Teleport"]);
  });

  test("cannot be all at once by a word that the CLI takes for that", () => {
    for (const name of ["default", "Read,Write", "--x", "*", "mcp__x__y", ""])
      expect(() => readAgent({ extra_tools: [name] })).toThrow("name of a tool");
  });

  test("are those that the version has, or that any has where it is not known", () => {
    expect(named({}, "2.1.197")).not.toContain("ToolSearch");
    expect(named({}, "2.1.330")).toContain("ToolSearch");
    expect(named({}, "9.9.9")).toEqual(named({}));
    for (const version of knownVersions)
      expect(named({}, version).filter((tool) => !named({}).includes(tool))).toEqual([]);
  });
});

test.skipIf(lacksOldestCli)("[A5] every tool of the SDK's own list is in the table, for each version", () => {
  const packages = { "2.1.197": "claude-code-oldest", "2.1.330": "@anthropic-ai/claude-code" } as const;
  const names: Record<string, string> = {
    FileEdit: "Edit",
    FileRead: "Read",
    FileWrite: "Write",
    ListMcpResources: "ListMcpResourcesTool",
    ReadMcpResource: "ReadMcpResourceTool",
    ReadMcpResourceDir: "ReadMcpResourceDirTool",
  };
  for (const version of knownVersions) {
    const file = new URL(`../../../node_modules/${packages[version]}/sdk-tools.d.ts`, import.meta.url);
    const listed = [...readFileSync(file, "utf8").matchAll(/^export interface (\w+)Input\b/gm)].map(
      (match) => match[1]!,
    );
    expect(listed.length).toBeGreaterThan(30);
    // `Mcp` stands for the tools of MCP servers.
    const missing = listed
      .filter((name) => name !== "Mcp")
      .map((name) => names[name] ?? name)
      .filter((name) => !tools[name] || !(tools[name].versions ?? knownVersions).includes(version));
    expect([version, missing]).toEqual([version, []]);
  }
});

describe("tools that a newer CLI has", () => {
  test("are those that no known version has; those of MCP servers are the agents' own", () =>
    expect(unknownTools(["Task", "Agent", "Read", "Teleport", "mcp__x__y"])).toEqual(["Teleport"]));

  test("are not looked for where the version is known", async () => {
    for (const version of knownVersions)
      expect(await findNewTools({ path: "/there/is/no/such/program", version })).toEqual([]);
    await expect(findNewTools({ path: "/there/is/no/such/program", version: "9.9.9" })).rejects.toThrow("ENOENT");
  });

  test("are named but for those that the agent has all the same; a name that is none is not repeated", () => {
    const notice = newToolsOff(["Teleport", "Fly", "<script>"], readAgent({ extra_tools: ["Fly"] }));
    expect(notice).toMatchObject({ type: "notice", kind: "new_tools_off" });
    expect(notice?.text).toContain(": Teleport, unnamed.");
    expect(newToolsOff(["Fly"], readAgent({ extra_tools: ["Fly"] }))).toBeUndefined();
    expect(newToolsOff([], readAgent())).toBeUndefined();
    const many = Array.from({ length: 500 }, (_, at) => `Tool${at}`.padEnd(60, "x"));
    expect(newToolsOff(many, readAgent())!.text.length).toBeLessThan(2048);
  });
});
