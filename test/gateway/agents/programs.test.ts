import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isShown, missingPrograms } from "../../../gateway/agents/programs.ts";
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
  missingPrograms(agent, [...system(), ...more], `${join(folder, "bin")}:/usr/bin:/bin`);

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
    expect(missing({ mcp_servers: { remote: { type: "http", url: "https://example.org/x" } } })).toEqual([]);
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
  symlinkSync(join(folder, "absent"), join(folder, "dangling"));
  expect(shown(join(folder, "dangling"))).toBe(false);
});
