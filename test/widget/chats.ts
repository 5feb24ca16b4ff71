// Chats of a browser without a window, and what tests do with them.
import { createApi, type Api } from "../../widget/api.ts";
import { createChat, type Chat, type ChatEvent, type ChatOptions } from "../../widget/chat.ts";
import type { Approval, Turn } from "../../widget/transcript.ts";
import { requested } from "../support/approval-drafts.ts";
import { completed, delta } from "../support/log-drafts.ts";
import { readAgent } from "../support/real-cli.ts";
import type { ScriptedDriver } from "../support/scripted-driver.ts";
import { messageEvents } from "../support/transcript-drafts.ts";
import { until } from "../support/wait.ts";
import type { SeenRequest, Tab } from "./fake-browser.ts";
import { gateway, type Scene } from "./scene.ts";

export interface Opened {
  readonly chat: Chat;
  readonly api: Api;
  readonly tab: Tab;
  readonly events: ChatEvent[];
  /** The prompts and answers that are shown, each as one text. */
  readonly texts: () => string[];
  close(): void;
}

export interface Chats {
  /** Of the user `ann` with the agent `default`, in a tab of its own. */
  open(more?: Partial<ChatOptions> & { tab?: Tab; user?: string }): Opened;
  /** Sends it and lets it be answered; resolves with its turn. */
  say(opened: Opened, prompt: string, answer: string): Promise<string>;
  /** Sends a prompt whose turn asks whether it may run a tool. */
  askForTool(opened: Opened): Promise<{ approval: Approval; decided: Promise<unknown>; driver: ScriptedDriver }>;
  /** POST requests so far. */
  posts(path: RegExp): SeenRequest[];
  close(): void;
}

export function openChats(scene: Scene): Chats {
  const all: Opened[] = [];

  function open(more: Parameters<Chats["open"]>[0] = {}): Opened {
    const { tab = scene.openTab(), user = "ann", agent = "default", ...options } = more;
    const { api = createApi({ gateway, agent, browser: tab, getToken: () => scene.mint(user) }) } = options;
    const events: ChatEvent[] = [];
    const chat = createChat({ agent, browser: tab, onEvent: (event) => events.push(event), ...options, api });
    const opened: Opened = {
      chat,
      api,
      tab,
      events,
      texts: () =>
        (chat.transcript.peek()?.messages ?? []).map(({ blocks }) =>
          blocks.map((block) => (block.type === "text" ? block.text : `[${block.type}]`)).join(""),
        ),
      close() {
        chat.destroy();
        api.destroy();
      },
    };
    all.push(opened);
    return opened;
  }

  async function say(opened: Opened, prompt: string, answer: string): Promise<string> {
    const known = scene.app.drivers.get(opened.chat.session.peek() ?? "")?.requests.length ?? 0;
    const before = turnsOf(opened).length;
    await opened.chat.send(prompt);
    const driver = await scene.running(opened.chat.session.peek()!, known + 1);
    driver.say(...messageEvents(crypto.randomUUID(), answer));
    driver.finish(completed(answer));
    await until("the answer", () => turnsOf(opened)[before]?.state === "completed");
    return turnsOf(opened)[before]!.id;
  }

  async function askForTool(opened: Opened) {
    await opened.chat.send("do it");
    const session = opened.chat.session.peek()!;
    const driver = await scene.running(session);
    const call = { type: "tool_use", id: "toolu_1", name: "Bash" };
    driver.say(
      { type: "message_start", message: { id: "m1", model: "m" } },
      { type: "content_block_start", message: "m1", index: 0, content_block: call },
      delta('{"command":"touch x"}', 0, { message: "m1", type: "input_json_delta" }),
      { type: "content_block_stop", message: "m1", index: 0 },
    );
    const { turn } = driver.requests[0]!;
    const { tool, tool_use_id, parent_tool_use_id, input, reason } = requested();
    const decided = scene.app.turns.approvals.ask(
      readAgent({ name: "default" }),
      session,
      {
        turn,
        tool,
        tool_use_id,
        parent_tool_use_id,
        input: input as Record<string, unknown>,
        reason,
        isPersonal: false,
      },
      new AbortController().signal,
    );
    const approvals = () => [...(opened.chat.transcript.peek()?.approvals.values() ?? [])];
    return { approval: await until("the question", () => approvals()[0]), decided, driver };
  }

  return {
    open,
    say,
    askForTool,
    posts: (path) => scene.requests.filter((request) => request.method === "POST" && path.test(request.path)),
    close() {
      for (const one of all) one.close();
    },
  };
}

export function isLive({ chat }: Opened): Promise<unknown> {
  return until("it to be live", () => chat.connection.peek() === "live");
}

export function isIdle({ chat }: Opened): Promise<unknown> {
  return until("it to be idle", () => chat.connection.peek() === "idle");
}

export function shows(opened: Opened, texts: readonly string[]): Promise<unknown> {
  return until(
    `${JSON.stringify(texts)} where there is ${JSON.stringify(opened.texts())}`,
    () => JSON.stringify(opened.texts()) === JSON.stringify(texts),
  );
}

export function turnsOf({ chat }: Opened): Turn[] {
  return [...(chat.transcript.peek()?.turns.values() ?? [])];
}

/** Each one another. */
export function png(name = "dot.png"): File {
  const head = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a];
  return new File([new Uint8Array([...head, ...crypto.getRandomValues(new Uint8Array(8))])], name, {
    type: "image/png",
  });
}
