import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { wireJson } from "../../../gateway/formats/format.ts";
import { createEventLog, type EventLog } from "../../../gateway/log/event-log.ts";
import { readPage, type TranscriptScope } from "../../../gateway/log/transcript-reader.ts";
import { createTurnReducer } from "../../../gateway/log/transcript.ts";
import type { EventBody } from "../../../gateway/protocol/events.ts";
import { transcriptMessage, transcriptTurn, type TranscriptToolUse } from "../../../gateway/protocol/transcript.ts";
import type { LogEvent, SessionRow, Store } from "../../../gateway/store/port.ts";
import { openSqliteStore } from "../../../gateway/store/sqlite.ts";
import { requested, resolved } from "../../support/approval-drafts.ts";
import { alice, blockStop, completed, delta, newTurn, queued, sessionWrite } from "../../support/log-drafts.ts";
import type { WireEvent } from "../../support/reader.ts";
import { recordedScenes, recordedVersions, translateRecording } from "../../support/recorded.ts";
import { followed } from "../../support/transcript-client.ts";

const urlOf = (hash: string) => `https://gateway.example/api/attachments/${hash}`;
const hash = "a".repeat(64);

/** The reducer after these bodies of one turn, numbered from 1. */
function reduced(...bodies: EventBody[]) {
  const reducer = createTurnReducer(urlOf);
  for (const [index, body] of bodies.entries())
    reducer.apply({
      seq: index + 1,
      first: index + 1,
      turn: "t1",
      at: 1000 + index,
      type: body.type,
      json: JSON.stringify(body),
    });
  return reducer.result()!;
}

const asked = (more: object = {}) =>
  ({ ...queued("s"), prompt: [{ type: "text", text: "hello" }], ...more }) as EventBody;
const started = (id = "m1", parent: string | null = null): EventBody => ({
  type: "message_start",
  message: { id, model: "a-model", usage: { input_tokens: 3, output_tokens: 1 } },
  parent_tool_use_id: parent,
});
const opened = (content_block: { type: string; [field: string]: unknown }, message = "m1", index = 0): EventBody => ({
  type: "content_block_start",
  message,
  index,
  content_block,
});
const call = (id: string, message = "m1", index = 0) =>
  opened({ type: "tool_use", id, name: "Bash", input: {} }, message, index);
const answered = (tool_use_id: string, content: unknown): EventBody => ({
  type: "tool_result",
  tool_use_id,
  content,
  is_error: false,
  parent_tool_use_id: null,
});

