// `sluice ask`: one prompt to a gateway, its answer as it comes on stdout, everything else on stderr. A client like any other: it goes
// on where a cut connection left it.
import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { onEndSignal } from "./end-signal.ts";
import type { TerminalEvent } from "./protocol/events.ts";

export interface AskOptions {
  /** The gateway's address. */
  readonly address: string;
  readonly key: string | undefined;
  readonly prompt: string;
  readonly session: string | undefined;
  readonly agent: string | undefined;
  /** Say when things happened, in milliseconds since the request. */
  readonly timing: boolean;
  readonly print: (text: string) => void;
  readonly printAside: (text: string) => void;
  /** Nobody reads what is printed any more. */
  readonly unread: AbortSignal;
}

/** What to do when the CLI is not logged in. */
export const howToLogIn =
  "Set CLAUDE_CODE_OAUTH_TOKEN (from `npx claude setup-token`) or ANTHROPIC_API_KEY; or log the gateway in, for its sessions alone: CLAUDE_SECURESTORAGE_CONFIG_DIR=<data folder>/login npx claude auth login.\n" +
  'To try Sluice without any account: npx sluice demo ask "hello"';

const accepted = z.looseObject({ turn: z.string(), session: z.string() });
const wireEvent = z.looseObject({ type: z.string(), seq: z.number().optional() });
type WireEvent = z.infer<typeof wireEvent>;

const reconnectMs = 500;
const maxReconnects = 60;

/** What a program ends with whose reader has gone, as `head` does when it has enough: 128 and SIGPIPE. */
const unreadCode = 141;

/** Resolves with the exit code: 0 for a completed turn, 130 for a cancelled one, 141 where nobody reads the answer, else 1. */
export async function ask(options: AskOptions): Promise<number> {
  const { address, key, prompt, session, agent, printAside, unread } = options;
  const began = performance.now();
  const headers = {
    "content-type": "application/json",
    ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
  };
  const body = JSON.stringify({ prompt, session, agent });
  const reply = await fetch(`${address}/api/turns`, { method: "POST", headers, body }).catch(() => undefined);
  if (!reply) {
    printAside(`sluice: the gateway at ${address} broke off: whether it took the prompt is not known.`);
    return 1;
  }
  if (!reply.ok) {
    const { detail } = (await reply.json().catch(() => ({}))) as { detail?: string };
    printAside(`sluice: the gateway refused the prompt (${reply.status}): ${detail ?? "no reason given"}`);
    return 1;
  }
  const turn = accepted.parse(await reply.json());
  const url = `${address}/api/turns/${turn.turn}`;
  const forget = onEndSignal(() => void fetch(`${url}/cancel`, { method: "POST", headers }).catch(() => {}));
  const note = (what: string) => options.timing && printAside(`[${(performance.now() - began).toFixed(0)} ms] ${what}`);
  note("accepted");
  const show = createPrinter(options.print, printAside, note);
  try {
    // Not `events_url`, which is the way of others: a public address, maybe through a proxy.
    for await (const event of follow(`${url}/events`, headers, unread)) {
      show(event);
      const code = exitCode(event as unknown as TerminalEvent, turn.session, printAside);
      if (code !== undefined) return code;
    }
    // Nobody is told, and nothing is cancelled: it is a client that goes away [T4].
    if (unread.aborted) return unreadCode;
    printAside("sluice: the gateway cannot be reached any more; the turn goes on there.");
    return 1;
  } finally {
    forget();
  }
}

/** The turn's events while somebody reads them; a cut stream is taken up again behind its last event. */
async function* follow(url: string, headers: Record<string, string>, unread: AbortSignal): AsyncGenerator<WireEvent> {
  let cursor = 0;
  for (let attempt = 0; attempt < maxReconnects && !unread.aborted; attempt++) {
    const reply = await fetch(url, {
      signal: unread,
      headers: {
        ...headers,
        accept: "application/x-ndjson",
        ...(cursor > 0 ? { "last-event-id": String(cursor) } : {}),
      },
    }).catch(() => undefined);
    if (reply?.ok && reply.body) {
      try {
        for await (const event of readLines(reply.body)) {
          if (event.seq !== undefined) cursor = event.seq;
          attempt = 0;
          yield event;
        }
      } catch {
        // Cut: the next round goes on behind `cursor`.
      }
    }
    if (!unread.aborted) await wait(reconnectMs);
  }
}

async function* readLines(body: ReadableStream<Uint8Array>): AsyncGenerator<WireEvent> {
  let rest = "";
  const decoder = new TextDecoder();
  for await (const chunk of body) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield wireEvent.parse(JSON.parse(line));
  }
}

function createPrinter(
  print: (text: string) => void,
  printAside: (text: string) => void,
  note: (what: string) => void,
) {
  let message: unknown = "";
  return (event: WireEvent): void => {
    if (event.type === "content_block_delta") {
      const delta = event["delta"] as { type?: string; text?: string } | undefined;
      if (delta?.type !== "text_delta" || event["parent_tool_use_id"]) return;
      if (message === "") note("first words");
      else if (message !== event["message"]) print("\n\n");
      message = event["message"];
      print(delta.text ?? "");
    } else if (event.type === "message_discarded") print("\n[message_discarded]\n");
    else if (event.type === "api_retry")
      printAside(`[retry ${String(event["attempt"])} of ${String(event["max_attempts"])}]`);
    else if (event.type === "approval_requested") printAside(approvalHint(event));
    else if (event.type === "turn_started") note(`started, model ${String(event["model"])}`);
    else if (event.type === "content_block_start") {
      const block = event["content_block"] as { type?: string; name?: string } | undefined;
      if (block?.type === "tool_use") printAside(`[tool ${block.name ?? ""}]`);
    }
  };
}

/** Nobody is asked on this terminal: it says where the answer is to be given. */
function approvalHint({ tool, approval, expires_at }: WireEvent): string {
  return `[the tool ${String(tool)} waits until ${String(expires_at)} for: POST /api/approvals/${String(approval)} {"decision":"allow"}]`;
}

function exitCode(event: TerminalEvent, session: string, printAside: (text: string) => void): number | undefined {
  switch (event.type) {
    case "turn_completed":
      printAside(`\n[completed in ${event.duration_ms} ms · go on with --session ${session}]`);
      return 0;
    case "turn_cancelled":
      printAside("\n[turn_cancelled]");
      return 130;
    case "turn_failed":
      printAside(`\n[turn_failed: ${event.code}] ${event.message}`);
      if (event.code === "not_logged_in") printAside(howToLogIn);
      return 1;
    default:
      return undefined;
  }
}
