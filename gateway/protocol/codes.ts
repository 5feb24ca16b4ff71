// The closed lists of the wire: error codes, failure codes, event types, permission modes. Free of zod, so that the widget may
// import values from here.

/** Every code of a problem reply with its HTTP status. */
export const errorStatus = {
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  origin_not_allowed: 403,
  host_not_allowed: 403,
  not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  busy: 409,
  conflict: 409,
  gone: 410,
  payload_too_large: 413,
  unsupported_media_type: 415,
  idempotency_mismatch: 422,
  too_many_requests: 429,
  rate_limited: 429,
  internal: 500,
  queue_full: 503,
  shutting_down: 503,
  no_capacity: 503,
  not_ready: 503,
} as const;

export type ErrorCode = keyof typeof errorStatus;

/** Why a turn failed, and whether the same prompt may well succeed later without anybody mending anything. */
export const failureRetryable = {
  not_logged_in: false,
  billing_mismatch: false,
  rate_limited: true,
  overloaded: true,
  api_error: true,
  max_model_turns: false,
  max_budget: false,
  silence_timeout: true,
  turn_timeout: false,
  spawn_failed: true,
  cli_missing: false,
  process_died: true,
  gateway_restarted: true,
  node_lost: true,
  session_lost: false,
  tampered: false,
  internal: false,
} as const;

export type FailureCode = keyof typeof failureRetryable;

/** The Messages API's own streaming events, passed on under their names. */
export const modelEventTypes = [
  "message_start",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "message_delta",
  "message_stop",
] as const;

/** Sluice's own events. */
export const ownEventTypes = [
  "turn_queued",
  "turn_moved",
  "turn_started",
  "tool_result",
  "approval_requested",
  "approval_resolved",
  "message_discarded",
  "rate_limit",
  "api_retry",
  "notice",
  "turn_completed",
  "turn_failed",
  "turn_cancelled",
  "gap",
  "session_changed",
  "session_deleted",
] as const;

export const eventTypes = [...modelEventTypes, ...ownEventTypes] as const;

/** A turn has exactly one of these, and it is its last event. */
export const terminalEventTypes = ["turn_completed", "turn_failed", "turn_cancelled"] as const;

export type TerminalEventType = (typeof terminalEventTypes)[number];

/** From the tightest to the widest. `plan` asks, as `default` does, and does less: it stands beside. */
export const permissionModes = ["dontAsk", "plan", "default", "acceptEdits", "bypassPermissions"] as const;

export type PermissionMode = (typeof permissionModes)[number];

export const turnStates = ["queued", "running", "waiting", "completed", "failed", "cancelled"] as const;

export type TurnState = (typeof turnStates)[number];
