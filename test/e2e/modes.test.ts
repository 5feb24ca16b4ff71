// In which mode a turn runs, and who is asked in it, with the newest CLI and the oldest one that Sluice supports.
import { randomUUID } from "node:crypto";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Decide } from "../../gateway/claude/questions.ts";
import { lacksOldestCli, oldestCli } from "../support/programs.ts";
import { openScene, type Driven, type Scene, type Turn } from "../support/real-cli.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

const tool = (name: string, input: object = {}) => `demo:tool ${name} ${JSON.stringify(input)}`;
const startOf = ({ events }: Turn) => events.find((event) => event.type === "turn_started");
const resultOf = ({ events }: Turn) => events.find((event) => event.type === "tool_result");
const write = (name: string) => tool("Write", { file_path: join(scene.workspace, name), content: "x" });

/** Allows everything, and notes what it was asked. */
function allowing(): { decide: Decide; asked: string[] } {
  const asked: string[] = [];
  const decide: Decide = async ({ tool: name, input }) => {
    asked.push(name);
    return { behavior: "allow", updatedInput: input };
  };
  return { decide, asked };
}

describe.each([
  { cli: "the newest CLI", binary: undefined, isMissing: false },
  { cli: "the oldest CLI", binary: oldestCli, isMissing: lacksOldestCli },
])("$cli", ({ binary, isMissing }) => {
  const drive: Scene["drive"] = (options = {}) =>
    scene.drive({ ...(binary === undefined ? {} : { binary }), ...options });

  test.skipIf(isMissing)("[A5] in plan mode a file outside the workspace is not read unasked", async () => {
    const secret = join(scene.folder, `${randomUUID()}.txt`);
    writeFileSync(secret, "words-of-the-outside");
    const asked: string[] = [];
    const driven = await drive({
      agent: { permission_mode: "plan" },
      decide: async ({ tool: name }) => {
        asked.push(name);
        return { behavior: "deny", message: "no" };
      },
    });
    for (const prompt of [tool("Read", { file_path: secret }), tool("Bash", { command: `cat ${secret}` })]) {
      const turn = await driven.say(prompt);
      expect(startOf(turn)).toMatchObject({ permission_mode: "plan" });
      expect(resultOf(turn)).toMatchObject({ is_error: true });
    }
    expect(asked).toEqual(["Read", "Bash"]);
    expect(JSON.stringify(scene.requests)).not.toContain("words-of-the-outside");
  });

  test.skipIf(isMissing)("[A5] a model cannot change its mode unless the agent lets it", async () => {
    const driven = await drive({ agent: { permission_mode: "dontAsk" } });
    const turn = await driven.say(tool("EnterPlanMode"));
    expect(resultOf(turn)).toMatchObject({ is_error: true });
    expect(startOf(await driven.say("demo:text Hi."))).toMatchObject({
      permission_mode: "dontAsk",
      tools: expect.not.arrayContaining(["EnterPlanMode", "ExitPlanMode"]) as string[],
    });
  });

  test.skipIf(isMissing)(
    "[A5] with leave to do so, a closed agent still asks nobody, and the next turn is as ever",
    async () => {
      const { decide, asked } = allowing();
      const agent = { permission_mode: "dontAsk" as const, extra_tools: ["EnterPlanMode", "ExitPlanMode"] };
      const driven = await drive({ agent, decide });
      const name = `${randomUUID()}.txt`;
      const turn = await driven.say(`${tool("EnterPlanMode")}\n${write(name)}\n${tool("ExitPlanMode", { plan: "x" })}`);
      const results = turn.events.filter((event) => event.type === "tool_result");
      expect(results.map((event) => event.type === "tool_result" && event.is_error)).toEqual([false, true, true]);
      expect(asked).toEqual([]);
      expect(existsSync(join(scene.workspace, name))).toBe(false);
      await expectModes(driven, ["dontAsk", "dontAsk"]);
    },
  );

  test.skipIf(isMissing)(
    "[A5] an agent that plans does so in each turn, whatever was allowed in the one before",
    async () => {
      const { decide, asked } = allowing();
      const driven = await drive({ agent: { permission_mode: "plan" }, decide });
      const turn = await driven.say(tool("ExitPlanMode", { plan: "x" }));
      expect([asked, resultOf(turn)]).toMatchObject([["ExitPlanMode"], { is_error: false }]);
      await expectModes(driven, ["plan", "plan"]);
    },
  );

  test.skipIf(isMissing)("[A5] what a turn asks for is its own, though the model changes its mode in it", async () => {
    const { decide } = allowing();
    const driven = await drive({ agent: { extra_tools: ["EnterPlanMode", "ExitPlanMode"] }, decide });
    const prompt = [
      { type: "text" as const, text: `${tool("EnterPlanMode")}\n${tool("ExitPlanMode", { plan: "x" })}` },
    ];
    await driven.driver.run({ turn: randomUUID(), prompt, permissionMode: "plan", model: "claude-haiku-4-5" });
    const before = driven.events.findLast((event) => event.type === "turn_started");
    expect(before).toMatchObject({ permission_mode: "plan", model: "claude-haiku-4-5" });
    const after = startOf(await driven.say("demo:text Hi."));
    expect(after).toMatchObject({ permission_mode: "default" });
    expect(after).not.toMatchObject({ model: "claude-haiku-4-5" });
  });

  test.skipIf(isMissing)("[A5] a model that a command has chosen ends with that command's turn", async () => {
    const driven = await drive({ agent: { model: "claude-sonnet-4-5", slash_commands: true } });
    await driven.say("demo:text Hi.");
    await driven.say("/model claude-haiku-4-5");
    expect(startOf(await driven.say("demo:text Hi."))).toMatchObject({ model: "claude-sonnet-4-5" });
    expect(scene.requests.at(-1)?.body.model).toBe("claude-sonnet-4-5");
  });

  async function expectModes(driven: Driven, modes: string[]): Promise<void> {
    for (const mode of modes)
      expect(startOf(await driven.say("demo:text Hi."))).toMatchObject({ permission_mode: mode });
  }
});
