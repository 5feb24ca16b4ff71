import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { LogEvent } from "../../gateway/store/port.ts";
import { applyEvents, fromPage, prependOlder, withTurn, type Transcript } from "../../widget/transcript.ts";
import type { Message, TextBlock, ToolBlock, WireEvent } from "../../widget/transcript.ts";
import { cases } from "../support/property.ts";
import { recordedScenes, recordedVersions } from "../support/recorded.ts";
import { random } from "../support/scale.ts";
import { comparable, frameOf, mergedFrames, pageAt, recordedLog, richLog } from "../support/widget-log.ts";

const recordings = recordedVersions.flatMap((version) =>
  recordedScenes(version).map((scene) => [`${version} ${scene}`, recordedLog(version, scene)] as const),
);
const logs = [...recordings, ["all kinds of events", richLog()] as const];

const after = (log: readonly LogEvent[], seq: number) => log.slice(seq).map(frameOf);

/** Events in the disorder of a bad line: some doubled, some in merged frames besides, each up to `window` places from its own. */
function disorder(events: readonly LogEvent[], { seed, window }: { seed: number; window: number }): WireEvent[][] {
  const next = random(seed);
  const frames = events.map(frameOf);
  for (let from = 0; from < events.length; from += 1 + Math.floor(next() * 12)) {
    const some = events.slice(from, from + 1 + Math.floor(next() * 20));
    if (next() < 0.3) frames.push(...mergedFrames(some));
    if (next() < 0.3) frames.push(...some.map(frameOf));
  }
  const placed = frames.map((frame) => ({ frame, place: frame.seq! + next() * window }));
  const shuffled = placed.toSorted((a, b) => a.place - b.place).map(({ frame }) => frame);
  const batches: WireEvent[][] = [];
  for (let from = 0; from < shuffled.length;) {
    const to = from + 1 + Math.floor(next() * 8);
    batches.push(shuffled.slice(from, to));
    from = to;
  }
  return batches;
}

describe.each(logs)("%s", (_, log) => {
  const whole = comparable(fromPage(pageAt(log, log.length)));

  test("[L4] a page of any moment and the events behind it are the whole, one by one or all at once", () => {
    for (let seq = 0; seq <= log.length; seq++) {
      const page = fromPage(pageAt(log, seq));
      const events = after(log, seq);
      expect(comparable(applyEvents(page, events))).toEqual(whole);
      const singly = events.reduce((transcript, event) => applyEvents(transcript, [event]), page);
      expect(comparable(singly)).toEqual(whole);
      expect(singly.hasHole).toBe(false);
    }
  });

  test("[L4] a page of any moment is what the events up to it made: approvals, notices, limits and a retry too", () => {
    let live = begin(log);
    for (let seq = 0; seq <= log.length; seq++) {
      if (seq > 0) live = applyEvents(live, [frameOf(log[seq - 1]!)]);
      // Whether the newest block of a growing message may still grow a page does not say.
      expect(comparable(fromPage(pageAt(log, seq)), "isDone")).toEqual(comparable(live, "isDone"));
    }
  });

  test("[L7] merged frames are the same, also those that begin before the page ends", () => {
    for (let seq = 0; seq <= log.length; seq++) {
      const page = fromPage(pageAt(log, seq));
      expect(comparable(applyEvents(page, mergedFrames(log.slice(seq))))).toEqual(whole);
      expect(comparable(applyEvents(page, mergedFrames(log)))).toEqual(whole);
    }
  });

  test("[L7] doubled, merged and late frames do no harm", () => {
    const runs = cases({ short: 200, long: 4000 });
    fc.assert(
      fc.property(
        fc.record({ from: fc.nat(log.length), seed: fc.nat(), window: fc.integer({ min: 0, max: 200 }) }),
        ({ from, ...how }) => {
          const page = fromPage(pageAt(log, from));
          const end = disorder(log.slice(from), how).reduce(applyEvents, page);
          expect(comparable(end)).toEqual(whole);
          expect(end.hasHole).toBe(false);
        },
      ),
      runs,
    );
  }, 120_000);
});

const begin = (log: readonly LogEvent[] = richLog()) => fromPage(pageAt(log, 0));
const lastBlock = ({ messages }: Transcript) => messages.at(-1)!.blocks.at(-1);

