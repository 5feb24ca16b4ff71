// What the gateway needs of a database. Every call is async and takes a batch; every read takes the caller [L9]. The rules that an
// implementation must keep are the contract suite in test/contract. All that a store takes and gives stands here, which makes the file long.
import type { Scope } from "../protocol/scopes.ts";
import type { TerminalEventType, TurnState } from "../protocol/codes.ts";
import type { Caller, Owner } from "../protocol/callers.ts";
import type { By, EventBody, EventOf, TerminalEvent } from "../protocol/events.ts";
import type { SentBlock } from "../protocol/prompt.ts";
import type { TurnUsage } from "./usage.ts";

export interface SessionRow {
  readonly session: string;
  readonly agent: string;
  readonly owner: Owner;
  /** The `seq` of its newest event; 0 while it has none. */
  readonly lastSeq: number;
  /** The oldest `seq` that is kept: above 1 where an age limit removed events; `lastSeq + 1` where none is left. */
  readonly oldestSeq: number;
  readonly title: string | null;
  /** That of its newest turn; null while it has none. */
  readonly state: TurnState | null;
  /** Epoch milliseconds; `updatedAt` is when its newest turn was queued. */
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A session to be made. */
export type NewSession = Pick<SessionRow, "session" | "agent" | "owner" | "createdAt"> & {
  /** Without one the session is called after its first prompt. */
  readonly title?: string | null;
};

export interface SessionFilter {
  readonly agent?: string | undefined;
  readonly user?: string | undefined;
  readonly state?: TurnState | undefined;
  /** By `updatedAt`, both inclusive. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
  /** Plain words: all must occur in one turn, the last as the beginning of a word. Only what the caller may see is looked through. */
  readonly words?: string | undefined;
  /** Only sessions behind this one in the list. */
  readonly after?: { readonly updatedAt: number; readonly session: string } | undefined;
  readonly limit: number;
}

/** The CLI's session file with its folder, as one packed piece. */
export interface Snapshot {
  readonly session: string;
  /** The session whose file it is: another one where this is a branch that has not begun yet. */
  readonly origin: string;
  /** The last answer that counts. */
  readonly answerUuid: string | null;
  readonly packed: Uint8Array;
  readonly at: number;
}

/** What a deletion removed. */
export interface Removed {
  readonly turns: number;
  readonly events: number;
  readonly attachments: number;
}

export interface TurnRow {
  /** A UUIDv7: turns of one gateway sort by it in the order in which they were made. */
  readonly turn: string;
  readonly session: string;
  readonly agent: string;
  readonly owner: Owner;
  readonly by: By;
  readonly state: TurnState;
  readonly prompt: readonly SentBlock[];
  readonly options: TurnOptions;
  readonly queuedAt: number;
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** The `seq` of `turn_queued`, and of the terminal event once there is one. */
  readonly firstSeq: number;
  readonly lastSeq: number | null;
  readonly ending: TerminalEvent | null;
  /** The uuid of the CLI's last answer in it. */
  readonly answerUuid: string | null;
  readonly rating: Rating | null;
}

/** What its owner thinks of a turn. */
export interface Rating {
  readonly rating: "up" | "down";
  readonly comment: string | null;
}

/** Where a turn lies in its session's log. */
export interface TurnSpan {
  readonly turn: string;
  /** The `seq` of `turn_queued`. */
  readonly firstSeq: number;
  /** Before this `seq` it has only what says that it waits; null where it has not left the queue, or never did. */
  readonly startedSeq: number | null;
  /** The `seq` of its terminal event. */
  readonly lastSeq: number | null;
}

/** What a request asked of its turn beside the prompt. */
export interface TurnOptions {
  readonly model?: string | undefined;
  readonly permissionMode?: string | undefined;
  readonly turnTimeoutS?: number | undefined;
  /** Where the CLI has lost the session it goes on from our log. */
  readonly continueFrom?: "transcript" | undefined;
  /** It goes before what waits in its session, also after a restart. */
  readonly isFirst?: boolean | undefined;
  /** Facts of the page, any JSON. */
  readonly context?: unknown;
}

export type NewTurn = Omit<
  TurnRow,
  "state" | "startedAt" | "endedAt" | "firstSeq" | "lastSeq" | "ending" | "answerUuid" | "rating" | "owner" | "agent"
>;

/** An event as it is written: its body is encoded once, for the store and for every reader. */
export interface NewEvent {
  readonly turn: string | null;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly type: EventBody["type"];
  /** The body as JSON. */
  readonly json: string;
}

/** An event as the log keeps it. A folded or merged one stands for the events `first` to `seq`. */
export interface LogEvent extends NewEvent {
  readonly seq: number;
  /** Below `seq` only in merged deltas. */
  readonly first: number;
}

/** Adjacent deltas of one block as one row. `ends[i]` is the length of its text after the event `first + i`. */
export interface FoldedRun extends LogEvent {
  readonly ends: readonly number[];
}

/** A key and whose it is: the caller who made the turn, not the owner of its session. */
export interface IdempotencyKey {
  readonly caller: Owner;
  readonly key: string;
  /** A hash of the request's body. */
  readonly bodyHash: string;
}

export interface Attachment {
  /** SHA-256 of the bytes, in hex. */
  readonly hash: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

export interface AttachmentHead extends Omit<Attachment, "bytes"> {
  readonly size: number;
}

/** What an account's limit was when it was last heard of. */
export interface LimitWindow {
  /** Stands for the credential that is limited: see claude/credential.ts. */
  readonly credential: string;
  /** `five_hour` and the like. */
  readonly limit: string | null;
  readonly status: string;
  readonly resetsAt: number | null;
  readonly usingOverage: boolean;
  readonly apiKeySource: string | null;
  readonly at: number;
  /** A turn failed by it: until it resets there is no use in another. */
  readonly stopsTurns: boolean;
}

/** One change. All changes of a `commit` are made in one transaction, in this order, or none. */
export type Write =
  | { readonly kind: "session"; readonly session: NewSession }
  | { readonly kind: "session_title"; readonly session: string; readonly title: string }
  | { readonly kind: "turn"; readonly turn: NewTurn; readonly idempotency?: IdempotencyKey | undefined }
  | { readonly kind: "events"; readonly session: string; readonly events: readonly NewEvent[] }
  | { readonly kind: "turn_state"; readonly turn: string; readonly state: TurnState; readonly at: number }
  | { readonly kind: "turn_answer"; readonly turn: string; readonly answerUuid: string }
  | { readonly kind: "snapshot"; readonly snapshot: Snapshot }
  | { readonly kind: "fork"; readonly from: string; readonly to: string; readonly turns: readonly ForkedTurn[] }
  | { readonly kind: "fold"; readonly session: string; readonly run: FoldedRun }
  | { readonly kind: "attachment"; readonly session: string; readonly attachment: Attachment }
  /** The session refers to an attachment that is kept already. */
  | { readonly kind: "attachment_link"; readonly session: string; readonly hash: string }
  /** Sent ahead of a prompt: its owner sees it before any session refers to it. */
  | {
      readonly kind: "upload";
      readonly owner: Owner;
      /** The agents that the sender was limited to: for those alone it is. Absent or null: they were not. */
      readonly agents?: readonly string[] | null;
      readonly attachment: Attachment;
      readonly at: number;
    }
  | { readonly kind: "rating"; readonly turn: string; readonly rating: Rating | null }
  /** What the turn's process said beside its protocol: at most 64 KB. It is removed with the session. */
  | { readonly kind: "diagnostics"; readonly turn: string; readonly text: string }
  | { readonly kind: "rate_limit"; readonly window: LimitWindow }
  /** An agent that was made by API, or its change. */
  | { readonly kind: "agent"; readonly agent: StoredAgent }
  /** Its sessions stay; none of them is a standing one any more. */
  | { readonly kind: "agent_removed"; readonly name: string }
  /** From now on this is the standing session of its owner with its agent. */
  | { readonly kind: "standing_session"; readonly session: string }
  /** Changes nothing, but needs room as a change does. */
  | { readonly kind: "probe" };

/** A turn that a branch takes over: its events are copied under their numbers. */
export interface ForkedTurn {
  readonly turn: string;
  /** Its id in the branch. */
  readonly copy: string;
}

export interface TurnFilter {
  readonly session?: string | undefined;
  readonly agent?: string | undefined;
  readonly state?: TurnState | undefined;
  readonly user?: string | undefined;
  /** Only turns older than this id. */
  readonly before?: string | undefined;
  readonly limit: number;
}

/** A tool call that waits, or waited, for a person. */
export interface ApprovalRow {
  /** A UUIDv7. */
  readonly approval: string;
  readonly session: string;
  readonly turn: string;
  readonly requested: EventOf<"approval_requested">;
  readonly requestedAt: number;
  /** Null while it waits. */
  readonly resolved: EventOf<"approval_resolved"> | null;
  readonly resolvedAt: number | null;
}

export interface ApprovalFilter {
  readonly session?: string | undefined;
  readonly user?: string | undefined;
  readonly state?: "pending" | "resolved" | undefined;
  /** Only approvals older than this id. */
  readonly before?: string | undefined;
  readonly limit: number;
}

export type UsageBy = "day" | "agent" | "user" | "api_key_source";

export interface UsageFilter {
  /** One row for each; without it one row for all. */
  readonly by?: UsageBy | undefined;
  /** The first and the last day of UTC, `2026-05-10`, on which a turn may have ended. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

/** Sums over ended turns, of sessions too that are gone. Has the field of its `by`; a day is one of UTC. */
export interface UsageRow extends TurnUsage {
  readonly day?: string;
  readonly agent?: string;
  readonly owner?: Owner;
  /** Which credential the CLI said it used; null where a turn ended before it said so. */
  readonly apiKeySource?: string | null;
  readonly turns: number;
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
}

/** A service key as it is kept: its secret as a hash alone. */
export interface StoredKey {
  readonly name: string;
  /** SHA-256 of the secret. */
  readonly hash: Uint8Array;
  readonly scopes: readonly Scope[];
  /** The agents that it is limited to; null for all. */
  readonly agents: readonly string[] | null;
  readonly madeAt: number;
  readonly revokedAt: number | null;
}

/** A user whose tokens, as far as they were signed before `at`, are not good any more. */
export interface RevokedUser {
  readonly key: string;
  readonly user: string;
  readonly at: number;
}

/** An agent that was made by API. */
export interface StoredAgent {
  readonly name: string;
  /** As they were given: without defaults. What may stand there is the registry's matter. */
  readonly settings: Readonly<Record<string, unknown>>;
  /** The name of the key. */
  readonly madeBy: string;
  readonly madeAt: number;
  readonly changedAt: number;
}

export interface Store {
  /**
   * Makes all changes in one transaction and resolves with the `seq` of the first event of each `events` write (0 for the other
   * writes). A `turn_queued` or terminal event sets its turn's `firstSeq`, or `lastSeq`, `ending`, `state` and `endedAt`.
   * An `approval_requested` event makes an approval, `approval_resolved` settles it.
   * Rejects with `StoreFull` when there is no room, and has then changed nothing.
   */
  commit(writes: readonly Write[]): Promise<number[]>;
  session(caller: Caller, session: string): Promise<SessionRow | undefined>;
  /** Newest activity first. */
  sessions(caller: Caller, filter: SessionFilter): Promise<SessionRow[]>;
  /**
   * Removes a session with all that is its own, and what its owner had sent ahead for it, as far as no other session refers to that;
   * undefined if the caller has no such session. Rejects as `commit` does.
   */
  removeSession(caller: Caller, session: string): Promise<Removed | undefined>;
  /** Removes the events of turns that ended before `before`. Resolves with how many events went. Rejects as `commit` does. */
  removeOldEvents(caller: Caller, before: number): Promise<number>;
  /**
   * Drops what is kept for a time only: idempotency keys for a day, attachments that no session refers to for a week, revoked users for as long as
   * what was signed for them could be renewed.
   */
  dropExpired(now: number): Promise<void>;
  /**
   * Makes some of what an older version has left findable for who does not see everything, newest first; false when nothing is left. To be called
   * again, with pauses: each time it holds everything up for some tens of milliseconds at most.
   */
  markOldWords(): Promise<boolean>;
  snapshot(caller: Caller, session: string): Promise<Snapshot | undefined>;
  turn(caller: Caller, turn: string): Promise<TurnRow | undefined>;
  /** Newest first. */
  turns(caller: Caller, filter: TurnFilter): Promise<TurnRow[]>;
  /** The agent's turn that failed last. */
  lastFailedTurn(caller: Caller, agent: string): Promise<TurnRow | undefined>;
  /** A session's turns by `firstSeq`, upwards from `from` or (`desc`) downwards, `from` included. */
  turnSpans(
    caller: Caller,
    session: string,
    range: { readonly from: number; readonly order: "asc" | "desc"; readonly limit: number },
  ): Promise<TurnSpan[]>;
  /** Queued, running and waiting ones, oldest first: what a start has to see to. */
  unfinishedTurns(caller: Caller): Promise<TurnRow[]>;
  /** The turn that this caller's key was used for since `since`. */
  idempotentTurn(caller: Caller, key: string, since: number): Promise<{ turn: string; bodyHash: string } | undefined>;
  /**
   * The events after `after` in order, at most about `limit` rows or 1 MB. Of a folded row that `after` lies within, the rest.
   * `oldest` is the oldest `seq` that is kept.
   */
  events(caller: Caller, session: string, after: number, limit: number): Promise<LogEvent[]>;
  attachment(caller: Caller, hash: string): Promise<Attachment | undefined>;
  /** The same without its bytes, of which it says the number. */
  attachmentHead(caller: Caller, hash: string): Promise<AttachmentHead | undefined>;
  /** Newest day first, else by the number of turns; at most 1,000 rows. */
  usage(caller: Caller, filter: UsageFilter): Promise<UsageRow[]>;
  /** What is known of the accounts' limits, newest first. They are no single user's: a caller of reach `user` gets none. */
  rateLimits(caller: Caller): Promise<LimitWindow[]>;
  /** What was kept of a turn; undefined where nothing was, or the caller has no such turn. Whether they may see it is the route's matter. */
  diagnostics(caller: Caller, turn: string): Promise<string | undefined>;
  approval(caller: Caller, approval: string): Promise<ApprovalRow | undefined>;
  /** Newest first. */
  approvals(caller: Caller, filter: ApprovalFilter): Promise<ApprovalRow[]>;
  /** Whether the tool was allowed for the rest of this session. */
  isGranted(caller: Caller, session: string, tool: string): Promise<boolean>;
  /** The agents that were made by API, by name; of a caller who is limited to some, those. */
  agents(caller: Caller): Promise<StoredAgent[]>;
  /** The standing session of just this key and user with the agent. */
  standingSession(caller: Caller, agent: string): Promise<string | undefined>;
  /** All keys, revoked ones too; none for a caller who does not see everything. */
  keys(caller: Caller): Promise<StoredKey[]>;
  /** Makes a key; false where one of that name is in use. A revoked name may be made anew. */
  putKey(key: Omit<StoredKey, "revokedAt">): Promise<boolean>;
  /** False where there is no such key, or it is revoked already. */
  revokeKey(name: string, at: number): Promise<boolean>;
  /** Ends what was signed for a key's user before `at`. */
  revokeUser(user: RevokedUser): Promise<void>;
  /** `dropExpired` forgets those of which nothing can be good any more. */
  revokedUsers(): Promise<RevokedUser[]>;
  close(): Promise<void>;
}

/** Nothing can be written now, but may be later: no room (disk full, or the database's own limit), a disk that failed, somebody else's lock. */
export class StoreFull extends Error {
  override readonly name = "StoreFull";
}

export const terminalState: Record<TerminalEventType, TurnState> = {
  turn_completed: "completed",
  turn_failed: "failed",
  turn_cancelled: "cancelled",
};
