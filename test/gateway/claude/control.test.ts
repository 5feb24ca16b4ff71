import { describe, expect, test } from "vitest";
import {
  billingFits,
  createControl,
  paidBy,
  turnBillingFits,
  type Account,
  type Decision,
} from "../../../gateway/claude/control.ts";
import {
  readMessage,
  type CanUseToolRequest,
  type ControlRequest,
  type ControlResponse,
} from "../../../gateway/claude/messages.ts";

interface Written {
  type: string;
  request_id?: string;
  request?: Record<string, unknown>;
  response?: Record<string, unknown>;
}

function control(
  decide: (request: CanUseToolRequest, signal: AbortSignal) => Promise<Decision> = async () => ({
    behavior: "deny",
    message: "no",
  }),
) {
  const written: Written[] = [];
  const made = createControl({ write: async (line) => void written.push(JSON.parse(line) as Written), decide });
  const answer = (response: Record<string, unknown>) =>
    made.answered(readMessage({ type: "control_response", response }) as ControlResponse);
  const ask = (request: Record<string, unknown>) =>
    made.asked(readMessage({ type: "control_request", request_id: "theirs", request }) as ControlRequest);
  return { ...made, written, answer, ask };
}

const tool = { subtype: "can_use_tool", tool_name: "Bash", tool_use_id: "t", input: { command: "ls" } };
const turnOfLoop = () => new Promise((resolve) => setImmediate(resolve));

describe("our requests", () => {
  test("go out with an id each, and take the answer with that id, in any order", async () => {
    const { initialize, interrupt, written, answer } = control();
    const [account, done] = [initialize(), interrupt()];
    const [first, second] = written.map((line) => line.request_id);
    expect(written.map((line) => line.request)).toEqual([
      { subtype: "initialize", systemPromptSnapshot: false },
      { subtype: "interrupt" },
    ]);
    expect(first).not.toBe(second);
    answer({ subtype: "success", request_id: second });
    answer({ subtype: "success", request_id: first, response: { account: { tokenSource: "x" } } });
    await expect(done).resolves.toBeUndefined();
    await expect(account).resolves.toEqual({ tokenSource: "x" });
  });

  test("an id counts as sent when it was, answered or not, and no other does", () => {
    const { interrupt, hasSent, written, answer } = control();
    void interrupt();
    const id = written[0]!.request_id!;
    answer({ subtype: "success", request_id: id });
    expect(hasSent(id)).toBe(true);
    const others = [
      "",
      "x",
      "1",
      id.replace(/\d$/, "2"),
      id.replace(/\d$/, "01"),
      id.replace(/1$/, ""),
      `${id} `,
      ":1",
    ];
    for (const other of others) expect([other, hasSent(other)]).toEqual([other, false]);
  });

  test("an answer to initialize without an account is nobody's", async () => {
    const { initialize, written, answer } = control();
    const account = initialize();
    answer({ subtype: "success", request_id: written[0]!.request_id, response: { account: 5 } });
    expect(paidBy(await account)).toBe("nobody");
  });

  test("model and mode are named, and no model is null", () => {
    const { setModel, setPermissionMode, written } = control();
    void setModel("m");
    void setModel(undefined);
    void setPermissionMode("plan");
    expect(written.map((line) => line.request)).toEqual([
      { subtype: "set_model", model: "m" },
      { subtype: "set_model", model: null },
      { subtype: "set_permission_mode", mode: "plan" },
    ]);
  });

  test("a refusal rejects, a stray answer is nothing, and the end of the process rejects whoever waits", async () => {
    const { interrupt, close, written, answer } = control();
    const refused = interrupt();
    const waiting = interrupt();
    answer({ subtype: "success", request_id: "never asked" });
    answer({ subtype: "error", request_id: written[0]!.request_id, error: "cannot" });
    await expect(refused).rejects.toThrow("cannot");
    close();
    await expect(waiting).rejects.toThrow("gone");
    await expect(interrupt()).rejects.toThrow("gone");
    expect(written).toHaveLength(2);
  });
});

