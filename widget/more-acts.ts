// What a person does more seldom: asking again, going back, other sessions, taking the conversation along. Loaded when it is wanted.
import type { PromptBlock } from "./attachments.ts";
import type { ActOptions } from "./acts.ts";
import type { Chat, SessionSummary } from "./chat.ts";
import { toJson } from "./json.ts";
import type { NewPrompt } from "./prompts.ts";
import { isPrompt } from "./transcript-words.ts";
import type { Block, Page } from "./transcript.ts";

export type MoreActs = Pick<Chat, "retry" | "edit" | "listSessions" | "renameSession" | "exportTranscript">;

/** All of them reject with what goes wrong. */
export function createMoreActs(options: ActOptions): MoreActs {
  const { api, agent, transcript, send, cancel, loadOlder, newSession, openSession } = options;

  /** The prompt of this turn, as it can be sent again. */
  async function promptOf(turn: string): Promise<NewPrompt | undefined> {
    const prompt = transcript.peek()?.messages.find(({ id }) => id === turn);
    if (!prompt) return undefined;
    const blocks = (await Promise.all(prompt.blocks.map(sentBlocks))).flat();
    const words = blocks.flatMap((block) => (block.type === "text" ? [String(block["text"])] : []));
    const context = prompt.blocks.find((block) => block.type === "context")?.context ?? null;
    const files = blocks.filter(({ type }) => type !== "text");
    return { text: words.join("\n"), images: [], files, context };
  }

  async function sentBlocks(block: Block): Promise<PromptBlock[]> {
    if (block.type === "text") return [{ type: "text", text: block.text }];
    if (block.type === "image" || block.type === "document")
      return [{ type: block.type, source: { type: "attachment", attachment: block.attachment } }];
    // A prompt that was too large for the log.
    if (block.type === "attachment")
      return (await (await api.request("GET", `/api/attachments/${block.attachment}`)).json()) as PromptBlock[];
    return [];
  }

  /** The turn before this one; undefined: it is the first. */
  async function turnBefore(turn: string): Promise<string | undefined> {
    const place = () => {
      const prompts = (transcript.peek()?.messages ?? []).filter(isPrompt);
      return { prompts, at: prompts.findIndex(({ id }) => id === turn) };
    };
    if (place().at === 0) await loadOlder();
    const { prompts, at } = place();
    return prompts[at - 1]?.id;
  }

  async function edit(turn: string, text: string): Promise<void> {
    const prompt = await promptOf(turn);
    const now = transcript.peek();
    if (!prompt || !now) return;
    const before = await turnBefore(turn);
    const known = now.turns.get(turn);
    if (known && known.endedAt === null) await cancel(turn);
    if (before === undefined) newSession();
    else {
      const reply = await api.request("POST", `/api/sessions/${now.session}/fork`, { body: { turn: before } });
      await openSession(((await reply.json()) as { session: string }).session);
    }
    await send({ ...prompt, text });
  }

  /** Pages, put together as one. */
  async function wholeJson(session: string): Promise<Blob> {
    const path = `/api/sessions/${session}/transcript?limit=1000`;
    const whole = (await (await api.request("GET", path)).json()) as Page;
    for (let cursor = whole.next_cursor; cursor !== null;) {
      const page = (await (await api.request("GET", `${path}&cursor=${encodeURIComponent(cursor)}`)).json()) as Page;
      whole.messages.push(...page.messages);
      // A turn whose messages lie on two pages is on both.
      whole.turns.push(...page.turns.filter(({ turn }) => turn !== whole.turns.at(-1)?.turn));
      cursor = page.next_cursor;
      whole.last_seq = page.last_seq;
    }
    return new Blob([toJson({ ...whole, next_cursor: null }, 2)], { type: "application/json" });
  }

  return {
    async retry(turn) {
      const prompt = await promptOf(turn);
      if (prompt) await send(prompt);
    },
    edit,
    async listSessions(query, cursor) {
      const filter = { limit: "30", agent: agent ?? "", q: query.trim(), cursor: cursor ?? "" };
      const given = Object.entries(filter).filter(([, value]) => value !== "");
      const reply = await api.request("GET", `/api/sessions?${new URLSearchParams(given).toString()}`);
      const { sessions, next_cursor: next } = (await reply.json()) as {
        sessions: (SessionSummary & { updated_at: string })[];
        next_cursor: string | null;
      };
      const summaries = sessions.map(({ session, title, state, updated_at: updatedAt }) => ({
        session,
        title,
        state,
        updatedAt,
      }));
      return { sessions: summaries, next };
    },
    async renameSession(session, title) {
      await api.request("PATCH", `/api/sessions/${session}`, { body: { title } });
    },
    async exportTranscript(format) {
      const session = transcript.peek()?.session;
      if (session === undefined) return new Blob([]);
      if (format === "json") return wholeJson(session);
      return (await api.request("GET", `/api/sessions/${session}/transcript?format=md&download=1`)).blob();
    },
  };
}
