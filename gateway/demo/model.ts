// The demo model: a scripted Anthropic Messages API on a loopback port of its own. The real CLI talks to it in `npm run demo`
// and in the tests. It knows nothing of the gateway.
import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { message, streamed } from "./answer.ts";
import { readScript, type Limit, type RequestMessage, type Script } from "./script.ts";

/** A request as the model saw it. */
export interface ModelRequest {
  readonly body: { readonly model: string; readonly stream?: boolean; readonly messages: readonly RequestMessage[] };
  readonly headers: IncomingMessage["headers"];
}

export interface DemoModel {
  /** What `ANTHROPIC_BASE_URL` must be. */
  readonly url: string;
  /** Cuts every open answer and ends the server. */
  close(): Promise<void>;
}

export interface DemoModelOptions {
  /** Called with every request for an answer, before it is given. */
  readonly onRequest?: (request: ModelRequest) => void;
  /** A pause before each delta, in milliseconds, where a step names none: a person sees words come. Default 0. */
  readonly delayMs?: number;
  /** The length of a delta in characters, where a step names none. */
  readonly chars?: number;
}

const beforeCutMs = 100;
const maxBodyBytes = 64 * 1024 * 1024;

/** Starts the model on a free loopback port. */
export async function startDemoModel(options: DemoModelOptions = {}): Promise<DemoModel> {
  const attempts = new Map<string, number>();
  const server = createServer((request, response) => {
    answer(request, response, options, attempts).catch(() => response.destroy());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, close: () => close(server) };
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: DemoModelOptions,
  attempts: Map<string, number>,
): Promise<void> {
  const path = new URL(request.url ?? "/", "http://model").pathname;
  if (request.method !== "POST") return void response.writeHead(200).end();
  const body = JSON.parse(await readBody(request)) as ModelRequest["body"];
  if (path === "/v1/messages/count_tokens") return sendJson(response, 200, { input_tokens: 10 });
  if (path !== "/v1/messages") return sendError(response, 404);
  options.onRequest?.({ body, headers: request.headers });
  const script = readScript(body.messages);
  for (const [name, value] of Object.entries(limitHeaders(script.limit))) response.setHeader(name, value);
  if (script.limit?.status === "rejected") return sendError(response, 429);
  await act(script, body, response, options, attempts);
}

async function act(
  { step, prompt, position }: Script,
  body: ModelRequest["body"],
  response: ServerResponse,
  { delayMs = 0, chars }: DemoModelOptions,
  attempts: Map<string, number>,
): Promise<void> {
  const id = `msg_demo${randomBytes(9).toString("hex")}`;
  if (step.kind === "hang") {
    await wait(step.ms, undefined, { signal: closed(response) });
    return sendError(response, 529);
  }
  if (step.kind === "error") {
    if (count(attempts, prompt, position) <= step.times) return sendError(response, step.status);
    return send({ kind: "text", text: "It worked at last." }, Infinity);
  }
  if (step.kind === "cut") return send(step, count(attempts, prompt, position) <= step.times ? step.after : Infinity);
  return send(step.kind === "text" && step.delayMs === undefined ? { ...step, delayMs } : step, Infinity);

  async function send(spoken: Parameters<typeof message>[0], cutAfter: number): Promise<void> {
    if (body.stream) return sendStream(response, streamed(spoken, id, body.model, chars), cutAfter);
    if (cutAfter < Infinity) return void response.destroy();
    return sendJson(response, 200, message(spoken, id, body.model));
  }
}

/** How often this step of this prompt has been asked for, this time included. */
function count(attempts: Map<string, number>, prompt: string, position: number): number {
  const key = `${createHash("sha256").update(prompt).digest("base64")}:${position}`;
  const attempt = (attempts.get(key) ?? 0) + 1;
  attempts.set(key, attempt);
  return attempt;
}

async function sendStream(
  response: ServerResponse,
  events: ReturnType<typeof streamed>,
  cutAfter: number,
): Promise<void> {
  response.writeHead(200, { "content-type": "text/event-stream" });
  const signal = closed(response);
  let deltas = 0;
  for (const { event, delayMs } of events) {
    if (delayMs > 0) await wait(delayMs, undefined, { signal });
    if (event.type === "content_block_delta" && deltas++ >= cutAfter) return cut(response, signal);
    if (!response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`)) await drained(response, signal);
  }
  response.end();
}

/** Breaks the stream off, once its reader has had time to read what was written: a reset takes with it what waits there unread. */
async function cut(response: ServerResponse, signal: AbortSignal): Promise<void> {
  await wait(beforeCutMs, undefined, { signal });
  response.destroy();
}

function drained(response: ServerResponse, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    response.once("drain", resolve);
    signal.addEventListener("abort", () => reject(new Error("the reader is gone")), { once: true });
  });
}

function closed(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once("close", () => controller.abort());
  return controller.signal;
}

function limitHeaders(limit: Limit | undefined): Record<string, string> {
  if (!limit) return {};
  const reset = String(Math.floor(Date.now() / 1000) + limit.resetsInS);
  const account = "anthropic-ratelimit-unified";
  const headers = {
    [`${account}-status`]: limit.status,
    [`${account}-representative-claim`]: limit.claim,
    [`${account}-reset`]: reset,
  };
  if (limit.status !== "allowed_warning") return headers;
  // The CLI warns only where it is told how much is used.
  const window = `${account}-${limit.claim === "seven_day" ? "7d" : "5h"}`;
  return {
    ...headers,
    [`${window}-utilization`]: "0.95",
    [`${window}-surpassed-threshold`]: "0.9",
    [`${window}-reset`]: reset,
  };
}

const errorTypes: Record<number, string> = {
  400: "invalid_request_error",
  401: "authentication_error",
  404: "not_found_error",
  429: "rate_limit_error",
  500: "api_error",
  529: "overloaded_error",
};

function sendError(response: ServerResponse, status: number): void {
  const type = errorTypes[status] ?? "api_error";
  sendJson(response, status, {
    type: "error",
    error: { type, message: `The demo model was told to answer ${status}.` },
  });
}

function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxBodyBytes) throw new Error("the request is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString("utf8");
}
