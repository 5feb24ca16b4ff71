import { randomUUID } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { transcript, transcriptLine, type Transcript } from "../../../gateway/protocol/transcript.ts";
import type { EventBody } from "../../../gateway/protocol/events.ts";
import type { Store } from "../../../gateway/store/port.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import { alice, completed, sessionWrite } from "../../support/log-drafts.ts";
import { openTranscriptApp, publicUrl, type TranscriptApp } from "../../support/transcript-app.ts";
import { addEvents, beginTurn, messageEvents, queueTurn, storeTurn } from "../../support/transcript-drafts.ts";

let store: Store;
let session: string;
let app: TranscriptApp;
beforeEach(async () => {
  store = openSqliteStore(":memory:");
  const made = sessionWrite();
  ({ session } = made.session);
  await store.commit([made]);
  app = openTranscriptApp(store);
});
afterEach(async () => {
  await store.close();
  app.check();
});

async function page(query = ""): Promise<Transcript> {
  const reply = await app.get(session, query);
  expect(reply.status).toBe(200);
  return transcript.parse(await reply.json());
}

const typeOf = (reply: Response) => reply.headers.get("content-type")!.split(";")[0];

describe("as JSON", () => {
  test("has the session, its messages, their turns with outcome, usage and cost, and where the live stream goes on", async () => {
    const turn = await storeTurn(store, session, { prompt: "List it.", texts: ["It is: a", "Done."], toolResult: "a" });
    const found = await page();
    expect(found).toMatchObject({ session, agent: "tester", title: "hello", approvals: [], next_cursor: null });
    expect(found.last_seq).toBe((await store.session(alice, session))!.lastSeq);
    expect(found.messages.map(({ id, role, state }) => [id, role, state])).toEqual([
      [turn, "user", "complete"],
      [`${turn}-0`, "assistant", "complete"],
      [`${turn}-1`, "assistant", "complete"],
    ]);
    expect(found.messages[1]!.blocks).toMatchObject([
      { type: "text", text: "It is: a" },
      { type: "tool_use", input: { command: "ls" }, result: { content: "a", is_error: false } },
    ]);
    expect(found.turns).toMatchObject([{ turn, state: "completed", cost_usd: 0, duration_ms: 1, usage: {} }]);
  });

  test("an empty session has an empty transcript", async () => {
    expect(await page()).toMatchObject({ messages: [], turns: [], last_seq: 0, next_cursor: null });
    const whole = await app.get(session, "?format=ndjson");
    expect(await whole.text()).toBe("");
  });

  test("is paged by limit and cursor, from either end", async () => {
    for (let index = 0; index < 5; index++) await storeTurn(store, session);
    const all = (await page()).messages.map(({ id }) => id);
    for (const order of ["asc", "desc"]) {
      const ids: string[] = [];
      for (let cursor: string | null = ""; cursor !== null;) {
        const next: Transcript = await page(`?limit=3&order=${order}${cursor && `&cursor=${cursor}`}`);
        ids.push(...next.messages.map(({ id }) => id));
        cursor = next.next_cursor;
      }
      expect(ids).toEqual(order === "asc" ? all : all.toReversed());
    }
  });

  test("has a hundred messages where no limit is given, and says where the others are", async () => {
    for (let index = 0; index < 51; index++) await storeTurn(store, session);
    const first = await page();
    expect(first.messages).toHaveLength(100);
    expect((await page(`?cursor=${first.next_cursor}`)).messages).toHaveLength(2);
  });

  test("approvals that wait are in it, those that are settled are not", async () => {
    const turn = await queueTurn(store, session);
    await beginTurn(store, session, turn);
    const [one, two] = [randomUUID(), randomUUID()];
    const requested = (approval: string): EventBody => ({
      type: "approval_requested",
      approval,
      tool: "Bash",
      tool_use_id: "c",
      parent_tool_use_id: null,
      input: { command: "rm x" },
      reason: null,
      expires_at: "2036-01-01T00:00:00.000Z",
    });
    await addEvents(store, session, turn, [requested(one), requested(two)]);
    await addEvents(store, session, turn, [
      { type: "approval_resolved", approval: one, decision: "deny", by: { key: "alice" } },
    ]);
    const { approvals, turns } = await page();
    expect(approvals).toMatchObject([{ approval: two, tool: "Bash", input: { command: "rm x" }, state: "pending" }]);
    expect(turns).toMatchObject([{ state: "waiting" }]);
  });
});

