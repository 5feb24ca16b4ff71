// The CLI's control protocol over its stdin and stdout: our requests and their answers, and the CLI's requests to us.
// Format: README.md beside this file.
import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Billing } from "../protocol/agents.ts";
import type { PermissionMode } from "../protocol/codes.ts";
import { isCanUseTool, type CanUseToolRequest, type ControlRequest, type ControlResponse } from "./messages.ts";
import { jsonLine } from "./prompt-line.ts";

/** The credential that the CLI says it will use. All fields are the CLI's own words. */
export const account = z.looseObject({
  tokenSource: z.string().optional(),
  apiKeySource: z.string().optional(),
  apiProvider: z.string().optional(),
  subscriptionType: z.string().optional(),
});

export type Account = z.infer<typeof account>;

/** The answer to a tool call that waits for permission. */
export type Decision =
  | { readonly behavior: "allow"; readonly updatedInput: Record<string, unknown> }
  | { readonly behavior: "deny"; readonly message: string };

export interface Control {
  /** Asks the CLI who pays, before any prompt. */
  initialize(): Promise<Account>;
  /** Ends the running turn, tools included; the process lives on. */
  interrupt(): Promise<void>;
  setModel(model: string | undefined): Promise<void>;
  setPermissionMode(mode: PermissionMode): Promise<void>;
  /** Whether a request of this id was sent. */
  hasSent(requestId: string): boolean;
  /** Takes the CLI's answer to a request of ours. */
  answered(message: ControlResponse): void;
  /** Answers a request of the CLI. */
  asked(message: ControlRequest): void;
  /** The CLI takes a question of its own back: a later decision is not sent. */
  withdrawn(requestId: string): void;
  /** The process is gone: whoever waits gets an error. */
  close(): void;
}

export interface ControlOptions {
  readonly write: (line: string) => Promise<void>;
  /** Decides about a tool call; `signal` is aborted when the CLI withdraws the question. */
  readonly decide: (request: CanUseToolRequest, signal: AbortSignal) => Promise<Decision>;
}

interface Waiting {
  readonly resolve: (response: unknown) => void;
  readonly reject: (error: Error) => void;
}

export function createControl({ write, decide }: ControlOptions): Control {
  const waiting = new Map<string, Waiting>();
  const open = new Map<string, AbortController>();
  let isClosed = false;
  /** Ids cannot be guessed, and need not be kept to be known again. */
  const series = randomUUID();
  let sent = 0;

  function request(body: { subtype: string; [field: string]: unknown }): Promise<unknown> {
    if (isClosed) return Promise.reject(new Error("the process is gone"));
    const request_id = `${series}:${++sent}`;
    return new Promise((resolve, reject) => {
      waiting.set(request_id, { resolve, reject });
      void write(jsonLine({ type: "control_request", request_id, request: body }));
    });
  }

  async function respond(id: string, tool: CanUseToolRequest): Promise<void> {
    const controller = new AbortController();
    open.set(id, controller);
    const decision = await decide(tool, controller.signal).catch((): Decision => ({
      behavior: "deny",
      message: "The question could not be put to anybody.",
    }));
    open.delete(id);
    if (!controller.signal.aborted && !isClosed) await write(success(id, decision));
  }

  return {
    initialize: async () => {
      // Else a conversation keeps the system prompt that it began with, and with it its agent's old instructions.
      const response = await request({ subtype: "initialize", systemPromptSnapshot: false });
      const parsed = z.looseObject({ account }).safeParse(response);
      return parsed.success ? parsed.data.account : {};
    },
    interrupt: async () => void (await request({ subtype: "interrupt" })),
    setModel: async (model) => void (await request({ subtype: "set_model", model: model ?? null })),
    setPermissionMode: async (mode) => void (await request({ subtype: "set_permission_mode", mode })),
    hasSent(requestId) {
      const [start, number = ""] = requestId.split(":");
      return start === series && /^[1-9]\d*$/.test(number) && Number(number) <= sent;
    },
    answered({ response }) {
      const asker = waiting.get(response.request_id);
      waiting.delete(response.request_id);
      if (response.subtype === "success") asker?.resolve(response.response);
      else asker?.reject(new Error(response.error ?? "the CLI refused a control request"));
    },
    asked({ request_id, request: asked }) {
      if (isCanUseTool(asked)) void respond(request_id, asked);
      else void write(failure(request_id, `Sluice cannot answer this "${asked.subtype}".`));
    },
    withdrawn(requestId) {
      open.get(requestId)?.abort();
      open.delete(requestId);
    },
    close() {
      isClosed = true;
      for (const { reject } of waiting.values()) reject(new Error("the process is gone"));
      waiting.clear();
      for (const controller of open.values()) controller.abort();
      open.clear();
    },
  };
}

function success(request_id: string, response: unknown): string {
  return jsonLine({ type: "control_response", response: { subtype: "success", request_id, response } });
}

function failure(request_id: string, error: string): string {
  return jsonLine({ type: "control_response", response: { subtype: "error", request_id, error } });
}

/** [P5] Whether the credential that the CLI reports may pay for an agent with this billing. */
export function billingFits(billing: Billing, reported: Account): boolean {
  if (billing === "any") return true;
  return billing === paidBy(reported);
}

/** What a turn's `apiKeySource` is where a key pays that is billed by use. */
const keySources = new Set(["ANTHROPIC_API_KEY", "apiKeyHelper", "/login managed key"]);

/** [P5] Whether the source that a turn begins with may pay. It names keys alone: of logins it says nothing. */
export function turnBillingFits(billing: Billing, apiKeySource: string): boolean {
  return billing !== "subscription" || !keySources.has(apiKeySource);
}

/** What the CLI calls a login on disk that is billed by use. */
const apiLogin = "Claude API";

/** Who pays by the CLI's account: a login of claude.ai is a subscription, everything else that it names is billed by use. */
export function paidBy({ apiProvider, apiKeySource, tokenSource, subscriptionType }: Account): Billing | "nobody" {
  if (apiProvider !== undefined && apiProvider !== "firstParty") return "api_key";
  if (isNamed(apiKeySource)) return "api_key";
  // A login on disk is told by its kind alone.
  if (tokenSource === undefined && subscriptionType !== undefined)
    return subscriptionType === apiLogin ? "api_key" : "subscription";
  if (!isNamed(tokenSource)) return "nobody";
  return tokenSource === "ANTHROPIC_AUTH_TOKEN" || tokenSource === "apiKeyHelper" ? "api_key" : "subscription";
}

function isNamed(source: string | undefined): boolean {
  return source !== undefined && source !== "none";
}
