// The tools about agents themselves: list_agents.
import { z } from "zod";
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
