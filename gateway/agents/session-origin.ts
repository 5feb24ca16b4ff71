// [P6] How a session's process takes the session up: by its file, from a snapshot, as a branch of another one, or anew.
import { join } from "node:path";
import type { SessionOrigin } from "../claude/command.ts";
import { StartFailure } from "../claude/launch.ts";
import { failure } from "../claude/outcome.ts";
import {
  adoptSessionFile,
  findSessionFile,
  setSessionFilesAside,
  unpackSession,
  type OwnPlaces,
  type SessionPlaces,
} from "../claude/session-file.ts";
import { gatewayCaller } from "../protocol/callers.ts";
import type { Store } from "../store/port.ts";

export interface OriginDeps {
  readonly store: Store;
  readonly places: OwnPlaces;
  /** A box reaches the session's own folder alone: its file is moved there. */
  readonly isBoxed: boolean;
}

/** For a session that begins anew: what is left of what the CLI kept of it, which it cannot read, stands in its way no more. */
export function anew(session: string, places: SessionPlaces): SessionOrigin {
  setSessionFilesAside(places, session);
  return { kind: "new" };
}

/** Rejects with a `StartFailure` `session_lost` where the CLI has answered in this session and nothing of that is left. */
export async function originOf(session: string, { store, places, isBoxed }: OriginDeps): Promise<SessionOrigin> {
  const file = isBoxed ? adoptSessionFile(places, session) : findSessionFile(places, session);
  if (file !== undefined) return { kind: "resume", file };
  const snapshot = await store.snapshot(gatewayCaller, session);
  if (snapshot) {
    const restored = await unpackSession(snapshot.packed, join(places.sessions, session), snapshot.origin);
    if (snapshot.origin === session) return { kind: "resume", file: restored };
    return { kind: "fork", file: restored, answerUuid: snapshot.answerUuid };
  }
  const turns = await store.turns(gatewayCaller, { session, limit: 200 });
  if (turns.some((turn) => turn.answerUuid !== null)) throw new StartFailure(failure("session_lost"));
  return { kind: "new" };
}
