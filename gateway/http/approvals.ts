// /api/approvals: tool calls that wait for a person, and their answers.
import type { Context, Hono } from "hono";
import { answerApproval, listApprovals } from "../protocol/requests.ts";
import type { ApprovalRow } from "../store/port.ts";
import type { Env } from "./env.ts";
import { pathId, readJson, readQuery } from "./input.ts";
import { timeOf, type RouteDeps } from "./routes.ts";

export function mountApprovals(app: Hono<Env>, deps: RouteDeps): void {
  app.get("/api/approvals", (c) => getApprovals(c, deps));
  app.post("/api/approvals/:approval", (c) => postApproval(c, deps));
}

async function getApprovals(c: Context<Env>, { store }: RouteDeps): Promise<Response> {
  const { limit, cursor, ...filter } = readQuery(c, listApprovals);
  const rows = await store.approvals(c.get("caller"), { ...filter, before: cursor, limit: limit + 1 });
  const page = rows.slice(0, limit);
  const next = rows.length > limit ? page.at(-1)!.approval : null;
  return c.json({ approvals: page.map(approvalJson), next_cursor: next });
}

async function postApproval(c: Context<Env>, { turns }: RouteDeps): Promise<Response> {
  const id = pathId(c, "approval");
  const answer = await readJson(c, answerApproval);
  return c.json(approvalJson(await turns.approvals.answer(c.get("caller"), id, answer)));
}

/** An approval as replies show it: its own fields, those of the request, and once it is settled those of what settled it. */
export function approvalJson(row: ApprovalRow): Record<string, unknown> {
  const { type: _, ...requested } = row.requested;
  const { type: __, ...resolved } = row.resolved ?? { type: null };
  return {
    ...requested,
    session: row.session,
    turn: row.turn,
    state: row.resolved === null ? "pending" : "resolved",
    requested_at: timeOf(row.requestedAt),
    resolved_at: timeOf(row.resolvedAt),
    ...resolved,
  };
}
