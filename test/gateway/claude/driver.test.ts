import { afterEach, expect, test } from "vitest";
import { openFakeScene } from "../../support/fake-scene.ts";

const scene = openFakeScene();
afterEach(() => scene.close());

const deadlines = { startMs: 30_000, interruptMs: 300, endMs: 900 };

test("[P4, L3] a bug that a line of the CLI brings to light fails its turn, is told once, and ends that process alone", async () => {
  const bugs: unknown[] = [];
  const driven = await scene.drive(scene.play("on user\ninit\ntext one\nwait 50\ntext two\nresult done"), {
    deadlines,
    onEvents: () => {
      throw new Error("a bug of ours");
    },
    onBug: (error) => bugs.push(error),
  });
  const { ending } = await driven.say("hello");
  expect(ending).toMatchObject({ type: "turn_failed", code: "internal" });
  expect(bugs).toEqual([new Error("a bug of ours")]);
  expect(driven.driver.isUsable).toBe(false);
  await scene.leaveNothing(driven);
});
