// Sessions as things of their own: made ahead, renamed, branched, warmed up, removed with all that is theirs.
import { randomUUID } from "node:crypto";
import type { Pool } from "../agents/pool.ts";
import type { Registry } from "../agents/registry.ts";
import { StartFailure } from "../claude/launch.ts";
import { findSessionFile, packAnswered, removeSessionFiles, type SessionPlaces } from "../claude/session-file.ts";
import type { Append, EventLog } from "../log/event-log.ts";
import type { Caller } from "../protocol/callers.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { NewSession, Removed, SessionFilter, SessionRow, Snapshot, Store, TurnRow } from "../store/port.ts";
import { hasEnded } from "./machine.ts";
import type { Turns } from "./turns.ts";

export interface Sessions {
  /** Throws `not_found`, as all below do where the caller has no such session. */
  get(caller: Caller, session: string): Promise<SessionRow>;
  list(caller: Caller, filter: SessionFilter): Promise<SessionRow[]>;
  /** Makes a session before its first prompt. */
  create(caller: Caller, agent: string | undefined, title: string | undefined): Promise<SessionRow>;
  rename(caller: Caller, session: string, title: string): Promise<SessionRow>;
  /** A new session that has everything up to and with a turn (by default: the newest). Throws `conflict` while that turn has not ended. */
  fork(
    caller: Caller,
    session: string,
    options: { turn?: string | undefined; title?: string | undefined },
  ): Promise<SessionRow>;
  /** Brings the session's process up before its next prompt comes. Throws `not_ready` where it does not come up, `no_capacity` where it would have to wait. */
  warm(caller: Caller, session: string): Promise<void>;
  /** Ends its turns and its process, and removes events, turns, attachments, and the CLI's own files. */
  remove(caller: Caller, session: string): Promise<Removed & { readonly cli_files: number }>;
}

export interface SessionsDeps {
  readonly store: Store;
  readonly log: EventLog;
  readonly turns: Turns;
  readonly pool: Pool;
  readonly registry: Registry;
  readonly places: SessionPlaces;
  /** Gives ids that sort in the order in which they are made. */
  readonly newTurnId: () => string;
  readonly now?: () => number;
}

const maxTurns = 100_000;

