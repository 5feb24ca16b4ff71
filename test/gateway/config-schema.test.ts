import { describe, expect, test } from "vitest";
import { z } from "zod";
import { configFile, readConfig } from "../../gateway/config.ts";

// The schema that editors complete the file by is read back as a validator of its own, and must judge as the gateway does.
const published = z.fromJSONSchema(z.toJSONSchema(configFile, { io: "input" }));
const agent = { name: "a" };

describe("the published JSON Schema of the configuration file", () => {
  test.each<[string, object, boolean]>([
    ["nothing", {}, true],
    ["its own address", { $schema: "./x.json" }, true],
    ["an agent by its name alone", { agents: [agent] }, true],
    [
      "an agent with more",
      { agents: [{ ...agent, model: "m", allowed_tools: ["Bash(ls:*)"], permission_mode: "plan", spares: 2 }] },
      true,
    ],
    [
      "all that concerns the agents' folders, hooks and supervision",
      {
        agents: [
          {
            ...agent,
            workspace: "/srv",
            worktree: true,
            hooks: { Stop: [{ hooks: [{ type: "command", command: "x" }] }] },
          },
          { name: "b", supervises: ["a"] },
        ],
        workspace_roots: ["/srv"],
        permission_ceiling: "plan",
      },
      true,
    ],
    ["hooks without commands", { agents: [{ ...agent, hooks: { Stop: [{}] } }] }, false],
    ["one limit", { limits: { processes: 3 } }, true],
    ["hosts and origins", { allowed_hosts: ["chat.example"], allowed_origins: ["https://a.example"] }, true],
    ["an unknown field", { agent: [] }, false],
    ["an agent without a name", { agents: [{}] }, false],
    ["an agent's unknown field", { agents: [{ ...agent, binary: "/x" }] }, false],
    ["no agents", { agents: [] }, false],
    ["an unknown mode", { agents: [{ ...agent, permission_mode: "root" }] }, false],
    ["an unknown limit", { limits: { process: 3 } }, false],
    ["a limit of the wrong type", { limits: { processes: "3" } }, false],
    ["a limit of nothing", { limits: { processes: 0 } }, false],
    ["a host with a port", { allowed_hosts: ["chat.example:80"] }, false],
  ])("judges %s as the gateway does", (_, file, isGood) => {
    expect([configFile.safeParse(file).success, published.safeParse(file).success]).toEqual([isGood, isGood]);
  });
});

test.each([
  ["SLUICE_PORT", ""],
  ["SLUICE_PORT", " "],
  ["SLUICE_PORT", "0x50"],
  ["SLUICE_PORT", "8787.5"],
  ["SLUICE_PUBLIC_URL", "javascript:alert(1)"],
  ["SLUICE_PUBLIC_URL", "ftp://chat.example"],
])("%s=%j is refused, and named", (name, value) => {
  expect(() => readConfig({ [name]: value })).toThrow(new RegExp(name));
});
