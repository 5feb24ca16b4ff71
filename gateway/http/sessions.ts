// /api/sessions: listing, making, renaming, branching and removing sessions, and all events of one in one stream.
import type { Context, Hono } from "hono";
import { GatewayError } from "../protocol/errors.ts";
import { changeSession, createSession, forkSession, listSessions } from "../protocol/requests.ts";
import type { SessionRow } from "../store/port.ts";
import { negotiate, streamFormat } from "./accept.ts";
import { narrowed } from "./auth/authenticate.ts";
import type { Env } from "./env.ts";
import { pathId, readCursor, readJson, readQuery } from "./input.ts";
import { absoluteUrl, eventsUrl, streamBasics, timeOf, type RouteDeps } from "./routes.ts";
import { streamEvents } from "./stream.ts";

export function mountSessions(app: Hono<Env>, deps: RouteDeps): void {
  const { sessions } = deps;
  const made = async (c: Context<Env>, row: SessionRow) => {
    c.header("Location", absoluteUrl(c, deps, `/api/sessions/${row.session}`));
    c.header("Sluice-Session", row.session);
    return c.json(await sessionJson(c, deps, row), 201);
  };

  app.get("/api/sessions", (c) => getSessions(c, deps));
  app.post("/api/sessions", async (c) => {
    const { agent, user, title } = await readJson(c, createSession);
    const caller = narrowed(c.get("caller"), user);
    await deps.rates.session(c, caller);
    return made(c, await sessions.create(caller, agent, title));
  });
  app.get("/api/sessions/:session", async (c) => {
    const row = await sessions.get(c.get("caller"), pathId(c, "session"));
    return c.json(await sessionJson(c, deps, row));
  });
  app.patch("/api/sessions/:session", async (c) => {
    const id = pathId(c, "session");
    const { title } = await readJson(c, changeSession);
    return c.json(await sessionJson(c, deps, await sessions.rename(c.get("caller"), id, title)));
  });
  app.delete("/api/sessions/:session", async (c) => {
    const session = pathId(c, "session");
    return c.json({ session, removed: await sessions.remove(c.get("caller"), session) });
  });
  app.post("/api/sessions/:session/fork", async (c) => {
    const id = pathId(c, "session");
    const wanted = await readJson(c, forkSession);
    await deps.rates.session(c, c.get("caller"));
    return made(c, await sessions.fork(c.get("caller"), id, wanted));
  });
  app.post("/api/sessions/:session/warm", async (c) => {
    const session = pathId(c, "session");
    await deps.rates.session(c, c.get("caller"));
    await sessions.warm(c.get("caller"), session);
    return c.json({ session, warm: true });
  });
  app.get("/api/sessions/:session/events", (c) => getSessionEvents(c, deps));
}

async function getSessions(c: Context<Env>, deps: RouteDeps): Promise<Response> {
  const { limit, cursor, q, ...filter } = readQuery(c, listSessions);
  const after = cursor === undefined ? undefined : readListCursor(cursor);
  if (q !== undefined) await deps.rates.search(c, c.get("caller"));
  const rows = await deps.sessions.list(c.get("caller"), { ...filter, words: q, after, limit: limit + 1 });
  const page = rows.slice(0, limit);
  const next = rows.length > limit ? listCursor(page.at(-1)!) : null;
  return c.json({ sessions: await Promise.all(page.map((row) => sessionJson(c, deps, row))), next_cursor: next });
}

function listCursor({ updatedAt, session }: SessionRow): string {
  return `${updatedAt}.${session}`;
}

function readListCursor(cursor: string): { updatedAt: number; session: string } {
  const match = /^(\d{1,15})\.([0-9a-f-]{36})$/.exec(cursor);
  if (!match)
    throw new GatewayError("invalid_request", "cursor: must be the next_cursor of an earlier page", {
      field: "cursor",
    });
  return { updatedAt: Number(match[1]), session: match[2]! };
}

async function getSessionEvents(c: Context<Env>, deps: RouteDeps): Promise<Response> {
  const rendering = negotiate(c, ["sse", "ndjson"], "sse");
  const after = readCursor(c);
  const id = pathId(c, "session");
  deps.rates.stream(c, c.get("caller"));
  const cursor = await deps.log.subscribe(c.get("caller"), id, after);
  if (!cursor) throw new GatewayError("not_found", `There is no session "${id}".`);
  return streamEvents(c, {
    cursor,
    format: streamFormat(rendering === "ndjson" ? "ndjson" : "sse"),
    ...streamBasics(c, deps, id),
  });
}

/** A session as replies show it. `state` is that of its newest turn. */
async function sessionJson(c: Context<Env>, deps: RouteDeps, row: SessionRow): Promise<Record<string, unknown>> {
  return {
    session: row.session,
    agent: row.agent,
    user: row.owner.user,
    title: row.title,
    state: row.state,
    last_seq: row.lastSeq,
    created_at: timeOf(row.createdAt),
    updated_at: timeOf(row.updatedAt),
    events_url: await eventsUrl(c, deps, `/api/sessions/${row.session}`, row),
    transcript_url: absoluteUrl(c, deps, `/api/sessions/${row.session}/transcript`),
  };
}
