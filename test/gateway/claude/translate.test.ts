import { describe, expect, test } from "vitest";
import { failure } from "../../../gateway/claude/outcome.ts";
import type { TurnEvent } from "../../../gateway/protocol/events.ts";
import {
  type Raw,
  turn,
  nextTurn,
  translator,
  begun,
  init,
  stream,
  messageStart,
  blockStart,
  textStart,
  textDelta,
  blockStop,
  messageStop,
  assistant,
  textBlock,
  result,
  named,
  streamedText,
  type TestTranslator,
} from "../../support/cli-lines.ts";
import { applied, eventsOf, isTerminal } from "../../support/recorded.ts";

const texts = (events: TurnEvent[]) => [...applied(events).values()];
const types = (events: TurnEvent[]) => events.map((event) => event.type);

describe("[L6] a text is said once", () => {
  test("streamed and then repeated by an assistant line", () => {
    const events = begun().give(...streamedText("m1", "one ", "two"), result(named(turn)));
    expect(texts(events)).toEqual(["one two"]);
    expect(eventsOf(events, "content_block_delta").map((event) => event.offset)).toEqual([0, 4]);
    expect(events.at(-1)).toMatchObject({ type: "turn_completed", text: "one two", answer: "one two" });
  });

  test("only by an assistant line: it becomes the events that would have streamed it", () => {
    const events = begun().give(assistant("m1", [textBlock("whole")]), result(named(turn)));
    expect(types(events)).toEqual([
      "message_start",
      "content_block_start",
      "content_block_delta",
      "content_block_stop",
      "message_stop",
      "turn_completed",
    ]);
    expect(texts(events)).toEqual(["whole"]);
  });

  test("only by several assistant lines of one message: one start, one stop, a block each", () => {
    const events = begun().give(
      assistant("m1", [textBlock("one")]),
      assistant("m1", [{ type: "tool_use", id: "t1", name: "Bash", input: { command: "ls" } }]),
      result(named(turn)),
    );
    expect(texts(events)).toEqual(["one", '{"command":"ls"}']);
    expect(types(events).filter((type) => type === "message_start" || type === "message_stop")).toEqual([
      "message_start",
      "message_stop",
    ]);
  });

  test("only streamed, without any assistant line", () => {
    const lines = streamedText("m1", "one ", "two").filter((line) => line["type"] !== "assistant");
    expect(
      begun()
        .give(...lines, result(named(turn)))
        .at(-1),
    ).toMatchObject({ text: "one two" });
  });

  test("streamed in part and then longer in the assistant line: only the rest is added", () => {
    const events = begun().give(
      messageStart("m1"),
      textStart(0),
      textDelta(0, "one "),
      assistant("m1", [textBlock("one two 🌍")]),
      blockStop(0),
      messageStop(),
      result(named(turn)),
    );
    expect(eventsOf(events, "content_block_delta").map((event) => event.delta["text"])).toEqual(["one ", "two 🌍"]);
    expect(texts(events)).toEqual(["one two 🌍"]);
  });

  test("in blocks of which some are streamed and some are not", () => {
    const events = begun().give(
      messageStart("m1"),
      textStart(0),
      textDelta(0, "one"),
      assistant("m1", [textBlock("one")]),
      blockStop(0),
      assistant("m1", [textBlock("two")]),
      messageStop(),
      result(named(turn)),
    );
    expect(texts(events)).toEqual(["one", "two"]);
  });

  test("of a subagent, whose lines name the call, it is no text of the turn", () => {
    const events = begun().give(
      ...streamedText("m1", "mine"),
      { ...assistant("sub", [textBlock("its words")]), parent_tool_use_id: "toolu_1" },
      result(named(turn)),
    );
    expect(events.at(-1)).toMatchObject({ text: "mine", answer: "mine" });
    expect(eventsOf(events, "content_block_start").find((event) => event.message === "sub")).toMatchObject({
      parent_tool_use_id: "toolu_1",
    });
  });
});

