import { mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { readConfig } from "../../gateway/config.ts";
import { SetupError } from "../../gateway/protocol/errors.ts";

const folder = mkdtempSync(join(tmpdir(), "sluice-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** The configuration with this file, which is given as its text or as its value. */
function withFile(content: unknown, environment: Record<string, string> = {}) {
  const path = join(folder, "config.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return readConfig({ SLUICE_CONFIG: path, ...environment });
}

const key = "ci:0123456789abcdef";

/** The file of one agent with this box. */
const box = (fields: object) => ({ agents: [{ name: "a", box: fields }] });
const many = (count: number) => Array.from({ length: count }, (_, index) => `/srv/${index}`);

function faultOf(act: () => unknown): SetupError {
  try {
    act();
  } catch (error) {
    if (error instanceof SetupError) return error;
    throw error;
  }
  throw new Error("no fault");
}

test("without any configuration it is loopback, one agent, and no key", () => {
  expect(readConfig({})).toMatchObject({
    host: "127.0.0.1",
    port: 8787,
    dataFolder: ".sluice",
    keys: [],
    allowedOrigins: [],
    agents: [
      { name: "default", permission_mode: "default", billing: "any", setting_sources: [], file_mentions: false },
    ],
  });
});

test("what the gateway's clients and processes are told by the environment is none of its own", () =>
  expect(
    readConfig({ SLUICE_URL: "https://chat.example", SLUICE_KEY: "0123", SLUICE_PROCESS: "marker" }),
  ).toMatchObject({
    keys: [],
    publicUrl: undefined,
  }));

test("the environment goes before the file, and the file before the defaults", () => {
  const file = { agents: [{ name: "docs" }], allowed_hosts: ["a.example"], limits: { processes: 3 } };
  expect(withFile(file)).toMatchObject({
    allowedHosts: ["a.example"],
    agents: [{ name: "docs" }],
    limits: { processes: 3, ping_s: 15 },
  });
  expect(withFile(file, { SLUICE_ALLOWED_HOSTS: "b.example, c.example," })).toMatchObject({
    allowedHosts: ["b.example", "c.example"],
  });
});

test("[A5] an agent with public is closed and grants nothing for good, unless the file says otherwise", () => {
  const open = { origins: ["https://www.example.org"] };
  const { agents } = withFile({
    agents: [
      { name: "plain" },
      { name: "open", public: open },
      { name: "asking", public: open, permission_mode: "default", session_approvals: true, input_changes: true },
    ],
  });
  expect(agents).toMatchObject([
    { permission_mode: "default", session_approvals: true, input_changes: false },
    { permission_mode: "dontAsk", session_approvals: false, input_changes: false, allowed_tools: [] },
    { permission_mode: "default", session_approvals: true, input_changes: true },
  ]);
});

test("[A9] isolation is wished for unless the file says otherwise, and an agent's box opens nothing", () => {
  expect(readConfig({})).toMatchObject({ isolation: "auto", boxUid: undefined });
  const { isolation, boxUid, agents } = withFile({ isolation: "required", box_uid: 1000, ...box({}) });
  expect({ isolation, boxUid }).toEqual({ isolation: "required", boxUid: 1000 });
  expect(agents[0]!.box).toEqual({ read: [], write: [], devices: [], env: [], docker: false });
});

test("an agent's box takes hundreds of paths, with whatever signs a name may have", () => {
  const read = [...many(499), "~/.config/a 'b' \"c\" $d"];
  const write = ["/srv/", "~/x", "/srv/..x", "/srv/x.."];
  expect(withFile(box({ read, write })).agents[0]!.box).toMatchObject({ read, write });
});

test("the host of the public address is allowed", () => {
  expect(readConfig({ SLUICE_PUBLIC_URL: "https://chat.example/sluice/" })).toMatchObject({
    publicUrl: "https://chat.example/sluice",
    allowedHosts: ["chat.example"],
  });
});

test("keys are name and secret; the secret may hold any sign of ASCII but a space", () => {
  expect(readConfig({ SLUICE_KEYS: `${key},bot:x:y=z/0123456789` }).keys).toEqual([
    { name: "ci", secret: "0123456789abcdef" },
    { name: "bot", secret: "x:y=z/0123456789" },
  ]);
});

describe("a fault names the field", () => {
  test.each<[Record<string, string>, RegExp]>([
    [{ SLUICE_PORT: "http" }, /SLUICE_PORT/],
    [{ SLUICE_PORT: "65536" }, /wrong: SLUICE_PORT: must be at most 65535\.$/],
    [{ SLUICE_LOG: "loud" }, /wrong: SLUICE_LOG: must be one of trace, debug, /],
    [{ SLUICE_HOST: "" }, /wrong: SLUICE_HOST: must not be empty\.$/],
    [{ SLUICE_PROT: "1" }, /wrong: SLUICE_PROT: is no variable of Sluice; did you mean `SLUICE_PORT`\?$/],
    [{ SLUICE_DATA: "" }, /SLUICE_DATA/],
    [{ SLUICE_DATE: "x" }, /SLUICE_DATE: is no variable/],
    [{ SLUICE_PROCESS: "marker", SLUICE_OTHER: "x" }, /SLUICE_OTHER: is no variable of Sluice\.$/],
    [{ SLUICE_PUBLIC_URL: "chat.example" }, /SLUICE_PUBLIC_URL/],
    [{ SLUICE_ALLOWED_ORIGINS: "https://a.example/path" }, /SLUICE_ALLOWED_ORIGINS/],
    [{ SLUICE_CONFIG: "/nowhere/sluice.json" }, /SLUICE_CONFIG/],
  ])("%j", (environment, message) => {
    const fault = faultOf(() => readConfig(environment));
    expect(fault.fault).toBe("config_invalid");
    expect(fault.message).toMatch(message);
  });

  test.each<[unknown, RegExp]>([
    ["{ nonsense", /no valid JSON/],
    ["[]", /config\.json: it must be an object\.$/],
    [{ agent: [] }, /config\.json: agent: is no known field; did you mean `agents`\?$/],
    [
      { agents: [{ nmae: "a", queue: "5", processes: 1.5 }], limits: { queue: 0 } },
      /json: agents\.0\.nmae: is no known field; did you mean `name`\?; agents\.0\.name: is missing; agents\.0\.processes: must be a whole number; agents\.0\.queue: must be a number; limits\.queue: must be more than 0\.$/,
    ],
    [{ agents: [] }, /agents.*at least one/],
    [{ agents: [{ name: "Docs" }] }, /agents\.0\.name/],
    [{ agents: [{ name: "a" }, { name: "a" }] }, /twice/],
    [{ agents: [{ name: "a", modell: "x" }] }, /agents\.0\.modell: is no known field; did you mean `model`\?$/],
    [{ agents: [{ name: "a", permission_mode: "root" }] }, /permission_mode/],
    [{ agents: [{ name: "a", model: "--help me" }] }, /agents\.0\.model/],
    [{ agents: [{ name: "a", turn_timeout_s: 0 }] }, /turn_timeout_s/],
    [{ agents: [{ name: "a", worktree: true }] }, /agents\.0\.worktree: needs a workspace/],
    [{ agents: [{ name: "a" }, { name: "b", supervises: ["a", "c"] }] }, /agents\.1\.supervises: .*"c"/],
    [{ agents: [{ name: "a", supervises: ["a"] }] }, /agents\.0\.supervises: .*itself/],
    [
      { agents: [{ name: "a", supervises: ["b"], mcp_servers: { sluice: {} } }, { name: "b" }] },
      /agents\.0\.mcp_servers: "sluice" is/,
    ],
    [
      { agents: [{ name: "a", supervises: ["b"] }, { name: "b" }], limits: { processes: 1 } },
      /limits\.processes must be at least 2: turns of "a"/,
    ],
    [{ agents: [{ name: "a", hooks: { Stop: [{ command: "x" }] } }] }, /agents\.0\.hooks\.Stop\.0\.hooks/],
    [{ isolation: "on" }, /wrong: .*isolation: must be one of required, auto, off\.$/],
    [{ isolation: true }, /isolation: must be one of required, auto, off/],
    [{ box_uid: 0 }, /box_uid: must be more than 0/],
    [{ box_uid: -1 }, /box_uid/],
    [{ box_uid: 1.5 }, /box_uid: must be a whole number/],
    [{ box_uid: "1000" }, /box_uid: must be a number/],
    [{ box_uid: 4_294_967_295 }, /box_uid: must be at most 4294967294/],
    [box({ reed: [] }), /agents\.0\.box\.reed: is no known field; did you mean `read`\?$/],
    [box({ read: "/srv" }), /agents\.0\.box\.read: must be a list/],
    [box({ read: ["srv"] }), /agents\.0\.box\.read\.0: must be absolute, or begin with "~\/"/],
    [box({ read: ["~"] }), /agents\.0\.box\.read\.0: must be absolute/],
    [box({ read: ["~ann/x"] }), /agents\.0\.box\.read\.0: must be absolute/],
    [box({ write: ["/srv", "/a\nb"] }), /agents\.0\.box\.write\.1: must not contain a line break/],
    [box({ write: ["/a\rb"] }), /agents\.0\.box\.write\.0: must not contain a line break/],
    [box({ write: ["/a\0b"] }), /agents\.0\.box\.write\.0: must not contain a line break or NUL/],
    [box({ write: ["~/../claude"] }), /agents\.0\.box\.write\.0: must not contain .*"\/\.\.\/"/],
    [box({ read: ["/srv/.."] }), /agents\.0\.box\.read\.0: must not contain/],
    [box({ read: ["/srv//x"] }), /agents\.0\.box\.read\.0: must not contain/],
    [box({ read: [`/${"x".repeat(4096)}`] }), /agents\.0\.box\.read\.0: must have at most 4096/],
    [box({ read: many(501) }), /agents\.0\.box\.read: must have at most 500/],
    [box({ devices: ["/srv/x"] }), /agents\.0\.box\.devices\.0: must be a path below \/dev/],
    [box({ devices: ["/dev/../etc"] }), /agents\.0\.box\.devices\.0: must be a path below \/dev/],
    [box({ devices: ["/dev/"] }), /agents\.0\.box\.devices\.0/],
    [box({ env: ["A-B"] }), /agents\.0\.box\.env\.0: must be the name of a variable/],
    [box({ env: ["HOME"] }), /agents\.0\.box\.env\.0: must not be a variable that the box or the gateway sets/],
    [box({ env: ["SLUICE_KEYS"] }), /agents\.0\.box\.env\.0: must not be a variable/],
    [box({ network: "host" }), /agents\.0\.box\.network: must be one of open, none/],
    [box({ workspace: "read" }), /agents\.0\.box\.workspace: needs a workspace/],
    [box({ docker: "yes" }), /agents\.0\.box\.docker/],
    [
      { agents: [{ name: "a", supervises: ["b"], box: { network: "none" } }, { name: "b" }] },
      /agents\.0\.box\.network: must be open/,
    ],
    [{ workspace_roots: ["/nowhere/at/all"] }, /workspace_roots\.0/],
    [{ workspace_roots: [folder, "/etc/passwd"] }, /workspace_roots\.1/],
    [{ permission_ceiling: "root" }, /permission_ceiling/],
    [{ limits: { processes: 0 } }, /limits\.processes/],
    [{ limits: { proceses: 1 } }, /limits\.proceses: is no known field; did you mean `processes`\?$/],
  ])("%j", (content, message) => expect(faultOf(() => withFile(content)).message).toMatch(message));

  test("and never shows a secret", () => {
    const fault = faultOf(() => readConfig({ SLUICE_KEYS: "name:s3cret" }));
    expect(fault.message).toMatch(/SLUICE_KEYS/);
    expect(fault.message).not.toContain("s3cret");
  });

  test.each([
    ["a secret that clients would write in different ways", "ci:schlüsselschlüssel", "characters of ASCII"],
    ["one secret for two keys", `${key},bot:0123456789abcdef`, "must not repeat a secret"],
    ["one name for two keys", `${key},ci:fedcba9876543210`, "must not name a key twice"],
  ])("%s is refused", (_, SLUICE_KEYS, why) => {
    expect(faultOf(() => readConfig({ SLUICE_KEYS })).message).toContain(why);
  });
});

test("[A5] without saying, agents made by API get no folder and no mode that runs what changes something unasked", () =>
  expect(readConfig({})).toMatchObject({ workspaceRoots: [], permissionCeiling: "default" }));

test("workspace roots are taken by their real paths", () => {
  const link = join(folder, "link");
  symlinkSync(folder, link);
  expect(withFile({ workspace_roots: [link], permission_ceiling: "acceptEdits" })).toMatchObject({
    workspaceRoots: [realpathSync(folder)],
    permissionCeiling: "acceptEdits",
  });
});

describe("a variable that an MCP server names", () => {
  const file = (env: string[]) => ({
    agents: [
      { name: "plain" },
      {
        name: "a",
        mcp_servers: { wiki: { url: "x", headers: { Authorization: "Bearer ${WIKI_TOKEN}" } } },
        box: { env },
      },
    ],
  });

  test("must be named by the agent's box.env, and be there", () => {
    const field = "agents.1.mcp_servers.wiki.headers.Authorization";
    const secret = { WIKI_TOKEN: "s3cret" };
    const unnamed = faultOf(() => withFile(file([]), secret));
    expect(unnamed.message).toContain(`${field}: the agent's box.env does not name WIKI_TOKEN`);
    const missing = faultOf(() => withFile(file(["WIKI_TOKEN"])));
    expect(missing.message).toContain(`${field}: the gateway's environment has no WIKI_TOKEN`);
    expect(`${unnamed.message}${missing.message}`).not.toContain("s3cret");
  });

  test("stays a name in what was read: its value is for the processes alone", () =>
    expect(JSON.stringify(withFile(file(["WIKI_TOKEN"]), { WIKI_TOKEN: "s3cret" }).agents)).not.toContain("s3cret"));
});

describe("[A1] an address that others can reach", () => {
  test.each(["0.0.0.0", "::", "192.168.1.5", "chat.example", "127.0.0.1.example"])(
    "%s is refused without keys",
    (host) => {
      expect(faultOf(() => readConfig({ SLUICE_HOST: host })).message).toContain(host);
      expect(readConfig({ SLUICE_HOST: host, SLUICE_KEYS: key }).host).toBe(host);
    },
  );
  test.each(["127.0.0.1", "127.8.9.1", "localhost", "::1"])("%s is not one", (host) =>
    expect(readConfig({ SLUICE_HOST: host }).host).toBe(host),
  );
});

test("a relative folder of the CLI is the gateway's own, and the result cannot be changed", () => {
  const config = readConfig({ CLAUDE_CONFIG_DIR: "cli", OTHER: "x" });
  expect(config.environment).toEqual({ CLAUDE_CONFIG_DIR: resolve("cli"), OTHER: "x" });
  expect(Object.isFrozen(config) && Object.isFrozen(config.environment)).toBe(true);
});
