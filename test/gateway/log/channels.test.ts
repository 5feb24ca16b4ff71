import { describe, expect, test } from "vitest";
import { createChannels, type ChannelsOptions } from "../../../gateway/log/channels.ts";
import type { LogEvent } from "../../../gateway/store/port.ts";
import { newEvent, notice } from "../../support/log-drafts.ts";

const event = (seq: number, chars = 1000): LogEvent => ({
  ...newEvent(notice("x".repeat(chars)), "t"),
  seq,
  first: seq,
});

const open = (options: Partial<ChannelsOptions> = {}) =>
  createChannels({ isBusy: () => false, maxIdle: 3, maxChars: 10_000, ...options });

describe("the channels of all sessions", () => {
  test("only so many without a reader are kept, those used last; one that is read or busy stays", () => {
    const channels = open({ isBusy: (session) => session === "busy" });
    const read = channels.of("read");
    read.readers += 1;
    const [busy, old] = [channels.of("busy"), channels.of("old")];
    channels.push("new", [event(1)]);
    channels.push("newer", [event(1)]);
    expect(channels.of("read")).toBe(read);
    expect(channels.of("busy")).toBe(busy);
    expect(channels.of("old")).not.toBe(old);
  });

  test("[S2] what they hold together is bounded: sessions without a reader go first, the longest unused of them", () => {
    const channels = open({ maxIdle: 100 });
    const read = channels.of("read");
    read.readers += 1;
    channels.push("read", [event(1)]);
    for (const session of ["a", "b", "c"]) channels.push(session, [event(1, 2500)]);
    expect(channels.of("b").after(0)?.last).toBe(1);
    channels.push("d", [event(1, 2500)]);
    expect(channels.heldChars).toBeLessThanOrEqual(10_000);
    expect(channels.of("a").after(0)).toBeUndefined();
    for (const session of ["read", "b", "c", "d"]) expect(channels.of(session).after(0)?.last).toBe(1);
  });

  test("[L4, S2] where all are read the newest events are forgotten too, and a reader still learns how far they go", () => {
    const channels = open();
    const sessions = Array.from({ length: 20 }, (_, index) => `session ${index}`);
    for (const session of sessions) channels.of(session).readers += 1;
    const heard: string[] = [];
    for (const session of sessions) channels.of(session).once(() => heard.push(session));
    for (let seq = 1; seq <= 5; seq++) for (const session of sessions) channels.push(session, [event(seq)]);
    expect(channels.heldChars).toBeLessThanOrEqual(10_000);
    expect(heard).toEqual(sessions);
    for (const session of sessions) expect(channels.of(session).last).toBe(5);
    expect(channels.of(sessions.at(-1)!).after(4)?.last).toBe(5);
    expect(channels.of(sessions[0]!).after(4)).toBeUndefined();
  });

  test("what is removed holds nothing, and its readers are told", () => {
    const channels = open();
    const channel = channels.of("a");
    channels.push("a", [event(1)]);
    channels.remove("a");
    channels.remove("a");
    expect([channel.isRemoved, channels.heldChars]).toEqual([true, 0]);
    expect(channels.of("a")).not.toBe(channel);
  });
});
