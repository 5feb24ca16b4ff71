import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openDataFolder } from "../../gateway/data-folder.ts";
import { scopes } from "../../gateway/protocol/scopes.ts";
import { lacksBubblewrap } from "../support/programs.ts";
import { madeUpToken } from "../support/real-cli.ts";

const bin = join(import.meta.dirname, "../../gateway/bin.js");

interface Outcome {
  readonly code: number | null;
  /** In the pieces that it came in. */
  readonly pieces: string[];
  readonly stdout: string;
  readonly stderr: string;
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "sluice-command-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs `sluice` in a folder, home and data folder of its own, without any login. */
function sluice(args: readonly string[], environment: Record<string, string> = {}): Promise<Outcome> {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd: folder,
    env: {
      PATH: process.env["PATH"],
      HOME: folder,
      SLUICE_DATA: join(folder, "data"),
      SLUICE_PORT: "0",
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const pieces: string[] = [];
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => pieces.push(text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, pieces, stdout: pieces.join(""), stderr }));
  });
}

/** A file in the test's folder. */
function file(name: string, content: string, mode = 0o644): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** A configuration whose agent works there. */
function configWith(workspace: string): string {
  return file("sluice.json", JSON.stringify({ agents: [{ name: "coder", workspace }] }));
}

describe("demo ask", () => {
  test("streams the answer word by word to stdout, all else to stderr, and a session goes on", async () => {
    const first = await sluice(["demo", "ask", "hello", "there"]);
    expect(first).toMatchObject({ code: 0, stdout: expect.stringMatching(/^You said: hello there\n/) });
    expect(first.pieces.length).toBeGreaterThan(5);
    const session = /--session ([0-9a-f-]{36})/.exec(first.stderr)?.[1];
    expect(session).toBeDefined();
    const second = await sluice(["demo", "ask", "--session", session!, "--", "--version"]);
    expect(second).toMatchObject({ code: 0, stdout: expect.stringMatching(/^You said: --version\n/) });
    expect(second.stderr).toContain(session);
  });

  test("a failed turn exits 1 and says why", async () => {
    const outcome = await sluice(["demo", "ask", "demo:error status=400"]);
    expect(outcome).toMatchObject({ code: 1, stderr: expect.stringContaining("[turn_failed: api_error]") });
  });

  test("a reader that stops reading ends it without a word, and nothing that it has started is left", async () => {
    const home = join(folder, "unread");
    mkdirSync(home);
    const environment = { PATH: process.env["PATH"], HOME: home, TMPDIR: home, SLUICE_DATA: join(home, "data") };
    const args = [bin, "demo", "ask", "demo:long words=2000 rate=50"];
    const child = spawn(process.execPath, args, { cwd: home, env: environment, stdio: ["ignore", "pipe", "pipe"] });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    child.stdout.once("data", () => child.stdout.destroy());
    const [code] = (await once(child, "close")) as [number | null];
    expect([code, stderr]).toEqual([141, ""]);
    // Neither the demo's home, nor the note of who holds the data folder.
    expect(readdirSync(home)).not.toContainEqual(expect.stringMatching(/^sluice-demo-/));
    expect(readdirSync(join(home, "data"))).not.toContain("lock.json");
    expect(readdirSync(join(home, "data", "run"))).toEqual([]);
  });

  test("an operator's own credentials and login are not used", async () => {
    const outcome = await sluice(["demo", "ask", 'demo:tool Bash {"command":"ls"}'], {
      ANTHROPIC_API_KEY: "made-up-key-for-tests",
      ANTHROPIC_BASE_URL: "http://127.0.0.1:9",
    });
    expect(outcome).toMatchObject({ code: 0, stdout: expect.stringContaining("The tools answered") });
  });
});

test("ask without a login exits 1, says how to log in, and that the demo needs none", async () => {
  const outcome = await sluice(["ask", "hello"]);
  expect(outcome).toMatchObject({ code: 1, stdout: "" });
  for (const words of ["not_logged_in", "/login", "CLAUDE_CODE_OAUTH_TOKEN", "without any account", "npx sluice demo"])
    expect(outcome.stderr).toContain(words);
});