describe("the CLI's requests", () => {
  const answers = (written: Written[]) =>
    written.filter((line) => line.type === "control_response").map((line) => line.response);

  test("a question about a tool gets the decision, under its id", async () => {
    const { ask, written } = control(async (request) => ({ behavior: "allow", updatedInput: request.input }));
    ask(tool);
    await turnOfLoop();
    expect(answers(written)).toEqual([
      { subtype: "success", request_id: "theirs", response: { behavior: "allow", updatedInput: { command: "ls" } } },
    ]);
  });

  test("it is a deny where nobody could decide, and the reason stays here", async () => {
    const { ask, written } = control(async () => Promise.reject(new Error("database password")));
    ask(tool);
    await turnOfLoop();
    expect(answers(written)).toMatchObject([{ response: { behavior: "deny" } }]);
    expect(JSON.stringify(written)).not.toContain("password");
  });

  test("one that is taken back aborts whoever decides, and is not answered", async () => {
    let aborted: AbortSignal | undefined;
    const decision = Promise.withResolvers<Decision>();
    const { ask, withdrawn, written } = control((_, signal) => ((aborted = signal), decision.promise));
    ask(tool);
    withdrawn("theirs");
    expect(aborted?.aborted).toBe(true);
    decision.resolve({ behavior: "allow", updatedInput: {} });
    await turnOfLoop();
    expect(written).toEqual([]);
  });

  test("the end of the process aborts whoever decides, and nothing is written any more", async () => {
    const decision = Promise.withResolvers<Decision>();
    let aborted: AbortSignal | undefined;
    const { ask, close, written } = control((_, signal) => ((aborted = signal), decision.promise));
    ask(tool);
    close();
    decision.resolve({ behavior: "allow", updatedInput: {} });
    await turnOfLoop();
    expect(aborted?.aborted).toBe(true);
    expect(written).toEqual([]);
  });

  test.each([["hook_callback"], ["something_new"], ["can_use_tool"]])(
    "a %s that cannot be answered is refused, so that the CLI does not wait",
    async (subtype) => {
      const { ask, written } = control();
      ask({ subtype });
      await turnOfLoop();
      expect(answers(written)).toMatchObject([{ subtype: "error", request_id: "theirs" }]);
    },
  );
});

describe("[P5] who pays", () => {
  const login: Account = { tokenSource: "CLAUDE_CODE_OAUTH_TOKEN", apiProvider: "firstParty" };
  const claudeAi: Account = { tokenSource: "claude.ai", apiProvider: "firstParty", subscriptionType: "max" };
  const key: Account = { apiKeySource: "ANTHROPIC_API_KEY", tokenSource: "none", apiProvider: "firstParty" };

  test.each<[string, Account, "subscription" | "api_key" | "nobody"]>([
    ["a login's token", login, "subscription"],
    ["a login of claude.ai", claudeAi, "subscription"],
    ["a login on disk", { subscriptionType: "Claude Max", apiProvider: "firstParty" }, "subscription"],
    ["a login on disk that is billed by use", { subscriptionType: "Claude API", apiProvider: "firstParty" }, "api_key"],
    ["a login on disk beside a key", { ...claudeAi, apiKeySource: "ANTHROPIC_API_KEY" }, "api_key"],
    ["an API key", key, "api_key"],
    ["an API key beside a login", { ...login, apiKeySource: "ANTHROPIC_API_KEY" }, "api_key"],
    ["an auth token", { tokenSource: "ANTHROPIC_AUTH_TOKEN", apiProvider: "firstParty" }, "api_key"],
    ["a key helper", { tokenSource: "apiKeyHelper", apiProvider: "firstParty" }, "api_key"],
    ["a cloud provider", { apiProvider: "bedrock" }, "api_key"],
    ["a cloud provider beside a login", { ...login, apiProvider: "vertex" }, "api_key"],
    ["no credential", { tokenSource: "none", apiKeySource: "none", apiProvider: "firstParty" }, "nobody"],
    ["an account that says nothing", {}, "nobody"],
  ])("%s: %j is paid by %s", (_, account, payer) => {
    expect(paidBy(account)).toBe(payer);
    expect(billingFits("subscription", account)).toBe(payer === "subscription");
    expect(billingFits("api_key", account)).toBe(payer === "api_key");
    expect(billingFits("any", account)).toBe(true);
  });

  test("a turn that begins with a key does not fit a subscription; what is not known of its source is no reason", () => {
    for (const source of ["ANTHROPIC_API_KEY", "apiKeyHelper", "/login managed key"])
      expect(turnBillingFits("subscription", source)).toBe(false);
    for (const source of ["none", "unknown", "oauth"]) expect(turnBillingFits("subscription", source)).toBe(true);
    for (const billing of ["api_key", "any"] as const) expect(turnBillingFits(billing, "ANTHROPIC_API_KEY")).toBe(true);
  });
});