describe("a turn's events as messages", () => {
  test("a prompt is a message with its turn's id; context is a block of its own behind its blocks", () => {
    const { messages, turn } = reduced(asked({ context: { page: "/x" }, metadata: { ticket: 7 } }));
    expect(messages).toEqual([
      {
        id: "t1",
        turn: "t1",
        role: "user",
        at: "1970-01-01T00:00:01.000Z",
        seq: 1,
        state: "complete",
        by: { key: "alice" },
        blocks: [
          { type: "text", index: 0, text: "hello" },
          { type: "context", index: 1, context: { page: "/x" } },
        ],
      },
    ]);
    expect(turn).toMatchObject({ turn: "t1", state: "queued", metadata: { ticket: 7 }, last_seq: null });
  });

  test("[L6] text, thinking and a tool's input grow by their deltas, each at its index; a result stands with its call", () => {
    const bodies: EventBody[] = [
      asked(),
      started(),
      opened({ type: "thinking", thinking: "", signature: "" }),
      delta("Hm", 0, { type: "thinking_delta" }),
      delta("sig", 0, { type: "signature_delta" }),
      blockStop(),
      opened({ type: "text", text: "" }, "m1", 1),
      delta("I lo", 0, { index: 1 }),
      delta("ok.", 4, { index: 1 }),
      blockStop("m1", 1),
      call("c1", "m1", 2),
      delta('{"command":', 0, { index: 2, type: "input_json_delta" }),
    ];
    const growing = reduced(...bodies).messages[1]!;
    expect(growing).toMatchObject({ id: "m1", role: "assistant", state: "streaming", model: "a-model" });
    expect(growing.blocks).toEqual([
      { type: "thinking", index: 0, thinking: "Hm" },
      { type: "text", index: 1, text: "I look." },
      {
        type: "tool_use",
        index: 2,
        id: "c1",
        name: "Bash",
        at: "1970-01-01T00:00:01.010Z",
        input: null,
        partial_json: '{"command":',
        result: null,
      },
    ]);
    const whole = reduced(
      ...bodies,
      delta('"ls"}', 11, { index: 2, type: "input_json_delta" }),
      blockStop("m1", 2),
      { type: "message_delta", message: "m1", delta: { stop_reason: "tool_use" }, usage: { output_tokens: 9 } },
      { type: "message_stop", message: "m1" },
      answered("c1", "a.txt"),
    ).messages[1]!;
    expect(whole).toMatchObject({
      state: "complete",
      stop_reason: "tool_use",
      usage: { input_tokens: 3, output_tokens: 9 },
    });
    expect(whole.blocks[2]).toEqual({
      type: "tool_use",
      at: "1970-01-01T00:00:01.010Z",
      index: 2,
      id: "c1",
      name: "Bash",
      input: { command: "ls" },
      result: { content: "a.txt", is_error: false, at: "1970-01-01T00:00:01.016Z" },
    });
  });

  test("[L7] a delta that is given twice, merged with others, changes nothing", () => {
    const once = [asked(), started(), opened({ type: "text", text: "" }), delta("one ", 0), delta("two", 4)];
    const text = (...bodies: EventBody[]) => reduced(...bodies).messages[1]!.blocks[0];
    expect(text(...once, delta("one two", 0), delta("two", 4))).toEqual(text(...once));
  });

  test("a message that was discarded is not shown, nor the blocks behind `from_index`, and what follows stays", () => {
    const two = (message: string) => [
      started(message),
      opened({ type: "text", text: "" }, message),
      delta("kept?", 0, { message }),
      blockStop(message),
      call("c1", message, 1),
      delta("{", 0, { message, index: 1, type: "input_json_delta" }),
    ];
    const gone = reduced(
      asked(),
      ...two("m1"),
      { type: "message_discarded", message: "m1", reason: "stream_lost" },
      ...two("m2"),
    );
    expect(gone.messages.map(({ id }) => id)).toEqual(["t1", "m2"]);
    const cut = reduced(asked(), ...two("m1"), {
      type: "message_discarded",
      message: "m1",
      reason: "stream_lost",
      from_index: 1,
    });
    expect(cut.messages[1]!.blocks).toEqual([{ type: "text", index: 0, text: "kept?" }]);
  });

  test("a subagent's messages stand under the call that started it, two levels deep, and its answer is the call's result", () => {
    const { messages } = reduced(
      asked(),
      started(),
      call("c1"),
      blockStop(),
      started("m2", "c1"),
      call("c2", "m2"),
      blockStop("m2"),
      started("m3", "c2"),
      call("c3", "m3"),
      blockStop("m3"),
      answered("c3", "deep"),
      answered("c2", "middle"),
      answered("c1", "top"),
    );
    expect(messages.map(({ id }) => id)).toEqual(["t1", "m1"]);
    const outer = messages[1]!.blocks[0] as TranscriptToolUse;
    const inner = outer.messages![0]!.blocks[0] as TranscriptToolUse;
    const innermost = inner.messages![0]!.blocks[0] as TranscriptToolUse;
    expect([outer, inner, innermost].map(({ id, result }) => [id, result!.content])).toEqual([
      ["c1", "top"],
      ["c2", "middle"],
      ["c3", "deep"],
    ]);
  });

  test.each([
    [{ type: "turn_failed", code: "overloaded", message: "Busy.", retryable: true, text: "So f" }, "failed"],
    [{ type: "turn_cancelled", by: { key: "alice", user: "ann" }, text: "So f" }, "cancelled"],
  ] as const)(
    "[T4] $0.type: the turn has its fields, and what had been said stays, as interrupted",
    (ending, state) => {
      const { messages, turn } = reduced(
        asked(),
        { type: "turn_moved", position: null },
        started(),
        opened({ type: "text", text: "" }),
        delta("So f", 0),
        ending,
      );
      const { type: _, ...fields } = ending;
      expect(turn).toMatchObject({ ...fields, state, last_seq: 6, started_at: "1970-01-01T00:00:01.001Z" });
      expect(messages[1]).toMatchObject({ state: "interrupted", blocks: [{ text: "So f" }] });
    },
  );

  test("a completed turn has usage and cost, and not its text once more", () => {
    const { turn } = reduced(asked(), { ...completed("much text"), cost_usd: 0.5, usage: { output_tokens: 4 } });
    expect(turn).toMatchObject({ state: "completed", cost_usd: 0.5, usage: { output_tokens: 4 } });
    expect(JSON.stringify(turn)).not.toContain("much text");
  });

  test("a turn whose approval nobody has answered waits, and runs again when somebody has", () => {
    const before: EventBody[] = [asked(), { type: "turn_moved", position: null }, requested({ approval: "a1" })];
    expect(reduced(...before).turn.state).toBe("waiting");
    expect(reduced(...before, resolved("a1", { decision: "deny", message: "no" })).turn.state).toBe("running");
  });

  test("what was asked about a call stands at it: that it waits, who decided and how, and what ran instead", () => {
    const ask = requested({ approval: "a1", tool_use_id: "c1", input: { command: "ls" }, reason: "It is outside." });
    const command: EventBody[] = [
      asked(),
      started(),
      call("c1"),
      delta('{"command":"ls"}', 0, { type: "input_json_delta" }),
      blockStop(),
    ];
    const at = (...bodies: EventBody[]) =>
      (reduced(...command, ...bodies).messages[1]!.blocks[0] as TranscriptToolUse).approval;
    const { expires_at } = ask;
    const waiting = { approval: "a1", reason: "It is outside.", expires_at, decision: null, by: null };
    expect(at()).toBeUndefined();
    expect(at(ask)).toEqual(waiting);
    // A hook may have changed what the person is asked about.
    expect(at({ ...ask, input: { command: "ls -l" } })).toEqual({ ...waiting, input: { command: "ls -l" } });
    const denied = { decision: "deny", by: { key: "alice", user: "ann" }, message: "no" } as const;
    expect(at(ask, resolved("a1", denied))).toEqual({ ...waiting, ...denied });
    const allowed = {
      decision: "allow",
      by: { key: "x" },
      scope: "session",
      updated_input: { command: "pwd" },
    } as const;
    expect(at(ask, resolved("a1", allowed))).toEqual({ ...waiting, ...allowed });
    // Asked about twice, it is the newer one that stands there.
    const again = requested({ approval: "a2", tool_use_id: "c1", input: { command: "ls" } });
    expect(at(ask, again, resolved("a1", denied))).toMatchObject({ approval: "a2", decision: null });
    expect(at(ask, again, resolved("a2", denied))).toMatchObject({ approval: "a2", decision: "deny" });
  });

  test("a turn has its notices, the account's limit as it was last, and a retry until words come again or it ends", () => {
    const retry = { attempt: 2, max_attempts: 10, delay_ms: 500, status: 529 };
    const limit = { status: "allowed", limit: "five_hour", resets_at: null, using_overage: false };
    const bodies: EventBody[] = [
      asked(),
      { type: "turn_moved", position: null },
      { type: "notice", kind: "odd", text: "What is this?" },
      { type: "rate_limit", ...limit },
      { type: "rate_limit", ...limit, status: "allowed_warning" },
      { type: "api_retry", ...retry, attempt: 1 },
      { type: "api_retry", ...retry },
    ];
    const { turn } = reduced(...bodies);
    expect(turn).toMatchObject({
      notices: [{ kind: "odd", text: "What is this?" }],
      rate_limit: { ...limit, status: "allowed_warning" },
      retry,
    });
    expect(transcriptTurn.parse(turn)).toEqual(turn);
    for (const after of [started(), completed()]) expect(reduced(...bodies, after).turn).not.toHaveProperty("retry");
    expect(reduced(...bodies, started()).turn.notices).toHaveLength(1);
    for (const field of ["notices", "rate_limit", "retry"])
      expect(reduced(asked(), started()).turn).not.toHaveProperty(field);
  });

  test("a process that babbles does not fill a page: of its notices the first hundred are there", () => {
    const babble = Array.from(
      { length: 250 },
      (_, at) => ({ type: "notice", kind: "line_not_json", text: `${at}` }) as const,
    );
    expect(reduced(asked(), ...babble).turn.notices!.map(({ text }) => text)).toEqual(
      babble.slice(0, 100).map(({ text }) => text),
    );
  });

  test("[L8] what lies outside the log is a reference with its address, and nothing that only looks like one", () => {
    const reference = { attachment: hash, media_type: "application/json", bytes: 300_000 };
    const image = { type: "image", source: { type: "attachment", attachment: hash, media_type: "image/png" } };
    const forged = { type: "note", source: { type: "attachment", attachment: "../x", media_type: "a/b" } };
    const { messages, turn } = reduced(
      asked({ prompt: [image], context: reference, metadata: reference }),
      started(),
      call("c1"),
      blockStop(),
      call("c2", "m1", 1),
      blockStop("m1", 1),
      answered("c1", reference),
      answered("c2", [image, forged]),
    );
    const url = urlOf(hash);
    expect(turn.metadata).toEqual({ ...reference, url });
    expect(messages[0]!.blocks).toEqual([
      { ...image, index: 0, source: { ...image.source, url } },
      { type: "context", index: 1, context: { ...reference, url } },
    ]);
    const [one, two] = messages[1]!.blocks as TranscriptToolUse[];
    expect(one!.result!.content).toEqual({ ...reference, url });
    expect(two!.result!.content).toEqual([{ ...image, source: { ...image.source, url } }, forged]);
    expect(reduced(asked({ prompt: reference })).messages[0]!.blocks).toEqual([
      { type: "attachment", index: 0, ...reference, url },
    ]);
  });

  test("[P4] a tool's input that is nested too deeply to be written as JSON stays what the model wrote", () => {
    const json = `{"a":${"[".repeat(6000)}${"]".repeat(6000)}}`;
    const streamed = delta(json, 0, { type: "input_json_delta" });
    const { messages } = reduced(asked(), started(), call("c1"), streamed, blockStop());
    expect(JSON.stringify(messages)).toContain(JSON.stringify(json));
    expect(messages[1]!.blocks).toMatchObject([{ type: "tool_use", input: null, partial_json: json }]);
  });

  test("odd events cost nothing: results of unknown calls, deltas of unknown blocks, input that is no JSON, a far index", () => {
    const { messages } = reduced(
      asked(),
      answered("unknown", "x"),
      delta("early", 0),
      started(),
      delta("no block", 0),
      opened({ type: "redacted_thinking", data: "z" }, "m1", 900_000_000),
      call("c1", "m1", 1),
      delta('{"cut', 0, { index: 1, type: "input_json_delta" }),
      blockStop("m1", 1),
    );
    expect(messages[1]!.blocks).toEqual([
      { type: "other", index: 900_000_000, block: { type: "redacted_thinking", data: "z" } },
      {
        type: "tool_use",
        index: 1,
        id: "c1",
        name: "Bash",
        at: expect.any(String) as string,
        input: null,
        partial_json: '{"cut',
        result: null,
      },
    ]);
  });
});