describe("what is wrong is named, with what to do about it", () => {
  const old = () => file("old", '#!/bin/sh\necho "2.0.0 (Claude Code)"\n', 0o755);
  const foreign = () => file("foreign", '#!/bin/sh\necho "GNU coreutils 9.1"\n', 0o755);
  const cases: [string, () => [string[], Record<string, string>], number, string[]][] = [
    [
      "a CLI that is not there",
      () => [["ask", "hi"], { SLUICE_CLAUDE: "/nowhere/claude" }],
      1,
      ["/nowhere/claude", "SLUICE_CLAUDE"],
    ],
    [
      "a CLI that is not executable",
      () => [["ask", "hi"], { SLUICE_CLAUDE: file("plain", "") }],
      1,
      ["not an executable", "chmod +x"],
    ],
    [
      "a CLI that is a folder",
      () => [["ask", "hi"], { SLUICE_CLAUDE: folder }],
      1,
      ["not an executable", "SLUICE_CLAUDE"],
    ],
    ["a CLI that is too old", () => [["ask", "hi"], { SLUICE_CLAUDE: old() }], 1, ["2.0.0", "2.1.197", "npm install"]],
    ["a CLI that is none", () => [["ask", "hi"], { SLUICE_CLAUDE: foreign() }], 1, ["--version", "SLUICE_CLAUDE"]],
    [
      "the demo's CLI that is not there",
      () => [["demo", "ask", "hi"], { SLUICE_CLAUDE: "/nowhere/claude" }],
      1,
      ["/nowhere/claude", "npm install"],
    ],
    [
      "a workspace that is not there",
      () => [["ask", "hi"], { SLUICE_CONFIG: configWith(join(folder, "nowhere")) }],
      1,
      ['"coder"', "nowhere, does not exist", "`workspace`"],
    ],
    [
      "a workspace that is a file",
      () => [["serve"], { SLUICE_CONFIG: configWith(file("no-folder", "")) }],
      1,
      ['"coder"', "no-folder, is no folder", "`workspace`"],
    ],
    [
      "an address that is not this machine's",
      () => [["serve"], { SLUICE_HOST: "203.0.113.7", SLUICE_KEYS: "main:main-secret-0123456789" }],
      1,
      ["203.0.113.7:0", "EADDRNOTAVAIL", "SLUICE_HOST"],
    ],
    ["no prompt", () => [["ask"], {}], 2, ["must not be empty", 'sluice ask "…"']],
    ["a prompt of spaces", () => [["ask", "  "], {}], 2, ["must not be empty"]],
    ["a session that is no UUID", () => [["ask", "hi", "--session", "seven"], {}], 2, ["--session", "UUID", "seven"]],
    [
      "a data folder under a file",
      () => [["ask", "hi"], { SLUICE_DATA: join(file("a-file", ""), "data") }],
      1,
      ["a-file/data", "SLUICE_DATA"],
    ],
    [
      "a data folder where none can be made",
      () => [["ask", "hi"], { SLUICE_DATA: "/proc/sluice" }],
      1,
      ["/proc/sluice cannot be written", "SLUICE_DATA"],
    ],
    [
      "the same for a key",
      () => [["key", "list"], { SLUICE_DATA: "/proc/sluice/data" }],
      1,
      ["/proc/sluice/data cannot be made", "SLUICE_DATA"],
    ],
    ["an unknown command", () => [["frobnicate"], {}], 2, ["frobnicate", "npx sluice --help"]],
    [
      "an unknown option",
      () => [["ask", "--frob", "hi"], {}],
      2,
      ["there is no option --frob.\n", "npx sluice --help"],
    ],
    ["a port as an option", () => [["serve", "--port=80"], {}], 2, ["there is no option --port: set SLUICE_PORT.\n"]],
    ["an option of another command", () => [["ask", "--user", "ann", "hi"], {}], 2, ["ask has no option --user.\n"]],
    [
      "an option without its value",
      () => [["ask", "hi", "--session"], {}],
      2,
      ["'--session <value>' argument missing"],
    ],
    ["too many words", () => [["doctor", "who"], {}], 2, ["who", "npx sluice --help"]],
    ["an unknown variable", () => [["ask", "hi"], { SLUICE_PROT: "1" }], 2, ["SLUICE_PROT", "npx sluice --help"]],
    ["an empty variable", () => [["ask", "hi"], { SLUICE_CLAUDE: "" }], 2, ["SLUICE_CLAUDE", "must not be empty"]],
  ];
  test.each(cases)("%s", async (_, given, code, words) => {
    const outcome = await sluice(...given());
    expect(outcome).toMatchObject({ code, stdout: "" });
    for (const word of words) expect(outcome.stderr).toContain(word);
    // A person reads this, not a stack.
    expect(outcome.stderr).not.toMatch(/\n\s+at /);
  });
});

