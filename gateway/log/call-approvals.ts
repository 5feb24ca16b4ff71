// What a turn's calls of tools were asked about: each approval stands at its call, from its question on, with what was decided. Pure.
import { isDeepStrictEqual } from "node:util";
import type { EventOf } from "../protocol/events.ts";
import type { TranscriptToolUse } from "../protocol/transcript.ts";
import { withUrl, type UrlOf } from "./references.ts";

export interface CallApprovals {
  /** A call that no message made is left out, but the turn waits all the same. */
  ask(call: TranscriptToolUse | undefined, body: EventOf<"approval_requested">): void;
  settle(body: EventOf<"approval_resolved">): void;
  isWaiting(): boolean;
}

export function createCallApprovals(urlOf: UrlOf): CallApprovals {
  const waiting = new Map<string, TranscriptToolUse | undefined>();
  return {
    ask(call, { approval, reason, expires_at, input }) {
      waiting.set(approval, call);
      if (!call) return;
      const isOther = !isDeepStrictEqual(input, call.input);
      const asked = isOther ? { input: withUrl(input, urlOf) } : {};
      call.approval = { approval, reason, expires_at, ...asked, decision: null, by: null };
    },
    settle({ approval, decision, by, scope, message, updated_input }) {
      const asked = waiting.get(approval)?.approval;
      waiting.delete(approval);
      // Asked about once more it has a newer one.
      if (asked?.approval !== approval) return;
      asked.decision = decision;
      asked.by = by;
      if (scope !== undefined) asked.scope = scope;
      if (message !== undefined) asked.message = message;
      if (updated_input !== undefined) asked.updated_input = withUrl(updated_input, urlOf);
    },
    isWaiting: () => waiting.size > 0,
  };
}
