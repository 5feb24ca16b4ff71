import { describe, expect, test } from "vitest";
import { buildCommand, markerVariable, type CommandInput } from "../../../gateway/claude/command.ts";
import { toolsOf } from "../../../gateway/claude/tools.ts";
import { readAgent } from "../../support/real-cli.ts";

const secrets = {
  CLAUDE_CODE_OAUTH_TOKEN: "secret-oauth",
  ANTHROPIC_API_KEY: "secret-key",
  ANTHROPIC_AUTH_TOKEN: "secret-auth",
  AWS_SECRET_ACCESS_KEY: "secret-aws",
  AWS_BEARER_TOKEN_BEDROCK: "secret-bedrock",
  ANTHROPIC_FOUNDRY_API_KEY: "secret-foundry",
};

const environment = {
  ...secrets,
  PATH: "/bin",
  HOME: "/home/x",
  HTTPS_PROXY: "http://proxy:3128",
  ANTHROPIC_BASE_URL: "http://127.0.0.1:1",
  CLAUDE_CONFIG_DIR: "/home/x/.claude",
  // None of these may reach the CLI.
  CLAUDECODE: "1",
  CLAUDE_CODE_ENTRYPOINT: "cli",
  CLAUDE_CODE_SSE_PORT: "1234",
  SLUICE_KEYS: "name:secret-sluice",
  SLUICE_DATABASE_URL: "postgres://u:secret-db@h/d",
  LD_PRELOAD: "/x.so",
  NODE_OPTIONS: "--inspect",
  GITHUB_TOKEN: "secret-github",
};

function build(agent: Parameters<typeof readAgent>[0] = {}, more: Partial<CommandInput> = {}) {
  return buildCommand({
    agent: readAgent(agent),
    session: "10000000-0000-4000-8000-000000000000",
    origin: { kind: "new" },
    workspace: "/workspace",
    privateFolder: "/run/private",
    environment,
    marker: "the-marker",
    ...more,
  });
}

describe("[P2] the child's environment is an allow-list", () => {
  const credentials = (billing: "subscription" | "api_key" | "any") =>
    Object.keys(build({ billing }).env).filter((name) => name in secrets);

  test("with billing subscription only the login's token is in it", () =>
    expect(credentials("subscription")).toEqual(["CLAUDE_CODE_OAUTH_TOKEN"]));
  test("with billing api_key it holds all keys and not the login's token", () => {
    const keys = Object.keys(secrets).filter((name) => name !== "CLAUDE_CODE_OAUTH_TOKEN");
    expect(credentials("api_key").toSorted()).toEqual(keys.toSorted());
  });
  test("with billing any it holds what is there", () =>
    expect(credentials("any").toSorted()).toEqual(Object.keys(secrets).toSorted()));

  test.each(["subscription", "api_key", "any"] as const)(
    "with billing %s nothing else of the gateway's own is in it",
    (billing) => {
      const { env } = build({ billing });
      for (const name of [
        "CLAUDECODE",
        "CLAUDE_CODE_ENTRYPOINT",
        "CLAUDE_CODE_SSE_PORT",
        "SLUICE_KEYS",
        "SLUICE_DATABASE_URL",
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "GITHUB_TOKEN",
      ])
        expect(env).not.toHaveProperty(name);
      expect(env).toMatchObject({
        PATH: "/bin",
        HOME: "/home/x",
        HTTPS_PROXY: "http://proxy:3128",
        ANTHROPIC_BASE_URL: "http://127.0.0.1:1",
      });
      expect(env[markerVariable]).toBe("the-marker");
    },
  );

  test("[P7] memory, background tasks and cron are off unless the agent asks", () => {
    const off = {
      CLAUDE_CODE_DISABLE_AUTO_MEMORY: "1",
      CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: "1",
      CLAUDE_CODE_DISABLE_CRON: "1",
    };
    expect(build().env).toMatchObject(off);
    const asked = build({ background_tasks: true }).env;
    expect(Object.keys(off).filter((name) => name in asked)).toEqual(["CLAUDE_CODE_DISABLE_AUTO_MEMORY"]);
  });

  test("attachments are never switched off as a whole: the model would not hear of its tools", () => {
    const switchedOff = { ...environment, CLAUDE_CODE_DISABLE_ATTACHMENTS: "1" };
    expect(build({}, { environment: switchedOff }).env).not.toHaveProperty("CLAUDE_CODE_DISABLE_ATTACHMENTS");
  });

  test("variables that the agent is given by name are in it, and in its MCP servers; no others are", () => {
    const agent = {
      box: { env: ["GITHUB_TOKEN", "LD_PRELOAD", "NOT_THERE"] },
      mcp_servers: { x: { url: "x", headers: { a: "${GITHUB_TOKEN}", b: "${SLUICE_KEYS}", c: "${NOT_THERE}" } } },
    };
    const { env, files, args } = build(agent);
    expect(env).toMatchObject({ GITHUB_TOKEN: "secret-github", LD_PRELOAD: "/x.so" });
    for (const name of ["NOT_THERE", "SLUICE_KEYS", "NODE_OPTIONS"]) expect(env).not.toHaveProperty(name);
    expect(JSON.parse(files["mcp.json"]!)).toMatchObject({
      mcpServers: { x: { headers: { a: "secret-github", b: "${SLUICE_KEYS}", c: "${NOT_THERE}" } } },
    });
    expect(args.join(" ")).not.toContain("secret-github");
  });

  test("settings of git come after those that the agent is given", () => {
    const given = { GIT_CONFIG_COUNT: "1", GIT_CONFIG_KEY_0: "user.name", GIT_CONFIG_VALUE_0: "ann" };
    const { env } = build({ box: { env: Object.keys(given) } }, { environment: { ...environment, ...given } });
    expect(env).toMatchObject({
      GIT_CONFIG_KEY_0: "user.name",
      GIT_CONFIG_KEY_1: "core.fsmonitor",
      GIT_CONFIG_COUNT: "4",
    });
    expect(build().env).toMatchObject({ GIT_CONFIG_KEY_0: "core.fsmonitor", GIT_CONFIG_COUNT: "3" });
  });

  test("the operator's environment cannot switch them on", () => {
    const { env } = build({}, { environment: { ...environment, CLAUDE_CODE_DISABLE_CRON: "" } });
    expect(env).toMatchObject({ CLAUDE_CODE_DISABLE_CRON: "1" });
  });
});