/** A turn that says so many words of four letters; the newest event last. */
function sayingLog(words: number): { log: LogEvent[]; text: string } {
  const log = recordedLog("2.1.330", "text");
  const first = log.findIndex(({ type }) => type === "content_block_delta");
  const { message, index } = frameOf(log[first]!) as unknown as { message: string; index: number };
  const spoken = Array.from({ length: words }, (_, at): LogEvent => {
    const seq = first + 1 + at;
    const body = {
      type: "content_block_delta",
      message,
      index,
      offset: at * 4,
      delta: { type: "text_delta", text: String(at).padStart(4, "0").slice(-4) },
    };
    return { ...log[first]!, seq, first: seq, json: JSON.stringify(body) };
  });
  const text = spoken.map((event) => (frameOf(event)["delta"] as { text: string }).text).join("");
  return { log: [...log.slice(0, first), ...spoken], text };
}

test("of a message that grows a page has all blocks but the newest as done", () => {
  const done = logs.flatMap(([, log]) =>
    log.flatMap((_, at) =>
      fromPage(pageAt(log, at + 1))
        .messages.filter(({ state }) => state === "streaming")
        .flatMap(({ blocks }) => blocks.slice(0, -1))
        .flatMap((block) => ("isDone" in block ? [block.isDone] : [])),
    ),
  );
  expect(done.length).toBeGreaterThan(0);
  expect(new Set(done)).toEqual(new Set([true]));
});

describe("what stays shared", () => {
  test("a delta makes new objects only on the way to its block", () => {
    const log = richLog();
    const at = log.findLastIndex(({ type }) => type === "content_block_delta");
    const before = applyEvents(begin(log), after(log, 0).slice(0, at));
    const next = applyEvents(before, [frameOf(log[at]!)]);
    expect(next).not.toBe(before);
    expect(next.turns).toBe(before.turns);
    expect(next.approvals).toBe(before.approvals);
    const changed = next.messages.filter((message, index) => message !== before.messages[index]);
    expect(changed.map(({ id }) => id)).toEqual(["m3"]);
  });

  test("what it has already changes nothing, not even the object", () => {
    const log = richLog();
    const whole = applyEvents(begin(log), after(log, 0));
    expect(applyEvents(whole, after(log, 0))).toBe(whole);
    expect(applyEvents(whole, [])).toBe(whole);
    const page = fromPage(pageAt(log, log.length));
    expect(applyEvents(page, after(log, 0))).toBe(page);
  });

  test("the newest delta stands beside the text that it ended", () => {
    const { log } = sayingLog(3);
    const block = lastBlock(applyEvents(begin(log), after(log, 0))) as TextBlock;
    expect(block).toMatchObject({ text: "000000010002", tail: { offset: 8, text: "0002" }, isDone: false });
  });

  test("a long answer in single deltas keeps no more than the newest events", () => {
    const { log, text } = sayingLog(5000);
    const end = after(log, 0).reduce((transcript, event) => applyEvents(transcript, [event]), begin(log));
    expect((lastBlock(end) as TextBlock).text).toBe(text);
    expect(end.recent.events.length).toBeLessThan(600);
  });
});