test("help names the version, the scopes of keys, and what doctor checks", async () => {
  const helps = [["--help"], ["key", "add", "--help"], ["doctor", "--help"]].map((args) => sluice(args));
  const [all, key, checks] = await Promise.all(helps);
  expect([all!.code, key!.code, checks!.code]).toEqual([0, 0, 0]);
  expect(all!.stdout).toContain("--version");
  for (const scope of scopes) expect(key!.stdout).toMatch(new RegExp(`^  ${scope} `, "m"));
  for (const check of [
    "Node",
    "claude CLI",
    "login",
    "PTY",
    "git",
    "data folder",
    "box",
    "workspaces",
    "programs",
    "address",
  ])
    expect(checks!.stdout).toMatch(new RegExp(`^  ${check} `, "m"));
});

describe("doctor", () => {
  test("exits 1 without a login and says how to mend it", async () => {
    const outcome = await sluice(["doctor"]);
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/^ok {4}claude CLI {3}2\./m);
    expect(outcome.stdout).toMatch(/^FAIL {2}login .*not logged in\n.*→ .*CLAUDE_CODE_OAUTH_TOKEN/m);
    expect(outcome.stdout).toMatch(/^ok {4}PTY/m);
  });

  test("exits 0 where all is well", async () => {
    const outcome = await sluice(["doctor"], { CLAUDE_CODE_OAUTH_TOKEN: madeUpToken });
    expect(outcome).toMatchObject({ code: 0, stdout: expect.stringContaining("All is well.") });
    expect(outcome.stdout).not.toContain("FAIL");
    expect(outcome.stdout).not.toContain(madeUpToken);
  });

  test("exits 1 without the CLI and says how to get it", async () => {
    const outcome = await sluice(["doctor"], { SLUICE_CLAUDE: "/nowhere/claude" });
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/^FAIL {2}claude CLI .*\/nowhere\/claude, .*\n.*→ .*SLUICE_CLAUDE/m);
  });

  describe("of boxes", () => {
    const configuration = (content: object) => ({
      SLUICE_CONFIG: file("boxes.json", JSON.stringify(content)),
      CLAUDE_CODE_OAUTH_TOKEN: madeUpToken,
    });
    /** The machine's programs but for bubblewrap. */
    const programsAlone = () => {
      const path = mkdtempSync(join(folder, "programs-"));
      for (const name of readdirSync("/usr/bin"))
        if (name !== "bwrap") symlinkSync(`/usr/bin/${name}`, join(path, name));
      return { PATH: path };
    };

    test.skipIf(lacksBubblewrap)("[A9] says how one is made, that it held, and leaves nothing behind", async () => {
      const outcome = await sluice(["doctor"], { CLAUDE_CODE_OAUTH_TOKEN: madeUpToken });
      expect(outcome.stdout).toMatch(
        /^ok {4}box {10}bubblewrap \d.* as (root|an ordinary user).*held; the CLI cannot be read/m,
      );
      expect(readdirSync(join(folder, "data")).filter((name) => name.startsWith("doctor-"))).toEqual([]);
    });

    test("[A9] warns where sessions run without, and fails where they must not", async () => {
      // One that has had boxes must have them.
      const path = { ...programsAlone(), SLUICE_DATA: mkdtempSync(join(folder, "never-boxed-")) };
      const warned = await sluice(["doctor"], { ...path, ...configuration({ agents: [{ name: "a" }] }) });
      expect(warned).toMatchObject({ code: 0, stdout: expect.stringContaining("All is well.") });
      expect(warned.stdout).toMatch(
        /^warn {2}box .*not found on PATH.*without boxes.*\n.*→ .*apt-get install bubblewrap/m,
      );
      const required = await sluice(["doctor"], { ...path, ...configuration({ isolation: "required" }) });
      expect(required.code).toBe(1);
      expect(required.stdout).toMatch(/^FAIL {2}box .*not found on PATH.*\n.*→ .*apt-get[^]*"isolation": "off"/m);
      const off = await sluice(["doctor"], { ...path, ...configuration({ isolation: "off" }) });
      expect(off.stdout).toMatch(/^warn {2}box .*off, as the configuration says/m);
    });

    test.skipIf(lacksBubblewrap)(
      "[A9] names programs that an agent's box does not have, and the line that opens them",
      async () => {
        const hook = file("hook.sh", "#!/bin/sh\n", 0o755);
        const hooks = { PreToolUse: [{ hooks: [{ type: "command", command: `sh ${hook} >/dev/null` }] }] };
        const given = configuration({ agents: [{ name: "guarded", hooks }, { name: "plain" }] });
        const all = await sluice(["doctor"], given);
        expect(all.code).toBe(1);
        expect(all.stdout).toContain(`FAIL  programs     not in the box of "guarded": hooks.PreToolUse: ${hook}\n`);
        expect(all.stdout).toContain(`"box": {"read": ["${hook}"]}`);
        const plain = await sluice(["doctor", "--agent", "plain"], given);
        expect(plain).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok {4}programs .*boxes of plain/m) });
        const unknown = await sluice(["doctor", "--agent", "other"], given);
        expect(unknown).toMatchObject({ code: 2, stdout: "", stderr: expect.stringContaining('no agent "other"') });
      },
    );

    test.skipIf(lacksBubblewrap)("looks for the login that sessions have, and not for the operator's", async () => {
      const login = {
        accessToken: "x",
        refreshToken: "x",
        expiresAt: Date.now() + 1e9,
        scopes: ["user:inference"],
        subscriptionType: "max",
      };
      const put = (path: string) => {
        mkdirSync(path, { recursive: true });
        writeFileSync(join(path, ".credentials.json"), JSON.stringify({ claudeAiOauth: login }));
      };
      const own = { HOME: mkdtempSync(join(folder, "home-")), SLUICE_DATA: mkdtempSync(join(folder, "data-")) };
      put(join(own.HOME, ".claude"));
      expect((await sluice(["doctor"], own)).stdout).toMatch(
        /^FAIL {2}login .*not logged in\n.*→ .*CLAUDE_SECURESTORAGE_CONFIG_DIR/m,
      );
      put(join(own.SLUICE_DATA, "login"));
      expect((await sluice(["doctor"], own)).stdout).toMatch(/^ok {4}login .*logged in/m);
    });
  });

  test("[P8] a data folder that a running gateway holds is well", async () => {
    const path = join(folder, "held");
    mkdirSync(path);
    const held = openDataFolder(path);
    const outcome = await sluice(["doctor"], { SLUICE_DATA: path, CLAUDE_CODE_OAUTH_TOKEN: madeUpToken });
    held.release();
    expect(outcome).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^ok {4}data folder .*, in use by the running gateway \(pid \d+\)$/m),
    });
  });

  test("exits 1 and says how to mend a damaged database, a missing workspace and a port that is taken", async () => {
    const path = join(folder, "damaged");
    mkdirSync(path);
    const database = join(path, "sluice.sqlite");
    writeFileSync(database, "This is no database. ".repeat(500));
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
    const { port } = taken.address() as AddressInfo;
    const outcome = await sluice(["doctor"], {
      SLUICE_DATA: path,
      SLUICE_PORT: String(port),
      SLUICE_CONFIG: configWith(join(folder, "nowhere")),
    });
    taken.close();
    expect(outcome.code).toBe(1);
    expect(outcome.stdout).toMatch(/^FAIL {2}data folder .*sluice\.sqlite cannot be read.*\n.*→ .*backup/m);
    expect(outcome.stdout).toMatch(/^FAIL {2}workspaces .*"coder".*nowhere.*\n.*→ .*`workspace`/m);
    expect(outcome.stdout).toMatch(
      new RegExp(`^FAIL {2}address .*127\\.0\\.0\\.1:${port} is in use.*\\n.*→ .*SLUICE_PORT`, "m"),
    );
    expect(readFileSync(database, "utf8")).toContain("This is no database.");
  });
});
