import { spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { boxedEntry } from "../../../../gateway/claude/box/enter.ts";
import { hostMounts } from "../../../../gateway/claude/box/host.ts";
import type { BoxPlan } from "../../../../gateway/claude/box/mounts.ts";
import type { Entry } from "../../../../gateway/claude/entry.ts";
import { makePrivateFolder, type PrivateFolder } from "../../../../gateway/claude/run-folder.ts";
import { boxUser, isRoot } from "../../../support/in-box.ts";
import { lacksBubblewrap, lacksPython } from "../../../support/programs.ts";

let run: string;
let folder: PrivateFolder;
beforeEach(async () => {
  run = mkdtempSync(join(tmpdir(), "sluice-enter it's-"));
  folder = await makePrivateFolder(run);
});
afterEach(() => rmSync(run, { recursive: true }));

const plan: BoxPlan = {
  mounts: hostMounts(""),
  workspace: "/usr/bin",
  network: "open",
  form: isRoot ? "root" : "user",
};
const drop = isRoot ? { setpriv: "/usr/bin/setpriv", user: boxUser } : undefined;

/** Into a box whose program is a shell; `stdin` in place of the FIFO, which would wait for a writer. */
function enter(script: string, env: Record<string, string> = {}, more: Partial<BoxPlan> = {}): Entry {
  writeFileSync(join(run, "input"), "the input\n");
  return boxedEntry(
    { bubblewrap: "/usr/bin/bwrap", plan: { ...plan, ...more }, cli: "/bin/sh", drop },
    { args: ["-c", script, "sh", "a b", "it's", "--args"], env },
    { ...folder, stdin: join(run, "input"), stderr: join(run, "stderr"), words: join(run, "words") },
  );
}

function start({ file, args, env, cwd }: Entry) {
  const { stdout, status } = spawnSync(file, args, { env, cwd, encoding: "utf8" });
  const [stderr, words] = ["stderr", "words"].map((name) => readFileSync(join(run, name), "utf8"));
  return { stdout, status, stderr, words };
}

const secret = { TOKEN: "a 'quoted' $secret\nof `two` lines\\", PATH: "/usr/bin:/bin" };

test("[P2] neither the environment nor what is mounted is in an argument, or in the environment of the first program", () => {
  const { args, env, isBoxed } = enter("true", secret, { mounts: [{ kind: "read", from: "/srv/secret", to: "/x" }] });
  expect(isBoxed).toBe(true);
  expect(JSON.stringify({ args, env })).not.toMatch(/TOKEN|quoted|srv/);
  expect(env).toEqual({ PATH: "/usr/bin:/bin", ...folder.mark });
  for (const name of ["environment", "options", "calls"])
    expect(statSync(join(folder.path, name)).mode & 0o777).toBe(0o600);
});

describe.skipIf(lacksBubblewrap)("in a real box", () => {
  test("[A9] the program has its arguments, its environment to the byte, its folder and its input; and nothing else of ours", () => {
    const look =
      'printf "%s|" "$0" "$@"; pwd; printf "%s" "$TOKEN"; echo; cat; env | grep -E -c "^(SLUICE_PROCESS|TOKEN)="';
    const { stdout, status } = start(enter(look, secret));
    expect(status).toBe(0);
    expect(stdout).toBe(`sh|a b|it's|--args|/usr/bin\n${secret.TOKEN}\nthe input\n2\n`);
  });

  test("[A9] the files with the environment and the mounts are gone once it runs", () => {
    start(enter("true", secret));
    expect(readdirSync(folder.path).toSorted()).toEqual(["files", "stderr", "stdin", "words"]);
  });

  test("[A9] no process of the box but the program itself holds its input, or its environment", () => {
    const look = "ls -l /proc/1/fd/0 /proc/1/fd/1; grep -c quoted /proc/1/environ; ls /proc/self/fd";
    const lines = start(enter(look, secret)).stdout.trim().split("\n");
    expect(lines.join("\n")).not.toContain("input");
    // Of the first program root's box shows nothing at all; and none of the numbers that were used on the way is open.
    expect(lines).not.toContain("1 quoted");
    for (const fd of ["4", "5", "6", "7", "8"]) expect(lines).not.toContain(fd);
  });

  test.skipIf(lacksPython)(
    "[A9] there are no kernel keyrings, for a program of another processor's calls neither",
    () => {
      // keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_USER_KEYRING), as the machine's own call and as one of x32.
      const look = `import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
for number in [250, 250 | 1 << 30] if os.uname().machine == "x86_64" else [219]:
    print(libc.syscall(number, 0, -4, 0), os.strerror(ctypes.get_errno()))`;
      const { stdout } = start(enter(`python3 -c "$CODE"`, { ...secret, CODE: look }));
      expect(new Set(stdout.trim().split("\n"))).toEqual(new Set(["-1 Function not implemented"]));
    },
  );

  test("what it says on stderr, and bubblewrap's own words, each come by the file that is for them", () => {
    const program = start(enter("echo words >&2; exit 7"));
    expect(program).toEqual({ stdout: "", status: 7, stderr: "words\n", words: "\0" });
    const missing = start(enter("true", {}, { mounts: [{ kind: "read", from: "/nowhere", to: "/x" }] }));
    expect(missing).toMatchObject({ stdout: "", status: 1, stderr: "" });
    expect(missing.words).toMatch(/^bwrap: [^\0]*\/nowhere[^\0]*$/);
  });

  test("[A9] the box's first process does not have the program's stderr, and what is written to its own comes after a NUL", () => {
    const { stderr, words } = start(enter("echo forged >>/proc/1/fd/2; echo own >&2"));
    expect(stderr).toMatch(isRoot ? /denied\nown\n$/ : /^own\n$/);
    expect(words).toBe(isRoot ? "\0" : "\0forged\n");
  });

  test("a workspace that is not there, or closed, starts nothing", () => {
    const { stdout, status, words } = start(enter("echo started", {}, { workspace: "/nowhere" }));
    expect({ stdout, status }).toEqual({ stdout: "", status: 126 });
    expect(words).toContain("/nowhere");
  });

  test("200 mounts with long paths are no argument that would be too long", () => {
    const long = "x".repeat(200);
    const mounts = Array.from({ length: 200 }, (_, index): BoxPlan["mounts"][number] => ({
      kind: "read",
      from: "/etc/hosts",
      to: `/many/${index}/${long}/${long}/${long}`,
    }));
    const { stdout } = start(enter("ls /many | wc -l", secret, { mounts: [...plan.mounts, ...mounts] }));
    expect(stdout.trim()).toBe("200");
  });
});