describe("what is missing", () => {
  test("a delta behind a hole waits for what is before it", () => {
    const { log, text } = sayingLog(6);
    const frames = after(log, 0);
    const missing = frames.splice(-4, 1);
    const holed = applyEvents(begin(log), frames);
    expect(holed.hasHole).toBe(true);
    expect((lastBlock(holed) as TextBlock).text).toBe(text.slice(0, 8));
    const healed = applyEvents(holed, missing);
    expect(healed.hasHole).toBe(false);
    expect((lastBlock(healed) as TextBlock).text).toBe(text);
  });

  test("[L7] a merged frame that has more in it than the one that came under its number brings what was missing", () => {
    const { log, text } = sayingLog(6);
    const frames = after(log, 0);
    const deltas = log.filter(({ type }) => type === "content_block_delta");
    const last = deltas.at(-1)!;
    const upTo = frames.filter(({ seq }) => seq! <= last.seq);
    // The two before the last one are lost.
    const holed = applyEvents(begin(log), upTo.toSpliced(-3, 2));
    expect(holed.hasHole).toBe(true);
    const [merged] = mergedFrames(deltas.slice(-3));
    expect(merged!.seq).toBe(last.seq);
    const healed = applyEvents(holed, [merged!]);
    expect((lastBlock(healed) as TextBlock).text).toBe(text);
  });

  test("[L5] a gap is said until the transcript is made anew", () => {
    const log = richLog();
    const gap = { type: "gap", turn: null, oldest: 7, transcript_url: "/x" };
    const told = applyEvents(begin(log), [gap, frameOf(log[0]!)]);
    expect(told.hasGap).toBe(true);
    expect(applyEvents(told, after(log, 1)).hasGap).toBe(true);
    expect(fromPage(pageAt(log, 9)).hasGap).toBe(false);
  });

  test("[S4] a deleted session is said, and keeps what was there", () => {
    const page = fromPage(pageAt(richLog(), 30));
    const deleted = applyEvents(page, [{ type: "session_deleted", turn: null }]);
    expect(deleted.isDeleted).toBe(true);
    expect(deleted.messages).toBe(page.messages);
  });

  test("unknown types, and events of turns that are on no page, change only the place", () => {
    const page = fromPage(pageAt(richLog(), 30));
    const next = applyEvents(page, [
      { type: "something_new", seq: 31, turn: "t1" },
      { type: "message_start", seq: 32, turn: "elsewhere", message: { id: "x", model: "m" } },
      { type: "content_block_stop", seq: 33, turn: "elsewhere", message: "x", index: 0 },
      { type: "turn_completed", seq: 34, turn: "elsewhere", text: "", answer: "" },
    ]);
    expect(next).toMatchObject({ lastSeq: 34, hasHole: false });
    expect(next.messages).toBe(page.messages);
    expect(next.turns).toBe(page.turns);
  });
});

describe("a turn on its way", () => {
  const log = richLog();
  const states = after(log, 0).map((_, at, events) => applyEvents(begin(log), events.slice(0, at + 1)));
  const seen = <T>(of: (transcript: Transcript) => T) =>
    states.map(of).filter((value, at, all) => at === 0 || JSON.stringify(value) !== JSON.stringify(all[at - 1]));
  const turn = (id: string) => (transcript: Transcript) => transcript.turns.get(id);

  test("[T7] queued, with its place in the line, running, waiting, running, ended", () => {
    expect(seen((transcript) => turn("t1")(transcript)?.position)).toEqual([2, 1, null]);
    expect(seen((transcript) => turn("t1")(transcript)?.state)).toEqual([
      "queued",
      "running",
      "waiting",
      "running",
      "waiting",
      "running",
      "completed",
    ]);
    expect(states.at(-1)!.turns.get("t1")).toMatchObject({ costUsd: 0.5, usage: { output_tokens: 4 } });
    expect(states.at(-1)!.turns.get("t2")).toMatchObject({ code: "overloaded", retryable: true, message: "Busy." });
    expect(states.at(-1)!.turns.get("t3")).toMatchObject({ state: "cancelled", by: { key: "k" } });
  });

  test("a retry is there until words come again; limits and notices stay", () => {
    const retry = { attempt: 1, maxAttempts: 10, delayMs: 500, status: 529 };
    expect(seen((transcript) => turn("t1")(transcript)?.retry ?? null)).toEqual([null, retry, null]);
    expect(states.at(-1)!.turns.get("t1")).toMatchObject({
      limit: { status: "allowed_warning", limit: "five_hour" },
      notices: [{ kind: "odd", text: "what is this" }],
    });
  });

  test("a call has its approval, its result, and what its subagent did, whose call was denied", () => {
    const end = states.at(-1)!;
    const call = end.messages.find(({ id }) => id === "m1")!.blocks[1] as ToolBlock;
    expect(call).toMatchObject({ id: "c1", input: { a: 1 }, partialJson: null, result: { isError: true } });
    expect(end.approvals.get(call.approval!)).toMatchObject({ decision: "allow", scope: "session" });
    expect(call.messages.map(({ id }) => id)).toEqual(["s1", "s2"]);
    const inner = call.messages[0]!.blocks[0] as ToolBlock;
    expect(end.approvals.get(inner.approval!)).toMatchObject({ decision: "deny", message: "no" });
  });

  test("an approval that waits is in the page, and stands at its call", () => {
    const at = log.findIndex(({ type }) => type === "approval_requested") + 1;
    const page = fromPage(pageAt(log, at));
    const [approval] = page.approvals.values();
    expect(approval).toMatchObject({ turn: "t1", toolUseId: "c1", decision: null });
    const call = page.messages.flatMap(({ blocks }) => blocks).find((block) => block.type === "tool");
    expect(call?.approval).toBe(approval!.id);
  });

  test("an approval that was decided behind the page, and so waits in it no more, is told by its call and its event", () => {
    const at = log.findIndex(({ type }) => type === "approval_requested") + 1;
    const page = { ...pageAt(log, at), approvals: [] };
    const [waiting] = fromPage(page).approvals.values();
    expect(waiting).toMatchObject({ turn: "t1", toolUseId: "c1", tool: "Task", input: { a: 1 }, decision: null });
    const [decided] = applyEvents(fromPage(page), [frameOf(log[at]!)]).approvals.values();
    expect(decided).toMatchObject({ id: waiting!.id, decision: "allow", scope: "session", by: { key: "alice" } });
  });

  test("a retry that is under way is in the page, and over where words come again", () => {
    const at = log.findIndex(({ type }) => type === "api_retry") + 1;
    const retry = { attempt: 1, maxAttempts: 10, delayMs: 500, status: 529 };
    expect(fromPage(pageAt(log, at)).turns.get("t1")!.retry).toEqual(retry);
    const words = log.findIndex(({ type }) => type === "message_start") + 1;
    expect(fromPage(pageAt(log, words)).turns.get("t1")!.retry).toBeNull();
  });

  test("a prompt has its images and its context as blocks", () => {
    const prompt = states.at(-1)!.messages[0]!;
    expect(prompt.blocks).toEqual([
      expect.objectContaining({ type: "text", text: "one" }),
      { type: "image", index: 1, attachment: "a".repeat(64), mediaType: "image/png", title: null },
      { type: "context", index: 2, context: { page: "/x" } },
    ]);
  });
});

