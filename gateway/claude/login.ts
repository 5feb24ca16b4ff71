// What the CLI says of its login, as the gateway's environment has it.
import { execFile } from "node:child_process";
import { promisify } from "node:util";

export interface Login {
  readonly isThere: boolean;
  /** The CLI's word for it, such as `oauth_token`. */
  readonly method: string;
}

/** The CLI takes one of these as it is, and so does `auth status`: whether it is good shows when it is used. */
const tokenVariables = ["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];

export function hasToken(environment: Readonly<Record<string, string | undefined>>): boolean {
  return tokenVariables.some((name) => (environment[name] ?? "") !== "");
}

/** Asks the CLI, which takes the better part of a second. Rejects only when aborted. */
export async function askLogin(
  binary: string,
  environment: Readonly<Record<string, string | undefined>>,
  signal?: AbortSignal,
): Promise<Login> {
  try {
    const options = { timeout: 20_000, env: environment, ...(signal ? { signal } : {}) };
    const { stdout } = await promisify(execFile)(binary, ["auth", "status"], options);
    const status = JSON.parse(stdout) as { loggedIn?: boolean; authMethod?: string };
    return { isThere: status.loggedIn === true, method: status.authMethod ?? "unknown method" };
  } catch (error) {
    if (signal?.aborted) throw error;
    // Without a login it ends with 1.
    return { isThere: false, method: "none" };
  }
}
