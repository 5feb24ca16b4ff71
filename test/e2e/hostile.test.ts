import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { startTimeOf } from "../../gateway/claude/process-table.ts";
import type { PromptBlock } from "../../gateway/protocol/prompt.ts";
import {
  endingsOf,
  hostileScripts,
  openFakeScene,
  type FakeDriven,
  type FakeOptions,
  type FakeScene,
} from "../support/fake-scene.ts";
import type { Turn } from "../support/real-cli.ts";
import { lacksBubblewrap } from "../support/programs.ts";
import { scaled } from "../support/scale.ts";
import { until } from "../support/wait.ts";

const scripts = hostileScripts();
let scene: FakeScene;
let bufferBytesBefore: number;

/** The same CLI as a program of its own, and in a box: whatever it does, the one is as the other. */
const forms = [
  { form: "of its own", isBoxed: false },
  { form: "in a box", isBoxed: true },
].filter(({ isBoxed }) => !isBoxed || !lacksBubblewrap);

interface Fault {
  readonly script: string;
  /** The observed behaviour. */
  readonly title: string;
  readonly prompt?: string | PromptBlock[];
  readonly options?: FakeOptions;
  /** The turn's terminal event. */
  readonly ending: object;
  readonly check?: (turn: Turn, driven: FakeDriven) => void | Promise<void>;
}

const quickly = { deadlines: { startMs: 30_000, interruptMs: 300, endMs: 1500 } };
const soonSilent = { ...quickly, agent: { silence_timeout_s: 0.5 } };
const completed = (text: string) => ({ type: "turn_completed", text });
const failed = (code: string, text = "") => ({ type: "turn_failed", code, text });