describe("the command line", () => {
  const full = {
    model: "claude-sonnet-5",
    fallback_model: "claude-haiku-5",
    max_model_turns: 3,
    max_budget_usd: 1.5,
    instructions: "secret-instructions",
    subagents: { looker: { description: "secret-subagent", prompt: "look" } },
    hooks: { Stop: [{ hooks: [{ type: "command", command: "echo secret-hook" }] }] },
    mcp_servers: {
      x: { type: "http", url: "http://127.0.0.1:1/mcp", headers: { authorization: "Bearer secret-mcp" } },
    },
    allowed_tools: ["Bash(echo:*)", "Read"],
    disallowed_tools: ["WebFetch"],
    permission_mode: "plan" as const,
  };

  test("[P1] holds no secret, no instructions and no prompt, whatever the agent is", () => {
    expect(build(full).args.join(" ")).not.toMatch(/secret/);
    expect(build(full).args.join(" ")).not.toContain("-p ");
  });

  test("has every flag with a value as one argument, so that no value can be taken for a flag", () => {
    const args = build(full).args;
    for (const arg of args) expect(arg).toMatch(/^--[a-z-]+(=|$)/);
    expect(args).toEqual(
      expect.arrayContaining([
        "--model=claude-sonnet-5",
        "--fallback-model=claude-haiku-5",
        "--max-turns=3",
        "--max-budget-usd=1.5",
        "--permission-mode=plan",
        "--allowed-tools=Bash(echo:*),Read",
        "--input-format=stream-json",
        "--permission-prompt-tool=stdio",
      ]),
    );
  });

  test("gives what nobody may read in ps as files of the private folder", () => {
    const { args, files } = build(full);
    expect(args).toEqual(
      expect.arrayContaining([
        "--mcp-config=/run/private/mcp.json",
        "--append-system-prompt-file=/run/private/instructions.md",
        "--agents=/run/private/subagents.json",
        "--settings=/run/private/settings.json",
      ]),
    );
    expect(files["instructions.md"]).toBe("secret-instructions");
    expect(JSON.parse(files["mcp.json"]!)).toEqual({ mcpServers: full.mcp_servers });
    expect(JSON.parse(files["subagents.json"]!)).toEqual(full.subagents);
    expect(JSON.parse(files["settings.json"]!)).toEqual({ useAutoModeDuringPlan: false, hooks: full.hooks });
  });

  test("an agent that supervises others has the gateway's own server among its MCP servers, its tools allowed", () => {
    const supervision = { url: "http://127.0.0.1:8787/mcp", token: "secret-token" };
    const { args, env, files } = build({ ...full, turn_timeout_s: 100 }, { supervision });
    expect(JSON.parse(files["mcp.json"]!)).toEqual({
      mcpServers: {
        ...full.mcp_servers,
        sluice: {
          type: "http",
          url: "http://127.0.0.1:8787/mcp",
          headers: { Authorization: "Bearer secret-token" },
          timeout: 160_000,
          alwaysLoad: true,
        },
      },
    });
    expect(args).toContain("--allowed-tools=Bash(echo:*),Read,mcp__sluice");
    expect(args.join(" ") + JSON.stringify(env)).not.toContain("secret-token");
    expect(build({}, { supervision }).args).toContain("--allowed-tools=mcp__sluice");
  });

  test("its way to the gateway leads through no proxy, and the operator's own exceptions stay", () => {
    const supervision = { url: "http://[::1]:8787/mcp", token: "t" };
    const { env } = build({}, { supervision, environment: { ...environment, no_proxy: "internal.example" } });
    expect(env).toMatchObject({ NO_PROXY: "internal.example,[::1]", no_proxy: "internal.example,[::1]" });
    expect(build().env).not.toHaveProperty("NO_PROXY");
  });

  test("[P2] reads no settings and no other MCP servers unless the agent says so", () => {
    expect(build().args).toEqual(expect.arrayContaining(["--setting-sources=", "--strict-mcp-config"]));
    expect(build({ setting_sources: ["user", "project"] }).args).toContain("--setting-sources=user,project");
    expect(Object.keys(build().files)).toEqual(["settings.json"]);
  });

  const list = (args: readonly string[], name: string) =>
    args
      .find((arg) => arg.startsWith(`--${name}=`))
      ?.slice(name.length + 3)
      .split(",");

  test("[A5, P7] names the tools that there are, and beside them disallows what the agent does", () => {
    const { args } = build({ disallowed_tools: ["WebFetch"] });
    expect(list(args, "tools")).toEqual(toolsOf(readAgent()));
    expect(list(args, "disallowed-tools")).toEqual(["WebFetch"]);
    expect(list(build({ background_tasks: true }).args, "tools")).toEqual(
      toolsOf(readAgent({ background_tasks: true })),
    );
    expect(list(build().args, "disallowed-tools")).toBeUndefined();
    expect(list(build({}, { cliVersion: "2.1.197" }).args, "tools")).not.toContain("ToolSearch");
  });

  test("[A5] plan mode never uses the rules of auto mode, by which files outside the workspace are read unasked", () => {
    for (const agent of [{}, { permission_mode: "plan" as const }, { setting_sources: ["user" as const] }]) {
      const { args, files } = build(agent);
      expect(args).toContain("--settings=/run/private/settings.json");
      expect(JSON.parse(files["settings.json"]!)).toEqual({ useAutoModeDuringPlan: false });
    }
  });

  test("[P6] brings a session back by its file where there is one, else begins it under its id", () => {
    expect(build().args.at(-1)).toBe("--session-id=10000000-0000-4000-8000-000000000000");
    const resumed = build({}, { origin: { kind: "resume", file: "/home/x/s.jsonl" } }).args;
    expect(resumed.at(-1)).toBe("--resume=/home/x/s.jsonl");
    expect(resumed.join(" ")).not.toContain("--session-id");
  });

  test("branches off another session's file, behind an answer or at its end", () => {
    const file = "/home/x/s.jsonl";
    const atEnd = build({}, { origin: { kind: "fork", file, answerUuid: null } }).args;
    expect(atEnd.slice(-3)).toEqual([
      "--fork-session",
      "--session-id=10000000-0000-4000-8000-000000000000",
      `--resume=${file}`,
    ]);
    const behind = build({}, { origin: { kind: "fork", file, answerUuid: "an-answer" } }).args;
    expect(behind.at(-1)).toBe("--resume-session-at=an-answer");
  });

  test("runs in the agent's workspace", () => expect(build().cwd).toBe("/workspace"));
});
