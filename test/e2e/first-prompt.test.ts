import { afterAll, beforeAll, expect, test } from "vitest";
import { openScene, type Scene } from "../support/real-cli.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

test("a first prompt is answered word by word, and a second one in the same process remembers it", async () => {
  const driven = await scene.drive();
  const first = await driven.say("demo:text The first answer.");
  expect(first.ending).toMatchObject({
    type: "turn_completed",
    text: "The first answer.",
    answer: "The first answer.",
  });
  const second = await driven.say("demo:text The second answer.");
  expect(second.ending).toMatchObject({ type: "turn_completed", text: "The second answer." });
  expect(second.events.find((event) => event.type === "turn_started")).toMatchObject({
    reused: true,
    api_key_source: "none",
  });
  const last = JSON.stringify(scene.requests.at(-1)?.body.messages);
  expect(last).toContain("demo:text The first answer.");
  expect(last).toContain("demo:text The second answer.");
});
