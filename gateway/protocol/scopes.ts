// What a service key may be allowed to do. Free of zod.

export const scopes = ["turns", "transcripts", "agents", "approvals", "usage", "tokens", "admin"] as const;

export type Scope = (typeof scopes)[number];

/** What keys of SLUICE_KEYS may do, and keys that are made without saying. */
export const ordinaryScopes: readonly Scope[] = scopes.filter((scope) => scope !== "admin");

/** What a person in a browser may do, with a token of their page's server: never more, whatever the key may. */
export const browserScopes: readonly Scope[] = ["turns", "transcripts", "approvals"];
