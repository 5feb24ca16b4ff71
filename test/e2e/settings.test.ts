// What a turn asks for beyond its agent, and cancels, on a CLI that does not answer, or refuses, or is busy on its own: the turn ends, and
// nothing of it stays behind.
import { randomUUID } from "node:crypto";
import { afterAll, expect, test } from "vitest";
import { endingsOf, openFakeScene } from "../support/fake-scene.ts";
import { until } from "../support/wait.ts";

const scene = openFakeScene();
afterAll(() => scene.close());

const prompt = [{ type: "text", text: "hello" }] as const;

test("[T5] a turn ends though the CLI never answers a control request; its process is used no more and goes", async () => {
  const { driver, events } = await scene.drive(scene.play(""), { agent: { turn_timeout_s: 1 } });
  const turn = randomUUID();
  expect(await driver.run({ turn, prompt, model: "other" })).toMatchObject({ code: "turn_timeout" });
  expect(endingsOf(turn, events)).toHaveLength(1);
  expect(driver.isUsable).toBe(false);
  await driver.exited;
});

test("[T5] nor do settings that cannot be set back hold a turn up", async () => {
  const script = "on set_model\nanswered\non user\ninit\nresult done\ndeaf";
  const { driver } = await scene.drive(scene.play(script), { deadlines: { interruptMs: 500 } });
  await driver.run({ turn: randomUUID(), prompt, model: "other" });
  expect(driver.isUsable).toBe(false);
  await driver.exited;
});

test("[A5] a process on which only a part of what a turn asked for could be set takes no other turn", async () => {
  const { driver } = await scene.drive(scene.play("on set_model\nanswered\non set_permission_mode\nrefused"));
  const ending = await driver.run({ turn: randomUUID(), prompt, model: "other", permissionMode: "plan" });
  expect(ending).toMatchObject({ code: "internal" });
  expect(driver.isUsable).toBe(false);
});

test("[T4] a turn that is cancelled while its process starts has ended for who cancels it too", async () => {
  const { driver } = await scene.drive(scene.play("on initialize\nwait 600000"));
  const running = driver.run({ turn: randomUUID(), prompt });
  driver.cancel({ key: "alice" });
  expect(await running).toMatchObject({ type: "turn_cancelled" });
});

test("[P7, T4] cancelling a turn that the CLI began does not cancel the prompt that waits behind it", async () => {
  const answered = `json {"type":"result","subtype":"success","is_error":false,"result":"ok","user_message_uuids":["$TURN"]}`;
  const script = `on user\nlifecycle queued\ninit\non interrupt\ninterrupted\ninit named\ntext ok\n${answered}`;
  const { driver, events } = await scene.drive(scene.play(script));
  const turn = randomUUID();
  const running = driver.run({ turn, prompt });
  const own = await until("the CLI's own turn", () => events.find(({ type }) => type === "turn_queued"), 30_000);
  driver.cancel({ key: "alice" }, own.turn!);
  expect(await running).toMatchObject({ type: "turn_completed", answer: "ok" });
  expect(endingsOf(own.turn!, events)).toMatchObject([{ type: "turn_cancelled", by: { key: "alice" } }]);
});