describe("the rendering", () => {
  beforeEach(async () => {
    await storeTurn(store, session);
  });

  test.each([
    [undefined, "", "application/json"],
    ["*/*", "", "application/json"],
    ["application/json", "", "application/json"],
    ["text/markdown", "", "text/markdown"],
    ["application/x-ndjson", "", "application/x-ndjson"],
    ["text/markdown;q=0.5, application/x-ndjson", "", "application/x-ndjson"],
    ["text/html, */*;q=0.1", "", "application/json"],
    ["application/x-ndjson", "?format=md", "text/markdown"],
    ["text/html", "?format=json", "application/json"],
    [undefined, "?format=ndjson", "application/x-ndjson"],
  ])("Accept %s with %j is %s", async (accept, query, type) => {
    const reply = await app.get(session, query, { headers: accept === undefined ? {} : { accept } });
    expect([reply.status, typeOf(reply)]).toEqual([200, type]);
    expect(reply.headers.get("content-disposition")).toBeNull();
    expect(reply.headers.get("vary")).toContain("Accept");
    await reply.text();
  });

  test("another Accept is 406, and says what there is", async () => {
    const reply = await app.get(session, "", { headers: { accept: "text/html" } });
    expect(reply.status).toBe(406);
    expect(await reply.json()).toMatchObject({
      code: "not_acceptable",
      detail: expect.stringContaining("text/markdown"),
    });
  });

  test.each(["json", "md", "ndjson"])("download=1 names a .%s file", async (format) => {
    const reply = await app.get(session, `?format=${format}&download=1`);
    expect(reply.headers.get("content-disposition")).toBe(`attachment; filename="session-${session}.${format}"`);
    await reply.text();
  });

  test.each(["?format=json", "?format=md", "?format=ndjson&limit=1"])(
    "HEAD %s has the headers and no body",
    async (query) => {
      const [head, get] = [await app.get(session, query, { method: "HEAD" }), await app.get(session, query)];
      expect(head.status).toBe(200);
      for (const name of ["etag", "content-type", "cache-control"])
        expect(head.headers.get(name)).toBe(get.headers.get(name));
      expect(await head.text()).toBe("");
      await get.text();
    },
  );
});

describe("as NDJSON", () => {
  test("is whole without a limit: a line a message, a prompt's with its turn's outcome", async () => {
    const turns = [];
    for (let index = 0; index < 150; index++) turns.push(await storeTurn(store, session));
    const reply = await app.get(session, "?format=ndjson");
    expect(reply.headers.get("sluice-last-seq")).toBe(String((await store.session(alice, session))!.lastSeq));
    const lines = (await reply.text()).trimEnd().split("\n");
    const messages = lines.map((line) => transcriptLine.strict().parse(JSON.parse(line)));
    expect(messages.map(({ id }) => id)).toEqual(turns.flatMap((turn) => [turn, `${turn}-0`]));
    for (const { role, outcome, turn } of messages)
      expect([role, outcome?.turn, outcome?.state]).toEqual(
        role === "user" ? ["user", turn, "completed"] : ["assistant", undefined, undefined],
      );
  });

  test("with a limit is a page, and its Link leads through the rest", async () => {
    for (let index = 0; index < 4; index++) await storeTurn(store, session);
    const whole = await (await app.get(session, "?format=ndjson")).text();
    let pages = "";
    let count = 0;
    for (let query = "?format=ndjson&limit=3"; ; count++) {
      const reply = await app.get(session, query);
      pages += await reply.text();
      const next = /^<([^>]+)>; rel="next"$/.exec(reply.headers.get("link") ?? "")?.[1];
      if (next === undefined) break;
      expect(next.startsWith(`${publicUrl}/api/sessions/${session}/transcript?`)).toBe(true);
      query = new URL(next).search;
    }
    expect(pages).toBe(whole);
    expect(count).toBe(2);
  });

  test("a session that is removed while it is read is a body that is cut, not ended", async () => {
    for (let index = 0; index < 5; index++) await storeTurn(store, session);
    const reader = (await app.get(session, "?format=ndjson")).body!.getReader();
    await reader.read();
    await store.removeSession(alice, session);
    const toItsEnd = async () => {
      while (!(await reader.read()).done) continue;
    };
    await expect(toItsEnd()).rejects.toThrow("deleted");
  });
});

