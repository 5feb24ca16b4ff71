// [P6] Keeps the CLI's own file of every session in our store, so that a session outlives the CLI's sweep of old files and can move to another
// machine. Taken behind each turn, once the file holds its last answer: the CLI writes it a little after it reports the turn's end.
import { packAnswered, type SessionPlaces } from "../claude/session-file.ts";
import type { Write } from "../store/port.ts";

export interface Snapshots {
  /** Takes one in the background. */
  take(session: string, answerUuid: string): void;
  /** Resolves when none is being taken. */
  settled(): Promise<void>;
}

export interface SnapshotsDeps {
  readonly places: SessionPlaces;
  readonly commit: (writes: readonly Write[]) => Promise<void>;
  readonly now?: () => number;
  /** It could not be taken; the session's file is still there. */
  readonly onFailure: (session: string, error: unknown) => void;
}

export function createSnapshots({ places, commit, now = Date.now, onFailure }: SnapshotsDeps): Snapshots {
  const running = new Map<string, Promise<void>>();

  async function takeOne(session: string, answerUuid: string): Promise<void> {
    const packed = await packAnswered(places, session, answerUuid);
    if (!packed) throw new Error("the CLI has not written the turn's last answer");
    await commit([{ kind: "snapshot", snapshot: { session, origin: session, answerUuid, packed, at: now() } }]);
  }

  return {
    take(session, answerUuid) {
      const before = running.get(session) ?? Promise.resolve();
      const taking = before
        .then(() => takeOne(session, answerUuid))
        .catch((error: unknown) => onFailure(session, error));
      running.set(session, taking);
      void taking.then(() => running.get(session) === taking && running.delete(session));
    },
    async settled() {
      while (running.size > 0) await Promise.all(running.values());
    },
  };
}
