// What a start does with turns that an earlier gateway left unfinished [T2, L3]: those that ran end as `gateway_restarted` and keep
// what had been said; those that waited go back into the queue.
import { setTimeout as wait } from "node:timers/promises";
import { checkWishes, type Registry } from "../agents/registry.ts";
import { failure, turnFailed } from "../claude/outcome.ts";
import type { EventLog } from "../log/event-log.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import { gatewayCaller } from "../protocol/callers.ts";
import type { PermissionMode } from "../protocol/codes.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { TurnEvent } from "../protocol/events.ts";
import type { Store, TurnRow } from "../store/port.ts";
import { bodyOf } from "../store/run.ts";

/**
 * Ends what ran; resolves with the turns that still wait, oldest first. Rejects with `not_ready` where the store has no room: then it may
 * be called again.
 */
export async function recoverTurns(store: Store, log: EventLog): Promise<TurnRow[]> {
  const unfinished = await store.unfinishedTurns(gatewayCaller);
  for (const turn of unfinished) {
    if (turn.state === "queued") continue;
    const text = await spokenText(store, turn);
    await log.appendNow({
      session: turn.session,
      events: [
        ...(await unanswered(store, turn)),
        { turn: turn.turn, ...turnFailed(failure("gateway_restarted"), text) },
      ],
    });
    await log.foldHistory(turn.session, turn.firstSeq);
  }
  return unfinished.filter((turn) => turn.state === "queued");
}

const retryMs = 500;

/**
 * Calls `recover`. Where it is refused, since the store has no room, resolves all the same and goes on trying: a gateway that only waits for
 * room must be up, to be looked at and to be ended.
 */
export async function recoverInTime(
  recover: () => Promise<void>,
  { isOver, onWait, onBug }: { isOver: () => boolean; onWait: () => void; onBug: (error: unknown) => void },
): Promise<void> {
  const isDone = () =>
    recover().then(
      () => true,
      (error: unknown) => {
        if (error instanceof GatewayError) return false;
        throw error;
      },
    );
  if (await isDone()) return;
  onWait();
  const tryAgain = async () => {
    do await wait(retryMs, undefined, { ref: false });
    while (!isOver() && !(await isDone()));
  };
  tryAgain().catch(onBug);
}

/** The agent of a turn that waited; or, in words, why it cannot run any more: its agent may be another one now [A5]. */
export function agentNow(
  { agent: name, options }: Pick<TurnRow, "agent" | "options">,
  { agents }: Registry,
): AgentConfig | string {
  const agent = agents.find((one) => one.name === name);
  if (!agent) return "The agent of this turn is not there any more.";
  const { model, permissionMode, turnTimeoutS: turn_timeout_s } = options;
  try {
    checkWishes(agent, { model, permission_mode: permissionMode as PermissionMode | undefined, turn_timeout_s });
    return agent;
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return `The agent does not allow any more what this turn asks for: ${error.message}`;
  }
}

/** What denies the approvals that nobody can answer any more. */
async function unanswered(store: Store, { session, turn }: TurnRow): Promise<TurnEvent[]> {
  const pending = await store.approvals(gatewayCaller, { session, state: "pending", limit: 1000 });
  return pending
    .filter((approval) => approval.turn === turn)
    .map(({ approval }) => ({
      turn,
      type: "approval_resolved",
      approval,
      decision: "deny",
      by: { gateway: "restart" },
    }));
}

/** The top-level text that the log holds of a turn, messages parted by an empty line, as its terminal event would have it. */
async function spokenText(store: Store, { session, turn, firstSeq }: TurnRow): Promise<string> {
  const messages = new Map<string, Map<number, string>>();
  for (let after = firstSeq; ;) {
    const events = await store.events(gatewayCaller, session, after, 1000);
    if (events.length === 0) break;
    after = events.at(-1)!.seq;
    for (const event of events) {
      if (event.turn !== turn) continue;
      const body = bodyOf(event);
      if (body.type === "message_discarded") {
        const from = body.from_index ?? 0;
        for (const index of messages.get(body.message)?.keys() ?? [])
          if (index >= from) messages.get(body.message)!.delete(index);
      }
      if (body.type !== "content_block_delta" || body.delta.type !== "text_delta" || body.parent_tool_use_id) continue;
      const blocks = messages.get(body.message) ?? new Map<number, string>();
      blocks.set(body.index, (blocks.get(body.index) ?? "") + String(body.delta["text"]));
      messages.set(body.message, blocks);
    }
  }
  const texts = [...messages.values()].map((blocks) => [...blocks.values()].join(""));
  return texts.filter((text) => text !== "").join("\n\n");
}