test("every delta carries its offset in UTF-16 units, counted by delta type", () => {
  const events = begun().give(
    messageStart("m1"),
    blockStart(0, { type: "thinking", thinking: "", signature: "" }),
    ...["🌍", "é"].map((thinking) =>
      stream({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking } }),
    ),
    stream({ type: "content_block_delta", index: 0, delta: { type: "signature_delta", signature: "sig" } }),
    stream({ type: "content_block_delta", index: 0, delta: { type: "thinking_delta", thinking: "!" } }),
  );
  expect(eventsOf(events, "content_block_delta").map((event) => event.offset)).toEqual([0, 2, 0, 3]);
});

describe("[L6] a lost stream", () => {
  const half = [messageStart("m1"), textStart(0), textDelta(0, "half")];

  test("that another message replaces is discarded, and only the new text counts", () => {
    const events = begun().give(...half, assistant("m2", [textBlock("half and whole")]), result(named(turn)));
    expect(eventsOf(events, "message_discarded")).toEqual([
      { turn, type: "message_discarded", message: "m1", reason: "stream_lost" },
    ]);
    expect(texts(events)).toEqual(["half and whole"]);
    expect(events.at(-1)).toMatchObject({ text: "half and whole" });
  });

  test("that the CLI itself ends as abandoned is discarded at once", () => {
    const events = begun().give(...half, blockStop(0), messageStop({ abandoned_blocks: { from_block_index: 0 } }));
    expect(types(events).slice(-2)).toEqual(["content_block_stop", "message_discarded"]);
    expect(texts(events)).toEqual([]);
  });

  test("that another model takes over is a fallback", () => {
    const events = begun().give(...half, messageStart("m2", "other"));
    expect(eventsOf(events, "message_discarded")).toMatchObject([{ message: "m1", reason: "fallback" }]);
  });

  test("loses no block that was finished before", () => {
    const events = begun().give(
      messageStart("m1"),
      textStart(0),
      textDelta(0, "kept"),
      assistant("m1", [textBlock("kept")]),
      blockStop(0),
      textStart(1),
      textDelta(1, "lost"),
      ...streamedText("m2", "went on"),
      result(named(turn)),
    );
    expect(eventsOf(events, "message_discarded")).toMatchObject([{ message: "m1", from_index: 1 }]);
    expect(texts(events)).toEqual(["kept", "went on"]);
    expect(events.at(-1)).toMatchObject({ text: "kept\n\nwent on", answer: "went on" });
  });

  test("says nothing more: late lines of the discarded message are dropped or noted", () => {
    const made = begun();
    made.give(...half, assistant("m2", [textBlock("whole")]));
    const events = made.give(textDelta(0, " late"), assistant("m1", [textBlock("half late")]));
    expect(types(events).filter((type) => type !== "notice")).toEqual([]);
  });
});

describe("[L3] one terminal event", () => {
  test.each([
    ["its result", (made: TestTranslator) => made.give(result(named(turn))), "turn_completed"],
    [
      "a result that reports an error",
      (made: TestTranslator) => made.give(result({ is_error: true, api_error_status: 529 })),
      "turn_failed",
    ],
    ["being abandoned", (made: TestTranslator) => made.abandon(failure("process_died")), "turn_failed"],
  ])("ends a turn by %s, and nothing of it comes after", (_, finish, type) => {
    const made = begun();
    made.give(...streamedText("m1", "said"));
    const events = finish(made);
    expect(events.at(-1)).toMatchObject({ type, turn, text: "said" });
    expect(made.ours).toBeUndefined();
    expect(made.abandon(failure("process_died"))).toEqual([]);
    const later = made.give(...streamedText("m2", "late"), result(named(turn)));
    expect(later.filter((event) => event.turn === turn)).toEqual([]);
  });

  test("a cancelled turn ends as turn_cancelled with its partial text, whatever its result says", () => {
    const made = begun();
    made.give(messageStart("m1"), textStart(0), textDelta(0, "half"));
    made.cancel({ key: "k" });
    made.condemn(failure("silence_timeout"));
    expect(made.give(result({ subtype: "error_during_execution", is_error: true })).at(-1)).toEqual({
      turn,
      type: "turn_cancelled",
      by: { key: "k" },
      text: "half",
    });
  });

  test("a condemned turn ends with that code, and the next one is free of it", () => {
    const made = begun();
    made.condemn(failure("turn_timeout"));
    expect(made.give(result(named(turn))).at(-1)).toMatchObject({ type: "turn_failed", code: "turn_timeout" });
    made.expect(nextTurn);
    expect(made.give(init([nextTurn]), result(named(nextTurn))).at(-1)).toMatchObject({
      type: "turn_completed",
      turn: nextTurn,
    });
  });

  test("a turn that fails before it has begun ends all the same", () => {
    const made = translator();
    made.expect(turn);
    expect(made.abandon(failure("spawn_failed"))).toMatchObject([
      { type: "turn_failed", turn, code: "spawn_failed", text: "" },
    ]);
  });

  test("a result that nothing had begun is a notice of no turn", () =>
    expect(translator().give(result())).toMatchObject([{ type: "notice", kind: "stray_result", turn: null }]));
});

