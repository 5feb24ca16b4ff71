import * as fc from "fast-check";
import { expect, test } from "vitest";
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
  textStart,
  textDelta,
  blockStop,
  messageStop,
  assistant,
  textBlock,
  result,
  named,
} from "../../support/cli-lines.ts";
import { cases } from "../../support/property.ts";
import { applied, eventsOf, isTerminal } from "../../support/recorded.ts";

// Random lines, of which one in eight has a field replaced or taken out.
const ids = fc.constantFrom("m1", "m2", "m3");
const index = fc.integer({ min: -1, max: 2 });
const word = fc.string({ unit: "grapheme", maxLength: 4 });
const parent = fc.constantFrom(null, "toolu_1");
const line: fc.Arbitrary<Raw> = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(init(), init([turn]), init([nextTurn])) },
  fc
    .record({ id: ids, model: fc.constantFrom("m", "other", "<synthetic>"), parent })
    .map(({ id, model, parent }) => stream({ type: "message_start", message: { id, model } }, parent)),
  {
    weight: 3,
    arbitrary: fc
      .tuple(index, fc.constantFrom("text", "thinking", "tool_use"), parent)
      .map(([index, type, parent]) =>
        stream({ type: "content_block_start", index, content_block: { type, id: "toolu_1" } }, parent),
      ),
  },
  {
    weight: 6,
    arbitrary: fc
      .tuple(
        index,
        word,
        fc.constantFrom(["text_delta", "text"], ["thinking_delta", "thinking"], ["input_json_delta", "partial_json"]),
        parent,
      )
      .map(([index, text, [type, field], parent]) =>
        stream({ type: "content_block_delta", index, delta: { type, [field]: text } }, parent),
      ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(index, parent).map(([index, parent]) => stream({ type: "content_block_stop", index }, parent)),
  },
  fc.constantFrom(
    messageStop(),
    messageStop({ abandoned_blocks: {} }),
    stream({ type: "ping" }),
    stream({ type: "error" }),
  ),
  {
    weight: 2,
    arbitrary: fc
      .tuple(
        ids,
        fc.array(
          fc.oneof(
            word.map(textBlock),
            word.map((thinking) => ({ type: "thinking", thinking })),
            fc.constant({ type: "tool_use", id: "toolu_1", input: {} }),
          ),
          { maxLength: 2 },
        ),
        parent,
      )
      .map(([id, content, parent]) => ({ ...assistant(id, content), parent_tool_use_id: parent })),
  },
  fc.constantFrom<Raw>(
    result(),
    result(named(turn)),
    result({ is_error: true, api_error_status: 529 }),
    result({ subtype: "new_ending" }),
    { type: "user", message: { content: [{ type: "tool_result", tool_use_id: "toolu_1" }] } },
    { type: "command_lifecycle", command_uuid: turn, state: "started" },
    { type: "system", subtype: "task_notification" },
    { type: "rate_limit_event", rate_limit_info: {} },
  ),
);
/** A line in which one field, at any depth, is replaced or gone. */
const mutated: fc.Arbitrary<Raw> = fc
  .tuple(line, fc.nat(), fc.oneof(fc.jsonValue(), fc.constant(undefined)))
  .map(([line, at, value]) => {
    let count = 0;
    return JSON.parse(
      JSON.stringify(line, (key, inner: unknown) => (key !== "" && count++ === at % 8 ? value : inner)),
    ) as Raw;
  });
const step = fc.oneof(
  { weight: 30, arbitrary: line.map((line) => ({ kind: "line" as const, line })) },
  { weight: 4, arbitrary: mutated.map((line) => ({ kind: "line" as const, line })) },
  { weight: 4, arbitrary: fc.constant({ kind: "expect" as const }) },
  fc.constantFrom({ kind: "cancel" as const }, { kind: "condemn" as const }, { kind: "abandon" as const }),
);

type Valued<Made> = Made extends fc.Arbitrary<infer Value> ? Value : never;

