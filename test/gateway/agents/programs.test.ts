import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { missingPrograms } from "../../../gateway/agents/programs.ts";
import { isShown } from "../../../gateway/agents/shown.ts";
import { hostMounts } from "../../../gateway/claude/box/host.ts";
import type { Mount } from "../../../gateway/claude/box/mounts.ts";

let folder: string;
beforeEach(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "sluice-programs-")));
  for (const name of ["guard.sh", "config.json", "bin/tool"]) {
    mkdirSync(join(folder, name, ".."), { recursive: true });
    writeFileSync(join(folder, name), "", { mode: 0o755 });
  }
});
afterEach(() => rmSync(folder, { recursive: true }));

const system = () => hostMounts("/usr/bin:/bin");
const hooks = (command: string) => ({ PreToolUse: [{ hooks: [{ type: "command", command }] }] });
const missing = (agent: Parameters<typeof missingPrograms>[0], more: Mount[] = []) =>
  missingPrograms(agent, [...system(), ...more], {
    path: `${join(folder, "bin")}:/usr/bin:/bin`,
    home: join(folder, "home"),
  });

describe("[A9] what an agent's hooks and MCP servers name", () => {
  test("and its box does not have is found: a script, a file among the arguments, a program on PATH", () => {
    const guard = join(folder, "guard.sh");
    expect(missing({ hooks: hooks(`sh '${guard}' --strict`) })).toEqual([{ field: "hooks.PreToolUse", path: guard }]);
    const server = { command: "tool", args: ["--config", join(folder, "config.json"), 3] };
    expect(missing({ mcp_servers: { wiki: server } })).toEqual([
      { field: "mcp_servers.wiki", path: join(folder, "bin/tool") },
      { field: "mcp_servers.wiki", path: join(folder, "config.json") },
    ]);
  });

  test("and its box has, or nobody has, or is no path, is not", () => {
    const read: Mount = { kind: "read", from: folder, to: folder };
    expect(missing({ hooks: hooks(`sh ${join(folder, "guard.sh")}`) }, [read])).toEqual([]);
    expect(missing({ hooks: hooks('/bin/sh -c "exit 2"; cat /usr/bin/env') })).toEqual([]);
    expect(missing({ hooks: hooks("no-such-program /no/such/file $CLAUDE_PROJECT_DIR/x") })).toEqual([]);
    expect(missing({ hooks: hooks("env </dev/null >/tmp 2>/dev/stderr; ls / /usr") })).toEqual([]);
    expect(missing({ mcp_servers: { remote: { type: "http", url: "https://example.org/x" } } })).toEqual([]);
  });

  test("in the home it is there where the home's file is opened", () => {
    mkdirSync(join(folder, "home"));
    writeFileSync(join(folder, "home/hook"), "", { mode: 0o755 });
    const opened = (to: string): Mount => ({ kind: "read", from: join(folder, "home/hook"), to });
    const agent = { hooks: hooks("~/hook --strict") };
    const path = join(folder, "home/hook");
    expect(missing(agent)).toEqual([{ field: "hooks.PreToolUse", path }]);
    expect(missing(agent, [opened(path)])).toEqual([{ field: "hooks.PreToolUse", path }]);
    expect(missing(agent, [opened("/session/home/hook")])).toEqual([]);
  });

  test("is looked at as the box would find it: a link that leads out of it leads nowhere there", () => {
    mkdirSync(join(folder, "opened"));
    symlinkSync(join(folder, "guard.sh"), join(folder, "opened/link"));
    symlinkSync("../guard.sh", join(folder, "opened/relative"));
    const opened: Mount = { kind: "read", from: join(folder, "opened"), to: join(folder, "opened") };
    for (const name of ["link", "relative"]) {
      const path = join(folder, "opened", name);
      const agent = { hooks: hooks(path) };
      expect(missing(agent, [opened])).toEqual([{ field: "hooks.PreToolUse", path }]);
      const guard: Mount = { kind: "read", from: join(folder, "guard.sh"), to: join(folder, "guard.sh") };
      expect(missing(agent, [opened, guard])).toEqual([]);
      // Opened by its own name it is what it leads to.
      expect(missing(agent, [{ kind: "read", from: guard.from, to: path }])).toEqual([]);
    }
  });
});

test("a path is shown by the deepest mount that holds it", () => {
  const mounts: Mount[] = [
    { kind: "read", from: folder, to: folder },
    { kind: "memory", to: join(folder, "bin"), bytes: 1, mode: "0555" },
    { kind: "read", from: "/dev/null", to: join(folder, "config.json") },
    { kind: "link", target: folder.slice(1), to: "/elsewhere" },
  ];
  const shown = (path: string) => isShown(path, mounts);
  expect(shown(join(folder, "guard.sh"))).toBe(true);
  expect(shown("/elsewhere/guard.sh")).toBe(true);
  expect(shown(join(folder, "bin/tool"))).toBe(false);
  expect(shown(join(folder, "config.json"))).toBe(false);
  expect(shown("/etc/shadow")).toBe(false);
  expect(shown(folder)).toBe(true);
  expect(shown(join(folder, ".."))).toBe(true);
  expect(shown(join(folder, "absent"))).toBe(false);
  symlinkSync(join(folder, "absent"), join(folder, "dangling"));
  expect(shown(join(folder, "dangling"))).toBe(false);
});
