// The two errors that may cross a seam: a refusal of a request, and a fault of the set-up that its operator can mend.
import type { ErrorCode } from "./codes.ts";

/** A refusal: the caller did or asked something that gets an answer from the closed list. `message` reaches the client. */
export class GatewayError extends Error {
  override readonly name = "GatewayError";
  readonly code: ErrorCode;
  /** Fields of the problem reply beside the standard ones, such as `field` of a validation error. */
  readonly extra: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, extra: Readonly<Record<string, unknown>> = {}) {
    super(message);
    this.code = code;
    this.extra = extra;
  }
}

/** When a client that was refused for want of room may try again. */
export const retryAfterS = 10;

/** Why the gateway cannot do its work on this machine as it stands. */
export type SetupFault =
  | "cli_missing"
  | "cli_not_executable"
  | "cli_too_old"
  | "git_missing"
  | "not_logged_in"
  | "workspace_missing"
  | "workspace_unfit"
  | "data_not_writable"
  | "data_not_private"
  | "data_locked"
  | "database_damaged"
  | "database_newer"
  | "no_box"
  | "login_not_shared"
  | "port_taken"
  | "address_not_available"
  | "not_running"
  | "config_invalid";

/** A fault of the set-up. `message` says what is wrong, `mend` what to do about it; both are for the operator. */
export class SetupError extends Error {
  override readonly name = "SetupError";
  readonly fault: SetupFault;
  readonly mend: string;

  constructor(fault: SetupFault, message: string, mend: string) {
    super(message);
    this.fault = fault;
    this.mend = mend;
  }
}
