// [A5] Which tools a CLI has that Sluice does not know: of a version that nobody has looked at, they are asked for by one short run of it,
// without a login, a model or anything of whoever runs the gateway.
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createLineReader } from "./lines.ts";
import type { Cli } from "./locate.ts";
import type { AgentConfig } from "../protocol/agents.ts";
import type { EventOf } from "../protocol/events.ts";
import { isInit, plainName, readMessage } from "./messages.ts";
import { promptLine } from "./prompt-line.ts";
import { isKnown, unknownTools } from "./tools.ts";

export interface NewToolsOptions {
  /** The PATH of the gateway's environment: the CLI may be a script. */
  readonly searchPath?: string | undefined;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const defaultTimeoutMs = 30_000;

/** A command that the CLI answers by itself, after it has said what it has. */
const harmless = "/cost";

/**
 * The tools that are off because Sluice does not know them, by name; at once none for a version that it knows. Rejects where the CLI does not
 * say. It takes about as long as a process needs to come up: ask once a version. Tools that only some logins are offered may not be named.
 */
export async function findNewTools(cli: Cli, options: NewToolsOptions = {}): Promise<readonly string[]> {
  return isKnown(cli.version) ? [] : unknownTools(await toolsOfCli(cli.path, options));
}

const maxNamed = 20;

/** What a process's first turn says of them; undefined where there are none that the agent does not have all the same. */
export function newToolsOff(names: readonly string[], agent: AgentConfig): EventOf<"notice"> | undefined {
  const off = names.filter((name) => !agent.extra_tools.includes(name));
  if (off.length === 0) return undefined;
  const named = off.slice(0, maxNamed).map(plainName).join(", ");
  const more = off.length > maxNamed ? " and more" : "";
  const text = `This version of the CLI has tools that Sluice does not know, so they are off: ${named}${more}. The agent's extra_tools switches them on.`;
  return { type: "notice", kind: "new_tools_off", text };
}

/** All tools that the CLI at this path reports. */
export async function toolsOfCli(
  path: string,
  { searchPath = "/usr/local/bin:/usr/bin:/bin", timeoutMs = defaultTimeoutMs, signal }: NewToolsOptions = {},
): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-tools-"));
  const args = [
    "--print",
    "--input-format=stream-json",
    "--output-format=stream-json",
    "--verbose",
    // Without it there would be no tools that ask a person.
    "--permission-prompt-tool=stdio",
    "--tools=default",
    "--setting-sources=",
    "--strict-mcp-config",
  ];
  const env = {
    PATH: searchPath,
    HOME: folder,
    CLAUDE_CONFIG_DIR: folder,
    CLAUDE_CODE_TMPDIR: folder,
    // Whatever it may want of a model finds nobody: this port is the superuser's.
    ANTHROPIC_BASE_URL: "http://127.0.0.1:1",
    // With a login, though none of anybody's, it has more than with a key.
    CLAUDE_CODE_OAUTH_TOKEN: "none",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    CLAUDE_CODE_MAX_RETRIES: "0",
    DISABLE_AUTOUPDATER: "1",
  };
  try {
    const run = promisify(execFile)(path, args, { cwd: folder, env, timeout: timeoutMs, signal, maxBuffer: 2 ** 24 });
    const rules = { slash_commands: true, file_mentions: false };
    run.child.stdin?.on("error", () => {});
    run.child.stdin?.end(promptLine(randomUUID(), [{ type: "text", text: harmless }], rules));
    return toolsIn((await run).stdout);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function toolsIn(output: string): readonly string[] {
  const reader = createLineReader();
  for (const line of [...reader.push(Buffer.from(output)), ...reader.end()]) {
    const message = line.kind === "json" ? readMessage(line.value) : undefined;
    if (message && isInit(message) && message.tools.length > 0) return message.tools;
  }
  throw new Error("the CLI did not say what tools it has");
}
