// Which credential an agent's processes are billed to, as a name for it: agents that get the same credentials in their environment
// share one, and with it its limits. A hash, so that it may be stored and shown.
import { createHash } from "node:crypto";
import type { AgentConfig } from "../protocol/agents.ts";
import { credentialVariables } from "./command.ts";

/** Where a login on disk lies, and whom the CLI asks. */
const places = ["CLAUDE_CONFIG_DIR", "HOME", "ANTHROPIC_BASE_URL"];

export function credentialOf(
  { billing, setting_sources, name }: AgentConfig,
  environment: Readonly<Record<string, string | undefined>>,
): string {
  const known = [...credentialVariables(billing), ...places].map((variable) => [variable, environment[variable]]);
  // Settings may bring a key of their own: then nobody else is known to have the same.
  const own = setting_sources.length > 0 ? name : null;
  const named = JSON.stringify([known.filter(([, value]) => value !== undefined), own]);
  return createHash("sha256").update(named).digest("hex").slice(0, 16);
}
