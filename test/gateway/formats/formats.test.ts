import { createParser } from "eventsource-parser";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { sse } from "../../../gateway/formats/sse.ts";
import { ndjson } from "../../../gateway/formats/ndjson.ts";
import { createText } from "../../../gateway/formats/text.ts";
import { ownEventTypes } from "../../../gateway/protocol/codes.ts";
import type { EventBody, TurnEvent } from "../../../gateway/protocol/events.ts";
import { bodyOf, foldedRuns, mergeDeltas, restOfRun } from "../../../gateway/store/run.ts";
import type { FoldedRun, LogEvent } from "../../../gateway/store/port.ts";
import { createFolding } from "../../../gateway/log/folding.ts";
import { completed, delta, newEvent, notice, textsOf } from "../../support/log-drafts.ts";
import { cases } from "../../support/property.ts";
import { recordedScenes, recordedVersions, translateRecording } from "../../support/recorded.ts";

const at = Date.parse("2026-01-02T03:04:05.678Z");

function logOf(events: readonly TurnEvent[]): LogEvent[] {
  return events.map(({ turn, ...body }, index) => ({
    ...newEvent(body, turn),
    at,
    seq: index + 1,
    first: index + 1,
  }));
}

interface Frame {
  readonly id: string | undefined;
  readonly event: string | undefined;
  readonly data: unknown;
}

function readSse(text: string): Frame[] {
  const frames: Frame[] = [];
  const parser = createParser({
    onEvent: ({ id, event, data }) => frames.push({ id, event, data: JSON.parse(data) }),
    onError: (error) => {
      throw error;
    },
  });
  parser.feed(text);
  return frames;
}

const readLines = (text: string) =>
  text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as unknown);

/** What a client must find of an event. */
function expected(event: LogEvent): Record<string, unknown> {
  const isOwn = ownEventTypes.some((type) => type === event.type);
  return {
    seq: event.seq,
    turn: event.turn,
    ...(isOwn ? { at: "2026-01-02T03:04:05.678Z" } : {}),
    ...(JSON.parse(event.json) as object),
  };
}

/** Strings that a format could stumble over. */
const nasty = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "\n",
    "\r\n\r\n",
    "\u2028",
    "\nid: 99\nevent: x\ndata: {}\n\n",
    "data:",
    "\u0000",
    "\uD800",
    '"}',
    "</script>",
  ),
);
const anyBody: fc.Arbitrary<EventBody> = fc.oneof(
  nasty.map((text) => ({ ...notice(text), kind: text })),
  fc.tuple(nasty, fc.nat()).map(([text, offset]) => delta(text, offset, { message: text })),
  nasty.map((text) => completed(text)),
  fc.json().map((content) => ({
    type: "tool_result" as const,
    tool_use_id: content,
    content: JSON.parse(content) as unknown,
    is_error: true,
    parent_tool_use_id: null,
  })),
);
const anyLog = fc
  .array(fc.record({ body: anyBody, turn: fc.option(fc.uuid()) }), { minLength: 1, maxLength: 6 })
  .map((entries) => logOf(entries.map(({ body, turn }) => ({ ...body, turn }))));

describe("Server-Sent Events and NDJSON", () => {
  test("[L2] any event is read back as it was, and no string in it makes a frame of its own", () => {
    fc.assert(
      fc.property(anyLog, (log) => {
        const frames = readSse(sse.encode(log));
        expect(frames).toEqual(
          log.map((event) => ({ id: String(event.seq), event: event.type, data: expected(event) })),
        );
        expect(readLines(ndjson.encode(log))).toEqual(log.map(expected));
      }),
      cases(),
    );
  });

  test("[S1] pings carry data and no id, and neither do gaps and a session's end", () => {
    const gap = { type: "gap", oldest: 7, transcript_url: "https://x.example/\n\ndata: y" } as const;
    const asides = [sse.ping, sse.gap(gap), sse.sessionDeleted].flatMap(readSse);
    expect(asides).toEqual([
      { id: undefined, event: "ping", data: { type: "ping" } },
      { id: undefined, event: "gap", data: { ...gap, turn: null } },
      { id: undefined, event: "session_deleted", data: { type: "session_deleted", turn: null } },
    ]);
    expect(readLines(ndjson.ping + ndjson.gap(gap) + ndjson.sessionDeleted)).toEqual(asides.map(({ data }) => data));
  });

  test("[S3] the last words of an event stream tell when to come back; NDJSON and text have none", () => {
    const retries: number[] = [];
    createParser({ onEvent: () => {}, onRetry: (ms) => retries.push(ms) }).feed(sse.goodbye(1234.6)!);
    expect(retries).toEqual([1235]);
    expect([ndjson.goodbye(1), createText().goodbye(1)]).toEqual([null, null]);
  });
});

