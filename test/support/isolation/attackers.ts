// Who tries: sessions of agents with different settings, by callers of every kind. An agent's fields are those of the configuration file; a plain CLI
// gets the matching options.
import type { z } from "zod";
import type { agentConfig } from "../../../gateway/protocol/agents.ts";
import type { Grounds } from "./grounds.ts";

type AgentFields = Omit<z.input<typeof agentConfig>, "name">;

export interface Attacker {
  /** Default: a person in a browser, by a token. */
  readonly caller?: "user" | "visitor" | "key";
  readonly agent: (at: Pick<Grounds, "project" | "placed">) => AgentFields;
  /** The person's answer to every approval. */
  readonly answer: "allow" | "deny";
  /** What it can do does not depend on the user that the gateway runs as: see `isOnce` of a try. */
  readonly isOnce?: true;
  /** The agent that supervises it and gives it its work. */
  readonly supervisor?: string;
}

/** Everything that takes a path or has an effect. */
const everyTool = ["Bash", "Read", "Write", "Edit", "NotebookEdit", "Glob", "Grep", "ListAgents", "Task"];
/** Tools that the gateway gives only to agents that name them. */
const extraTools = ["ListAgents"];
const readers = ["Read", "Glob", "Grep"];

export const publicOrigin = "https://shop.example";

/** An MCP server with one tool, which runs a command and answers with its output. All in one argument: it needs no file. */
const runner = String.raw`
import json, subprocess, sys
tool = {"name": "run", "inputSchema": {"type": "object", "properties": {"command": {"type": "string"}}}}
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    if asked["method"] == "initialize":
        result = {"protocolVersion": asked["params"]["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": {"name": "runner", "version": "1"}}
    elif asked["method"] == "tools/list":
        result = {"tools": [tool]}
    else:
        done = subprocess.run(["bash", "-c", asked["params"]["arguments"]["command"]], capture_output=True, text=True)
        result = {"content": [{"type": "text", "text": done.stdout + done.stderr}]}
    print(json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}), flush=True)
`;

/** Before each call of Glob this hook runs the pattern as a command; its output reaches the model. */
const hook = String.raw`python3 -c '
import json, subprocess, sys
command = json.load(sys.stdin)["tool_input"]["pattern"]
said = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
print(json.dumps({"hookSpecificOutput": {"hookEventName": "PreToolUse", "additionalContext": said.stdout + said.stderr}}))'`;

export const attackers = {
  /** Everything is allowed: nothing but the box holds. */
  shell: { agent: () => ({ allowed_tools: everyTool, extra_tools: extraTools }), answer: "allow" },
  key: {
    caller: "key",
    agent: () => ({ allowed_tools: everyTool, extra_tools: extraTools }),
    answer: "allow",
    isOnce: true,
  },
  visitor: {
    caller: "visitor",
    agent: () => ({
      public: { origins: [publicOrigin] },
      permission_mode: "dontAsk",
      allowed_tools: readers,
    }),
    answer: "deny",
    isOnce: true,
  },
  /** Allowed nothing, in the mode that only reads. */
  planner: { agent: () => ({ permission_mode: "plan" }), answer: "deny", isOnce: true },
  /** Allowed nothing and never asked about, but the model may choose plan mode itself. */
  dreamer: {
    agent: () => ({ permission_mode: "dontAsk", extra_tools: ["EnterPlanMode"] }),
    answer: "deny",
    isOnce: true,
  },
  /** Every call is shown to a person, who allows it. */
  asker: { agent: () => ({}), answer: "allow", isOnce: true },
  editor: {
    agent: () => ({ permission_mode: "acceptEdits", allowed_tools: ["Bash"] }),
    answer: "allow",
    isOnce: true,
  },
  bypasser: { agent: () => ({ permission_mode: "bypassPermissions" }), answer: "deny" },
  /** Only commands are allowed, and the person denies everything else. */
  piper: { agent: () => ({ allowed_tools: ["Bash"] }), answer: "deny" },
  coder: {
    agent: ({ project }) => ({ workspace: project, worktree: true, allowed_tools: everyTool, extra_tools: extraTools }),
    answer: "allow",
  },
  /** The same, in another worktree. */
  committer: {
    agent: ({ project }) => ({ workspace: project, worktree: true, allowed_tools: ["Bash"] }),
    answer: "allow",
    isOnce: true,
  },
  /** In a folder of the operator that has traps in it. */
  guest: {
    agent: ({ placed }) => ({ workspace: placed, allowed_tools: everyTool, extra_tools: extraTools }),
    answer: "allow",
  },
  worker: {
    agent: () => ({ allowed_tools: everyTool, extra_tools: extraTools }),
    answer: "allow",
    isOnce: true,
    supervisor: "lead",
  },
  /** With all that runs programs or reads files besides the tools. */
  extended: {
    agent: () => ({
      allowed_tools: ["Bash", "Glob", "mcp__runner"],
      file_mentions: true,
      mcp_servers: { runner: { command: "python3", args: ["-c", runner], alwaysLoad: true } },
      hooks: { PreToolUse: [{ matcher: "Glob", hooks: [{ type: "command", command: hook }] }] },
    }),
    answer: "allow",
  },
  offline: { agent: () => ({ allowed_tools: ["Bash"], box: { network: "none" } }), answer: "allow" },
} as const satisfies Record<string, Attacker>;

export type AttackerName = keyof typeof attackers;

/** Whether what an attacker can do does not depend on the user that the gateway runs as. */
export function isSameAnyway(name: AttackerName): boolean {
  return (attackers[name] as Attacker).isOnce ?? false;
}
