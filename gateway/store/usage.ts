// What turns have used, as their endings report it. Pure.
import type { TerminalEvent } from "../protocol/events.ts";

export interface TurnUsage {
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly cacheCreationTokens: number;
  readonly cacheReadTokens: number;
  readonly costUsd: number;
}

/** Only a completed turn reports anything; what the CLI gives there is not trusted to be numbers. */
export function usageOf(ending: TerminalEvent): TurnUsage {
  const { usage, cost_usd: costUsd } = ending.type === "turn_completed" ? ending : { usage: {}, cost_usd: 0 };
  const tokens = (name: string) => Math.round(amount((usage as Record<string, unknown>)[name]));
  return {
    inputTokens: tokens("input_tokens"),
    outputTokens: tokens("output_tokens"),
    cacheCreationTokens: tokens("cache_creation_input_tokens"),
    cacheReadTokens: tokens("cache_read_input_tokens"),
    costUsd: amount(costUsd),
  };
}

function amount(value: unknown): number {
  return typeof value === "number" && value >= 0 && value <= Number.MAX_SAFE_INTEGER ? value : 0;
}