const faults: Fault[] = [
  {
    script: "no-result",
    title: "[T5] a turn whose result never comes fails as silence_timeout and keeps its text",
    options: soonSilent,
    ending: failed("silence_timeout", "Half an answer"),
  },
  {
    script: "dead-silence",
    title: "[L3] a process that never answers initialize fails its turn as spawn_failed",
    options: { deadlines: { ...quickly.deadlines, startMs: 400 } },
    ending: failed("spawn_failed"),
  },
  {
    script: "silence-after-init",
    title: "[T5] silence after init fails the turn as silence_timeout, though the CLI ends it as interrupted",
    options: soonSilent,
    ending: failed("silence_timeout"),
    check: (_, { driver }) => expect(driver.isUsable).toBe(true),
  },
  {
    script: "stopped",
    title: "[T5] a frozen process fails its turn as silence_timeout and is ended",
    options: soonSilent,
    ending: failed("silence_timeout"),
    check: (_, { driver }) => expect(driver.isUsable).toBe(false),
  },
  {
    script: "chatter",
    title: "[T5] a turn that is never silent ends at its wall clock as turn_timeout",
    options: { ...quickly, agent: { turn_timeout_s: 1, silence_timeout_s: 30 } },
    ending: { type: "turn_failed", code: "turn_timeout", text: expect.stringMatching(/^\.+$/) },
  },
  {
    script: "babble",
    title: "[T5] a turn of which nothing is heard but lines that are no messages fails as silence_timeout",
    options: { ...quickly, agent: { silence_timeout_s: 0.5, turn_timeout_s: 5 } },
    ending: failed("silence_timeout", "Before."),
    check: ({ events }) => expect(noticesOf(events)).toContain("line_not_json"),
  },
  {
    script: "mute",
    title: "[L3] a process that closes its stdout is hung up, and its turn fails as process_died",
    ending: failed("process_died"),
  },
  {
    script: "deaf",
    title: "[T5] a process that never reads a prompt of 500 KB fails its turn as silence_timeout",
    prompt: "p".repeat(500_000),
    options: soonSilent,
    ending: failed("silence_timeout"),
  },
  {
    script: "lingers-after-result",
    title: "[T5] a turn ends on its result, also where the process does not end with its stdin",
    options: quickly,
    ending: completed("Done."),
  },
  {
    script: "stubborn",
    title: "[P3] a process that ignores SIGTERM, SIGHUP and the end of stdin is ended all the same",
    options: quickly,
    ending: completed("Done."),
  },
  {
    script: "half-line",
    title: "[P4] half a JSON line at the exit is a notice, and the turn fails as process_died",
    ending: failed("process_died", "The whole part."),
    check: ({ events }) => expect(noticesOf(events)).toEqual(["line_incomplete"]),
  },
  {
    script: "huge-line",
    title: "[P4] a line of 8 MB arrives whole",
    ending: completed(numbered(8 * 1024 * 1024)),
  },
  {
    script: "endless-line",
    title: "[P4] a line over the limit is one notice, and the lines after it are read",
    options: { maxLineBytes: 100_000 },
    ending: completed("Before.\n\nAfter."),
    check: ({ events }) => expect(noticesOf(events)).toEqual(["line_too_long"]),
  },
  {
    script: "endless-line-and-exit",
    title: "[P4] a line that never ends is one notice, and its process's exit fails the turn as process_died",
    options: { maxLineBytes: 100_000 },
    ending: failed("process_died", "Before."),
    check: ({ events }) => expect(noticesOf(events)).toEqual(["line_too_long"]),
  },
  {
    script: "control-sequences",
    title: "[P4] control sequences before, in front of and behind a line, also an unfinished one, lose nothing of it",
    ending: completed("one, two, three, four"),
    check: ({ events }) => expect(noticesOf(events)).toEqual([]),
  },
  {
    script: "split-utf8",
    title: "[P4] characters that come in pieces are read whole",
    ending: completed("Grüße 🌍"),
  },
  {
    script: "unknown-messages",
    title: "[P4] unknown types and fields are notices or ignored, never fatal",
    ending: completed("Known again."),
    check: ({ events }) => expect(noticesOf(events)).toContain("unknown_message"),
  },
  {
    script: "wrong-types",
    title: "[P4] known messages with fields of wrong types do not keep a turn from its start and its end",
    options: soonSilent,
    ending: { ...completed("Still here."), cost_usd: 0, usage: {}, denials: [] },
    check: ({ events }) =>
      expect(events.find((event) => event.type === "turn_started")).toMatchObject({ model: "unknown", tools: [] }),
  },
  {
    script: "result-before-init",
    title: "[L3] a result before init ends the turn, and the init after it is the CLI's own turn",
    ending: completed(""),
    check: async ({ turn }, { driver, events }) => {
      await until("the CLI's own turn", () => driver.isBusy, 10_000);
      expect(events.find((event) => event.type === "turn_started")?.turn).not.toBe(turn);
    },
  },
  {
    script: "result-before-ready",
    title: "[L3] a process that reports an error instead of its start fails the turn with that error and is ended",
    options: quickly,
    ending: failed("session_lost"),
    check: (_, { driver }) => expect(driver.isUsable).toBe(false),
  },
  {
    script: "orphan-deltas",
    title: "[P4] stream events without their message are notices",
    ending: completed("Found."),
    check: ({ events }) => expect(noticesOf(events)).toHaveLength(3),
  },
  {
    script: "unknown-tool-result",
    title: "[P4] a result of a tool that nobody called is passed on and ends nothing",
    ending: completed("Done."),
    check: ({ events }) =>
      expect(events.find((event) => event.type === "tool_result")).toMatchObject({ tool_use_id: "toolu_nobody" }),
  },
  {
    script: "stderr-flood",
    title: "[A7] of 10 MB on stderr only the newest 64 KB are kept, for diagnostics, and none are events",
    ending: completed("Done."),
    check: async ({ events }, { driver }) => {
      await until("the flood's end", () => driver.diagnostics().endsWith("etail\n"), 10_000);
      expect(driver.diagnostics()).toHaveLength(64 * 1024);
      const limit = bufferBytesBefore + 2 * 1024 * 1024;
      await until("no more than 2 MB in buffers", () => bufferBytes() < limit, 10_000);
      expect(noticesOf(events)).toEqual([]);
    },
  },
  {
    script: "grandchildren",
    title: "[P3] children in sessions of their own, double-forked or without environment end with the process",
    ending: { type: "turn_completed", text: expect.stringMatching(/^(pid \d+\s*){3}$/) },
  },
  {
    script: "grandchildren-and-death",
    title: "[P3] what a killed process leaves behind ends too",
    ending: { ...failed("process_died"), text: expect.stringMatching(/^(pid \d+\s*){2}$/) },
  },
  {
    script: "garbage",
    title: "[P4] thousands of lines that are no JSON objects cost the turn nothing",
    ending: completed("Done."),
    check: ({ events }) => expect(noticesOf(events).length).toBeGreaterThanOrEqual(5000),
  },
  {
    script: "nul-bytes",
    title: "[P4] NUL bytes between, before and behind lines lose nothing of them",
    options: soonSilent,
    ending: completed("Between."),
    check: ({ events }) => expect(noticesOf(events)).toEqual([]),
  },
  {
    script: "unknown-control-request",
    title: "[P4] a control request of an unknown kind is answered with an error",
    options: soonSilent,
    ending: { type: "turn_completed", text: expect.stringMatching(/"subtype":"error","request_id":"r1"/) },
  },
  {
    script: "malformed-tool-question",
    title: "[P4] a question about a tool that cannot be read is answered with an error, and nobody is asked",
    options: { ...soonSilent, decide: () => Promise.reject(new Error("asked")) },
    ending: { type: "turn_completed", text: expect.stringMatching(/"subtype":"error","request_id":"r1"/) },
  },
  {
    script: "withdrawn-question",
    title: "[P4] a question that the CLI took back is not answered, and its asker learns of it",
    options: { decide: (_, signal) => new Promise((resolve) => whenAborted(signal, () => resolve(allowed))) },
    ending: { type: "turn_completed", text: expect.stringMatching(/"request_id":"r2"/) },
  },
  {
    script: "unasked-response",
    title: "[A5] an answer to a request that was never sent fails the turn as tampered, and its process is ended",
    options: quickly,
    ending: failed("tampered", "Before."),
    check: expectTampering("an answer to a request that was never sent"),
  },
  {
    script: "forged-result",
    title: "[A5] so does the end of a turn while a tool of it runs, of which nothing is believed",
    options: quickly,
    ending: failed("tampered", "Working."),
    check: expectTampering("the end of a turn while a tool of it runs"),
  },
  {
    script: "forged-mode",
    title: "[A5] and a mode that asks nobody, which nobody has set",
    options: quickly,
    ending: { type: "turn_failed", code: "tampered" },
    check: expectTampering("a mode that nobody has set"),
  },
  {
    script: "unallowed-write",
    title: "[A5] and a file that was written without leave",
    options: quickly,
    ending: { type: "turn_failed", code: "tampered" },
    check: async (turn, driven) => {
      expect(turn.events.find(({ type }) => type === "tool_result")).toMatchObject({ tool_use_id: "t1" });
      await expectTampering("a file written that nobody has allowed")(turn, driven);
    },
  },
  {
    script: "terminals",
    title: "[P1] its stdout is a terminal and its stdin is not",
    ending: completed("stdin false, stdout true"),
  },
];

