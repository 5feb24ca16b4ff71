import { expect, test } from "vitest";
import { readMessage } from "../../../gateway/claude/messages.ts";
import { createTurnSettings } from "../../../gateway/claude/turn-settings.ts";
import { readAgent } from "../../support/real-cli.ts";

function settings(agent: Parameters<typeof readAgent>[0] = {}, isRefused = false) {
  const sent: string[] = [];
  const send = async (what: string) => {
    sent.push(what);
    if (isRefused) throw new Error("refused");
  };
  const made = createTurnSettings(readAgent(agent), {
    setModel: (model) => send(`model ${model}`),
    setPermissionMode: (mode) => send(`mode ${mode}`),
  });
  const says = (subtype: string, more: object) => made.note(readMessage({ type: "system", subtype, ...more }));
  return { made, sent, says };
}

test("[A5] for an ordinary turn nothing is sent", async () => {
  const { made, sent, says } = settings({ model: "m", permission_mode: "plan" });
  await made.set();
  says("init", { permissionMode: "plan" });
  says("status", { status: "requesting" });
  says("init", {});
  expect(made.isChanged).toBe(false);
  await made.set();
  expect(sent).toEqual([]);
});

test("[A5] what a turn wants is set before it, and what the agent says after it", async () => {
  const { made, sent } = settings({ model: "m" });
  await made.set({ model: "other", permissionMode: "plan" });
  expect(made.isChanged).toBe(true);
  await made.set({ model: "other", permissionMode: "plan" });
  await made.set();
  expect(sent).toEqual(["model other", "mode plan", "model m", "mode default"]);
  expect(made.isChanged).toBe(false);
});

test("[A5] a mode that the model has changed is set back", async () => {
  for (const [subtype, mode] of [
    ["status", "plan"],
    ["init", "acceptEdits"],
    ["status", "a mode of a newer CLI"],
  ] as const) {
    const { made, sent, says } = settings({ permission_mode: "dontAsk" });
    says(subtype, { permissionMode: mode });
    expect(made.isChanged).toBe(true);
    await made.set();
    expect(sent).toEqual(["mode dontAsk"]);
  }
});

test("[A5] after a command both are set, whatever they were", async () => {
  const { made, sent } = settings();
  made.forget();
  await made.set();
  expect(sent).toEqual(["model undefined", "mode default"]);
  expect(made.isChanged).toBe(false);
});

test("[A5] what the CLI has refused counts as not known", async () => {
  const { made } = settings({}, true);
  await expect(made.set({ permissionMode: "plan" })).rejects.toThrow("refused");
  expect(made.isChanged).toBe(true);
  await expect(made.set()).rejects.toThrow("refused");
  expect(made.isChanged).toBe(true);
});
