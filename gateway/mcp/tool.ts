// How a tool is offered: with the scope that it needs, its answer as data and as text, and every refusal as a tool's error that says what to do.
import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import type { CallToolResult, ToolAnnotations } from "@modelcontextprotocol/sdk/types.js";
import type { z } from "zod";
import type { EventLog } from "../log/event-log.ts";
import type { Caller } from "../protocol/callers.ts";
import type { ErrorCode } from "../protocol/codes.ts";
import { GatewayError } from "../protocol/errors.ts";
import type { Limits } from "../protocol/limits.ts";
import { toolScopes, type Scope, type ToolName } from "../protocol/scopes.ts";
import type { Store } from "../store/port.ts";
import type { Agents } from "../turns/agents.ts";
import type { Turns } from "../turns/turns.ts";

export interface McpDeps {
  readonly store: Store;
  readonly log: EventLog;
  readonly turns: Turns;
  readonly agents: Agents;
  readonly limits: Limits;
  readonly version: string;
  /** A bug: its id is in the tool's answer. */
  readonly onBug: (error: unknown, id: string) => void;
}

/** One request, with the server that answers it. */
export interface Scene extends McpDeps {
  readonly server: McpServer;
  readonly caller: () => Promise<Caller>;
  readonly scopes: ReadonlySet<Scope>;
  readonly countTurn: (caller: Caller) => Promise<void>;
  readonly countChange: (caller: Caller) => Promise<void>;
  /** Whether who asks may still be answered; to be asked again every `checkMs` of a wait. */
  readonly isGood: () => boolean;
  readonly checkMs: number;
  /** An absolute address on this gateway. */
  readonly addressOf: (path: string) => string;
  /** Aborted when the client has gone. */
  readonly gone: AbortSignal;
}

export interface ToolAnswer<Data> {
  readonly data: Data;
  /** The same for people, and for clients that know no structured content. */
  readonly text: string;
}

export interface Tool<Input extends z.ZodObject, Output extends z.ZodObject> {
  readonly title: string;
  readonly description: string;
  readonly input: Input;
  readonly output: Output;
  readonly hints: ToolAnnotations;
  readonly run: (caller: Caller, input: z.infer<Input>) => Promise<ToolAnswer<z.infer<Output>>>;
}

/** Nothing outside of the gateway is reached by any tool. */
export const readsOnly: ToolAnnotations = { readOnlyHint: true, openWorldHint: false };

export function addTool<Input extends z.ZodObject, Output extends z.ZodObject>(
  { server, caller, scopes, countChange, onBug }: Scene,
  name: ToolName,
  { title, description, input, output, hints, run }: Tool<Input, Output>,
): void {
  const config = { title, description, inputSchema: input, outputSchema: output, annotations: hints };
  const call = async (given: z.infer<Input>): Promise<CallToolResult> => {
    try {
      checkScope(name, scopes);
      const asking = await caller();
      if (!hints.readOnlyHint) await countChange(asking);
      const { data, text } = await run(asking, given);
      return { content: [{ type: "text", text }], structuredContent: data };
    } catch (error) {
      if (error instanceof GatewayError) return refused(error);
      const id = crypto.randomUUID();
      onBug(error, id);
      return refused(
        new GatewayError("internal", `Something went wrong inside the gateway; its log says more at ${id}.`),
      );
    }
  };
  // The SDK infers the handler's input from the schema, which a schema of any kind leaves open.
  server.registerTool(name, config, call as never);
}

function checkScope(name: ToolName, scopes: ReadonlySet<Scope>): void {
  const scope = toolScopes[name];
  if (!scopes.has(scope)) throw new GatewayError("forbidden", `${name} needs a key with the scope "${scope}".`);
}

/** Where the message alone does not say it. */
const whatToDo: Partial<Record<ErrorCode, string>> = {
  queue_full: "Wait for turns of this agent to end, then send it again.",
  shutting_down: "Send it again when the gateway is back.",
  rate_limited: "No turn of this agent can succeed before.",
};

function refused({ code, message, extra }: GatewayError): CallToolResult {
  const { retry_after_s, resets_at } = extra as { retry_after_s?: number; resets_at?: string };
  const when = resets_at ?? (retry_after_s === undefined ? undefined : `in ${Math.ceil(retry_after_s)} s`);
  const hints = [whatToDo[code], when && `Earliest: ${when}.`].filter((hint) => hint !== undefined);
  return { content: [{ type: "text", text: [`${code}: ${message}`, ...hints].join(" ") }], isError: true };
}
