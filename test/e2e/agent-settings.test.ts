import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { EventOf } from "../../gateway/protocol/events.ts";
import type { EventBody } from "../../gateway/protocol/events.ts";
import { openScene, type Driven, type Scene, type Turn } from "../support/real-cli.ts";

// Each setting of an agent is shown to reach the real CLI: by what it says at a turn's start, by what the model is asked, or by what it does.
// Elsewhere: max_model_turns and max_budget_usd of a process in failures.test.ts, mcp_servers in turns.test.ts, billing in billing.test.ts,
// what a turn asks for itself in gateway-turns.test.ts.

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

const only = <Type extends EventBody["type"]>({ events }: Turn, type: Type) =>
  events.filter((event): event is EventOf<Type> & { turn: string | null } => event.type === type);

const startOf = (turn: Turn) => only(turn, "turn_started")[0]!;

/** The last request of the model's for an answer, with everything in it. */
const lastAsked = () =>
  scene.requests.at(-1)!.body as (typeof scene.requests)[number]["body"] & {
    readonly system: unknown;
    readonly tools: { name: string }[];
  };

/** What became of one call of a tool. */
async function call(driven: Driven, tool: string, input: object): Promise<{ content: unknown; is_error: boolean }> {
  const turn = await driven.say(`demo:tool ${tool} ${JSON.stringify(input)}`);
  return only(turn, "tool_result")[0]!;
}

describe("model and fallback_model", () => {
  test("the model is named at the turn's start, and is the one that is asked", async () => {
    const driven = await scene.drive({ agent: { model: "claude-haiku-4-5" } });
    const turn = await driven.say("demo:text Hi.");
    expect(startOf(turn).model).toBe("claude-haiku-4-5");
    expect(lastAsked().model).toBe("claude-haiku-4-5");
  });

  test("the fallback is asked when the model stays overloaded, and answers", async () => {
    const environment = { ...scene.environment, CLAUDE_CODE_MAX_RETRIES: "5" };
    const agent = { model: "claude-sonnet-4-5", fallback_model: "claude-haiku-4-5" };
    const driven = await scene.drive({ environment, agent });
    const before = scene.requests.length;
    const turn = await driven.say("demo:error status=529 times=3");
    const models = scene.requests.slice(before).map(({ body }) => body.model);
    expect(models).toEqual([...Array<string>(3).fill("claude-sonnet-4-5"), "claude-haiku-4-5"]);
    expect(turn.ending).toMatchObject({ type: "turn_completed", answer: "It worked at last." });
  });
});

describe("allowed_tools, disallowed_tools and permission_mode", () => {
  test("an allowed rule runs what it names unasked, and nothing else", async () => {
    const driven = await scene.drive({ agent: { allowed_tools: ["Bash(touch allowed-*)"] } });
    expect(await call(driven, "Bash", { command: "touch allowed-1" })).toMatchObject({ is_error: false });
    expect(await call(driven, "Bash", { command: "touch other-1" })).toMatchObject({ is_error: true });
    expect(readdirSync(scene.workspace).filter((name) => name.endsWith("-1"))).toEqual(["allowed-1"]);
  });

  test("a disallowed tool is not offered to the model; a disallowed rule is denied though the tool is allowed", async () => {
    const driven = await scene.drive({
      agent: { allowed_tools: ["Bash"], disallowed_tools: ["WebFetch", "Bash(touch kept-*)"] },
    });
    const plain = await scene.drive();
    const [offered, withAll] = [startOf(await driven.say("demo:text Hi.")), startOf(await plain.say("demo:text Hi."))];
    expect(withAll.tools).toContain("WebFetch");
    expect(offered.tools).not.toContain("WebFetch");
    expect(offered.tools).toContain("Bash");
    expect(await call(driven, "Bash", { command: "touch free-2" })).toMatchObject({ is_error: false });
    expect(await call(driven, "Bash", { command: "touch kept-2" })).toMatchObject({ is_error: true });
    expect(existsSync(join(scene.workspace, "kept-2"))).toBe(false);
  });

  test("each mode is said at the turn's start, and does what it says", async () => {
    const modes = ["plan", "dontAsk", "default", "acceptEdits"] as const;
    const written: string[] = [];
    for (const permission_mode of modes) {
      const driven = await scene.drive({ agent: { permission_mode } });
      const file = join(scene.workspace, `by-${permission_mode}.txt`);
      const turn = await driven.say(`demo:tool Write ${JSON.stringify({ file_path: file, content: "x" })}`);
      expect(startOf(turn).permission_mode).toBe(permission_mode);
      if (existsSync(file)) written.push(permission_mode);
    }
    // Nobody is there to be asked.
    expect(written).toEqual(["acceptEdits"]);
  });
});

test("instructions reach the model as system prompt, whatever they hold, and are in no command line", async () => {
  const instructions = 'Answer in "rhymes".\n--version\n$(touch made-by-instructions) ünïcode 🎈';
  const driven = await scene.drive({ agent: { instructions } });
  await driven.say("demo:text Hi.");
  const system = JSON.stringify(lastAsked().system);
  expect(system).toContain(JSON.stringify(instructions).slice(1, -1));
  expect(readFileSync(`/proc/${driven.driver.pid}/cmdline`, "utf8")).not.toContain("rhymes");
  expect(readdirSync(scene.workspace)).not.toContain("made-by-instructions");
});

test("subagents can be called by their names, with their own prompt, and no others of that name can", async () => {
  const subagents = {
    looker: { description: "Looks closely", prompt: "You are the looker-of-things.", tools: ["Read"] },
  };
  const input = {
    description: "look",
    prompt: "demo:text I have looked.",
    subagent_type: "looker",
    run_in_background: false,
  };
  const driven = await scene.drive({ agent: { subagents, allowed_tools: ["Task", "Agent"] } });
  const before = scene.requests.length;
  expect(await call(driven, "Task", input)).toMatchObject({ is_error: false });
  const asked = scene.requests.slice(before).map(({ body }) => JSON.stringify(body));
  expect(asked.filter((body) => body.includes("looker-of-things"))).toHaveLength(1);
  const plain = await scene.drive({ agent: { allowed_tools: ["Task", "Agent"] } });
  expect(await call(plain, "Task", input)).toMatchObject({ is_error: true });
});

test("hooks run at their events, can deny a tool, and are in no command line", async () => {
  const workspace = join(scene.folder, "hooked");
  mkdirSync(workspace);
  const deny = join(scene.folder, "deny.sh");
  writeFileSync(deny, `cat > "${workspace}/asked.json"; echo "not this one" >&2; exit 2`);
  const command = (text: string) => [{ type: "command", command: text }];
  const driven = await scene.drive({
    workspace,
    agent: {
      allowed_tools: ["Bash"],
      hooks: {
        PreToolUse: [{ matcher: "Bash", hooks: command(`sh ${deny}`) }],
        Stop: [{ hooks: command(`touch ${workspace}/stopped`) }],
      },
    },
  });
  const result = await call(driven, "Bash", { command: "touch hooked" });
  expect(result).toMatchObject({ is_error: true });
  expect(JSON.stringify(result.content)).toContain("not this one");
  expect(JSON.parse(readFileSync(join(workspace, "asked.json"), "utf8"))).toMatchObject({
    hook_event_name: "PreToolUse",
    tool_input: { command: "touch hooked" },
  });
  expect(readdirSync(workspace).toSorted()).toEqual(["asked.json", "stopped"]);
  expect(readFileSync(`/proc/${driven.driver.pid}/cmdline`, "utf8")).not.toContain("deny.sh");
});
