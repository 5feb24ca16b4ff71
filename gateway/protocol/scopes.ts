// What a service key may be allowed to do. Free of zod.

export const scopes = [
  "turns",
  "transcripts",
  "agents",
  "approvals",
  "usage",
  "tokens",
  "manage_agents",
  "admin",
] as const;

export type Scope = (typeof scopes)[number];

/** The tools that /mcp offers, with the scope that each wants. */
export const toolScopes = {
  list_agents: "agents",
  agent_changes: "agents",
  message_agent: "turns",
  read_turn: "turns",
  cancel_turn: "turns",
  read_transcript: "transcripts",
  answer_approval: "approvals",
} as const satisfies Record<string, Scope>;

export type ToolName = keyof typeof toolScopes;

/** What keys of SLUICE_KEYS may do, and keys that are made without saying. */
export const ordinaryScopes: readonly Scope[] = scopes.filter(
  (scope) => scope !== "manage_agents" && scope !== "admin",
);

/** What a person in a browser may do, with a token of their page's server: never more, whatever the key may. */
export const browserScopes: readonly Scope[] = ["turns", "transcripts", "approvals"];
