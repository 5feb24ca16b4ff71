import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { TurnEvent } from "../../gateway/protocol/events.ts";
import { openScene, type Driven, type Scene } from "../support/real-cli.ts";
import { rebuild } from "../support/rebuild.ts";

let scene: Scene;
/** One live process for the turns that need no agent of their own. */
let plain: Driven;

beforeAll(async () => {
  scene = await openScene();
  plain = await scene.drive({ agent: { allowed_tools: ["Bash", "Task"] } });
});
afterAll(() => scene.close());

function only<Type extends TurnEvent["type"]>(events: readonly TurnEvent[], type: Type) {
  return events.filter((event): event is Extract<TurnEvent, { type: Type }> => event.type === type);
}

test("[L6] a text answer's deltas add up to its text, emoji and line ends included", async () => {
  const turn = await plain.say("demo:markdown");
  const [message] = rebuild(turn.events);
  expect(message?.blocks.map(({ type }) => type)).toEqual(["text"]);
  expect(message?.blocks[0]?.content).toContain("# A sample from the demo model");
  expect(only(turn.events, "content_block_delta").length).toBeGreaterThan(10);
  const echoed = await plain.say("Grüße 👩‍👩‍👧 \u2028 und 𝒳\r\nneue Zeile");
  expect(rebuild(echoed.events)[0]?.blocks[0]?.content).toContain("You said: Grüße 👩‍👩‍👧 \u2028 und 𝒳\r\nneue Zeile");
});

test("[L6] thinking is a block of its own before the text, and no part of the turn's text", async () => {
  const turn = await plain.say("demo:thinking First this, then that, at some length.");
  expect(rebuild(turn.events)[0]?.blocks).toMatchObject([
    { type: "thinking", content: "First this, then that, at some length." },
    { type: "text", content: "I have thought about it." },
  ]);
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "I have thought about it." });
});

test("[L6] an allowed tool runs, its input's deltas add up, and its result follows", async () => {
  const input = { command: "echo out-$((40 + 2))", description: 'adds, with "quotes" and ünïcode' };
  const turn = await plain.say(`demo:tool Bash ${JSON.stringify(input)}`);
  const [call, answer] = rebuild(turn.events);
  expect(call?.blocks[0]).toMatchObject({ type: "tool_use", start: { name: "Bash" } });
  expect(JSON.parse(call!.blocks[0]!.content)).toEqual(input);
  expect(only(turn.events, "tool_result")).toMatchObject([
    { tool_use_id: call!.blocks[0]!.start["id"], content: "out-42", is_error: false, parent_tool_use_id: null },
  ]);
  expect(answer?.blocks[0]?.content).toContain("out-42");
  expect(turn.ending).toMatchObject({ type: "turn_completed", answer: answer?.blocks[0]?.content, denials: [] });
});

test("[L6] several calls in one message each get their own result", async () => {
  const calls = ["one", "two", "three"].map((word) => ({ name: "Bash", input: { command: `echo ${word}` } }));
  const turn = await plain.say(`demo:tools ${JSON.stringify(calls)}`);
  const [message] = rebuild(turn.events);
  expect(message?.blocks.map(({ content }) => JSON.parse(content) as unknown)).toEqual(calls.map(({ input }) => input));
  const results = new Map(only(turn.events, "tool_result").map((event) => [event.tool_use_id, event.content]));
  expect(message?.blocks.map(({ start }) => results.get(String(start["id"])))).toEqual(["one", "two", "three"]);
});

test("[A5] a tool that is not allowed is denied, and the model is told why", async () => {
  const driven = await scene.drive();
  const turn = await driven.say('demo:tool Bash {"command":"touch denied.txt"}');
  const [result] = only(turn.events, "tool_result");
  expect(result).toMatchObject({ is_error: true });
  expect(result?.content).toContain("The tool Bash needs permission, and nobody can be asked for it here.");
  rebuild(turn.events);
  expect(turn.ending).toMatchObject({ type: "turn_completed", denials: [{ tool_name: "Bash" }] });
  expect(JSON.stringify(scene.requests.at(-1)?.body.messages)).toContain("The tool Bash needs permission");
});

test("[L6] a subagent's calls and results name its call, and its answer is the call's result", async () => {
  const prompt = 'demo:tool Bash {"command":"echo from-below"}\ndemo:text The subagent is done.';
  const input = { description: "a task", prompt, subagent_type: "general-purpose", run_in_background: false };
  const turn = await plain.say(`demo:tool Task ${JSON.stringify(input)}\ndemo:text All is done.`);
  const messages = rebuild(turn.events);
  const call = messages[0]?.blocks[0]?.start["id"];
  const below = messages.filter(({ parent }) => parent !== null);
  expect(below.length).toBeGreaterThan(0);
  expect(below.every(({ parent }) => parent === call)).toBe(true);
  expect(below[0]?.blocks[0]).toMatchObject({ type: "tool_use", start: { name: "Bash" } });
  const results = only(turn.events, "tool_result");
  expect(results).toMatchObject([
    { parent_tool_use_id: call, content: "from-below" },
    { parent_tool_use_id: null, tool_use_id: call, is_error: false },
  ]);
  expect(JSON.stringify(results[1]?.content)).toContain("The subagent is done.");
  const fromBelow = turn.events.filter((event) => "message" in event && below.some(({ id }) => id === event.message));
  for (const event of fromBelow) expect(event).toMatchObject({ parent_tool_use_id: call });
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "All is done." });
});

test("[L6] an MCP server of the agent offers its tools as mcp__<server>__<tool>", async () => {
  const server = { command: process.execPath, args: [join(import.meta.dirname, "../support/mcp-server.ts")] };
  const driven = await scene.drive({ agent: { mcp_servers: { loud: server }, allowed_tools: ["mcp__loud__echo"] } });
  const turn = await driven.say('demo:tool mcp__loud__echo {"words":"say it"}');
  const [started] = only(turn.events, "turn_started");
  expect(started?.mcp_servers).toEqual([{ name: "loud", status: "connected" }]);
  expect(started?.tools).toContain("mcp__loud__echo");
  rebuild(turn.events);
  const [result] = only(turn.events, "tool_result");
  expect(result?.is_error).toBe(false);
  expect(JSON.stringify(result?.content)).toContain("SAY IT");
});

test("a turn's cost and usage are its own share, though the process counts on", async () => {
  const costs: number[] = [];
  for (const words of ["One.", "Two."]) {
    const { ending } = await plain.say(`demo:text ${words}`);
    expect(ending).toMatchObject({ type: "turn_completed", model_turns: 1, usage: { input_tokens: 10 } });
    costs.push(ending.type === "turn_completed" ? ending.cost_usd : NaN);
  }
  expect(costs[0]).toBeGreaterThan(0);
  expect(costs[1]).toBeCloseTo(costs[0]!, 6);
});

test("eight sessions at once: each answer stands in its own events alone", async () => {
  const driven = await Promise.all(Array.from({ length: 8 }, () => scene.drive()));
  const turns = await Promise.all(
    driven.map((one, i) => one.say(`demo:text secret-${i}-${"x".repeat(i * 50)} of session ${i}.`)),
  );
  for (const [i, turn] of turns.entries()) {
    expect(turn.ending).toMatchObject({
      type: "turn_completed",
      text: `secret-${i}-${"x".repeat(i * 50)} of session ${i}.`,
    });
    const secrets = JSON.stringify(driven[i]!.events).match(/secret-\d/g) ?? [];
    expect(new Set(secrets)).toEqual(new Set([`secret-${i}`]));
    rebuild(turn.events);
  }
});
