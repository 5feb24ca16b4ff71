import { signal } from "@preact/signals";
import { expect, test } from "vitest";
import type { ChatEvent } from "../../../widget/chat.ts";
import { english as base } from "../../../widget/texts.ts";
import { createAnnouncer } from "../../../widget/view/more/announcer.ts";
import { english as more } from "../../../widget/view/more/texts.ts";
import { english as tools } from "../../../widget/view/tools/texts.ts";
import { createSay } from "../../../widget/view/words.ts";
import { until } from "../../support/wait.ts";

const of = { session: "s", turn: "t" };
const tool = (name: string, state: "started" | "done" | "failed"): ChatEvent => ({
  type: "tool",
  ...of,
  id: name,
  name,
  state,
});

function open({ answer = "" } = {}) {
  const [polite, alert] = [signal(""), signal("")];
  const said: string[] = [];
  for (const region of [polite, alert]) region.subscribe((text) => text !== "" && said.push(text));
  const scene = { said, timeMs: 0 };
  const say = createSay({ ...base, ...more, ...tools }, "en");
  const announcer = createAnnouncer({
    polite,
    alert,
    words: () => say,
    plainText: () => answer,
    now: () => scene.timeMs,
  });
  return Object.assign(scene, { announcer, polite, alert });
}

test("what tools do is said at most every 5 s", async () => {
  const scene = open();
  const { announcer, said } = scene;
  for (const name of ["Bash", "Read", "Grep"]) {
    announcer.onEvent(tool(name, "started"));
    announcer.onEvent(tool(name, "done"));
  }
  await until("the first one", () => said.length === 1);
  scene.timeMs = 4999;
  announcer.onEvent(tool("Read", "started"));
  scene.timeMs = 5000;
  announcer.onEvent(tool("Read", "failed"));
  await until("the next one", () => said.length === 2);
  expect(said).toEqual(["Run: running", "Read: failed"]);
});

test("the same words again are heard again, and each problem in words", () => {
  const { announcer, said, alert } = open();
  for (let time = 0; time < 2; time++) announcer.onEvent({ type: "error", code: "overloaded", detail: "529" });
  announcer.onEvent({ type: "error", code: "conflict", detail: "Somebody else was first." });
  expect(said).toEqual([more.overloaded, `${more.overloaded}\u00a0`, "Somebody else was first."]);
  expect(alert.peek()).toBe(said.at(-1));
});

test("a long answer is said by its length", async () => {
  const { announcer, said } = open({ answer: "word ".repeat(200) });
  announcer.onEvent({ type: "answer", ...of, text: "" });
  await until("the answer", () => said.length === 1);
  expect(said).toEqual(["Answer complete, 200 words"]);
});
