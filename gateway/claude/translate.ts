// Messages of one process → events, in order. Pure. It knows which turn a message belongs to (ours, or one that the CLI began by
// itself), says nothing twice, and gives a turn exactly one terminal event [L3, P7].
import type { By, EventBody, TerminalEvent, TurnEvent } from "../protocol/events.ts";
import { createMessages, type Messages } from "./blocks.ts";
import {
  isApiRetry,
  isInit,
  plainName,
  type CliMessage,
  type InitMessage,
  type ResultMessage,
  type UserMessage,
} from "./messages.ts";
import { failureOf, turnFailed, type Failure } from "./outcome.ts";

export interface TranslatorOptions {
  readonly session: string;
  readonly agent: string;
  /** Makes the id of a turn that the CLI begins. */
  readonly newTurnId: () => string;
}

export interface Translator {
  /** A prompt was written: the turn is expected from now on. One at a time. */
  expect(turn: string): void;
  /** The turn that was expected, or runs, until its terminal event; else undefined. */
  readonly ours: string | undefined;
  /** The turn that messages belong to now. */
  readonly current: string | undefined;
  /** The CLI works on a turn that it began by itself. */
  readonly isBusyOnItsOwn: boolean;
  push(message: CliMessage): TurnEvent[];
  /** Whether this end of a turn ends none: there is none, or it names the prompt of another one. */
  isStray(result: ResultMessage): boolean;
  /** The turn (by default ours, or else the CLI's own) was interrupted: its `result` will read as `turn_cancelled`. */
  cancel(by: By, turn?: string): void;
  /** The turn (by default ours) will end as this failure when its `result` comes, whatever that says. */
  condemn(failure: Failure, turn?: string): void;
  /** Ends our turn and the CLI's own now, as condemned or cancelled if they were, else as `failure`. Nothing if there is none. */
  abandon(failure: Failure): TurnEvent[];
}

interface ActiveTurn {
  readonly id: string;
  readonly isOurs: boolean;
  hasStarted: boolean;
  readonly messages: Messages;
  /** Decided before its `result` came: it ends so, whatever that says. */
  verdict?: { cancelledBy: By } | Failure;
}

export function createTranslator({ session, agent, newTurnId }: TranslatorOptions): Translator {
  let expected: ActiveTurn | undefined;
  let active: ActiveTurn | undefined;
  let turnsStarted = 0;
  let costSoFar = 0;
  /** This CLI names the prompts that a turn answers, so a turn without a name is its own. */
  let namesPrompts = false;
  let wakeUp = "unknown";
  let lastReset: string | undefined;

  function push(message: CliMessage): TurnEvent[] {
    if (isInit(message)) return begin(message);
    if (isApiRetry(message))
      return say({
        type: "api_retry",
        attempt: message.attempt,
        max_attempts: message.max_retries,
        delay_ms: message.retry_delay_ms,
        status: message.error_status,
      });
    switch (message.type) {
      case "stream_event":
        return turnOrNone()?.messages.stream(message).map(tag) ?? [];
      case "assistant":
        return turnOrNone()?.messages.finish(message).map(tag) ?? [];
      case "user":
        return toolResults(message).map(tag);
      case "rate_limit_event":
        return say(limitEvent(message.rate_limit_info));
      case "result":
        return finish(message);
      case "command_lifecycle":
        namesPrompts = true;
        return [];
      case "system":
        if (message.subtype === "task_notification") wakeUp = "task-notification";
        return [];
      case "unknown":
        return say({
          type: "notice",
          kind: "unknown_message",
          text: `The CLI wrote a message of the type "${plainName(message.name)}", which Sluice does not know.`,
        });
      case "control_request":
      case "control_cancel_request":
      case "control_response":
      case "keep_alive":
      case "streamlined_text":
      case "tool_progress":
        return [];
    }
  }

  function begin(init: InitMessage): TurnEvent[] {
    if (init.user_message_uuids) namesPrompts = true;
    const isOurs =
      expected !== undefined &&
      (namesPrompts
        ? (init.user_message_uuids?.includes(expected.id) ?? false)
        : active === undefined || active === expected);
    // Within one turn the CLI may say `init` again: that is no beginning.
    if (active?.hasStarted && (isOurs ? active === expected : !active.isOurs)) return [];
    const unfinished = active && !active.isOurs ? abandonForeign(active) : [];
    active = isOurs ? expected! : { id: newTurnId(), isOurs: false, hasStarted: false, messages: createMessages() };
    active.hasStarted = true;
    const events = unfinished;
    if (!isOurs)
      events.push(tag({ type: "turn_queued", session, agent, prompt: [], position: null, by: { cli: wakeUp } }));
    wakeUp = "unknown";
    events.push(tag(startedEvent(init, session, turnsStarted++ > 0)));
    return events;
  }

  /** Messages that come before any `init` belong to our turn if one is expected (a start that fails at once). */
  function turnOrNone(): ActiveTurn | undefined {
    return active ?? (expected ? (active = expected) : undefined);
  }

  function tag(body: EventBody): TurnEvent {
    return { turn: turnOrNone()?.id ?? null, ...body };
  }

  function say(body: EventBody): TurnEvent[] {
    if (body.type === "rate_limit" && body.resets_at) lastReset = body.resets_at;
    return [tag(body)];
  }

  /** A `result` that names our prompt ends our turn, even where the CLI has answered it within a turn of its own. */
  function endsOurs({ user_message_uuids: named = [] }: ResultMessage): boolean {
    return expected !== undefined && named.includes(expected.id);
  }

  function isStray(result: ResultMessage): boolean {
    const said = active ?? expected;
    // One that names another prompt is late: it must not end a turn that has not begun.
    const isNamed = (result.user_message_uuids ?? []).length > 0;
    return !said || (said.isOurs && !said.hasStarted && isNamed && !endsOurs(result));
  }

  function finish(result: ResultMessage): TurnEvent[] {
    const cost = Math.max(0, result.total_cost_usd - costSoFar);
    costSoFar = Math.max(costSoFar, result.total_cost_usd);
    const said = turnOrNone();
    if (!said || isStray(result))
      return [
        tag({ type: "notice", kind: "stray_result", text: "The CLI reported the end of a turn that none had begun." }),
      ];
    const turn = endsOurs(result) ? expected! : said;
    const found = failureOf(result);
    const failed = found?.code === "rate_limited" ? { ...found, resetsAt: lastReset } : found;
    const ending = failed ?? completed(result, cost, said.messages);
    return turn === said ? end(turn, ending) : [...abandonForeign(said), ...end(turn, ending)];
  }

  function end(turn: ActiveTurn, ending: Failure | TerminalEvent): TurnEvent[] {
    const { messages } = turn;
    const closing = messages.close();
    const decided = turn.verdict ?? ending;
    const events = [...closing, terminalEvent(decided, messages.text())].map((body) => ({ turn: turn.id, ...body }));
    if (turn.isOurs) expected = undefined;
    if (active === turn) active = undefined;
    return events;
  }

  function abandonForeign(turn: ActiveTurn, reason: Failure = leftUnfinished): TurnEvent[] {
    return end(turn, reason);
  }

  return {
    expect(turn) {
      if (expected) throw new Error("a turn is running on this process already");
      expected = { id: turn, isOurs: true, hasStarted: false, messages: createMessages() };
    },
    get ours() {
      return expected?.id;
    },
    get current() {
      return (active ?? expected)?.id;
    },
    get isBusyOnItsOwn() {
      return active !== undefined && !active.isOurs;
    },
    push,
    isStray,
    cancel(by, id) {
      const turn = [expected, active].find((one) => one && (id === undefined || one.id === id));
      if (turn) turn.verdict ??= { cancelledBy: by };
    },
    condemn(failure, id = expected?.id) {
      const turn = [expected, active].find((one) => one?.id === id);
      if (turn) turn.verdict ??= failure;
    },
    abandon(failure) {
      const foreign = active && !active.isOurs ? abandonForeign(active, failure) : [];
      return expected ? [...foreign, ...end(expected, failure)] : foreign;
    },
  };
}