test("the cost of a turn is its share of the process's running total", () => {
  const made = translator();
  const costs = [0.5, 0.75, 0.75].map((total, index) => {
    const id = `turn-${index}`;
    made.expect(id);
    const [completed] = eventsOf(
      made.give(init([id]), result({ total_cost_usd: total, ...named(id) })),
      "turn_completed",
    );
    return completed!.cost_usd;
  });
  expect(costs).toEqual([0.5, 0.25, 0]);
});

describe("turn_started", () => {
  test("comes once a turn, although the CLI may say init again", () => {
    const made = translator();
    made.expect(turn);
    const events = made.give(
      init([turn]),
      ...streamedText("m1", "a"),
      init([turn]),
      ...streamedText("m2", "b"),
      result(named(turn)),
    );
    expect(eventsOf(events, "turn_started")).toHaveLength(1);
    expect(events.at(-1)).toMatchObject({ text: "a\n\nb", answer: "b" });
  });

  test.each([[[turn]], [undefined]])("comes although another line came before init (prompts named: %s)", (names) => {
    const made = translator();
    made.expect(turn);
    const events = made.give(
      { type: "something_new" },
      init(names),
      ...streamedText("m1", "a"),
      result(names ? named(...names) : {}),
    );
    expect(types(events).slice(0, 2)).toEqual(["notice", "turn_started"]);
    expect(new Set(events.map((event) => event.turn))).toEqual(new Set([turn]));
    expect(events.at(-1)).toMatchObject({ type: "turn_completed", text: "a" });
  });
});

