import { describe, expect, test } from "vitest";
import { readScript, type RequestMessage } from "../../../gateway/demo/script.ts";

const user = (content: RequestMessage["content"]): RequestMessage => ({ role: "user", content });
const assistant = (text: string): RequestMessage => ({ role: "assistant", content: [{ type: "text", text }] });
const toolResult = (content: unknown): RequestMessage => user([{ type: "tool_result", content }]);
const step = (prompt: string) => readScript([user(prompt)]).step;

describe("a step", () => {
  test.each([
    ["demo:text some words", { kind: "text", text: "some words" }],
    ["demo:long words=3 rate=50", { kind: "text", text: "word1 word2 word3", delayMs: 20 }],
    ["demo:long words=2", { kind: "text", text: "word1 word2", delayMs: 0 }],
    ["demo:thinking of it", { kind: "text", thinking: "of it", text: expect.any(String) }],
    ["demo:markdown", { kind: "text", text: expect.stringContaining("```ts") }],
    ['demo:tool Bash {"command":"ls -l"}', { kind: "tools", calls: [{ name: "Bash", input: { command: "ls -l" } }] }],
    ["demo:tool Bash", { kind: "tools", calls: [{ name: "Bash", input: {} }] }],
    ["demo:tool Bash {broken", { kind: "tools", calls: [{ name: "Bash", input: { invalid: "{broken" } }] }],
    [
      'demo:tools [{"name":"A","input":{}},{"name":"B","input":{}}]',
      {
        kind: "tools",
        calls: [
          { name: "A", input: {} },
          { name: "B", input: {} },
        ],
      },
    ],
    ["demo:error status=401", { kind: "error", status: 401, times: Infinity }],
    ["demo:error times=2", { kind: "error", status: 529, times: 2 }],
    ["demo:cut after=5 rate=20 before=Kept", { kind: "cut", after: 5, times: 1, delayMs: 50, before: "Kept" }],
    ["demo:hang ms=5", { kind: "hang", ms: 5 }],
    ["demo:nonsense", { kind: "text", text: expect.stringContaining('no step "demo:nonsense"') }],
  ])("%s", (prompt, expected) => expect(step(prompt)).toMatchObject(expected));

  test("is one line of the prompt each, the other lines are words", () => {
    const prompt = "Please:\ndemo:text one\n  demo:text not at the start\ndemo:text two\r";
    expect(readScript([user(prompt)]).step).toMatchObject({ text: "one" });
    expect(readScript([user(prompt), assistant("one"), toolResult("x")])).toMatchObject({
      position: 1,
      step: { text: "two" },
    });
  });
});

test("when the steps are used up the model repeats what the tools answered", () => {
  const messages = [
    user("demo:tool Bash {}"),
    assistant("call"),
    toolResult([{ type: "text", text: "out 1" }, { type: "image" }]),
  ];
  expect(readScript(messages).step).toMatchObject({ kind: "text", text: expect.stringMatching(/out 1\n\[image\]$/) });
});

test("a step is filled in with what the tools have answered, as text and inside JSON", () => {
  const prompt = [
    "demo:tools []",
    'demo:tool read {"turn":"{{2.turn}}","words":"{{1}}","deep":"{{2.of.it}}"}',
    "demo:text {{1}} / {{2.turn}} / {{2.of}} / {{3.turn}} / {{1.turn}} / {{2.missing}}",
  ].join("\n");
  const results = [toolResult('say "it"\n'), toolResult('{"turn":"t-2","of":{"it":7}}')];
  const called = [user(prompt), assistant("calls"), ...results];
  expect(readScript(called).step).toEqual({
    kind: "tools",
    calls: [{ name: "read", input: { turn: "t-2", words: 'say "it"\n', deep: "7" } }],
  });
  expect(readScript([...called, assistant("call")]).step).toMatchObject({
    text: 'say "it"\n / t-2 / {"it":7} / {{3.turn}} / {{1.turn}} / {{2.missing}}',
  });
});

test("answers stand in the order of the calls, in whatever order they came", () => {
  const calls: RequestMessage = { role: "assistant", content: ["a", "b"].map((id) => ({ type: "tool_use", id })) };
  const results = ["b", "a"].map((id) => user([{ type: "tool_result", tool_use_id: id, content: `of ${id}` }]));
  const messages = [user("demo:tools []\ndemo:text {{1}}, {{2}}"), calls, ...results];
  expect(readScript(messages).step).toMatchObject({ text: "of a, of b" });
});

test("the newest prompt counts, and reminders of the CLI are none", () => {
  const reminder = { type: "text", text: "<system-reminder>demo:text no</system-reminder>" };
  const messages = [
    user("demo:text old"),
    assistant("old"),
    user([reminder, { type: "text", text: "demo:text new" }]),
    user([reminder]),
    { role: "system", content: "demo:text neither" },
  ];
  expect(readScript(messages)).toMatchObject({ prompt: "demo:text new", position: 0, step: { text: "new" } });
});

test("a limit holds for every answer of the prompt", () => {
  const prompt = "demo:limit status=rejected claim=weekly resets_in=60\ndemo:text one";
  const limit = { status: "rejected", claim: "weekly", resetsInS: 60 };
  expect(readScript([user(prompt)])).toMatchObject({ limit, step: { text: "one" } });
  expect(readScript([user(prompt), assistant("one")])).toMatchObject({ limit });
  expect(readScript([user("hello")]).limit).toBeUndefined();
});

test.each([
  ["hello you", /^You said: hello you/],
  ["Show me a TABLE", /\| Part \|/],
  ["help", /demo:text/],
])("a prompt without steps, %j, is answered in words", (prompt, expected) => {
  expect(step(prompt)).toMatchObject({ kind: "text", text: expect.stringMatching(expected) });
});

test("a request without any prompt is answered too", () => expect(readScript([]).step).toMatchObject({ kind: "text" }));