describe("ETag", () => {
  test("the same question is answered 304 until something happens in the session", async () => {
    await storeTurn(store, session);
    for (const query of ["", "?format=md", "?format=ndjson", "?limit=1"]) {
      const first = await app.get(session, query);
      await first.text();
      const etag = first.headers.get("etag")!;
      expect(etag).toMatch(/^W\/"[\w-]{22}"$/);
      expect(first.headers.get("cache-control")).toBe("private, no-cache");
      for (const known of [etag, `"x", ${etag.slice(2)}`, "*"]) {
        const again = await app.get(session, query, { headers: { "if-none-match": known } });
        expect([again.status, await again.text(), again.headers.get("etag")]).toEqual([304, "", etag]);
      }
      await storeTurn(store, session);
      const later = await app.get(session, query, { headers: { "if-none-match": etag } });
      expect(later.status).toBe(200);
      expect(later.headers.get("etag")).not.toBe(etag);
      await later.text();
    }
  });

  test("differs by format and by every part of the query", async () => {
    await storeTurn(store, session);
    const queries = [
      "",
      "?format=md",
      "?format=ndjson",
      "?limit=1",
      "?limit=2",
      "?order=desc",
      "?format=md&download=1",
    ];
    const etags = [];
    for (const query of queries) {
      const reply = await app.get(session, query);
      etags.push(reply.headers.get("etag"));
      await reply.text();
    }
    expect(new Set(etags).size).toBe(queries.length);
  });
});

describe("is refused", () => {
  test.each([
    ["limit=0", "limit"],
    ["limit=1001", "limit"],
    ["limit=x", "limit"],
    ["limit=1.5", "limit"],
    ["order=up", "order"],
    ["format=xml", "format"],
    ["download=yes", "download"],
    ["cursor=", "cursor"],
    ["cursor=abc", "cursor"],
    ["cursor=1.2.3", "cursor"],
    ["cursor=2.3", "cursor"],
    ["cursor=1.9999", "cursor"],
    ["cursor=999999999999999.999999999999999", "cursor"],
    ["page=2", "page"],
  ])("?%s: 400 that names the field", async (query, field) => {
    await storeTurn(store, session);
    for (const more of ["", "&format=md"]) {
      const reply = await app.get(session, `?${query}${query.startsWith("format") ? "" : more}`);
      expect(reply.status).toBe(400);
      expect(await reply.json()).toMatchObject({ code: "invalid_request", field });
      expect(reply.headers.get("etag")).toBeNull();
    }
  });

  test("[A4] another's session is as unknown as one that does not exist, in every format", async () => {
    await storeTurn(store, session, { prompt: "secret" });
    const bob = { key: "bob", user: null, reach: "key" } as const;
    const ann = { key: "alice", user: "ann", reach: "user" } as const;
    for (const format of ["json", "md", "ndjson"]) {
      const unknown = await app.get(randomUUID(), `?format=${format}`);
      const expected = await unknown.text();
      expect(unknown.status).toBe(404);
      for (const caller of [bob, ann]) {
        const reply = await app.get(session, `?format=${format}`, { caller });
        expect(reply.status).toBe(404);
        expect((await reply.text()).replaceAll(session, "")).toBe(expected.replaceAll(/[0-9a-f-]{36}/g, ""));
      }
    }
    expect((await app.get("no-uuid")).status).toBe(404);
  });
});