describe("older pages", () => {
  const log = richLog();
  const ids = (messages: readonly Message[]) => messages.map(({ id }) => id);

  test("come before what is there, also where a late event takes up an earlier state", () => {
    const page = pageAt(log, log.length - 10);
    const cut = { ...page, messages: page.messages.slice(2), turns: page.turns.slice(-2), next_cursor: "1.2" };
    const older = { ...page, messages: page.messages.slice(0, 3), turns: page.turns.slice(0, 2) };
    const newest = fromPage(cut);
    expect(newest.olderCursor).toBe("1.2");
    const frames = after(log, log.length - 10);
    const late = frames.splice(2, 1);
    const both = prependOlder(applyEvents(newest, frames), older);
    expect(both.olderCursor).toBeNull();
    const whole = fromPage(pageAt(log, log.length));
    expect(ids(applyEvents(both, late).messages)).toEqual(ids(whole.messages));
    expect([...applyEvents(both, late).turns.keys()]).toEqual([...whole.turns.keys()]);
  });

  test("bring who decided the approvals that stand on them", () => {
    const page = pageAt(log, log.length);
    const at = page.messages.findIndex(({ id }) => id === "m2");
    const newest = fromPage({
      ...page,
      messages: page.messages.slice(at),
      turns: page.turns.slice(-1),
      next_cursor: "1.2",
    });
    expect(newest.approvals.size).toBe(0);
    const both = prependOlder(newest, { ...page, messages: page.messages.slice(0, at) });
    expect([...both.approvals.values()].map(({ decision }) => decision)).toEqual(["allow", "deny"]);
    expect(comparable(both)).toEqual(comparable(fromPage(page)));
  });

  test("a rating stays, also where a late event takes up an earlier state", () => {
    const page = fromPage(pageAt(log, log.length - 4));
    const frames = after(log, log.length - 4);
    const rated = withTurn(applyEvents(page, frames.slice(1)), "t1", { rating: "up" });
    expect(applyEvents(rated, frames.slice(0, 1)).turns.get("t1")!.rating).toBe("up");
    expect(withTurn(rated, "unknown", { rating: "up" })).toBe(rated);
  });
});
