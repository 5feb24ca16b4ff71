// The official MCP client, connected to a gateway's /mcp as any program would be.
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import type { CallToolResult } from "@modelcontextprotocol/sdk/types.js";

export interface McpClient {
  readonly client: Client;
  /** Calls a tool; resolves with its answer, an error's too. */
  call(tool: string, input?: Record<string, unknown>): Promise<CallToolResult>;
  /** The structured content of an answer that must be a good one. */
  data<Data = Record<string, unknown>>(tool: string, input?: Record<string, unknown>): Promise<Data>;
  /** The text of an answer that must be an error. */
  fault(tool: string, input?: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

export interface McpClientOptions {
  readonly key?: string | undefined;
  /** Instead of the network: an app without a socket. */
  readonly fetch?: (url: string | URL, init?: RequestInit) => Promise<Response>;
}

export async function connectMcp(url: string, { key, fetch }: McpClientOptions = {}): Promise<McpClient> {
  const headers: Record<string, string> = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const transport = new StreamableHTTPClientTransport(new URL(url), {
    requestInit: { headers },
    ...(fetch ? { fetch } : {}),
  });
  const client = new Client({ name: "test", version: "1.0.0" });
  await client.connect(transport);
  const call = async (name: string, input: Record<string, unknown> = {}) =>
    (await client.callTool({ name, arguments: input })) as CallToolResult;
  return {
    client,
    call,
    async data<Data>(tool: string, input?: Record<string, unknown>) {
      const answer = await call(tool, input);
      if (answer.isError) throw new Error(`${tool}: ${textOf(answer)}`);
      return answer.structuredContent as Data;
    },
    async fault(tool, input) {
      const answer = await call(tool, input);
      if (!answer.isError) throw new Error(`${tool} was not refused: ${textOf(answer)}`);
      return textOf(answer);
    },
    close: () => client.close(),
  };
}

export function textOf({ content }: CallToolResult): string {
  return content.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join("\n");
}