describe("[P7] a turn that the CLI begins by itself", () => {
  const lifecycle: Raw = { type: "command_lifecycle", command_uuid: turn, state: "queued" };

  test("is logged as its own, with what woke it, and has its own end", () => {
    const made = begun();
    made.give(result(named(turn)));
    const events = made.give(
      { type: "system", subtype: "task_notification" },
      init(),
      ...streamedText("m9", "by myself"),
      result({ origin: { kind: "task-notification" }, total_cost_usd: 0.1 }),
    );
    expect(new Set(events.map((event) => event.turn))).toEqual(new Set(["own-1"]));
    expect(events[0]).toMatchObject({ type: "turn_queued", by: { cli: "task-notification" }, prompt: [] });
    expect(events.at(-1)).toMatchObject({ type: "turn_completed", text: "by myself", cost_usd: 0.1 });
    expect(made.isBusyOnItsOwn).toBe(false);
  });

  test("does not end a prompt that was written just then, where the CLI names a turn's prompts", () => {
    const made = translator();
    made.give(init(), ...streamedText("m1", "own"));
    made.expect(turn);
    const events = made.give(lifecycle, result(), init([turn]), ...streamedText("m2", "ours"), result(named(turn)));
    expect(eventsOf(events, "turn_completed")).toMatchObject([
      { turn: "own-1", text: "own" },
      { turn, text: "ours" },
    ]);
  });

  test("does not end a prompt that was written just then, where the CLI names nothing", () => {
    const made = translator();
    made.give(init(), ...streamedText("m1", "own"));
    made.expect(turn);
    const events = made.give(result(), init(), ...streamedText("m2", "ours"), result());
    expect(eventsOf(events, "turn_completed").map((event) => event.turn)).toEqual(["own-1", turn]);
  });

  test("that begins before our prompt is taken up is not ours, where the CLI names a turn's prompts", () => {
    const made = translator();
    made.expect(turn);
    const events = made.give(
      lifecycle,
      init(),
      ...streamedText("m1", "own"),
      result(),
      init([turn]),
      ...streamedText("m2", "ours"),
      result(named(turn)),
    );
    expect(eventsOf(events, "turn_completed")).toMatchObject([
      { turn: "own-1", text: "own" },
      { turn, text: "ours" },
    ]);
  });

  test("whose result names our prompt ends ours too", () => {
    const made = translator();
    made.give(init(), ...streamedText("m1", "both"));
    made.expect(turn);
    const events = made.give(lifecycle, result(named(turn)));
    expect(events.filter(isTerminal).map((event) => [event.turn, event.type])).toEqual([
      ["own-1", "turn_failed"],
      [turn, "turn_completed"],
    ]);
  });

  test("ends with the process, for the same reason", () => {
    const made = translator();
    made.give(init());
    expect(made.isBusyOnItsOwn).toBe(true);
    expect(made.abandon(failure("process_died"))).toMatchObject([
      { turn: "own-1", type: "turn_failed", code: "process_died" },
    ]);
  });

  test("ends as it was condemned to, which leaves the one that waits behind it alone", () => {
    const made = translator();
    made.give(lifecycle, init());
    made.expect(turn);
    made.condemn(failure("silence_timeout"), "own-1");
    const interrupted = result({ subtype: "error_during_execution", is_error: true });
    expect(made.give(interrupted)).toMatchObject([{ turn: "own-1", type: "turn_failed", code: "silence_timeout" }]);
    expect(made.give(init([turn]), result(named(turn))).at(-1)).toMatchObject({ turn, type: "turn_completed" });
  });
});

describe("what the CLI says beside its answer", () => {
  test("a type that is not known is a notice without its content", () => {
    const [notice] = begun().give({ type: "new_thing", secret: "/etc/passwd" });
    expect(notice).toMatchObject({ type: "notice", kind: "unknown_message", turn });
    expect(JSON.stringify(notice)).not.toContain("passwd");
  });

  test("an error inside the stream is a notice, and no event is ever named error", () => {
    const events = begun().give(messageStart("m1"), stream({ type: "error", error: { message: "overloaded" } }));
    expect(events.at(-1)).toMatchObject({ type: "notice", kind: "stream_error" });
  });

  test("limits and retries are events of the turn; a rejected limit names its end in the failure", () => {
    const events = begun().give(
      {
        type: "rate_limit_event",
        rate_limit_info: { status: "rejected", rateLimitType: "five_hour", resetsAt: 1_800_000_000 },
      },
      { type: "system", subtype: "api_retry", attempt: 2, max_retries: 10, retry_delay_ms: 1500, error_status: 529 },
      result({ is_error: true, api_error_status: 429 }),
    );
    const resets_at = "2027-01-15T08:00:00.000Z";
    expect(events).toMatchObject([
      { type: "rate_limit", status: "rejected", limit: "five_hour", resets_at, using_overage: false },
      { type: "api_retry", attempt: 2, max_attempts: 10, delay_ms: 1500, status: 529 },
      { type: "turn_failed", code: "rate_limited", retryable: true, resets_at },
    ]);
  });
});

test("fields of the API's events that have the log's own names are left to the log", () => {
  const events = begun().give(
    ...streamedText("m1", "one"),
    stream({ type: "message_delta", delta: {}, seq: 999, turn: "another", at: "never" }),
    result(named(turn)),
  );
  for (const event of events) {
    expect(event.turn).toBe(turn);
    expect(event).not.toHaveProperty("seq");
    expect(event).not.toHaveProperty("at");
  }
});
