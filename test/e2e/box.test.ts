// What a gateway does where a box cannot be made, or cannot have what it is to have: it is refused at the start with what to do, or the turn fails and
// says no path. What a session must not reach: isolation.test.ts.
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { SetupError } from "../../gateway/protocol/errors.ts";
import {
  gatewayEnvironment,
  newFolder,
  openGateway,
  spawnGateway,
  type GatewaySettings,
  type OwnGateway,
} from "../support/gateway.ts";
import { newWorkspace } from "../support/owner.ts";
import { lacksMounts, ownMounts } from "../support/programs.ts";
import { openScene, type Scene } from "../support/real-cli.ts";
import { until } from "../support/wait.ts";

let scene: Scene;
beforeAll(async () => {
  scene = await openScene();
});
afterAll(() => scene.close());

const gateways: OwnGateway[] = [];
afterEach(async () => {
  for (const gateway of gateways.splice(0)) await gateway.close();
});

async function open(settings: GatewaySettings): Promise<OwnGateway> {
  const gateway = await openGateway(scene, settings);
  gateways.push(gateway);
  return gateway;
}

/** Why the gateway does not start. */
async function refusalOf(settings: GatewaySettings): Promise<Pick<SetupError, "fault" | "message" | "mend">> {
  const outcome: unknown = await open(settings).catch((error: unknown) => error);
  if (!(outcome instanceof SetupError)) throw new Error(`no refusal: ${String(outcome)}`);
  const { fault, message, mend } = outcome;
  return { fault, message, mend };
}

/** A folder for the front of the PATH with a `bwrap` that is this script. */
function bubblewrapOf(script: string): string {
  const folder = newFolder(scene, "bwrap");
  writeFileSync(join(folder, "bwrap"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "bwrap"), 0o755);
  return folder;
}

const withPath = (folder: string) => ({ environment: { PATH: `${folder}:${process.env["PATH"]}` } });
const required = { file: { isolation: "required" } };
/** A data folder of a gateway that has had boxes. */
function markedFolder(): string {
  const folder = newFolder(scene, "data");
  writeFileSync(join(folder, "boxed"), "");
  return folder;
}

describe("without a bubblewrap", () => {
  let none: { environment: { PATH: string } };
  beforeAll(() => {
    const folder = newFolder(scene, "programs");
    chmodSync(folder, 0o755);
    for (const name of readdirSync("/usr/bin"))
      if (name !== "bwrap") symlinkSync(`/usr/bin/${name}`, join(folder, name));
    none = { environment: { PATH: folder } };
  });
  const words = { fault: "no_box", message: expect.stringContaining("was not found on PATH") as string };

  test("[A9] isolation that is required, that a data folder has had, or that visitors need, is not given up", async () => {
    const agents = [{ name: "open", public: { origins: ["https://www.example.org"] } }];
    const [asked, marked, visited] = [
      await refusalOf({ ...none, ...required }),
      await refusalOf({ ...none, dataFolder: markedFolder() }),
      await refusalOf({ ...none, agents }),
    ];
    for (const refusal of [asked, marked, visited]) {
      expect(refusal).toMatchObject(words);
      expect(refusal.mend).toMatch(/apt-get install bubblewrap[^]*"isolation": "off"/);
    }
  });

  test("a fresh data folder is opened, with a warning; one that says off as it is", async () => {
    const gateway = await spawnGateway(scene, none);
    const turn = await gateway.ended((await gateway.post("demo:text Unboxed.")).turn);
    const { stderr } = await gateway.kill("SIGTERM");
    expect(turn).toMatchObject({ state: "completed", text: "Unboxed." });
    expect(stderr).toMatch(/"level":40.*was not found on PATH.*apt-get.*sessions run without boxes/);
    expect(existsSync(join(gateway.dataFolder, "boxed"))).toBe(false);
    const off = await open({ ...none, file: { isolation: "off" }, dataFolder: markedFolder() });
    expect(await off.ended((await off.post("hello")).turn)).toMatchObject({ state: "completed" });
  });
});

