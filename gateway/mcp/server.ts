// /mcp: the agents as tools of the Model Context Protocol, by streamable HTTP (https://modelcontextprotocol.io/specification). Stateless: every
// request has a server of its own, and what is to outlive it stands in the log. Imported on first use: the SDK takes its time.
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/sdk/server/webStandardStreamableHttp.js";
import type { Caller } from "../protocol/callers.ts";
import type { Scope } from "../protocol/scopes.ts";
import { addAgentTools } from "./agent-tools.ts";
import { addChangesTool } from "./changes-tool.ts";
import { addTranscriptTool } from "./transcript-tool.ts";
import { addTurnTools } from "./turn-tools.ts";
import type { McpDeps } from "./tool.ts";

/** Who asks, and what they may. */
export interface Asker {
  /** Rejects with `conflict` where they may ask nothing now. */
  readonly caller: () => Promise<Caller>;
  readonly scopes: ReadonlySet<Scope>;
  /** Counts a turn that they ask for; rejects with `too_many_requests`. */
  readonly countTurn: (caller: Caller) => Promise<void>;
  /** The same for a call that changes something. */
  readonly countChange: (caller: Caller) => Promise<void>;
  /** Whether they may still be answered; to be asked again every `checkMs` of a wait. */
  readonly isGood: () => boolean;
  readonly checkMs: number;
  /** An absolute address on this gateway. */
  readonly addressOf: (path: string) => string;
}

/** Answers one POST. The checks that stand before every route have been made. */
export type Mcp = (request: Request, asker: Asker) => Promise<Response>;

const instructions =
  "Sluice runs coding agents. Give one of them work with message_agent: it answers in a session of its own, which remembers what was said before. " +
  "To have several work at the same time, send each its message with wait: false, then read each answer with read_turn and wait: true.";

export function createMcp(deps: McpDeps): Mcp {
  return async (request, asker) => {
    const server = new McpServer({ name: "sluice", version: deps.version }, { instructions });
    const scene = { ...deps, ...asker, server, gone: request.signal };
    addAgentTools(scene);
    addChangesTool(scene);
    addTurnTools(scene);
    addTranscriptTool(scene);
    const transport = new WebStandardStreamableHTTPServerTransport({ maxRequestBodySize: deps.limits.body_bytes });
    await server.connect(transport);
    return transport.handleRequest(request);
  };
}
