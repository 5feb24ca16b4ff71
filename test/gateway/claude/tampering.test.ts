import { describe, expect, test } from "vitest";
import { createWitness, type Sign } from "../../../gateway/claude/tampering.ts";
import { readMessage } from "../../../gateway/claude/messages.ts";
import { createTranslator } from "../../../gateway/claude/translate.ts";
import type { PermissionMode } from "../../../gateway/protocol/codes.ts";
import { init, result, stream, turn, type Raw } from "../../support/cli-lines.ts";
import { readAgent } from "../../support/real-cli.ts";
import { readRecording, recordedScenes, recordedTurns, recordedVersions } from "../../support/recorded.ts";

type Fields = Parameters<typeof readAgent>[0];

/** A witness of a turn of ours that was put to a process of this agent. */
function witness(fields: Fields = {}, mode?: PermissionMode) {
  const agent = readAgent(fields);
  const translator = createTranslator({ session: "s", agent: "a", newTurnId: () => "own" });
  translator.expect(turn);
  const made = createWitness({
    agent,
    isOurRequest: (id) => id === "ours",
    isStray: translator.isStray,
    mode: () => mode ?? agent.permission_mode,
  });
  /** What the last of these lines is a sign of; none before it may be one. */
  const see = (...lines: Raw[]): Sign | undefined => {
    const signs = lines.map((line) => {
      const message = readMessage(line);
      const sign = made.look(message);
      translator.push(message);
      return sign;
    });
    expect(signs.slice(0, -1).filter((sign) => sign !== undefined)).toEqual([]);
    return signs.at(-1);
  };
  return { ...made, see };
}

const begun = { ...init(), cwd: "/w", permissionMode: "default" };
const call = (name: string, input: Raw = {}, more: Raw = {}): Raw => ({
  type: "assistant",
  message: { id: "m1", model: "m", content: [{ type: "tool_use", id: "t1", name, input }] },
  ...more,
});
const answered = (more: Raw = {}, id = "t1"): Raw => ({
  type: "user",
  message: { content: [{ type: "tool_result", tool_use_id: id, content: "ok", ...more }] },
});
const write = call("Write", { file_path: "/w/x" });
const messageStart = stream({ type: "message_start", message: { id: "m2", model: "m" } });
const hooks = { PreToolUse: [{ hooks: [{ type: "command", command: "true" }] }] };

describe("[A5] an answer", () => {
  test("to a request of ours is none", () =>
    expect(witness().see({ type: "control_response", response: { subtype: "success", request_id: "ours" } })).toBe(
      undefined,
    ));
  test("to another is a sign", () =>
    expect(witness().see({ type: "control_response", response: { subtype: "error", request_id: "theirs" } })).toBe(
      "an answer to a request that was never sent",
    ));
});

describe("[A5] the end of a turn", () => {
  const running = "the end of a turn while a tool of it runs";

  test("is one of a turn that there is, once", () =>
    expect(witness().see(begun, result(), result())).toBe("the end of a turn that none had begun"));
  test("before the turn has begun it may be", () => expect(witness().see(result())).toBeUndefined());
  test("that names another prompt before ours has begun is a sign", () =>
    expect(witness().see(result({ user_message_uuids: ["another"] }))).toBe("the end of a turn that none had begun"));

  test("comes when all its tools have ended", () => {
    expect(witness().see(begun, call("Bash"), result())).toBe(running);
    expect(witness().see(begun, call("Bash"), answered(), result())).toBeUndefined();
    expect(witness().see(begun, call("Bash"), answered({ is_error: true }), result())).toBeUndefined();
    expect(witness().see(begun, call("Bash"), answered({}, "another"), result())).toBe(running);
  });

  test("is none where the model has gone on, where it was broken off, or where a subagent's tool runs", () => {
    expect(witness().see(begun, call("Bash"), messageStart, result())).toBeUndefined();
    for (const subtype of ["error_during_execution", "error_max_turns", "error_max_budget_usd"])
      expect(witness().see(begun, call("Bash"), result({ subtype }))).toBeUndefined();
    expect(witness().see(begun, call("Bash"), result({ is_error: true }))).toBeUndefined();
    expect(witness().see(begun, call("Bash", {}, { parent_tool_use_id: "a" }), result())).toBeUndefined();
  });

  test("is none where a hook or a setting may have ended it", () => {
    expect(witness({ hooks }).see(begun, call("Bash"), result())).toBeUndefined();
    expect(witness({ setting_sources: ["user"] }).see(begun, call("Bash"), result())).toBeUndefined();
  });
});