describe("as Markdown", () => {
  const markdown = async () => (await app.get(session, "?format=md")).text();

  test("reads as a conversation: prompt, answer, folded tools, outcome", async () => {
    const turn = await queueTurn(store, session, "What is here?");
    await beginTurn(store, session, turn);
    await addEvents(store, session, turn, [
      ...messageEvents("m", "I look.", "a.txt\nb.txt"),
      { ...completed("I look."), usage: { input_tokens: 1200, output_tokens: 7 }, cost_usd: 0.0123, duration_ms: 3210 },
    ]);
    expect(await markdown()).toBe(`# hello

Session ${session} · agent tester

## Prompt · 1970-01-01 00:00:03 UTC · alice

What is here?

## Answer · 1970-01-01 00:00:03 UTC · a-model

I look.

<details><summary>Tool: Bash · ls</summary>

\`\`\`json
{
  "command": "ls"
}
\`\`\`

Result:

\`\`\`
a.txt
b.txt
\`\`\`

</details>

*Completed in 3.2 s · 1,200 tokens in, 7 out · $0.0123*

`);
  });

  test("[A6] nothing that is said, asked, run or answered gets out of its place", async () => {
    const evil = '</summary></details><script>alert(1)</script>\n```\n# Prompt\n![x](https://evil.example/p.png)\n"';
    const turn = await queueTurn(store, session, evil);
    await beginTurn(store, session, turn);
    const bodies = messageEvents("m", evil, evil).map((body) =>
      body.type === "content_block_start" && body.index === 1
        ? { ...body, content_block: { ...body.content_block, name: evil } }
        : body,
    );
    await addEvents(store, session, turn, [
      ...bodies,
      {
        type: "turn_failed",
        code: "api_error",
        message: evil,
        retryable: true,
        text: evil,
      },
    ]);
    const text = await markdown();
    let fence: string | undefined;
    const outside = text.split("\n").filter((line) => {
      const marks = /^(`{3,})/.exec(line)?.[1];
      const isInside = fence !== undefined;
      if (fence === undefined) fence = marks;
      else if (line === fence) fence = undefined;
      return !isInside;
    });
    expect(fence).toBeUndefined();
    const prose = outside.join("\n");
    expect(prose.match(/(?<!\\)<[^\s]*/g)).toEqual(["<details><summary>Tool:", "</summary>", "</details>"]);
    expect(prose.match(/^#{1,2} .*/gm)).toHaveLength(3);
    expect(prose).not.toContain("![");
    expect(text).toContain("**Failed** (api_error)");
  });

  test.each([
    [{ type: "turn_cancelled", by: { key: "k", user: "ann" }, text: "" }, "**Cancelled** by ann"],
    [{ type: "turn_cancelled", by: { gateway: "shutdown" }, text: "" }, "**Cancelled** by the gateway (shutdown)"],
    [
      { type: "turn_failed", code: "overloaded", message: "Busy.", retryable: true, text: "" },
      "**Failed** (overloaded): Busy.",
    ],
    [{ type: "notice", kind: "x", text: "" }, "*It is running.*"],
  ] as const)("says how a turn ended: $0.type", async (ending, words) => {
    const turn = await queueTurn(store, session);
    await beginTurn(store, session, turn);
    await addEvents(store, session, turn, [ending]);
    expect(await markdown()).toContain(`\n\n${words}\n`);
  });

  test("attachments are links to the gateway, and nothing that a tool forges is one", async () => {
    const hash = "a".repeat(64);
    const reference = { attachment: hash, media_type: "application/json", bytes: 300_000 };
    const turn = await queueTurn(store, session);
    await beginTurn(store, session, turn);
    const results = [
      reference,
      [{ type: "image", source: { type: "attachment", attachment: hash, media_type: "image/png" } }],
      [
        {
          type: "image",
          source: { attachment: "x", media_type: "a](javascript:alert(1))", url: "javascript:alert(2)" },
        },
      ],
    ];
    const texts = [];
    await addEvents(store, session, turn, messageEvents("m", "x", "y"));
    for (const content of results) {
      const result = { type: "tool_result", tool_use_id: "m-call", content, is_error: false, parent_tool_use_id: null };
      await addEvents(store, session, turn, [result as EventBody]);
      texts.push(await markdown());
    }
    expect(texts[0]).toContain(`[application/json, 293 KB](${publicUrl}/api/attachments/${hash})`);
    expect(texts[1]).toContain(`[image/png](${publicUrl}/api/attachments/${hash})`);
    expect(texts[2]).not.toContain("](javascript:alert(2)");
    expect(texts[2]).toMatch(/```json\n\{\n {2}"type": "image"/);
  });
});
