import { expect, test } from "vitest";
import { credentialOf } from "../../../gateway/claude/credential.ts";
import { readAgent } from "../../support/real-cli.ts";

const environment = { HOME: "/home/op", CLAUDE_CODE_OAUTH_TOKEN: "oauth-secret", PATH: "/bin" };
const [any, subscription, apiKey] = (["any", "subscription", "api_key"] as const).map((billing, index) =>
  readAgent({ name: `agent-${index}`, billing }),
) as [ReturnType<typeof readAgent>, ReturnType<typeof readAgent>, ReturnType<typeof readAgent>];

test("agents that get the same credentials share one; what else they get makes no difference", () => {
  expect(credentialOf(any, environment)).toBe(credentialOf(subscription, environment));
  expect(credentialOf(any, environment)).toBe(credentialOf({ ...any, name: "x", model: "y" }, environment));
  expect(credentialOf(any, environment)).toBe(credentialOf(any, { ...environment, PATH: "/elsewhere", TZ: "UTC" }));
  expect(credentialOf(apiKey, environment)).not.toBe(credentialOf(any, environment));
});

test("another token, key, login folder or API is another credential", () => {
  const changes = [
    { CLAUDE_CODE_OAUTH_TOKEN: "another" },
    { ANTHROPIC_API_KEY: "key" },
    { CLAUDE_CONFIG_DIR: "/srv/claude" },
    { HOME: "/home/other" },
    { ANTHROPIC_BASE_URL: "http://proxy" },
  ];
  const found = [{}, ...changes].map((change) => credentialOf(any, { ...environment, ...change }));
  expect(new Set(found).size).toBe(changes.length + 1);
  // A key that its processes do not get is not the agent's.
  expect(credentialOf(subscription, { ...environment, ANTHROPIC_API_KEY: "key" })).toBe(
    credentialOf(subscription, environment),
  );
});

test("an agent that reads the CLI's settings has a credential of its own: they may bring another key", () => {
  const own = { ...any, setting_sources: ["user" as const] };
  expect(credentialOf(own, environment)).not.toBe(credentialOf(any, environment));
  expect(credentialOf(own, environment)).not.toBe(credentialOf({ ...own, name: "x" }, environment));
});

test("[A7] its name tells nothing of the secret", () => {
  expect(credentialOf(any, environment)).toMatch(/^[0-9a-f]{16}$/);
});