describe("text", () => {
  const textOf = (...events: EventBody[]) => createText().encode(logOf(events.map((body) => ({ ...body, turn: "t" }))));

  test("is the top-level text of the answer, messages parted by an empty line", () => {
    expect(
      textOf(
        delta("Hel", 0),
        delta("hm", 0, { type: "thinking_delta", index: 1 }),
        { ...delta("a subagent's", 0), parent_tool_use_id: "x" },
        delta("lo", 3),
        notice("not shown"),
        delta("World", 0, { message: "m2" }),
        completed("Hello\n\nWorld"),
      ),
    ).toBe("Hello\n\nWorld");
  });

  test("says in a line of its own what was discarded, failed or cancelled", () => {
    const discarded = { type: "message_discarded", message: "m1", reason: "stream_lost" } as const;
    const failed = { type: "turn_failed", code: "overloaded", message: "", retryable: true, text: "" } as const;
    const cancelled = { type: "turn_cancelled", by: { key: "a" }, text: "" } as const;
    expect(textOf(delta("half", 0), discarded)).toBe("half\n[message_discarded]\n");
    expect(textOf(delta("half\n", 0), failed)).toBe("half\n[turn_failed: overloaded]\n");
    expect(textOf(failed)).toBe("[turn_failed: overloaded]\n");
    expect(textOf(delta("half", 0), cancelled)).toBe("half\n[turn_cancelled]\n");
    expect(textOf({ ...discarded, message: "never seen" })).toBe("");
  });

  test("does not depend on how the events come in batches", () => {
    const log = logOf(translateRecording(recordedVersions[0]!, "cut-late"));
    const format = createText();
    expect(log.map((event) => format.encode([event])).join("")).toBe(createText().encode(log));
  });
});

/** What a log gives behind a cursor, as the store and the channel do it: folded rows in part, single ones merged or not. */
function behind(rows: readonly (LogEvent | FoldedRun)[], after: number, isMerged: boolean): LogEvent[] {
  const rest = rows
    .filter((row) => row.seq > after)
    .map((row) => ("ends" in row && row.first <= after ? restOfRun(row, after) : row));
  return isMerged ? mergeDeltas(rest) : rest;
}

/** The log with its finished blocks as folded rows. */
function folded(log: readonly LogEvent[]): (LogEvent | FoldedRun)[] {
  const runs = createFolding().note(log);
  const isFolded = (event: LogEvent) => runs.some((run) => run.first <= event.seq && event.seq <= run.seq);
  return [...log.filter((event) => !isFolded(event)), ...runs].toSorted((a, b) => a.seq - b.seq);
}

describe.each(recordedVersions)("[L4] a stream of %s that is cut at every byte", (version) => {
  // Scenes with several messages, blocks, tools and discarded parts.
  const scenes = recordedScenes(version).filter((scene) =>
    ["text", "thinking", "two-tools", "cut-second-block", "subagent"].includes(scene),
  );

  test.each(scenes)("%s: a reader that comes back with its last id has the same events and text", (scene) => {
    const log = logOf(translateRecording(version, scene));
    const whole = textsOf(log);
    const others = (events: readonly LogEvent[]) => events.filter(({ type }) => type !== "content_block_delta");
    expect(foldedRuns(log).length + log.length).toBeGreaterThan(5);
    for (const first of [log, mergeDeltas(log), mergeDeltas(folded(log))]) {
      // Fed byte by byte, what has been parsed at each is what a reader has that is cut there; between two cuts with the same last
      // id nothing differs in how it goes on.
      const frames: Frame[] = [];
      const parser = createParser({
        onEvent: ({ id, event, data }) => frames.push({ id, event, data: JSON.parse(data) }),
      });
      const decoder = new TextDecoder();
      let checked = -1;
      for (const byte of [undefined, ...Buffer.from(sse.encode(first))]) {
        if (byte !== undefined) parser.feed(decoder.decode(Uint8Array.of(byte), { stream: true }));
        const complete = frames.length;
        if (complete === checked) continue;
        checked = complete;
        const after = Number(frames.at(-1)?.id ?? 0);
        expect(after).toBe(first[complete - 1]?.seq ?? 0);
        const had = first.slice(0, complete);
        for (const rows of [log, folded(log)])
          for (const isMerged of [false, true]) {
            const rest = behind(rows, after, isMerged);
            expect(textsOf(rest, textsOf(had))).toEqual(whole);
            expect([...others(had), ...others(rest)].map(bodyOf)).toEqual(others(log).map(bodyOf));
            expect(rest[0]?.first ?? log.length + 1).toBe(after + 1);
            expect(rest.at(-1)?.seq ?? after).toBe(log.length);
          }
      }
      expect(checked).toBe(first.length);
    }
  });
});
