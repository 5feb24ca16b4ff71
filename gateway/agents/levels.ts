// How deep agents may come to stand below one another: who supervises whom, as far as the configuration says it. Pure.
import type { AgentConfig } from "../protocol/agents.ts";

type Supervising = Pick<AgentConfig, "name" | "supervises">;

/**
 * How many turns may come to wait below a turn of this agent, one for the other; at most `most`. None of the agents `above` it is among
 * them, and no agent twice: a turn gives no work to an agent that stands above it.
 */
export function levelsBelow(
  agents: readonly Supervising[],
  name: string,
  { above = [], most }: { readonly above?: readonly string[]; readonly most: number },
): number {
  const agent = agents.find((one) => one.name === name);
  if (!agent || most <= 0) return 0;
  const here = [...above, name];
  let levels = 0;
  for (const below of agent.supervises) {
    if (here.includes(below)) continue;
    levels = Math.max(levels, 1 + levelsBelow(agents, below, { above: here, most: most - 1 }));
    if (levels >= most) break;
  }
  return levels;
}