describe("[A9] a bubblewrap that cannot make boxes is refused, with what to do", () => {
  const cases: [string, () => string, RegExp, RegExp][] = [
    ["an old one", () => bubblewrapOf("echo bubblewrap 0.7.0"), /is 0\.7\.0; boxes need 0\.8\.0/, /Install/],
    ["a setuid one", setuidCopy, /is setuid/, /chmod u-s/],
    [
      "one whose boxes do not come up",
      () =>
        bubblewrapOf(
          '[ "$1" = --version ] && exec /usr/bin/bwrap --version; echo "bwrap: setting up uid map: Permission denied" >&2; exit 1',
        ),
      /cannot make a box here \(bwrap: setting up uid map: Permission denied\)/,
      /AppArmor/,
    ],
    [
      "one whose boxes see the host's processes",
      () => heedless("grep -v unshare-pid"),
      /does not hold here: .*it sees processes of the host/,
      /ordinary user/,
    ],
    [
      "one whose boxes have all system calls",
      () => heedless("sed '/--seccomp/,+1d'"),
      /does not hold here: it has all system calls\./,
      /ordinary user/,
    ],
  ];

  /** One that does not heed an option: `filter` takes it out of them, a line each. */
  function heedless(filter: string): string {
    const without = `tr '\\0' '\\n' <&6 | ${filter} | tr '\\n' '\\0' >"$0.args"; exec 6<"$0.args"`;
    return bubblewrapOf(`[ "$1" = --version ] || { ${without}; }; exec /usr/bin/bwrap "$@"`);
  }

  function setuidCopy(): string {
    const folder = newFolder(scene, "bwrap");
    copyFileSync("/usr/bin/bwrap", join(folder, "bwrap"));
    chmodSync(join(folder, "bwrap"), 0o4755);
    return folder;
  }

  test.each(cases)("%s", async (_, path, message, mend) => {
    const refusal = await refusalOf({ ...withPath(path()), ...required });
    expect(refusal).toEqual({
      fault: "no_box",
      message: expect.stringMatching(message) as string,
      mend: expect.stringMatching(mend) as string,
    });
  });
});

test("[A7] a box that does not come up fails its turn; bubblewrap's words are the administrator's alone", async () => {
  // Good for the trial at the start, and for no session.
  const once = join(newFolder(scene, "once"), "tried");
  const script = [
    '[ "$1" = --version ] && exec /usr/bin/bwrap --version',
    `[ -e '${once}' ] || { touch '${once}'; exec /usr/bin/bwrap "$@"; }`,
    "echo 'bwrap: Cannot bind /opt/secret' >&2",
    "exit 1",
  ];
  const gateway = await open(withPath(bubblewrapOf(script.join("\n"))));
  const turn = await gateway.ended((await gateway.post("hello")).turn);
  expect(turn).toMatchObject({ state: "failed", code: "spawn_failed", message: "The CLI could not be started." });
  const told = ["", "/events", "/diagnostics"].map((path) => gateway.fetch(`/api/turns/${turn.turn}${path}`));
  const [row, events] = await Promise.all(told.slice(0, 2).map(async (reply) => (await reply).text()));
  expect(`${row}${events}`).not.toMatch(/bwrap|secret/);
  const diagnostics = await until("diagnostics", async () => {
    const reply = await gateway.fetch(`/api/turns/${turn.turn}/diagnostics`);
    return ((await reply.json()) as { text: string }).text;
  });
  expect(diagnostics).toContain("bwrap: Cannot bind /opt/secret");
});

