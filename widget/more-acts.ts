// What a person does more seldom: asking again, going back, other sessions, taking the conversation along. Loaded when it is wanted.
import type { PromptBlock } from "./attachments.ts";
import type { ActOptions } from "./acts.ts";
import type { Chat, SessionSummary } from "./chat.ts";
import { toJson } from "./json.ts";
import type { NewPrompt } from "./prompts.ts";
import { ApiProblem } from "./problem.ts";
import type { Block, Page, Transcript } from "./transcript.ts";

export type MoreActs = Pick<Chat, "retry" | "edit" | "listSessions" | "renameSession" | "exportTranscript">;

/** All of them reject with what goes wrong. */
export function createMoreActs(options: ActOptions): MoreActs {
  const { api, agent, transcript, here, send, cancel, loadOlder, newSession, openSession } = options;

  /** The transcript, once it has this; at the latest when it is all there. Undefined: a person has gone to another session meanwhile. */
  async function loadedUntil(hasIt: (known: Transcript) => boolean): Promise<Transcript | undefined> {
    const session = transcript.peek()?.session;
    for (;;) {
      const known = transcript.peek();
      if (known?.session !== session) return undefined;
      if (!known || hasIt(known) || known.olderCursor === null) return known ?? undefined;
      await loadOlder();
    }
  }

  /** The prompt of this turn, as it can be sent again: of a long turn it may stand on a page that is not loaded yet. */
  async function promptOf(turn: string): Promise<NewPrompt | undefined> {
    const find = ({ messages }: Transcript) => messages.find(({ id }) => id === turn);
    const known = await loadedUntil((transcript) => find(transcript) !== undefined);
    if (!known) return undefined;
    const prompt = find(known);
    if (!prompt) throw new ApiProblem("gone", 0, "The prompt is not kept any more.");
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

  async function edit(turn: string, text: string): Promise<void> {
    const place = here();
    const prompt = await promptOf(turn);
    const at = ({ turns }: Transcript) => [...turns.keys()].indexOf(turn);
    const known = prompt && (await loadedUntil((transcript) => at(transcript) > 0));
    if (!known) return;
    const before = [...known.turns.values()].slice(0, at(known));
    // Behind what is not over no branch can begin: this one waits in line, and so does what is put in its place.
    const isWaiting = before.some(({ endedAt }) => endedAt === null);
    const last = before.findLast(({ startedAt }) => startedAt !== null);
    const branch = isWaiting || !last ? null : await fork(known.session, last.id);
    if (known.turns.get(turn)?.endedAt === null) await cancel(turn);
    const opened = branch !== null ? openSession(branch) : !isWaiting && newSession();
    // At once: a person may go to another session while this one loads.
    await send({ ...prompt, text }, isWaiting ? place : here());
    await opened;
  }

  /** A session that goes on behind this turn. */
  async function fork(from: string, turn: string): Promise<string> {
    const reply = await api.request("POST", `/api/sessions/${from}/fork`, { body: { turn } });
    return ((await reply.json()) as { session: string }).session;
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
      const place = here();
      const prompt = await promptOf(turn);
      if (prompt) await send(prompt, place);
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