export function createSessions(deps: SessionsDeps): Sessions {
  const { store, log, turns, pool, registry, places, newTurnId, now = Date.now } = deps;

  async function get(caller: Caller, session: string): Promise<SessionRow> {
    const row = await store.session(caller, session);
    if (!row) throw noSession(session);
    return row;
  }

  async function create(caller: Caller, name: string | undefined, title: string | undefined): Promise<SessionRow> {
    const agent = registry.find(name, caller.agents);
    const owner = { key: caller.key, user: caller.user };
    const session = {
      session: pool.newSession(agent),
      agent: agent.name,
      owner,
      createdAt: now(),
      title: title ?? null,
    };
    await log.appendNow({ session: session.session, events: [], before: [{ kind: "session", session }] });
    return get(caller, session.session);
  }

  async function fork(caller: Caller, from: string, options: Parameters<Sessions["fork"]>[2]): Promise<SessionRow> {
    const parent = await get(caller, from);
    const kept = await turnsUpTo(caller, from, options.turn);
    const answerUuid = kept.findLast((turn) => turn.answerUuid !== null)?.answerUuid ?? null;
    const session: NewSession = {
      session: randomUUID(),
      agent: parent.agent,
      owner: parent.owner,
      createdAt: now(),
      title: options.title ?? parent.title,
    };
    const to = session.session;
    const source = answerUuid === null ? undefined : await sourceOf(caller, from, answerUuid);
    const copies = kept.map(({ turn }) => ({ turn, copy: newTurnId() }));
    const append: Append = {
      session: to,
      events: [],
      before: [
        { kind: "session", session },
        { kind: "fork", from, to, turns: copies },
        ...(source ? [{ kind: "snapshot" as const, snapshot: { ...source, session: to, answerUuid, at: now() } }] : []),
      ],
    };
    await whileThere(caller, from, () => log.appendNow(append));
    return get(caller, to);
  }

  /** The turns of a branch in the order in which they ended: that of the conversation. A prompt can overtake others. */
  async function turnsUpTo(caller: Caller, session: string, last: string | undefined): Promise<TurnRow[]> {
    const all = await store.turns(caller, { session, limit: maxTurns });
    const ended = all.filter((turn) => hasEnded(turn.state)).toSorted((a, b) => a.lastSeq! - b.lastSeq!);
    if (last === undefined) return ended;
    const at = ended.findIndex(({ turn }) => turn === last);
    if (at >= 0) return ended.slice(0, at + 1);
    if (all.some(({ turn }) => turn === last))
      throw new GatewayError("conflict", "A branch can begin only behind a turn that has ended.", { field: "turn" });
    throw new GatewayError("not_found", `The session has no turn "${last}".`, { field: "turn" });
  }

  /** The CLI's memory of the session, with this answer. */
  async function sourceOf(
    caller: Caller,
    session: string,
    answerUuid: string,
  ): Promise<Pick<Snapshot, "origin" | "packed">> {
    const lost = new GatewayError("conflict", "The CLI's memory of this session is lost, so it cannot be branched.");
    if (findSessionFile(places, session) !== undefined) {
      const packed = await packAnswered(places, session, answerUuid);
      if (!packed) throw lost;
      return { origin: session, packed };
    }
    const snapshot = await store.snapshot(caller, session);
    if (!snapshot) throw lost;
    return { origin: snapshot.origin, packed: snapshot.packed };
  }

  async function warm(caller: Caller, session: string): Promise<void> {
    const { agent } = await get(caller, session);
    // A session with a turn has its process already, or soon.
    const [newest] = await store.turns(caller, { session, limit: 1 });
    if (newest && !hasEnded(newest.state)) return;
    try {
      const driver = await pool.acquire(registry.find(agent), session, { onlyIfRoom: true });
      await driver.ready.finally(() => pool.release(session));
    } catch (error) {
      if (!(error instanceof StartFailure)) throw error;
      throw new GatewayError("not_ready", error.failure.message, { failure: error.failure.code });
    }
    if (await store.session(caller, session)) return;
    // It was removed while its process came up.
    await pool.end(session);
    removeSessionFiles(places, session);
    throw noSession(session);
  }

  async function remove(caller: Caller, session: string): Promise<Removed & { cli_files: number }> {
    await get(caller, session);
    const reopen = await turns.closeSession(caller, session);
    try {
      await pool.end(session);
      // What its process said at its end is stored first: there must be no session without a row that is written to.
      await log.appendNow({ session, events: [] });
      const removed = await store.removeSession(caller, session);
      if (!removed) throw noSession(session);
      log.removed(session);
      // One more was started where somebody warmed it up meanwhile.
      await pool.end(session);
      return { ...removed, cli_files: removeSessionFiles(places, session) };
    } finally {
      reopen();
    }
  }

  /** What fails because the session was removed meanwhile is `not_found`. */
  async function whileThere<Result>(caller: Caller, session: string, change: () => Promise<Result>): Promise<Result> {
    try {
      return await change();
    } catch (error) {
      await get(caller, session);
      throw error;
    }
  }

  return {
    get,
    list: (caller, filter) => store.sessions(caller, filter),
    create,
    async rename(caller, session, title) {
      await get(caller, session);
      const events = [{ turn: null, type: "session_changed", title }] as const;
      const before = [{ kind: "session_title", session, title }] as const;
      await whileThere(caller, session, () => log.appendNow({ session, events, before }));
      return get(caller, session);
    },
    fork,
    warm,
    remove,
  };
}

function noSession(session: string): GatewayError {
  return new GatewayError("not_found", `There is no session "${session}".`);
}
