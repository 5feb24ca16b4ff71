import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkWishes, createRegistry } from "../../../gateway/agents/registry.ts";
import { addStored, makeAgent, type AgentBounds } from "../../../gateway/agents/settings.ts";
import { permissionModes, type PermissionMode } from "../../../gateway/protocol/codes.ts";
import { GatewayError } from "../../../gateway/protocol/errors.ts";
import type { StoredAgent } from "../../../gateway/store/port.ts";
import { readAgent } from "../../support/real-cli.ts";

let folder: string;
let bounds: AgentBounds;
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-test-")));
  for (const name of ["root/inner", "root-beside", "outside"]) mkdirSync(join(folder, name), { recursive: true });
  writeFileSync(join(folder, "root/file"), "");
  symlinkSync(join(folder, "outside"), join(folder, "root/way-out"));
  symlinkSync(join(folder, "root/inner"), join(folder, "way-in"));
  bounds = { workspaceRoots: [join(folder, "root")], permissionCeiling: "default" };
});
afterAll(() => rmSync(folder, { recursive: true }));

const make = (settings: object, more: Partial<AgentBounds> = {}) =>
  makeAgent({ name: "made", settings: settings as StoredAgent["settings"] }, { ...bounds, ...more });

function refusalOf(settings: object, more: Partial<AgentBounds> = {}): Record<string, unknown> {
  try {
    make(settings, more);
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, field: error.extra["field"] };
    throw error;
  }
  return { code: "none" };
}

/** What may be asked for under each mode: a closed agent never asks, and one that plans does nothing else. */
const within: Record<PermissionMode, readonly PermissionMode[]> = {
  dontAsk: ["dontAsk"],
  plan: ["plan"],
  default: ["dontAsk", "plan", "default"],
  acceptEdits: ["dontAsk", "plan", "default", "acceptEdits"],
  bypassPermissions: permissionModes,
};

test.each(permissionModes)("[A5] a request to an agent of the mode %s may ask for what is within that", (mode) => {
  const agent = readAgent({ permission_mode: mode });
  const isRefused = (wish: PermissionMode) => {
    try {
      checkWishes(agent, { permission_mode: wish });
      return false;
    } catch (error) {
      return error instanceof GatewayError && error.message.includes(within[mode].join(" or "));
    }
  };
  expect(permissionModes.filter((wish) => !isRefused(wish))).toEqual(within[mode]);
});

describe("[A5] an agent that is made by API", () => {
  test("has the same defaults as one of the file", () =>
    expect(make({ model: "m" })).toEqual(readAgent({ name: "made", model: "m" })));

  test.each(permissionModes)("with the ceiling %s gets no wider mode, and by itself at most that", (ceiling) => {
    const allowed = permissionModes.filter(
      (mode) => refusalOf({ permission_mode: mode }, { permissionCeiling: ceiling })["code"] === "none",
    );
    expect(allowed).toEqual(within[ceiling]);
    const byItself = within[ceiling].includes("default") ? "default" : ceiling;
    expect(make({}, { permissionCeiling: ceiling }).permission_mode).toBe(byItself);
  });

  test("works in a folder of a root, by its real path", () => {
    for (const path of ["root", "root/inner", "root/inner/", "way-in", "root/../root/inner"])
      expect(make({ workspace: join(folder, path) }).workspace).toBe(
        path === "root" ? join(folder, "root") : join(folder, "root/inner"),
      );
    expect(make({ workspace: folder }, { workspaceRoots: ["/"] }).workspace).toBe(folder);
  });

  test.each(["outside", "root-beside", "root/way-out", "root/../outside", "root/file", "root/missing", ".", "missing"])(
    "is refused the workspace %s, and cannot tell why",
    (path) => expect(refusalOf({ workspace: join(folder, path) })).toEqual({ code: "forbidden", field: "workspace" }),
  );

  test("is refused a relative workspace, one with a NUL, and any where there are no roots", () => {
    for (const workspace of ["root", "../root", "", `${folder}/root\0`])
      expect(refusalOf({ workspace: workspace || "." })).toEqual({ code: "forbidden", field: "workspace" });
    expect(refusalOf({ workspace: folder }, { workspaceRoots: [] })).toEqual({ code: "forbidden", field: "workspace" });
  });

  test("needs a workspace for a worktree", () => {
    expect(refusalOf({ worktree: true })).toEqual({ code: "invalid_request", field: "worktree" });
    expect(make({ worktree: true, workspace: join(folder, "root") })).toMatchObject({ worktree: true });
  });
});

test("[A5] what the configuration does not allow any more is left out, and said; nothing else is", () => {
  const registry = createRegistry([readAgent({ name: "of-file" })]);
  const stored = (name: string, settings: StoredAgent["settings"]): StoredAgent => ({
    name,
    settings,
    madeBy: "alice",
    madeAt: 1,
    changedAt: 1,
  });
  const leftOut: string[] = [];
  addStored(
    registry,
    [
      stored("good", { model: "m" }),
      stored("of-file", { model: "m" }),
      stored("too-wide", { permission_mode: "acceptEdits" }),
      stored("elsewhere", { workspace: join(folder, "outside") }),
      stored("of-a-newer-version", { unheard_of: 1 }),
    ],
    bounds,
    (name) => leftOut.push(name),
  );
  expect(registry.agents.map(({ name }) => name)).toEqual(["of-file", "good"]);
  expect(registry.find("of-file")).not.toHaveProperty("model");
  expect(leftOut).toEqual(["of-file", "too-wide", "elsewhere", "of-a-newer-version"]);
});

describe("the registry", () => {
  const stored: StoredAgent = { name: "made", settings: {}, madeBy: "alice", madeAt: 1, changedAt: 1 };

  test("without a name: the only agent, or the one named default, or the only one of the file", () => {
    const registry = createRegistry([readAgent({ name: "tester" })]);
    registry.put(stored, readAgent({ name: "made" }));
    expect(registry.find(undefined).name).toBe("tester");
    expect(registry.find(undefined, ["made"]).name).toBe("made");
    registry.put({ ...stored, name: "default" }, readAgent({ name: "default" }));
    expect(registry.find(undefined).name).toBe("default");
    const two = createRegistry([readAgent({ name: "a" }), readAgent({ name: "b" })]);
    expect(() => two.find(undefined)).toThrow(/several/);
  });

  test("an agent that is not changed stays the same object, and every change is told", () => {
    const ofFile = readAgent({ name: "of-file" });
    const registry = createRegistry([ofFile]);
    let told = 0;
    registry.onChange(() => told++);
    registry.put(stored, readAgent({ name: "made" }));
    const before = registry.find("made");
    registry.put({ ...stored, name: "more" }, readAgent({ name: "more" }));
    expect([registry.find("made"), registry.find("of-file")]).toEqual([before, ofFile]);
    expect(registry.find("made")).toBe(before);
    registry.remove("made");
    registry.remove("made");
    expect(told).toBe(3);
    expect(() => registry.find("made")).toThrow(/no agent/);
    expect(() => registry.put({ ...stored, name: "of-file" }, ofFile)).toThrow(/file/);
  });
});
