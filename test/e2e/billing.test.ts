import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { StartFailure } from "../../gateway/claude/launch.ts";
import { openScene, type Driven, type Scene } from "../support/real-cli.ts";

const madeUpKey = "made-up-key-for-tests";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

/** A workspace whose own settings set these variables for the CLI. */
function workspaceWith(name: string, env: Record<string, string>): string {
  const workspace = join(scene.folder, name);
  mkdirSync(join(workspace, ".claude"), { recursive: true });
  writeFileSync(join(workspace, ".claude", "settings.json"), JSON.stringify({ env }));
  return workspace;
}

/** What becomes of a prompt to a process that must not take it: the same code for both, and nothing that the model saw. */
async function refusal({ driver, say }: Driven): Promise<Record<string, unknown>> {
  const before = scene.requests.length;
  const said = say("never sent");
  const reason = await driver.ready.then(
    () => "none",
    (error: unknown) => (error instanceof StartFailure ? error.failure.code : error),
  );
  const { ending, events } = await said;
  await driver.exited;
  return {
    reason,
    ending: ending.type === "turn_failed" ? ending.code : ending.type,
    events: events.length,
    isUsable: driver.isUsable,
    requests: scene.requests.length - before,
  };
}

function refusedAs(code: string): Record<string, unknown> {
  return { reason: code, ending: code, events: 1, isUsable: false, requests: 0 };
}

test("[P5] billing subscription: a stray API key in the environment never reaches the CLI or its tools", async () => {
  const driven = await scene.drive({
    environment: { ...scene.environment, ANTHROPIC_API_KEY: madeUpKey, ANTHROPIC_AUTH_TOKEN: madeUpKey },
    agent: { billing: "subscription", allowed_tools: ["Bash"] },
  });
  const turn = await driven.say('demo:tool Bash {"command":"env"}');
  expect(turn.events[0]).toMatchObject({ type: "turn_started", api_key_source: "none" });
  const result = turn.events.find(({ type }) => type === "tool_result");
  expect(result).toMatchObject({ is_error: false, content: expect.stringContaining("SLUICE_PROCESS=") });
  expect(JSON.stringify(driven.events)).not.toContain(madeUpKey);
  const { headers } = scene.requests.at(-1)!;
  expect(headers).not.toHaveProperty("x-api-key");
  expect(headers.authorization).toMatch(/^Bearer made-up-token/);
});

test("[P5] billing api_key: a subscription's token is not passed on, so the CLI is not logged in", async () => {
  const driven = await scene.drive({ agent: { billing: "api_key" } });
  expect(await refusal(driven)).toEqual(refusedAs("not_logged_in"));
});

test("[P5] billing api_key: the key pays, said at the start and on the turn", async () => {
  const driven = await scene.drive({
    environment: { ...scene.environment, ANTHROPIC_API_KEY: madeUpKey },
    agent: { billing: "api_key" },
  });
  expect(await driven.driver.ready).toMatchObject({ apiKeySource: "ANTHROPIC_API_KEY" });
  const turn = await driven.say("demo:text Paid by key.");
  expect(turn.events[0]).toMatchObject({ type: "turn_started", api_key_source: "ANTHROPIC_API_KEY" });
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "Paid by key." });
  expect(scene.requests.at(-1)!.headers["x-api-key"]).toBe(madeUpKey);
});

test("[P5] billing subscription: a key alone is not passed on, so the CLI is not logged in", async () => {
  const environment = { ...scene.environment, CLAUDE_CODE_OAUTH_TOKEN: undefined, ANTHROPIC_API_KEY: madeUpKey };
  const driven = await scene.drive({ environment, agent: { billing: "subscription" } });
  expect(await refusal(driven)).toEqual(refusedAs("not_logged_in"));
});

test.each([
  ["an API key", { ANTHROPIC_API_KEY: madeUpKey }],
  ["an auth token", { ANTHROPIC_AUTH_TOKEN: madeUpKey }],
  ["a cloud provider", { CLAUDE_CODE_USE_BEDROCK: "1", AWS_BEARER_TOKEN_BEDROCK: madeUpKey, AWS_REGION: "eu-west-1" }],
])("[P5] billing subscription: %s that the workspace's settings bring fails as billing_mismatch", async (what, env) => {
  const workspace = workspaceWith(what.replaceAll(" ", "-"), env);
  const driven = await scene.drive({ workspace, agent: { billing: "subscription", setting_sources: ["project"] } });
  expect(await refusal(driven)).toEqual(refusedAs("billing_mismatch"));
});

test("[P2] without setting sources the workspace's settings bring no credential", async () => {
  const workspace = workspaceWith("ignored", { ANTHROPIC_AUTH_TOKEN: madeUpKey });
  const driven = await scene.drive({ workspace, agent: { billing: "subscription" } });
  const turn = await driven.say("demo:text By subscription.");
  expect(turn.ending).toMatchObject({ type: "turn_completed", text: "By subscription." });
  expect(scene.requests.at(-1)!.headers.authorization).toMatch(/^Bearer made-up-token/);
});

test("[P2] the child's environment holds nothing of the gateway's that is not on the allow-list", async () => {
  const stray = {
    CLAUDECODE: "1",
    CLAUDE_CODE_ENTRYPOINT: "cli",
    SLUICE_KEYS: "a:stray-secret",
    MY_SECRET: "stray-secret",
  };
  const driven = await scene.drive({
    environment: { ...scene.environment, ...stray, NODE_OPTIONS: "--stray-secret" },
    agent: { allowed_tools: ["Bash"] },
  });
  const turn = await driven.say('demo:tool Bash {"command":"env"}');
  const result = turn.events.find(({ type }) => type === "tool_result");
  expect(result).toMatchObject({ is_error: false, content: expect.stringContaining("PATH=") });
  expect(JSON.stringify(driven.events)).not.toContain("stray-secret");
});
