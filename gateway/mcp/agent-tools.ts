// The tools about agents themselves: list_agents, agent_changes.
import { z } from "zod";
import { agentName } from "../protocol/agents.ts";
import type { AgentChanges } from "../protocol/changes.ts";
import type { AgentView } from "../turns/agents.ts";
import { addTool, readsOnly, type Scene } from "./tool.ts";

const agentShown = z.object({
  name: z.string(),
  description: z.string().optional(),
  model: z.string().optional(),
  state: z.enum(["idle", "working", "waiting", "limited"]),
  queued: z.number().describe("turns that wait before a new one"),
  turns: z.array(z.object({ turn: z.string(), session: z.string(), state: z.string() })).describe("yours that run"),
  session: z.string().optional().describe("the session that message_agent goes on in; absent before the first message"),
});

type AgentShown = z.infer<typeof agentShown>;

/** A longer diff is cut behind a line: a client would keep it from its model. */
const maxDiffChars = 50_000;
const maxFiles = 500;

const changesShown = z.object({
  branch: z.string(),
  base: z
    .string()
    .nullable()
    .describe("the branch point, which all of this is against; null while there is no worktree yet"),
  head: z.string().nullable(),
  commits: z.array(z.object({ commit: z.string(), at: z.string(), subject: z.string() })).describe("newest first"),
  files: z.array(z.object({ path: z.string(), status: z.string(), from: z.string().optional() })),
  diff: z.string().describe("as git diff writes it, committed or not"),
  truncated: z.boolean().describe("not all of it is here; the agent itself can look further"),
});

type ChangesShown = z.infer<typeof changesShown>;

export function addAgentTools(scene: Scene): void {
  addTool(scene, "list_agents", {
    title: "List the agents",
    description:
      "The agents that you can give work to: what each is for, whether it is busy, and the session that you have with it.",
    input: z.strictObject({}),
    output: z.object({ agents: z.array(agentShown) }),
    hints: readsOnly,
    async run(caller) {
      const { agents, store } = scene;
      const views = await agents.list(caller);
      const data = await Promise.all(
        views.map(async (view) => shown(view, await store.standingSession(caller, view.agent.name))),
      );
      return { data: { agents: data }, text: data.map(textOf).join("\n") || "There are no agents for you." };
    },
  });
  addTool(scene, "agent_changes", {
    title: "What an agent has changed",
    description:
      "What an agent has changed in its own git worktree since the branch point, committed or not: files, commits and the diff. For agents that have a worktree.",
    input: z.strictObject({ agent: agentName.describe("the agent's name, see list_agents") }),
    output: changesShown,
    hints: readsOnly,
    async run(caller, { agent }) {
      const data = changesOf(await scene.agents.changes(caller, agent));
      return { data, text: changesText(data) };
    },
  });
}

function changesOf(changes: AgentChanges): ChangesShown {
  const { branch, base, head, commits, files, diff } = changes;
  const end = diff.length <= maxDiffChars ? diff.length : diff.lastIndexOf("\n", maxDiffChars - 1) + 1;
  const isCut = changes.commits_truncated || changes.files_truncated || changes.diff_truncated;
  return {
    branch,
    base,
    head,
    commits: [...commits],
    files: files.slice(0, maxFiles),
    diff: diff.slice(0, end),
    truncated: isCut || end < diff.length || files.length > maxFiles,
  };
}

function changesText({ branch, base, files, diff, truncated }: ChangesShown): string {
  if (base === null) return `There is no worktree yet: it is made when the agent first works, on the branch ${branch}.`;
  const list = files.map(({ path, status, from }) => `${status} ${from === undefined ? "" : `${from} → `}${path}`);
  return [
    `Branch ${branch}`,
    list.join("\n") || "Nothing is changed.",
    diff,
    truncated ? "(Not all of it is here.)" : "",
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function shown({ agent, state, queued, turns }: AgentView, session: string | undefined): AgentShown {
  return {
    name: agent.name,
    ...(agent.description === undefined ? {} : { description: agent.description }),
    ...(agent.model === undefined ? {} : { model: agent.model }),
    state,
    queued,
    turns: turns.map((one) => ({ turn: one.turn, session: one.session, state: one.state })),
    ...(session === undefined ? {} : { session }),
  };
}

function textOf({ name, description, state, queued, session }: AgentShown): string {
  const what = description === undefined ? "" : `: ${description}`;
  const waiting = queued > 0 ? `, ${queued} waiting` : "";
  return `${name} (${state}${waiting})${what}${session === undefined ? "" : ` Session ${session}.`}`;
}