describe("[A9] an ordinary user's gateway that gets no user namespace", () => {
  // What the outer box forbids is what a container forbids, or a sysctl that is 0.
  const inside = [
    "bwrap",
    "--dev-bind",
    "/",
    "/",
    "--die-with-parent",
    "--unshare-user",
    "--uid",
    "1000",
    "--gid",
    "1000",
  ];
  const prefix = [...inside, "--disable-userns", "--"];
  const spawn = (settings: GatewaySettings) => spawnGateway(scene, settings, { prefix });

  test("is told how to get one where isolation is required, or was there before", async () => {
    for (const settings of [required, { dataFolder: markedFolder() }]) {
      const refused = await spawn(settings).catch((error: unknown) => String(error));
      expect(refused).toMatch(/ended with 1: .*Sessions cannot run in boxes[^]*user\.max_user_namespaces/);
      expect(refused).toMatch(/ENOSPC/);
    }
  });

  test("runs sessions without boxes on a fresh data folder, and says so", async () => {
    const gateway = await spawn({});
    const turn = await gateway.ended((await gateway.post("demo:text Unboxed.")).turn);
    const { stderr } = await gateway.kill("SIGTERM");
    expect(turn).toMatchObject({ state: "completed", text: "Unboxed." });
    expect(stderr).toMatch(/user\.max_user_namespaces.*sessions run without boxes/);
  });
});

describe.skipIf(lacksMounts)("a data folder on a disk of its own", () => {
  /** How the gateway ends whose data folder has this file system. */
  async function endedOn(options: string, more = "true"): Promise<{ code: number | null; stderr: string }> {
    const dataFolder = newFolder(scene, "disk");
    const environment = gatewayEnvironment(scene, { dataFolder });
    const mount = `mount -t tmpfs -o ${options} tmpfs '${dataFolder}' && ${more}`;
    const [file, ...args] = [
      ...ownMounts,
      "sh",
      "-c",
      `${mount} && "$0" "$@"; code=$?; ls -R '${dataFolder}/cli' >&2; exit $code`,
    ];
    const { status, stderr } = spawnSync(file, [...args, process.execPath, binFile, "serve"], {
      env: environment,
      encoding: "utf8",
    });
    return { code: status, stderr };
  }
  const binFile = new URL("../../gateway/bin.js", import.meta.url).pathname;

  test("without room for the CLI's copy is told so, and keeps no half of it", async () => {
    const { code, stderr } = await endedOn("mode=700,size=64m");
    expect(code).toBe(1);
    expect(stderr).toMatch(/copy of the CLI .*ENOSPC[^]*400 MB: make room, or set SLUICE_DATA/);
    expect(stderr).not.toMatch(/\.new|claude$/m);
  });

  test("that forbids programs is told so", async () => {
    const { code, stderr } = await endedOn("mode=700,noexec,size=900m");
    expect(code).toBe(1);
    expect(stderr).toMatch(/copy of the CLI .*noexec[^]*SLUICE_DATA/);
  });

  test("that is read-only is told so", async () => {
    const { code, stderr } = await endedOn("ro");
    expect(code).toBe(1);
    expect(stderr).toMatch(/The data folder .* cannot be written/);
  });
});

describe("[A9] what an agent's box cannot have is refused at the start, by its field", () => {
  const cases: [string, () => object, RegExp, RegExp][] = [
    [
      "a path that is not there",
      () => ({ box: { read: ["/usr", "/nowhere/at all"] } }),
      /"tester", box\.read\.1: \/nowhere\/at all does not exist/,
      /Make it/,
    ],
    [
      "the program of a hook that its box does not have",
      () => ({
        hooks: { PreToolUse: [{ hooks: [{ type: "command", command: `${import.meta.filename} --strict` }] }] },
      }),
      /"tester", hooks\.PreToolUse: .*box\.test\.ts is not in the agent's box/,
      /"box": \{"read": \[".*box\.test\.ts"\]\}/,
    ],
    [
      "a variable that is not there",
      () => ({ box: { env: ["PATH", "NOT_THERE"] } }),
      /"tester", box\.env: .*no NOT_THERE/,
      /Set it/,
    ],
    [
      "a workspace that its sessions cannot write to",
      () => {
        const workspace = newFolder(scene, "closed");
        chmodSync(workspace, 0o500);
        return { workspace };
      },
      /"tester", workspace: .* belongs to the user/,
      /chown -R \d+ .*box_uid.*"workspace": "read"/,
    ],
  ];
  test.each(cases)("%s", async (_, agent, message, mend) => {
    const refusal = await refusalOf({ agents: [{ name: "tester", ...agent() }] });
    expect(refusal).toEqual({
      fault: "config_invalid",
      message: expect.stringMatching(message) as string,
      mend: expect.stringMatching(mend) as string,
    });
  });

  test("a link into the data folder", async () => {
    const dataFolder = newFolder(scene, "data");
    const link = join(newFolder(scene, "link"), "l");
    symlinkSync(dataFolder, link);
    const agents = [{ name: "tester", box: { write: [link] } }];
    expect(await refusalOf({ agents, dataFolder })).toMatchObject({
      fault: "config_invalid",
      message: expect.stringMatching(/box\.write\.0: .*data folder/) as string,
    });
  });
});

