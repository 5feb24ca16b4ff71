// What the CLI's `result` line means: completed, or failed with a code of the closed list. Pure.
import { failureRetryable, type FailureCode } from "../protocol/codes.ts";
import type { EventOf } from "../protocol/events.ts";
import { plainName, type ResultMessage } from "./messages.ts";

export interface Failure {
  readonly code: FailureCode;
  /** For the caller: no paths, no raw lines of the CLI. */
  readonly message: string;
  /** RFC 3339, where a limit names its end. */
  readonly resetsAt?: string | undefined;
  /** Where it is known better than by the code. */
  readonly isRetryable?: boolean;
}

/** Says why a `result` is a failure; undefined where the turn completed. */
export function failureOf(result: ResultMessage): Failure | undefined {
  switch (result.subtype) {
    case "success":
      return result.is_error ? apiFailure(result) : undefined;
    case "error_max_turns":
      return failure("max_model_turns");
    case "error_max_budget_usd":
      return failure("max_budget");
    case "error_during_execution":
      if (result.errors.some((line) => line.includes("No conversation found"))) return failure("session_lost");
      return failure("api_error", "The CLI stopped the turn with an error.");
    default:
      return failure(
        "internal",
        `The CLI ended the turn as "${plainName(result.subtype)}", which Sluice does not know.`,
      );
  }
}

function apiFailure(result: ResultMessage): Failure {
  const status = result.api_error_status;
  if (status === 401 || status === 403 || /not logged in|please run \/login/i.test(result.result ?? ""))
    return failure("not_logged_in");
  if (status === 429) return failure("rate_limited");
  if (status === 529 || status === 503) return failure("overloaded");
  if (!status) return failure("api_error");
  // What the API takes for a wrong request it takes for one again.
  const isRetryable = status < 400 || status >= 500 || status === 408;
  return { ...failure("api_error", `The model's API answered ${status}.`), isRetryable };
}

const messages: Record<FailureCode, string> = {
  not_logged_in: "The CLI is not logged in, or its credential was refused. The operator can run `npx sluice doctor`.",
  billing_mismatch: "The CLI's credential does not fit the agent's billing, so the prompt was not sent.",
  rate_limited: "The account's limit is reached.",
  overloaded: "The model's API is overloaded. Try again later.",
  api_error: "The model's API failed.",
  max_model_turns: "The agent's limit of model turns was reached.",
  max_budget: "The agent's budget for one process was reached.",
  silence_timeout: "Nothing was heard from the CLI for too long.",
  turn_timeout: "The turn took longer than it may.",
  spawn_failed: "The CLI could not be started.",
  cli_missing: "The CLI is not installed.",
  process_died: "The CLI ended in the middle of the turn.",
  gateway_restarted: "The gateway was restarted while the turn was running.",
  node_lost: "The machine that ran the turn was lost.",
  session_lost:
    'The CLI\'s memory of this session is lost. A prompt with `continue_from: "transcript"` goes on from what the log has of it.',
  tampered: "The turn was stopped: something else than the CLI, such as a tool, wrote into its output.",
  internal: "Something went wrong inside the gateway.",
};

/** A failure with its standard message, or a better one. */
export function failure(code: FailureCode, message: string = messages[code], resetsAt?: string): Failure {
  return { code, message, resetsAt };
}

/** A failure as the turn's terminal event. `text` is what had been said. */
export function turnFailed(
  { code, message, resetsAt, isRetryable = failureRetryable[code] }: Failure,
  text: string,
): EventOf<"turn_failed"> {
  const limit = resetsAt === undefined ? {} : { resets_at: resetsAt };
  return { type: "turn_failed", code, message, retryable: isRetryable, ...limit, text };
}