function runSteps(steps: readonly Valued<typeof step>[]): TurnEvent[] {
  const made = translator();
  let turns = 0;
  const events = steps.flatMap((step) => {
    if (step.kind === "line") return made.give(step.line);
    if (step.kind === "abandon") return made.abandon(failure("process_died"));
    if (step.kind === "cancel") made.cancel({ key: "k" });
    else if (step.kind === "condemn") made.condemn(failure("turn_timeout"));
    else if (made.ours === undefined) made.expect([turn, nextTurn][turns++] ?? `turn-${turns}`);
    return [];
  });
  return [...events, ...made.abandon(failure("process_died"))];
}

test("[L3] whatever the CLI writes, nothing throws and a turn ends at most once, with nothing of it behind", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const ended = new Set<string>();
      for (const event of runSteps(steps)) {
        if (event.turn === null) continue;
        expect(ended.has(event.turn)).toBe(false);
        if (isTerminal(event)) ended.add(event.turn);
      }
    }),
    cases(),
  );
});

test("[L7] whatever the CLI writes, a delta continues its block exactly where the one before ended", () => {
  const field: Record<string, string> = {
    text_delta: "text",
    thinking_delta: "thinking",
    input_json_delta: "partial_json",
  };
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const lengths = new Map<string, number>();
      for (const event of runSteps(steps)) {
        if (event.type === "message_start")
          for (const key of lengths.keys())
            if (key.startsWith(`${event.turn} ${event.message.id} `)) lengths.delete(key);
        if (event.type !== "content_block_delta") continue;
        const key = `${event.turn} ${event.message} ${event.index} ${event.delta.type}`;
        const added = event.delta[field[event.delta.type] ?? ""];
        expect(event.offset).toBe(lengths.get(key) ?? 0);
        lengths.set(key, event.offset + (typeof added === "string" ? added.length : 0));
      }
    }),
    cases(),
  );
});

// A model and a CLI that keep to the rules, with random content: what was said must be what was finished.
const block = fc.record({
  parts: fc.array(word, { maxLength: 5 }),
  streamed: fc.constantFrom("all", "part", "none"),
});
const message = fc.record({
  blocks: fc.array(block, { maxLength: 3 }),
  isStreamed: fc.boolean(),
  /** The stream breaks inside this block; the CLI says so, or another message follows. */
  lostAt: fc.option(fc.nat({ max: 2 }), { freq: 3 }),
  isAbandonedAloud: fc.boolean(),
});

test("[L6] the deltas add up to the blocks that were finished and not discarded", () => {
  fc.assert(
    fc.property(fc.array(message, { maxLength: 4 }), (messages) => {
      const lines: Raw[] = [];
      const finished: string[] = [];
      for (const [at, message] of messages.entries()) writeMessage(lines, finished, `m${at}`, message);
      const events = begun().give(...lines, assistant("last", [textBlock("the end")]), result(named(turn)));
      expect([...applied(events).values()]).toEqual([...finished, "the end"]);
      expect(events.at(-1)).toMatchObject({ type: "turn_completed", answer: "the end" });
      expect(eventsOf(events, "notice")).toEqual([]);
    }),
    cases(),
  );
});

function writeMessage(lines: Raw[], finished: string[], id: string, spoken: Valued<typeof message>): void {
  const { blocks, isStreamed, lostAt, isAbandonedAloud } = spoken;
  if (isStreamed) lines.push(messageStart(id));
  for (const [index, { parts, streamed }] of blocks.entries()) {
    const whole = parts.join("");
    const isLost = isStreamed && lostAt === index;
    if (isStreamed) {
      const sent = streamed === "all" || isLost ? parts : streamed === "part" ? parts.slice(0, 2) : [];
      lines.push(textStart(index), ...sent.map((part) => textDelta(index, part)));
      if (isLost) {
        if (isAbandonedAloud) lines.push(blockStop(index), messageStop({ abandoned_blocks: {} }));
        return;
      }
    }
    // The assistant line is the only one that has all, unless all was streamed.
    lines.push(assistant(id, [textBlock(whole)]));
    if (isStreamed) lines.push(blockStop(index));
    finished.push(whole);
  }
  if (isStreamed) lines.push(messageStop());
}
