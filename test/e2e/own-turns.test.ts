import { afterAll, beforeAll, expect, test } from "vitest";
import { terminalEventTypes } from "../../gateway/protocol/codes.ts";
import type { TurnEvent } from "../../gateway/protocol/events.ts";
import { openScene, type Driven, type Scene, type Turn } from "../support/real-cli.ts";
import { rebuild } from "../support/rebuild.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
/** A process that may work in the background. */
let restless: Driven;

beforeAll(async () => {
  scene = await openScene();
  restless = await scene.drive({ agent: { allowed_tools: ["Bash"], background_tasks: true } });
});
afterAll(() => scene.close());

/** Starts a command in the background: its turn ends, and the CLI begins another when the command has ended. */
async function leaveRunning(driven: Driven, command: string): Promise<Turn> {
  const call = `demo:tool Bash ${JSON.stringify({ command, run_in_background: true })}`;
  const turn = await driven.say(`${call}\ndemo:text It was started.`);
  expect(turn.ending).toMatchObject({ type: "turn_completed", answer: "It was started." });
  return turn;
}

/** The events of the next turn that the CLI begins behind the first `from` events. */
async function ownTurn(driven: Driven, from: number): Promise<TurnEvent[]> {
  const queued = await until(
    "a turn of the CLI's own",
    () => driven.events.slice(from).find(({ type }) => type === "turn_queued"),
    30_000,
  );
  const events = () => driven.events.filter(({ turn }) => turn === queued.turn);
  await until("its end", () => events().some(({ type }) => terminalEventTypes.some((end) => end === type)), 30_000);
  return events();
}

test("[P7] by default a command for the background is refused, and nothing follows the turn", async () => {
  const driven = await scene.drive({ agent: { allowed_tools: ["Bash"] } });
  const before = scene.requests.length;
  const turn = await leaveRunning(driven, "echo never-run");
  expect(turn.events.find(({ type }) => type === "tool_result")).toMatchObject({
    is_error: true,
    content: expect.stringContaining("run_in_background"),
  });
  // A second of another turn: whatever the first had left behind would speak up in it.
  const later = await driven.say('demo:tool Bash {"command":"sleep 1"}');
  expect(new Set(driven.events.map((event) => event.turn))).toEqual(new Set([turn.turn, later.turn]));
  expect(scene.requests.length).toBe(before + 4);
});

test("[P7] by default no tool is offered that would act between turns, and a call of one is refused", async () => {
  const driven = await scene.drive();
  const turn = await driven.say('demo:tool CronCreate {"cron":"* * * * *","prompt":"never said"}');
  const started = turn.events.find((event) => event.type === "turn_started");
  for (const tool of ["CronCreate", "ScheduleWakeup", "SendMessage", "EnterWorktree", "ExitWorktree", "Workflow"])
    expect(started?.tools).not.toContain(tool);
  expect(turn.events.find(({ type }) => type === "tool_result")).toMatchObject({ is_error: true });
  rebuild(turn.events);
});

test("[P7] a turn that the CLI begins is logged as its own, with its own id and end", async () => {
  const turn = await leaveRunning(restless, "sleep 0.3");
  const own = await ownTurn(restless, 0);
  expect(own[0]).toMatchObject({ type: "turn_queued", session: restless.session, by: { cli: "task-notification" } });
  expect(own[0]!.turn).not.toBe(turn.turn);
  expect(own[1]).toMatchObject({ type: "turn_started", reused: true });
  rebuild(own);
  expect(own.at(-1)).toMatchObject({
    type: "turn_completed",
    text: expect.stringContaining('I was told: Background command "sleep 0.3" completed'),
  });
  expect(turn.events.every((event) => event.turn === turn.turn)).toBe(true);
});

test("[P7] prompts that come while the CLI works on its own get their own answers", async () => {
  const from = restless.events.length;
  await leaveRunning(restless, "sleep 0.3");
  let answered = 0;
  while (!restless.events.slice(from).some(({ type }) => type === "turn_queued")) {
    const turn = await restless.say(`demo:text Answer ${answered}.`);
    expect(turn.ending).toMatchObject({ type: "turn_completed", text: `Answer ${answered}.` });
    rebuild(turn.events);
    answered++;
  }
  const last = await restless.say("demo:text The last answer.");
  expect(last.ending).toMatchObject({ type: "turn_completed", text: "The last answer." });
  rebuild(await ownTurn(restless, from));
  expect(answered).toBeGreaterThan(0);
});

test("[P7] a prompt that is put just as the CLI begins its own turn is answered behind it", async () => {
  const from = restless.events.length;
  await leaveRunning(restless, "sleep 0.2");
  await until("its beginning", () => restless.events.slice(from).some(({ type }) => type === "turn_queued"), 30_000);
  const turn = await restless.say("demo:text Behind the other.");
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "Behind the other." });
  rebuild(turn.events);
  rebuild(await ownTurn(restless, from));
});

test("[P7, T4] a turn that the CLI began can be cancelled, and the next prompt is answered", async () => {
  const driven = await scene.drive({ agent: { allowed_tools: ["Bash"], background_tasks: true } });
  const from = driven.events.length;
  // The model answers the notice by the words of the command: long enough to be cut short.
  await leaveRunning(driven, `sleep 0.2 #\ndemo:hang`);
  await until("its beginning", () => driven.events.slice(from).some(({ type }) => type === "turn_queued"), 30_000);
  expect(driven.driver.isBusy).toBe(true);
  driven.driver.cancel({ key: "test" });
  const own = await ownTurn(driven, from);
  expect(own.at(-1)).toMatchObject({ type: "turn_cancelled", by: { key: "test" } });
  expect((await driven.say("demo:text Go on.")).ending).toMatchObject({ type: "turn_completed", text: "Go on." });
});