/** Scripts of the tests below, which need more than one turn. */
const playedAlone = [
  "unanswered-interrupt",
  "two-results",
  "late-second-result",
  "own-turn",
  "own-turn-named",
  "own-turn-first",
  "own-turn-unfinished",
  "own-turn-silent",
  "dies-while-idle",
  "changed-payer",
  "big-and-gone",
];

const stages: { stage: string; script: (end: string) => string; ending: object }[] = [
  { stage: "before initialize", script: (end) => `on start\n${end}`, ending: failed("spawn_failed") },
  {
    stage: "after initialize",
    script: (end) => `on initialize\naccount\n${end}\non user`,
    ending: failed("process_died"),
  },
  { stage: "after the prompt", script: (end) => `on user\n${end}`, ending: failed("process_died") },
  {
    stage: "in the middle of a text",
    script: (end) => `on user\ninit\nopen\ndelta Half\n${end}`,
    ending: failed("process_died", "Half"),
  },
  {
    stage: "after the result",
    script: (end) => `on user\ninit\ntext All.\nresult\n${end}`,
    ending: completed("All."),
  },
];
const ends = ["exit 0", "exit 1", "exit 137", "exit 143", "kill SIGTERM", "kill SIGKILL", "kill SIGSEGV"];

describe.each(forms)("a CLI $form", ({ isBoxed }) => {
  beforeEach(() => {
    bufferBytesBefore = bufferBytes();
    scene = openFakeScene({ isBoxed });
  });
  afterEach(() => scene.close());

  describe("a fault ends in exactly one typed outcome and leaves nothing", () => {
    const titled = faults.map((fault) => [fault.title, fault] as const);
    test.each(titled)("%s", async (_, { script, prompt, options, ending, check }) => {
      const { driven, turn } = await play(script, options, prompt);
      expect(turn.ending).toMatchObject(ending);
      await check?.(turn, driven);
      await scene.leaveNothing(driven);
      expectOneEnding(turn, driven);
      // In a box it is told by ids that are none of this machine's; `leaveNothing` looks into the box's own.
      if (isBoxed) return;
      for (const [, pid] of turn.ending.text.matchAll(/^pid (\d+)$/gm))
        expect(startTimeOf(Number(pid))).toBeUndefined();
    });
  });

  describe("an exit at any stage", () => {
    test.each(stages.flatMap((stage) => ends.map((end) => ({ ...stage, end }))))(
      "[L3] $end $stage ends the turn once",
      async ({ script, end, ending }) => {
        const driven = await scene.drive(scene.play(script(end)));
        const turn = await driven.say("go");
        expect(turn.ending).toMatchObject(ending);
        const exit = await driven.driver.exited;
        const [kind, value] = end.split(" ") as [string, string];
        expect(exit).toMatchObject(kind === "exit" ? exitOf(Number(value)) : { signal: signals[value] });
        expect(driven.driver.isUsable).toBe(false);
        await scene.leaveNothing(driven);
        expectOneEnding(turn, driven);
      },
    );
  });
  /** bubblewrap tells a signal as a shell does, and no program has reason to end with such a code itself. */
  const exitOf = (code: number) => (isBoxed && code > 128 ? { code: 0, signal: code - 128 } : { code, signal: 0 });
  const signals: Record<string, number> = { SIGTERM: 15, SIGKILL: 9, SIGSEGV: 11 };

  describe("faults of several steps", () => {
    test("[P4] of 64 KB and an exit at once every byte arrives, time after time", { timeout: 300_000 }, async () => {
      const whole = numbered(65_536);
      const binary = scene.play(scripts.get("big-and-gone")!);
      for (let i = 0; i < scaled({ short: 30, long: 200 }); i++) {
        const driven = await scene.drive(binary);
        const { ending } = await driven.say("go");
        expect(ending.type).toBe("turn_completed");
        expect(ending.text === whole, `round ${i}: ${ending.text.length} of ${whole.length} characters`).toBe(true);
        await scene.leaveNothing(driven);
      }
    });

    test("[T4] a cancel that the CLI never answers ends the process within the deadline, and the turn is cancelled", async () => {
      const driven = await scene.drive(scene.play(scripts.get("unanswered-interrupt")!), quickly);
      const running = driven.begin("go");
      await until("the first text", () => driven.events.some((event) => event.type === "content_block_delta"), 30_000);
      driven.driver.cancel({ key: "tester" });
      const turn = await running.ended;
      expect(turn.ending).toEqual({ turn: turn.turn, type: "turn_cancelled", by: { key: "tester" }, text: "Working" });
      await driven.driver.exited;
      await scene.leaveNothing(driven);
      expectOneEnding(turn, driven);
    });

    test("[L3, A5] a second result ends no other turn: its process is ended", async () => {
      const driven = await scene.drive(scene.play(scripts.get("two-results")!), quickly);
      const first = await driven.say("one");
      await driven.driver.exited;
      const second = await driven.say("two");
      expect([first.ending, second.ending]).toMatchObject([completed("First."), failed("process_died")]);
      expect(driven.tampering).toEqual(["the end of a turn that none had begun"]);
      await scene.leaveNothing(driven);
      expectOneEnding(first, driven);
      expectOneEnding(second, driven);
    });

    test("[L3, A5] nor does a result that names another prompt than the one that waits", async () => {
      const driven = await scene.drive(scene.play(scripts.get("late-second-result")!), quickly);
      const first = await driven.say("one");
      const second = await driven.say("two");
      expect([first.ending, second.ending]).toMatchObject([
        completed("First."),
        { type: "turn_failed", code: "tampered" },
      ]);
      expect(driven.tampering).toEqual(["the end of a turn that none had begun"]);
      await scene.leaveNothing(driven);
      expectOneEnding(second, driven);
    });

    test("[A5] where no turn runs, the session is told by a notice", async () => {
      const driven = await scene.drive(scene.play("on user\ninit\ntext First.\nresult\nwait 50\nresult"), quickly);
      expect((await driven.say("one")).ending).toMatchObject(completed("First."));
      await driven.driver.exited;
      expect(driven.events.findLast(({ type }) => type === "notice")).toMatchObject({ turn: null, kind: "tampered" });
      expect(driven.driver.diagnostics()).toContain('"type":"result"');
      await scene.leaveNothing(driven);
    });

    test("[P7] a turn that the CLI begins by itself is its own and does not end the one that waits behind it", async () => {
      const driven = await scene.drive(scene.play(scripts.get("own-turn")!));
      const first = await driven.say("one");
      await until("the CLI's own turn", () => driven.events.some(isWoken), 30_000);
      const second = await driven.say("two");
      expect([first.ending, second.ending]).toMatchObject([completed("First."), completed("Second.")]);
      await expectOwnTurn(driven, [first, second], {
        by: { cli: "unknown" },
        ending: completed("Woken.\n\nStill woken."),
      });
    });

    test("[P7] a turn without a prompt's name is the CLI's own, though one of ours waits", async () => {
      const driven = await scene.drive(scene.play(scripts.get("own-turn-named")!));
      const first = await driven.say("one");
      const second = await driven.say("two");
      expect([first.ending, second.ending]).toMatchObject([completed("First."), completed("Second.")]);
      await expectOwnTurn(driven, [first, second], { by: { cli: "task-notification" }, ending: completed("Woken.") });
    });

    test("[P7] a turn of the CLI's own before the first prompt's is told by that prompt's being queued", async () => {
      const driven = await scene.drive(scene.play(scripts.get("own-turn-first")!));
      const first = await driven.say("one");
      expect(first.ending).toMatchObject(completed("First."));
      await expectOwnTurn(driven, [first], { by: { cli: "unknown" }, ending: completed("Woken.") });
    });

    test("[L3] a turn of the CLI's own that its death cuts off has its terminal event too", async () => {
      const driven = await scene.drive(scene.play(scripts.get("own-turn-unfinished")!));
      const first = await driven.say("one");
      await driven.driver.exited;
      expect(first.ending).toMatchObject(completed("First."));
      await expectOwnTurn(driven, [first], { by: { cli: "unknown" }, ending: failed("process_died", "Woken.") });
    });

    test("[T5] a turn of the CLI's own that falls silent fails as silence_timeout, and its process is ended", async () => {
      const driven = await scene.drive(scene.play(scripts.get("own-turn-silent")!), soonSilent);
      const first = await driven.say("one");
      await driven.driver.exited;
      expect(first.ending).toMatchObject(completed("First."));
      await expectOwnTurn(driven, [first], { by: { cli: "unknown" }, ending: failed("silence_timeout", "Woken.") });
    });

    test("[T5] and one that goes on for ever as turn_timeout", async () => {
      const script = `on user\ninit\ntext First.\nresult\ninit\nopen\n${"dots 20\n".repeat(500)}`;
      const driven = await scene.drive(scene.play(script), { ...quickly, agent: { turn_timeout_s: 1 } });
      const first = await driven.say("one");
      await driven.driver.exited;
      const ending = { type: "turn_failed", code: "turn_timeout", text: expect.stringMatching(/^\.+$/) };
      await expectOwnTurn(driven, [first], { by: { cli: "unknown" }, ending });
    });

    test("[P5] a turn that begins with a key although its process began with a login is stopped, and its process takes no other", async () => {
      const script = scene.play(scripts.get("changed-payer")!);
      const driven = await scene.drive(script, { ...quickly, agent: { billing: "subscription" } });
      const [first, second] = [await driven.say("one"), await driven.say("two")];
      expect([first.ending, second.ending]).toMatchObject([
        completed("By subscription."),
        { type: "turn_failed", code: "billing_mismatch" },
      ]);
      expect(driven.driver.isUsable).toBe(false);
      await scene.leaveNothing(driven);
      expectOneEnding(second, driven);
    });

    test("[P5] where anything may pay, such a turn goes on", async () => {
      const driven = await scene.drive(scene.play(scripts.get("changed-payer")!), quickly);
      await driven.say("one");
      const begun = driven.begin("two");
      await until("what is said by use", () => JSON.stringify(driven.events).includes("By use."));
      driven.driver.cancel({ key: "test" });
      expect((await begun.ended).ending).toMatchObject({ type: "turn_cancelled", text: "By use." });
      expect(driven.driver.isUsable).toBe(true);
      await scene.leaveNothing(driven);
    });

    test("[L3] a process that died while idle fails the next turn as process_died at once", async () => {
      const driven = await scene.drive(scene.play(scripts.get("dies-while-idle")!));
      const first = await driven.say("one");
      await driven.driver.exited;
      const second = await driven.say("two");
      expect([first.ending, second.ending]).toMatchObject([completed("First."), failed("process_died")]);
      await scene.leaveNothing(driven);
      expectOneEnding(second, driven);
    });
  });
});

