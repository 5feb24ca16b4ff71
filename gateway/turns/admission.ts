// Whether a prompt is taken [T1, T6, A5]: what of a request is refused at once, and for which session and agent it is otherwise.
import { checkWishes, type Registry } from "../agents/registry.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { gatewayCaller, visitorKey, type Caller, type Owner } from "../protocol/callers.ts";
import { GatewayError, retryAfterS } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { promptText } from "../protocol/prompt.ts";
import type { CreateTurn } from "../protocol/requests.ts";
import type { SessionRow, Store } from "../store/port.ts";
import { hasEnded } from "./machine.ts";
import type { Queue } from "./queue.ts";
import type { RateLimits } from "./rate-limits.ts";
import { shareOf, type Waiting } from "./room.ts";

/** A prompt with what is asked of its turn. */
export interface TurnRequest extends CreateTurn {
  /** For the caller's standing session with the agent instead of `session`; `reset` begins another one. */
  readonly standing?: { readonly reset: boolean } | undefined;
}

export interface Admission {
  readonly agent: AgentConfig;
  readonly owner: Owner;
  /** The session to go on with; undefined where a new one begins. */
  readonly session: SessionRow | undefined;
  /** The session's turn that has still to let go of its process, though its end can be seen already. */
  readonly endedTurn: string | undefined;
}

interface Placed extends Admission {
  /** How many turns may come to wait below it. */
  readonly levels: number;
}

export interface AdmissionDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly queue: Queue;
  readonly limits: Limits;
  readonly rateLimits: RateLimits;
  readonly now: () => number;
  /** In bytes. */
  readonly freeMemory: () => number;
}

/** Throws a `GatewayError` where the request is refused. */
export async function admit(caller: Caller, request: TurnRequest, deps: AdmissionDeps): Promise<Admission> {
  if (Buffer.byteLength(promptText(request.prompt)) > deps.limits.prompt_bytes)
    throw new GatewayError("payload_too_large", `prompt must be at most ${deps.limits.prompt_bytes} bytes`, {
      field: "prompt",
    });
  const session = request.session === undefined ? undefined : await findSession(caller, request, deps.store);
  const agent = deps.registry.find(session?.agent ?? request.agent, caller.agents);
  checkWishes(agent, request);
  checkRateLimit(agent, deps);
  const owner = session?.owner ?? { key: caller.key, user: caller.user };
  return { agent, owner, session, endedTurn: session && (await findEndedTurn(session.session, deps)) };
}

/**
 * Throws a `GatewayError` where the request must not wait, or there is no room for it. Its place in the queue must be taken before
 * anything is awaited: of two requests at once both would find the last place free.
 */
export function checkPlace(admission: Placed, request: TurnRequest, deps: AdmissionDeps): void {
  if (request.on_busy === "reject") checkIdle(admission, deps.queue);
  checkRoom(admission, deps);
}

/** A caller as the queue knows it. */
export function placeOf({ key, user }: Owner): Pick<Waiting, "caller" | "isVisitor"> {
  return { caller: JSON.stringify([key, user]), isVisitor: key === visitorKey };
}

async function findSession(caller: Caller, { session, agent }: TurnRequest, store: Store): Promise<SessionRow> {
  const row = await store.session(caller, session!);
  if (!row) throw new GatewayError("not_found", `There is no session "${session}".`, { field: "session" });
  if (agent !== undefined && agent !== row.agent)
    throw new GatewayError("conflict", `The session belongs to the agent "${row.agent}".`, { field: "agent" });
  return row;
}

/** A turn that can only fail is not begun: it would cost a process start. */
function checkRateLimit(agent: AgentConfig, { rateLimits, now }: AdmissionDeps): void {
  const until = rateLimits.stoppedUntil(agent);
  if (until === undefined) return;
  throw new GatewayError("rate_limited", "The account's limit is reached. Try again when it resets.", {
    retry_after_s: (until - now()) / 1000,
    resets_at: new Date(until).toISOString(),
  });
}

async function findEndedTurn(session: string, { queue, store }: AdmissionDeps): Promise<string | undefined> {
  const current = queue.running(session);
  const row = current && (await store.turn(gatewayCaller, current.turn));
  return row && hasEnded(row.state) ? row.turn : undefined;
}

function checkIdle({ session, endedTurn }: Admission, queue: Queue): void {
  if (!session) return;
  const current = queue.running(session.session);
  const isBusy = current !== undefined && current.turn !== endedTurn;
  if (isBusy || queue.count((entry) => entry.session === session.session) > 0)
    throw new GatewayError("busy", "A turn of this session is running or waiting.");
}

/** A turn for which there is a place takes none of the queue, nor do those before it that only have not begun yet. */
function checkRoom(admission: Placed, { queue, limits, freeMemory }: AdmissionDeps): void {
  const { agent, owner, session, endedTurn, levels } = admission;
  const next = { turn: "", session: session?.session ?? "", agent: agent.name, ...placeOf(owner), levels };
  const waiting = queue.withoutPlace(next, endedTurn);
  if (waiting.includes(next)) checkQueue(next, waiting, { agent, limits });
  if (freeMemory() < limits.min_free_memory_mb * 1024 * 1024)
    throw new GatewayError("no_capacity", "The machine has too little free memory. Try again later.", {
      retry_after_s: retryAfterS,
    });
}

/** [T6, T8] `waiting`: with it, all that would wait. The caller's own share first, so that who fills a queue hears that it was they. */
function checkQueue(
  next: Waiting,
  waiting: readonly Waiting[],
  { agent, limits }: { readonly agent: AgentConfig; readonly limits: Limits },
): void {
  const ofAgent = waiting.filter((entry) => entry.agent === next.agent);
  const isFull = (matches: (entry: Waiting) => boolean, share: number) =>
    [[waiting, limits.queue] as const, [ofAgent, agent.queue] as const].some(
      ([entries, cap]) => shareOf(cap, share) < cap && entries.filter(matches).length > shareOf(cap, share),
    );
  const isOwn = ({ caller }: Waiting) => caller === next.caller;
  if (waiting.filter(isOwn).length > limits.queue_per_caller) throw tooManyWait("queue_per_caller", limits);
  const { caller_share: ofCaller, visitors_share: ofVisitors } = limits;
  if (isFull(isOwn, next.isVisitor ? ofVisitors * ofCaller : ofCaller)) throw tooManyWait("caller_share", limits);
  if (next.isVisitor && isFull(({ isVisitor = false }) => isVisitor, ofVisitors))
    throw tooManyWait("visitors_share", limits);
  const full = waiting.length > limits.queue ? limits.queue : ofAgent.length > agent.queue ? agent.queue : undefined;
  if (full === undefined) return;
  throw new GatewayError("queue_full", "Too many turns are waiting. Try again later.", {
    limit: "queue",
    value: full,
    retry_after_s: retryAfterS,
  });
}

function tooManyWait(limit: "queue_per_caller" | "caller_share" | "visitors_share", limits: Limits): GatewayError {
  const whose = limit === "visitors_share" ? "of visitors" : "of yours";
  const headers =
    limit === "queue_per_caller"
      ? { "RateLimit-Policy": `"waiting-caller";q=${limits[limit]}`, RateLimit: `"waiting-caller";r=0` }
      : undefined;
  return new GatewayError("too_many_requests", `Too many turns ${whose} are waiting. Try again later.`, {
    limit,
    value: limits[limit],
    retry_after_s: retryAfterS,
    ...(headers ? { headers } : {}),
  });
}
