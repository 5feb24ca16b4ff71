// Folders of sessions that nobody needs any more: of spares that never got a session, and of visitors who cannot come back.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { removeFolder } from "../claude/run-folder.ts";
import { gatewayCaller, visitorKey } from "../protocol/callers.ts";
import type { Store } from "../store/port.ts";

export interface StrayDeps {
  /** `<data>/sessions` */
  readonly sessions: string;
  readonly store: Pick<Store, "session">;
  /** Whether a process of the session is up, or coming up. */
  readonly isLive: (session: string) => boolean;
  readonly now?: () => number;
}

/** A visitor's last token can be renewed for 30 days; what is said later begins with the snapshot that the store has. */
const visitorMs = 31 * 24 * 60 * 60 * 1000;

/** Removes them; resolves with how many there were. */
export async function removeStrayFolders({ sessions, store, isLive, now = Date.now }: StrayDeps): Promise<number> {
  let removed = 0;
  for (const session of readdirSync(sessions)) {
    if (isLive(session)) continue;
    const row = await store.session(gatewayCaller, session);
    const isLeft = row?.owner.key === visitorKey && row.updatedAt < now() - visitorMs;
    // It may have been brought up while the store was asked.
    if ((row && !isLeft) || isLive(session)) continue;
    removeFolder(join(sessions, session));
    removed += 1;
  }
  return removed;
}
