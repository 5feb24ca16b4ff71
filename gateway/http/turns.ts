// /api/turns: starting work is POST, watching it is GET and changes nothing.
import type { Context, Hono } from "hono";
import { isTerminal } from "../formats/format.ts";
import { GatewayError } from "../protocol/errors.ts";
import { createTurn, listTurns } from "../protocol/requests.ts";
import type { LogEvent } from "../store/port.ts";
import type { TurnRequest } from "../turns/admission.ts";
import type { TurnView } from "../turns/turns.ts";
import { hasEnded } from "../turns/machine.ts";
import { negotiate, streamFormat, type Rendering } from "./accept.ts";
import { narrowed } from "./auth/authenticate.ts";
import type { Env } from "./env.ts";
import { evenTime } from "./even-time.ts";
import { pathId, readCursor, readIdempotencyKey, readJson, readQuery, readWait } from "./input.ts";
import { absoluteUrl, eventsUrl, streamBasics, timeOf, type RouteDeps } from "./routes.ts";
import { streamEvents } from "./stream.ts";

export function mountTurns(app: Hono<Env>, deps: RouteDeps): void {
  app.post("/api/turns", (c) => postTurn(c, deps, () => readJson(c, createTurn)));
  app.get("/api/turns", (c) => getTurns(c, deps));
  app.get("/api/turns/:turn", (c) => getTurn(c, deps));
  app.get("/api/turns/:turn/events", (c) => getTurnEvents(c, deps));
  app.post("/api/turns/:turn/cancel", async (c) => {
    const turn = await deps.turns.cancel(c.get("caller"), pathId(c, "turn"));
    return c.json(await turnJson(c, deps, turn));
  });
}

/** Makes the turn that `read` gives, and answers in whatever way the request asks for. All that can be refused is refused before it is made. */
export async function postTurn(c: Context<Env>, deps: RouteDeps, read: () => Promise<TurnRequest>): Promise<Response> {
  const rendering = negotiate(c, ["json", "sse", "ndjson", "text"], "json");
  const waitS = readWait(c);
  const idempotencyKey = readIdempotencyKey(c);
  const request = await read();
  const caller = narrowed(c.get("caller"), request.user);
  if (rendering !== "json" || waitS !== undefined) deps.rates.stream(c, caller);
  await deps.rates.turn(c, caller);
  const attached = attachedBytes(request.prompt);
  if (attached > 0) await deps.rates.uploadBytes(c, caller, attached);
  const even = evenTime(attached);
  const turn = await deps.turns.create(caller, request, idempotencyKey);
  if (attached > 0) await even();
  c.header("Sluice-Session", turn.session);
  c.header("Sluice-Turn", turn.turn);
  if (rendering !== "json") {
    c.header("Location", await eventsUrl(c, deps, `/api/turns/${turn.turn}`, turn));
    return stream(c, deps, turn, rendering, 0);
  }
  c.header("Location", absoluteUrl(c, deps, `/api/turns/${turn.turn}`));
  const now = waitS === undefined ? turn : await waitForEnd(c, deps, turn, waitS);
  return c.json(await turnJson(c, deps, now), hasEnded(now.state) && waitS !== undefined ? 200 : 202);
}

/** Of what comes in the prompt itself. */
function attachedBytes(prompt: TurnRequest["prompt"]): number {
  let chars = 0;
  for (const block of prompt)
    if (block.type !== "text" && block.source.type === "base64") chars += block.source.data.length;
  return Math.ceil((chars * 3) / 4);
}

async function getTurns(c: Context<Env>, deps: RouteDeps): Promise<Response> {
  const { limit, cursor, ...filter } = readQuery(c, listTurns);
  const turns = await deps.turns.list(c.get("caller"), { ...filter, before: cursor, limit: limit + 1 });
  const page = turns.slice(0, limit);
  const next = turns.length > limit ? page.at(-1)!.turn : null;
  return c.json({ turns: await Promise.all(page.map((turn) => turnJson(c, deps, turn))), next_cursor: next });
}

async function getTurn(c: Context<Env>, deps: RouteDeps): Promise<Response> {
  const rendering = negotiate(c, ["json", "sse", "ndjson", "text"], "json");
  const waitS = readWait(c);
  const turn = await deps.turns.get(c.get("caller"), pathId(c, "turn"));
  if (rendering !== "json" || waitS !== undefined) deps.rates.stream(c, c.get("caller"));
  if (rendering !== "json") return stream(c, deps, turn, rendering, readCursor(c));
  const now = waitS === undefined ? turn : await waitForEnd(c, deps, turn, waitS);
  return c.json(await turnJson(c, deps, now));
}