test("[P4] every hostile script is played", () => {
  const source = new Set([...faults.map(({ script }) => script), ...playedAlone]);
  expect([...scripts.keys()].filter((name) => !source.has(name))).toEqual([]);
});

async function play(script: string, options: FakeOptions = {}, prompt: string | PromptBlock[] = "go") {
  const driven = await scene.drive(scene.play(scripts.get(script)!), options);
  return { driven, turn: await driven.say(prompt) };
}

function expectOneEnding({ turn }: Turn, { events }: FakeDriven): void {
  expect(endingsOf(turn, events)).toHaveLength(1);
  expect(events.findLast((event) => event.turn === turn)).toBe(endingsOf(turn, events)[0]);
}

async function expectOwnTurn(driven: FakeDriven, ours: Turn[], expected: { by: object; ending: object }) {
  await scene.leaveNothing(driven);
  for (const turn of ours) expectOneEnding(turn, driven);
  const queued = driven.events.filter((event) => event.type === "turn_queued");
  expect(queued).toMatchObject([{ by: expected.by, prompt: [], position: null }]);
  const own = queued[0]!.turn!;
  expect(ours.map(({ turn }) => turn)).not.toContain(own);
  expect(endingsOf(own, driven.events)).toMatchObject([expected.ending]);
}

function isWoken(event: object): boolean {
  return JSON.stringify(event).includes("Woken.");
}

/** Its process was ended for this sign, once. */
function expectTampering(sign: string) {
  return async (_: Turn, driven: FakeDriven) => {
    expect(driven.tampering).toEqual([sign]);
    expect(driven.driver.isUsable).toBe(false);
    await driven.driver.exited;
  };
}

function noticesOf(events: Turn["events"]): string[] {
  return events.flatMap((event) => (event.type === "notice" ? [event.kind] : []));
}

/** What buffers hold that something still refers to. */
function bufferBytes(): number {
  setFlagsFromString("--expose-gc");
  (runInNewContext("gc") as () => void)();
  return process.memoryUsage().arrayBuffers;
}

const allowed = { behavior: "allow", updatedInput: {} } as const;

function whenAborted(signal: AbortSignal, act: () => void): void {
  signal.addEventListener("abort", act, { once: true });
}

/** What the fake's `numbered` says. */
function numbered(length: number): string {
  let text = "";
  for (let i = 0; text.length < length; i++) text += `${i} `;
  return text.slice(0, length);
}
