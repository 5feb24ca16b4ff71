import { effect } from "@preact/signals";
import { describe, expect, test } from "vitest";
import type { Message, Transcript } from "../../../widget/transcript.ts";
import { createParts } from "../../../widget/view/parts.ts";

const message = (id: string, turn: string, role: Message["role"], text = "") =>
  ({ id, turn, role, blocks: [{ type: "text", index: 0, text, isDone: true, tail: null }] }) as unknown as Message;
const transcript = (messages: readonly Message[], turns: Transcript["turns"] = new Map()) =>
  ({ messages, turns, approvals: new Map(), isDeleted: false, olderCursor: null }) as unknown as Transcript;

const first = [message("t1", "t1", "user"), message("m1", "t1", "assistant")];

describe("a transcript cut into signals", () => {
  test("is grouped by turn, in the order in which turns began", () => {
    const parts = createParts();
    parts.update(transcript([...first, message("t2", "t2", "user"), message("m2", "t1", "assistant")]));
    expect(parts.turns.value).toEqual(["t1", "t2"]);
    expect(parts.exchange("t1").value).toEqual({ turn: "t1", prompt: "t1", answers: ["m1", "m2"] });
    expect(parts.exchange("t2").value).toEqual({ turn: "t2", prompt: "t2", answers: [] });
  });

  test("tells of a message that grows to whoever draws that message, and to nobody else", () => {
    const parts = createParts();
    parts.update(transcript(first));
    const told: string[] = [];
    effect(() => void (parts.message("m1").value, told.push("m1")));
    effect(() => void (parts.message("t1").value, told.push("t1")));
    effect(() => void (parts.turns.value, told.push("turns")));
    effect(() => void (parts.exchange("t1").value, told.push("exchange")));
    told.splice(0);
    parts.update(transcript([first[0]!, message("m1", "t1", "assistant", "more")]));
    expect(told).toEqual(["m1"]);
  });

  test("tells of a message that is new to whoever draws its turn, and not of other turns", () => {
    const parts = createParts();
    const second = message("t2", "t2", "user");
    parts.update(transcript([...first, second]));
    const told: string[] = [];
    for (const turn of ["t1", "t2"]) effect(() => void (parts.exchange(turn).value, told.push(turn)));
    told.splice(0);
    parts.update(transcript([...first, second, message("m2", "t2", "assistant")]));
    expect(told).toEqual(["t2"]);
  });

  test("empties what is gone, and fills it when it is there again", () => {
    const parts = createParts();
    parts.update(transcript(first));
    const gone = parts.message("m1");
    parts.update(null);
    expect([gone.value, parts.exchange("t1").value, parts.turns.value]).toEqual([undefined, undefined, []]);
    parts.update(transcript(first));
    expect(parts.message("m1").value).toBe(first[1]);
  });

  test("takes older messages in front of those that are there", () => {
    const parts = createParts();
    parts.update(transcript(first));
    parts.update(transcript([message("t0", "t0", "user"), ...first]));
    expect(parts.turns.value).toEqual(["t0", "t1"]);
    expect(parts.exchange("t1").value).toEqual({ turn: "t1", prompt: "t1", answers: ["m1"] });
  });
});
