// A Model Context Protocol server over stdio by hand, with the one tool `echo`: it answers with its words in capitals.
// Format: https://modelcontextprotocol.io/specification
import { createInterface } from "node:readline";

interface Request {
  readonly id?: number;
  readonly method: string;
  readonly params: { readonly protocolVersion?: string; readonly arguments?: { readonly words: string } };
}

const tool = {
  name: "echo",
  description: "Repeats words loudly.",
  inputSchema: { type: "object", properties: { words: { type: "string" } }, required: ["words"] },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { id, method, params } = JSON.parse(line) as Request;
  if (id === undefined) continue;
  const result = answer(method, params);
  const reply = result ? { result } : { error: { code: -32601, message: "no such method" } };
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, ...reply })}\n`);
}

function answer(method: string, params: Request["params"]): object | undefined {
  if (method === "initialize")
    return {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: "echo", version: "1.0.0" },
    };
  if (method === "tools/list") return { tools: [tool] };
  if (method === "tools/call") return { content: [{ type: "text", text: params.arguments?.words.toUpperCase() }] };
  return undefined;
}