test("[A7] what is gone after the start fails the next session, by its field and without a path", async () => {
  const [workspace, shared] = [newWorkspace(scene, "workspace"), newFolder(scene, "shared")];
  const agents = [
    { name: "works", workspace },
    { name: "reads", box: { read: [shared] } },
  ];
  const gateway = await open({ agents });
  const say = async (agent: string) => gateway.ended((await gateway.post("hello", { agent })).turn);
  expect(await say("works")).toMatchObject({ state: "completed" });
  for (const folder of [workspace, shared]) rmSync(folder, { recursive: true });
  const [works, reads] = [await say("works"), await say("reads")];
  for (const turn of [works, reads]) expect(turn).toMatchObject({ state: "failed", code: "spawn_failed" });
  expect(works["message"]).toBe("The agent's workspace is missing or not a folder.");
  expect(reads["message"]).toContain("`box.read.0`");
  expect(JSON.stringify([works, reads])).not.toContain(scene.folder);
  // A link in its place is what a session may have planted.
  symlinkSync(realpathSync(gateway.dataFolder), workspace);
  expect(await say("works")).toMatchObject({
    code: "spawn_failed",
    message: expect.stringContaining("`workspace`") as string,
  });
});

test("200 paths are opened to a session, and one folder is to read alone", async () => {
  const [many, workspace] = [newFolder(scene, "many"), newFolder(scene, "workspace")];
  for (const folder of [scene.folder, many, workspace]) chmodSync(folder, 0o755);
  const long = "x".repeat(180);
  const read = Array.from({ length: 200 }, (_, index) => join(many, `${index}-${long}`));
  for (const path of read) mkdirSync(path);
  const box = { read, workspace: "read" as const };
  const gateway = await open({ agents: [{ name: "tester", allowed_tools: ["Bash"], workspace, box }] });
  const call = { command: `ls ${many} | wc -l; touch ${workspace}/new 2>&1; touch ${read[0]}/new 2>&1` };
  const turn = await gateway.ended((await gateway.post(`demo:tool Bash ${JSON.stringify(call)}`)).turn);
  expect(turn["text"]).toMatch(/200\n.*Read-only file system\n.*Read-only file system/);
  expect(readdirSync(workspace)).toEqual([]);
});

test("[A9] a guarding hook that its agent's box does not have is refused at the start, with the line that shows it", async () => {
  const guard = join(newFolder(scene, "hooks"), "guard.sh");
  writeFileSync(guard, "#!/bin/sh\nexit 2\n", { mode: 0o755 });
  const hooks = { PreToolUse: [{ matcher: "Bash", hooks: [{ type: "command", command: guard }] }] };
  expect(await refusalOf({ agents: [{ name: "guarded", hooks }] })).toMatchObject({
    fault: "config_invalid",
    message: expect.stringContaining(guard) as string,
    mend: expect.stringContaining(`"box": {"read": ["${guard}"]}`) as string,
  });
});