const leftUnfinished: Failure = { code: "process_died", message: "The CLI left its own turn unfinished." };

function startedEvent(init: InitMessage, session: string, reused: boolean): EventBody {
  return {
    type: "turn_started",
    session,
    model: init.model,
    permission_mode: init.permissionMode,
    tools: init.tools,
    mcp_servers: init.mcp_servers.map(({ name, status }) => ({ name, status })),
    claude_version: init.claude_code_version,
    api_key_source: init.apiKeySource,
    reused,
  };
}

function toolResults({ message, parent_tool_use_id }: UserMessage): EventBody[] {
  if (typeof message.content === "string") return [];
  return message.content.flatMap((block): EventBody[] => {
    if (block.type !== "tool_result" || typeof block["tool_use_id"] !== "string") return [];
    return [
      {
        type: "tool_result",
        tool_use_id: block["tool_use_id"],
        content: block["content"] ?? "",
        is_error: block["is_error"] === true,
        parent_tool_use_id,
      },
    ];
  });
}

function limitEvent(info: {
  status: string;
  rateLimitType?: string | undefined;
  resetsAt?: number | undefined;
  isUsingOverage: boolean;
}): EventBody {
  return {
    type: "rate_limit",
    status: info.status,
    limit: info.rateLimitType ?? null,
    resets_at: info.resetsAt === undefined ? null : timeOf(info.resetsAt),
    using_overage: info.isUsingOverage,
  };
}

/** Epoch seconds as RFC 3339; null where they are no time. */
function timeOf(epochSeconds: number): string | null {
  const date = new Date(epochSeconds * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function completed(result: ResultMessage, cost: number, messages: Messages): TerminalEvent {
  return {
    type: "turn_completed",
    text: messages.text(),
    answer: messages.answer(),
    usage: result.usage,
    cost_usd: cost,
    duration_ms: result.duration_ms,
    stop_reason: result.stop_reason,
    model_turns: result.num_turns,
    denials: result.permission_denials,
  };
}

function terminalEvent(ending: { cancelledBy: By } | Failure | TerminalEvent, text: string): TerminalEvent {
  if ("type" in ending) return ending;
  if ("cancelledBy" in ending) return { type: "turn_cancelled", by: ending.cancelledBy, text };
  return turnFailed(ending, text);
}