async function getTurnEvents(c: Context<Env>, deps: RouteDeps): Promise<Response> {
  const rendering = negotiate(c, ["sse", "ndjson", "text"], "sse");
  const after = readCursor(c);
  const turn = await deps.turns.get(c.get("caller"), pathId(c, "turn"));
  deps.rates.stream(c, c.get("caller"));
  return stream(c, deps, turn, rendering === "json" ? "sse" : rendering, after);
}

async function stream(
  c: Context<Env>,
  deps: RouteDeps,
  turn: TurnView,
  rendering: Exclude<Rendering, "json">,
  after: number,
): Promise<Response> {
  // A turn's stream begins at its own start; a cursor beyond the log's end is kept, so that it is answered by `gap`.
  const cursor = await deps.log.subscribe(
    c.get("caller"),
    turn.session,
    Math.max(after, turn.firstSeq - 1),
    turn.firstSeq - 1,
  );
  if (!cursor) throw new GatewayError("not_found", `There is no turn "${turn.turn}".`);
  // [S4] EventSource takes 204 as: it is over.
  if (turn.lastSeq !== null && after >= turn.lastSeq && !cursor.isBeyondEnd) {
    cursor.close();
    return c.body(null, 204);
  }
  const isGone = turn.ending !== null && turn.lastSeq !== null && turn.lastSeq < cursor.session.oldestSeq;
  return streamEvents(c, {
    cursor,
    ending: isGone ? endingEvent(turn) : undefined,
    format: streamFormat(rendering),
    turn: turn.turn,
    ...streamBasics(c, deps, turn.session),
  });
}

/** The terminal event of a turn whose events were removed by an age limit: the turn itself still has it. */
function endingEvent({ turn, ending, lastSeq, endedAt }: TurnView): LogEvent | undefined {
  if (!ending || lastSeq === null) return undefined;
  return { seq: lastSeq, first: lastSeq, turn, at: endedAt ?? 0, type: ending.type, json: JSON.stringify(ending) };
}

/** The turn once it has ended, or as it is after so many seconds, or when the client has gone. Throws `unauthorized` where they may not read it any more. */
async function waitForEnd(c: Context<Env>, deps: RouteDeps, turn: TurnView, seconds: number): Promise<TurnView> {
  const caller = c.get("caller");
  if (hasEnded(turn.state) || c.req.raw.signal.aborted) return turn;
  const cursor = await deps.log.subscribe(caller, turn.session, turn.firstSeq);
  if (!cursor) return turn;
  const { isGood, checkMs } = streamBasics(c, deps, turn.session);
  const close = () => cursor.close();
  const timer = setTimeout(close, seconds * 1000);
  const checks = setInterval(() => isGood() || close(), checkMs);
  c.req.raw.signal.addEventListener("abort", close);
  for (let batch = await cursor.next(); batch; batch = await cursor.next())
    if (batch.events.some((event) => event.turn === turn.turn && isTerminal(event))) break;
  clearTimeout(timer);
  clearInterval(checks);
  c.req.raw.signal.removeEventListener("abort", close);
  cursor.close();
  if (!isGood()) throw new GatewayError("unauthorized", "This key or token is not good any more.");
  return deps.turns.get(caller, turn.turn);
}

/** A turn as replies show it: its own fields, then those of its terminal event. */
export async function turnJson(c: Context<Env>, deps: RouteDeps, turn: TurnView): Promise<Record<string, unknown>> {
  const url = await eventsUrl(c, deps, `/api/turns/${turn.turn}`, turn);
  const { type: _, ...ending } = turn.ending ?? { type: null };
  return {
    turn: turn.turn,
    session: turn.session,
    agent: turn.agent,
    state: turn.state,
    position: turn.position,
    events_url: url,
    queued_at: timeOf(turn.queuedAt),
    started_at: timeOf(turn.startedAt),
    ended_at: timeOf(turn.endedAt),
    rating: turn.rating?.rating ?? null,
    rating_comment: turn.rating?.comment ?? null,
    ...ending,
  };
}
