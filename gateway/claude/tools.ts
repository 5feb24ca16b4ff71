// [A5, P7] The CLI's own tools: which it has by version, what each may do, and which of them an agent gets. A process is told by name which it
// has, so that one which a newer CLI brings is off until somebody has looked at it. Pure.
import type { AgentConfig } from "../protocol/agents.ts";

/** The versions whose tools are all in the table, the oldest first. */
export const knownVersions = ["2.1.197", "2.1.330"] as const;

type Version = (typeof knownVersions)[number];

/** `usual`: of every agent; `background`: of those that may work between turns; `plan`: of those that plan; `extra`: of those that name it. */
type Whose = "usual" | "background" | "plan" | "extra";

interface Tool {
  readonly whose: Whose;
  readonly does: string;
  /** Default: all. */
  readonly versions?: readonly Version[];
}

const newer = ["2.1.330"] as const;
const older = ["2.1.197"] as const;

/** By the names that the CLI takes. Those that only some accounts or programs are offered are here too. */
export const tools: Readonly<Record<string, Tool>> = {
  Agent: { whose: "usual", does: "has a subagent do something, with the tools of its agent" },
  AskUserQuestion: { whose: "usual", does: "asks a person" },
  Bash: { whose: "usual", does: "runs commands" },
  Edit: { whose: "usual", does: "changes files" },
  Glob: { whose: "usual", does: "finds files by their names" },
  Grep: { whose: "usual", does: "finds words in files" },
  ListMcpResourcesTool: { whose: "usual", does: "lists what the agent's MCP servers have to read" },
  NotebookEdit: { whose: "usual", does: "changes notebooks" },
  Read: { whose: "usual", does: "reads files" },
  ReadMcpResourceDirTool: { whose: "usual", does: "lists a folder of an MCP server" },
  ReadMcpResourceTool: { whose: "usual", does: "reads from an MCP server" },
  ReportFindings: { whose: "usual", does: "gives the findings of a review their form" },
  Skill: { whose: "usual", does: "reads a skill's instructions" },
  TaskCreate: { whose: "usual", does: "notes a step of its work" },
  TaskGet: { whose: "usual", does: "reads a step of its work" },
  TaskList: { whose: "usual", does: "lists the steps of its work" },
  TaskUpdate: { whose: "usual", does: "ticks off a step of its work" },
  TodoWrite: { whose: "usual", does: "notes the steps of its work" },
  ToolSearch: {
    whose: "usual",
    does: "fetches the schemas of tools that the model knows by name alone",
    versions: newer,
  },
  WebFetch: { whose: "usual", does: "reads a page of the web" },
  WebSearch: { whose: "usual", does: "searches the web" },
  Write: { whose: "usual", does: "writes files" },

  CronCreate: { whose: "background", does: "has prompts begin turns by the clock" },
  CronDelete: { whose: "background", does: "takes such a prompt back" },
  CronList: { whose: "background", does: "lists such prompts" },
  Monitor: { whose: "background", does: "runs a command and begins a turn for each line of its output" },
  ScheduleWakeup: { whose: "background", does: "begins a turn later" },
  TaskOutput: { whose: "background", does: "reads what a background task says", versions: older },
  TaskStop: { whose: "background", does: "ends a background task" },

  ExitPlanMode: { whose: "plan", does: "asks to carry a plan out, which ends plan mode" },

  Artifact: { whose: "extra", does: "publishes pages in the login's account" },
  ClaudeDesign: { whose: "extra", does: "works with designs in the login's account", versions: newer },
  EnterPlanMode: { whose: "extra", does: "changes the mode to plan" },
  EnterWorktree: { whose: "extra", does: "leaves the workspace for a git worktree" },
  ExitWorktree: { whose: "extra", does: "leaves a git worktree" },
  ListAgents: { whose: "extra", does: "lists the other sessions of this user of the machine", versions: newer },
  OfferChromeSetup: { whose: "extra", does: "offers to connect a browser", versions: newer },
  Projects: { whose: "extra", does: "reads and writes projects of the login's account" },
  ProposeGoal: { whose: "extra", does: "sets what the CLI goes on for by itself", versions: newer },
  ProposeSkills: { whose: "extra", does: "proposes skills, which are kept", versions: newer },
  PushNotification: { whose: "extra", does: "sends messages to the login's devices" },
  ReadNotifications: { whose: "extra", does: "reads what others sent to the session", versions: newer },
  RefreshMcpTools: { whose: "extra", does: "asks MCP servers for their tools again", versions: newer },
  RemoteTrigger: { whose: "extra", does: "runs things in the login's account" },
  REPL: { whose: "extra", does: "runs code that calls other tools", versions: older },
  SendFeedback: { whose: "extra", does: "sends words about the CLI to its maker", versions: newer },
  SendMessage: { whose: "extra", does: "writes to subagents and to other sessions" },
  ShowOnboardingRolePicker: { whose: "extra", does: "shows a choice in the CLI's own screen" },
  Workflow: { whose: "extra", does: "runs many subagents by a script, in the background" },
};

/** What visitors of a public agent may have done without anybody's leave. */
const publicTools = new Set(["Glob", "Grep", "Read"]);

/** The tools of the CLI that an agent's processes have, by name. With a version that is not known it is told all that any version has. */
export function toolsOf(agent: AgentConfig, version?: string): string[] {
  const isThere = ({ versions }: Tool) => !versions || !isKnown(version) || versions.includes(version);
  const named = Object.entries(tools)
    .filter(([name, tool]) => isThere(tool) && isGiven(name, tool, agent))
    .map(([name]) => name);
  // Also one that Sluice does not know: the operator does.
  const others = agent.extra_tools.filter((name) => !Object.hasOwn(tools, name));
  return [...new Set([...named, ...others])];
}

function isGiven(name: string, { whose }: Tool, agent: AgentConfig): boolean {
  if (agent.extra_tools.includes(name)) return true;
  switch (whose) {
    case "usual":
      return !agent.public || publicTools.has(name);
    case "background":
      return agent.background_tasks;
    case "plan":
      return agent.permission_mode === "plan";
    case "extra":
      return false;
  }
}

export function isKnown(version: string | undefined): version is Version {
  return knownVersions.some((known) => known === version);
}

/** Those of the tools that a CLI reports which are in no version that is known. */
export function unknownTools(reported: readonly string[]): string[] {
  // It reports `Agent` under an older name. Those of MCP servers are the agents' own.
  return reported.filter((name) => !Object.hasOwn(tools, name) && name !== "Task" && !name.startsWith("mcp__"));
}