describe("[A5] a mode", () => {
  const status = (permissionMode: unknown): Raw => ({ type: "system", subtype: "status", permissionMode });

  test("that asks nobody is one that we have set", () => {
    for (const mode of ["acceptEdits", "bypassPermissions"] as const) {
      expect(witness().see(status(mode))).toBe("a mode that nobody has set");
      expect(witness().see({ ...begun, permissionMode: mode })).toBe("a mode that nobody has set");
      expect(witness({ permission_mode: mode }).see(status(mode))).toBeUndefined();
      expect(witness({ hooks }).see(status(mode))).toBeUndefined();
      const told = witness();
      told.told(mode);
      expect(told.see(status(mode))).toBeUndefined();
    }
  });

  test("that a model may bring about is none", () => {
    for (const mode of ["plan", "default", "dontAsk", "auto", "of tomorrow", null, 7])
      expect(witness().see(status(mode))).toBeUndefined();
  });
});

describe("[A5] a file that was written", () => {
  const unallowed = "a file written that nobody has allowed";

  test("without leave is a sign, in each mode that asks and in the one that asks nobody", () => {
    for (const name of ["Write", "Edit"]) {
      const lines = [begun, call(name, { file_path: "/w/a/x" }), answered()];
      expect(witness().see(...lines)).toBe(unallowed);
      expect(witness({ permission_mode: "dontAsk" }).see(...lines)).toBe(unallowed);
      expect(witness({ permission_mode: "acceptEdits" }, "default").see(...lines)).toBe(unallowed);
    }
    expect(witness().see(begun, call("NotebookEdit", { notebook_path: "/w/x" }), answered())).toBe(unallowed);
  });

  test("is none with leave, and none that failed", () => {
    const made = witness();
    expect(made.see(begun, write)).toBeUndefined();
    made.allowed("t1");
    expect(made.see(answered())).toBeUndefined();
    expect(witness().see(begun, write, answered({ is_error: true }))).toBeUndefined();
  });

  test("leave is for one call of one turn", () => {
    const made = witness();
    made.allowed("t1");
    expect(made.see(begun, write, answered())).toBe(unallowed);
  });

  test("is none where something else may have allowed it", () => {
    const lines = [begun, write, answered()];
    for (const rule of ["Write", "Edit(/w/**)", " NotebookEdit", "Read, Write", "*"])
      expect(witness({ allowed_tools: [rule] }).see(...lines)).toBeUndefined();
    for (const fields of [{ hooks }, { setting_sources: ["project" as const] }])
      expect(witness(fields).see(...lines)).toBeUndefined();
    for (const mode of ["acceptEdits", "bypassPermissions", "plan"] as const)
      expect(witness({ permission_mode: mode }).see(...lines)).toBeUndefined();
    expect(witness({ allowed_tools: ["Bash(echo Write)", "Read"] }).see(...lines)).toBe(unallowed);
    expect(witness().see(begun, call("Skill"), answered(), write, answered())).toBeUndefined();
    expect(
      witness().see(begun, { ...write, parent_tool_use_id: "a" }, { ...answered(), parent_tool_use_id: "a" }),
    ).toBeUndefined();
  });

  test("is none of the CLI's own places, and none where the folder is not known", () => {
    for (const path of ["/tmp/x", "/w/.claude/plans/x", "/w/../x", "/wx", "x", undefined, 7])
      expect(witness().see(begun, call("Write", { file_path: path }), answered())).toBeUndefined();
    expect(witness().see(init(), write, answered())).toBeUndefined();
    // A second start of the turn may be somebody else's.
    expect(witness().see(begun, { ...begun, cwd: "/elsewhere" }, write, answered())).toBe(unallowed);
  });
});

describe.each(recordedVersions)("[A5] what CLI %s has really written", (version) => {
  test.each(recordedScenes(version))("has no sign: %s", (scene) => {
    const translator = createTranslator({ session: "s", agent: "a", newTurnId: () => "own" });
    const turns: string[] = [...recordedTurns];
    const made = createWitness({
      agent: readAgent(),
      // Ids are not those of the driver.
      isOurRequest: () => true,
      isStray: translator.isStray,
      mode: () => "default",
    });
    const signs = readRecording(version, scene).map((message) => {
      if (translator.ours === undefined && !translator.isBusyOnItsOwn && turns.length > 0)
        translator.expect(turns.shift()!);
      const sign = made.look(message);
      translator.push(message);
      return sign;
    });
    expect(signs.filter((sign) => sign !== undefined)).toEqual([]);
  });
});