describe("a transcript and the events behind it", () => {
  let store: Store;
  let log: EventLog;
  beforeEach(() => {
    store = openSqliteStore(":memory:");
    log = createEventLog(store);
  });
  afterEach(async () => {
    await log.close();
    await store.close();
  });

  const scopeOf = (session: SessionRow): TranscriptScope => ({ store, caller: alice, session, order: "asc", urlOf });
  const wire = (event: LogEvent) => JSON.parse(wireJson(event)) as WireEvent;
  const scenes = recordedVersions.flatMap((version) =>
    recordedScenes(version).map((scene) => [version, scene] as const),
  );

  test.each(scenes)("[L4] %s %s: are the whole at every point of the turn", async (version, scene) => {
    const made = sessionWrite();
    const { session } = made.session;
    await log.commit([made]);
    const sessionNow = async () => (await store.session(alice, session))!;
    const events: WireEvent[] = [];
    const pages = [];
    for (const { turn: recorded, ...body } of translateRecording(version, scene)) {
      const isFirst = !events.some((event) => event.turn === recorded);
      if (isFirst && body.type !== "turn_queued") {
        const prompt = { ...queued(session), prompt: [{ type: "text" as const, text: "p" }] };
        events.push(...(await begin(session, recorded!, prompt)).map(wire));
      }
      const before = isFirst && body.type === "turn_queued" ? turnWrites(session, recorded!) : [];
      events.push(...(await log.append({ session, events: [{ turn: recorded, ...body }], before })).map(wire));
      pages.push(await readPage(scopeOf(await sessionNow()), 1000));
    }
    // What was folded meanwhile reads the same.
    await log.append({ session, events: [] });
    const now = await sessionNow();
    const whole = await readPage(scopeOf(now), 1000);
    expect(whole.lastSeq).toBe(events.length);
    for (const message of whole.messages) expect(transcriptMessage.safeParse(message).error).toBeUndefined();
    for (const turn of whole.turns) expect(transcriptTurn.safeParse(turn).error).toBeUndefined();
    const expected = followed(whole, []);
    // From before the first event: the client that we compare with makes all of it from the events alone.
    expect(followed({ turns: [], messages: [] }, events)).toEqual(expected);
    const later = [];
    for (let seq = 1; seq <= now.lastSeq; seq++) later.push(await readPage(scopeOf({ ...now, lastSeq: seq }), 1000));
    pages.push(...later);
    const isFolded = (await store.events(alice, session, 0, 1000)).some(({ first, seq }) => first < seq);
    expect(later.some(({ lastSeq }, index) => lastSeq > index + 1)).toBe(isFolded);
    for (const page of pages) {
      expect(followed(page, events.slice(page.lastSeq))).toEqual(expected);
      const folded = (await store.events(alice, session, page.lastSeq, 1000)).map(wire);
      expect(followed(page, folded)).toEqual(expected);
    }
  });

  function turnWrites(session: string, turn: string) {
    return [
      { kind: "turn", turn: newTurn(session, { turn }) },
      { kind: "turn_state", turn, state: "running", at: 1 },
    ] as const;
  }

  async function begin(session: string, turn: string, prompt: EventBody): Promise<LogEvent[]> {
    const [made, running] = turnWrites(session, turn);
    const first = await log.append({ session, events: [{ turn, ...prompt }], before: [made] });
    const moved = { turn, type: "turn_moved", position: null } as const;
    return [...first, ...(await log.append({ session, events: [moved], before: [running] }))];
  }
});
